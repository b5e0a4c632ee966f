"""What is known of automations that homes have: a pattern, the roles in it, and the automation that it makes.

The automation is written as Home Assistant writes it, but for three things. "$lights" stands for the entities that
fill the role "lights"; a trigger, condition or action that refers to a role which nothing fills is left out. An action
{"tell": {"title": ..., "message": ...}} notifies, through a notify entity where there is one. And a temperature is
{"degrees": 21, "of": "$thermostats"}, in degrees Celsius, whatever these reckon in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
import re
from typing import Any

NOTIFY = "notify"
"""The role that every pattern has which tells something."""
TELL = "tell"
DEGREES, OF = "degrees", "of"
ROLE_REFERENCE = re.compile(r"\$([a-z_]+)")
ACTING_ENTITY = re.compile(r"\{\{\s*trigger\.entity_id\s*\}\}")
"""The only thing beside a role that an action may name: whoever triggered it, which a role has to fill, too."""


class Category(StrEnum):
    """What a pattern is about."""

    LIGHTING = "lighting"
    CLIMATE = "climate"
    ENERGY = "energy"
    SECURITY = "security"
    COMFORT = "comfort"
    PRESENCE = "presence"
    APPLIANCES = "appliances"
    GARDEN = "garden"
    MEDIA = "media"
    NOTIFICATIONS = "notifications"
    USER = "user"


class PatternError(ValueError):
    """A pattern is not what it has to be; says what is wrong with which part."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entity: of this domain, and of one of these device classes unless there are none."""

    domain: str
    classes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Role:
    """A part that entities play in a pattern.

    Of the `kinds` the first that is there fills it. `near` names the role in whose area it has to be. Who fills it is
    called by one of the words in `named`, is able to do what `features` and one of `color_modes` say, and measures in
    one of the `units`, where the role asks for any. Only a `guarded` role takes locks, garage doors and their like;
    only a `secondary` one what Home Assistant calls diagnostic.
    """

    name: str
    what: str
    kinds: tuple[Kind, ...]
    several: bool = False
    optional: bool = False
    near: str | None = None
    guarded: bool = False
    secondary: bool = False
    named: tuple[str, ...] = ()
    features: int = 0
    color_modes: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pattern:
    """An automation that many homes have. `why` says what it is good for; in it "$lights" stands for their names."""

    id: str
    name: str
    description: str
    why: str
    category: Category
    priority: float
    utterances: tuple[str, ...]
    roles: Mapping[str, Role]
    automation: Mapping[str, Any] = field(repr=False)

    @property
    def required(self) -> tuple[Role, ...]:
        """The roles without which there is no such automation."""
        return tuple(role for role in self.roles.values() if not role.optional)

    @property
    def anchor(self) -> str | None:
        """The role in whose area others have to be; None when everything may be anywhere in the home."""
        return next((role.near for role in self.roles.values() if role.near), None)

    @property
    def texts(self) -> tuple[str, ...]:
        """What it is found by."""
        return (self.name, self.category.value, *self.utterances, self.description)


def references(value: Any) -> Iterator[str]:
    """Give the names of the roles that a part of an automation refers to."""
    if isinstance(value, str):
        yield from ROLE_REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key == TELL:
                yield NOTIFY
            yield from references(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from references(inner)
