"""What the home calls its things, and which of them a configuration uses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
import re
from typing import Any, Protocol

from .redaction import redacted
from .values import listed, listing, mapping, number, one_of, slug, state_value

_ENTITY_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9_]+")
# What may stand for a state that is not known yet.
_INPUT = re.compile(r"input_[a-z]+\.[a-z0-9_]+")
# Their states are whatever somebody wrote.
_FREE_TEXT = {"input_text", "text"}
# Of other attributes it is not known what their values tell.
_ATTRIBUTES = (
    "current_humidity",
    "current_position",
    "current_temperature",
    "event_type",
    "fan_mode",
    "hvac_action",
    "hvac_mode",
    "preset_mode",
    "sound_mode",
    "source",
    "temperature",
    "volume_level",
)


@dataclass(frozen=True, slots=True)
class NamedEntity:
    """An entity as the home calls it, and where it is."""

    entity_id: str
    name: str
    area_id: str | None = None
    area: str | None = None

    @property
    def domain(self) -> str:
        """What comes before the point."""
        return self.entity_id.partition(".")[0]

    @property
    def full_name(self) -> str:
        """The name, with the area unless the name says it."""
        said = self.area is None or self.area.casefold() in self.name.casefold()
        return self.name if said else f"{self.name} ({self.area})"


class Names(Protocol):
    """The home's names by id; None for what it does not know."""

    def entity(self, entity_id: str) -> NamedEntity | None:
        """Find an entity by its id, or by that of its registry entry."""

    def device(self, device_id: str) -> str | None:
        """Name a device."""

    def area(self, area_id: str) -> str | None:
        """Name an area."""

    def floor(self, floor_id: str) -> str | None:
        """Name a floor."""

    def label(self, label_id: str) -> str | None:
        """Name a label."""

    def state(self, entity_id: str, state: str) -> str | None:
        """Say in English what a state of an entity means."""


@dataclass(slots=True)
class Uses:
    """The ids of all that a configuration uses, also of what no longer fits into a text."""

    entity_ids: set[str] = field(default_factory=set)
    device_ids: set[str] = field(default_factory=set)
    area_ids: set[str] = field(default_factory=set)
    triggers: set[str] = field(default_factory=set)
    actions: set[str] = field(default_factory=set)


class Reader:
    """Names what one configuration speaks of, and notes that it does."""

    def __init__(self, names: Names) -> None:
        """Take the home's names."""
        self.uses = Uses()
        self._names = names

    def entities(self, value: object) -> list[NamedEntity]:
        """Give the entities of one id, several, or ids with commas between them; what is none is left out."""
        texts = [one for one in listed(value) if isinstance(one, str)]
        ids = [part.strip() for text in texts for part in text.split(",")]
        found = [entity for one in ids if (entity := self._entity(one))]
        self.uses.entity_ids.update(entity.entity_id for entity in found)
        self.uses.area_ids.update(entity.area_id for entity in found if entity.area_id)
        return found

    def entity_names(self, value: object) -> str:
        """Name entities, or give nothing."""
        return listing(entity.full_name for entity in self.entities(value))

    def places(self, config: Mapping[str, Any]) -> str:
        """Name the areas, floors and labels of a target, or give nothing."""
        named = {
            area_id: name
            for area_id in _texts(config.get("area_id"))
            if (name := self._names.area(area_id)) is not None
        }
        self.uses.area_ids.update(named)
        return listing(
            [
                *(f"in {name}" for name in named.values()),
                *(f"on {name}" for one in _texts(config.get("floor_id")) if (name := self._names.floor(one))),
                *(f"labelled {name}" for one in _texts(config.get("label_id")) if (name := self._names.label(one))),
            ]
        )

    def devices(self, value: object) -> str:
        """Name devices, or give nothing: their ids say nothing to anybody."""
        named = {one: name for one in _texts(value) if (name := self._names.device(one)) is not None}
        self.uses.device_ids.update(named)
        return listing(named.values())

    def target(self, *configs: object) -> str:
        """Name all that a trigger, a condition or an action is about, or give nothing."""
        parts = []
        for config in map(mapping, configs):
            parts += [self.entity_names(config.get("entity_id")), self.devices(config.get("device_id"))]
            parts.append(self.places(config))
        return listing(parts)

    def limit(self, value: object) -> str | None:
        """Give a number, or the name of the entity whose state it is."""
        return number(value) or self.entity_names(value) or None

    def attribute(self, value: object) -> str | None:
        """Name an attribute."""
        return slug(value)

    def states(self, entities: Iterable[NamedEntity], value: object, attribute: object = None) -> str:
        """Say which states of an entity are meant, or nothing when they may be anything."""
        first = next(iter(entities), None)
        if first is None or first.domain in _FREE_TEXT or (attribute and not one_of(attribute, _ATTRIBUTES)):
            return ""
        return listing((self._state(first, one, attribute) for one in listed(value)), " or ")

    def _state(self, entity: NamedEntity, value: object, attribute: object) -> str | None:
        if isinstance(value, str) and _INPUT.fullmatch(value):
            return self.entity_names(value)
        raw = "on" if value is True else "off" if value is False else value
        meaning = self._names.state(entity.entity_id, raw) if isinstance(raw, str) and attribute is None else None
        return meaning or state_value(raw)

    def _entity(self, entity_id: str) -> NamedEntity | None:
        if known := self._names.entity(entity_id):
            return known
        if not _ENTITY_ID.fullmatch(entity_id):
            return None
        return NamedEntity(entity_id, redacted(entity_id.partition(".")[2].replace("_", " ").strip()) or entity_id)


def _texts(value: object) -> list[str]:
    return [one for one in listed(value) if isinstance(one, str)]
