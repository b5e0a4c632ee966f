"""Finds entities by exactly what they are called, however an LLM writes that down; no model is asked."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
import re

from .describe import KIND_AREA, place_id
from .exposure import SpokenEntity
from .matching.text import fold

# An agent that is shown the names "Sofa lamp, Reading lamp" of one entity says all of that.
_JOINTS = re.compile(r"[,;|\n\u3001\uff0c]")
_AROUND = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True, slots=True)
class Heard:
    """The entities of a name; `sure`: all of them are meant, otherwise one of them."""

    entities: tuple[SpokenEntity, ...]
    sure: bool


class SpokenNames:
    """The names and ids of a home's entities. Case, accents, punctuation and quotes do not count."""

    def __init__(
        self, entities: Iterable[SpokenEntity], admits: Callable[[SpokenEntity], bool], near: str | None = None
    ) -> None:
        """Take the entities, which of them may be called by a name, and the place where they are called.

        By its id each can be called: whoever knows that means no other.
        """
        self._near = near
        self._by_id: dict[str, SpokenEntity] = {}
        self._by_name: defaultdict[str, dict[str, SpokenEntity]] = defaultdict(dict)
        for entity in entities:
            self._by_id[entity.entity_id] = entity
            for name in map(_key, entity.names if admits(entity) else ()):
                self._by_name[name][entity.entity_id] = entity

    def find(self, heard: str) -> Heard | None:
        """Find who is called so: by the whole of it or, joined, by each of its parts; None when nobody is."""
        if whole := self._called(heard):
            return Heard(tuple(whole.values()), len(whole) == 1)
        parts = [self._called(part) for part in _JOINTS.split(heard) if part.strip()]
        if not parts or not all(parts):
            return None
        # Several names of one entity, or several entities.
        if common := set(parts[0]).intersection(*parts[1:]):
            return Heard(tuple(self._by_id[entity_id] for entity_id in sorted(common)), len(common) == 1)
        every = {entity_id: entity for part in parts for entity_id, entity in part.items()}
        return Heard(tuple(every.values()), all(len(part) == 1 for part in parts))

    def _called(self, heard: str) -> dict[str, SpokenEntity]:
        if (own := _AROUND.sub("", heard).casefold()) in self._by_id:
            return {own: self._by_id[own]}
        called = self._by_name.get(_key(heard), {})
        here = {
            number: one for number, one in called.items() if one.area and place_id(KIND_AREA, one.area.id) == self._near
        }
        return here or called


def _key(name: str) -> str:
    # A name may be but a sign, of which folding leaves nothing.
    return fold(name) or name.strip().casefold()
