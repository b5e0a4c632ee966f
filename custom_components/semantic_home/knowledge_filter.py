"""Which knowledge is asked for, by what is known of it; held against a document before anything is ranked."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
import operator
from typing import Any

from .index import Document, JsonValue


class Operator(StrEnum):
    """How a value of the metadata is compared."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "not_in"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    CONTAINS = "contains"
    EXISTS = "exists"


_MISSING = object()
_OPPOSITE = {Operator.NE: Operator.EQ, Operator.NOT_IN: Operator.IN}


@dataclass(frozen=True, slots=True)
class Condition:
    """A value of the metadata, by its path ("room" or "place.room"), and what it has to be."""

    path: str
    operator: Operator
    value: JsonValue

    def holds(self, metadata: Mapping[str, JsonValue]) -> bool:
        """Hold metadata against it; what is missing or of another type fulfils nothing but `ne` and `not_in`."""
        found = _at(metadata, self.path)
        if self.operator is Operator.EXISTS:
            return (found is not _MISSING) == bool(self.value)
        if self.operator in _OPPOSITE:
            return not _HOLDS[_OPPOSITE[self.operator]](found, self.value)
        return _HOLDS[self.operator](found, self.value)


@dataclass(frozen=True, slots=True)
class KnowledgeFilter:
    """What may be answered. An empty collection does not limit; `permits` is the caller's right to read an entity.

    `types` are those that users see and choose, `kinds` what documents are to the index.
    """

    types: Collection[str] = ()
    kinds: Collection[str] = ()
    language: str | None = None
    conditions: Sequence[Condition] = ()
    permits: Callable[[str], bool] | None = None

    @property
    def admits_all(self) -> bool:
        """Tell whether nothing is left out."""
        limits = (self.types, self.kinds, self.conditions)
        return not any(limits) and self.language is None and self.permits is None

    def select(self, documents: Mapping[str, Document]) -> list[str]:
        """Give the names of those documents that are admitted, in their order.

        What is about an entity that the caller may not read is not for the caller. Nor is what is about a device: which
        entities that has, nothing here tells.
        """
        names = list(documents)
        # One after another, the cheapest first: what one leaves out is not held against the next.
        for admits in self._limits():
            names = [name for name in names if admits(documents[name])]
        return names

    def _limits(self) -> Iterator[Callable[[Document], bool]]:
        if types := frozenset(self.types):
            yield lambda document: document.knowledge_type in types
        if kinds := frozenset(self.kinds):
            yield lambda document: document.kind in kinds
        if (language := self.language) is not None:
            yield lambda document: language in {document.language, document.metadata.get("language")}
        for condition in self.conditions:
            yield partial(_fulfils, condition)
        if (permits := self.permits) is not None:
            yield lambda document: _is_permitted(document, permits)


def entities_of(document: Document) -> set[str]:
    """Give the entities that a piece of knowledge is about, as its metadata name them."""
    found = set()
    for name in ("entity_id", "entity_ids"):
        value = document.metadata.get(name)
        found |= {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}
    return found


def _fulfils(condition: Condition, document: Document) -> bool:
    return condition.holds(document.metadata)


def _is_permitted(document: Document, permits: Callable[[str], bool]) -> bool:
    return not document.metadata.get("device_ids") and all(map(permits, entities_of(document)))


def _at(metadata: Mapping[str, JsonValue], path: str) -> object:
    found: object = metadata.get(path, _MISSING)
    if found is not _MISSING or "." not in path:
        return found
    found = metadata
    for part in path.split("."):
        found = found.get(part, _MISSING) if isinstance(found, Mapping) else _MISSING
    return found


def _equal(one: object, other: object) -> bool:
    # True is no 1 to whoever writes metadata.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _contains(found: object, value: JsonValue) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value.casefold() in found.casefold()
    if isinstance(found, list):
        return any(_equal(one, value) for one in found)
    return isinstance(found, Mapping) and isinstance(value, str) and value in found


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[object, JsonValue], bool]:
    """Compare numbers with numbers and texts with texts."""

    def compare(found: object, value: JsonValue) -> bool:
        if isinstance(found, bool) or isinstance(value, bool):
            return False
        numbers = isinstance(found, int | float) and isinstance(value, int | float)
        return (numbers or (isinstance(found, str) and isinstance(value, str))) and holds(found, value)

    return compare


_HOLDS: dict[Operator, Callable[[object, JsonValue], bool]] = {
    Operator.EQ: _equal,
    Operator.IN: lambda found, value: isinstance(value, list) and any(_equal(found, one) for one in value),
    Operator.CONTAINS: _contains,
    Operator.LT: _ordered(operator.lt),
    Operator.LTE: _ordered(operator.le),
    Operator.GT: _ordered(operator.gt),
    Operator.GTE: _ordered(operator.ge),
}
