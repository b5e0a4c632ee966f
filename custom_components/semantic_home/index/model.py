"""The plain values that the index takes and returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
import json
import math
from pathlib import Path
from typing import Self

type JsonValue = dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None

type Key = tuple[str, str]
"""A document's kind and source id."""

# Nobody nests deeper, and what shows JSON to callers gives up some way further down.
_DEEPEST = 32
_INTEGERS = range(-(2**63), 2**64)


class StoreError(Exception):
    """The database cannot be opened, read or written."""


class DamagedError(StoreError):
    """Reading or writing met damage; the next opening mends the file."""


class NewerSchemaError(StoreError):
    """The database was written by a newer version of Semantic Home."""


class HeldError(StoreError):
    """Nothing is written while a backup or an import holds the file: come back after it."""


class NoKnowledgeTableError(StoreError):
    """A foreign database has none of the tables that hold knowledge."""


class UnknownGenerationError(StoreError):
    """The generation does not exist, or was removed since its id was handed out."""


class IncompleteGenerationError(StoreError):
    """A text still has no vector in the generation that was to answer queries."""


class NoPreviousGenerationError(StoreError):
    """There is no generation to go back to."""


@dataclass(frozen=True, slots=True)
class Document:
    """One thing in the home that has meaning.

    The views are the texts that stand for it, the only part that is embedded; a repeated view is dropped.
    Raises ValueError for text that UTF-8 cannot hold (lone surrogates) and for numbers that are not finite,
    TypeError for metadata that is not JSON.
    """

    kind: str
    source_id: str
    views: tuple[str, ...]
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    knowledge_type: str | None = None
    success_score: float | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        """Refuse here what the database would refuse later, in the middle of everybody's reconciliation."""
        object.__setattr__(self, "views", tuple(dict.fromkeys(self.views)))
        for text in (self.kind, self.source_id, *self.views, self.knowledge_type, self.language):
            if text is not None:
                text.encode()
        if self.success_score is not None and not math.isfinite(self.success_score):
            raise ValueError(f"Success score of {self.source_id} is not finite: {self.success_score}")
        canonical_json(self.metadata)

    @classmethod
    def stored(cls, *values: object) -> Self:
        """Return the document of these values, in the order of the fields, which a document had before.

        They are not checked again, which would take half of the time in which 100,000 are read.
        """
        document = object.__new__(cls)
        for set_value, value in zip(_SETTERS, values, strict=True):
            set_value(document, value)
        return document

    @property
    def key(self) -> Key:
        """What identifies the document."""
        return self.kind, self.source_id


_SETTERS = tuple(getattr(Document, name).__set__ for name in Document.__slots__)


def canonical_json(metadata: Mapping[str, JsonValue]) -> str:
    """Return equal text for equal JSON, and for that only: in Python, True == 1 == 1.0."""
    return json.dumps(dict(metadata), allow_nan=False, separators=(",", ":"), sort_keys=True)


def check_json(value: object, depth: int = 0) -> None:
    """Raise ValueError or TypeError for what some reader of JSON does not take, though Python would write it."""
    if depth > _DEEPEST:
        raise ValueError(f"it is nested deeper than {_DEEPEST}")
    if isinstance(value, str):
        # Half of a sign has no UTF-8.
        value.encode()
    elif isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a name is no text")
        for inner in (*value, *value.values()):
            check_json(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_json(inner, depth + 1)
    elif isinstance(value, int) and value not in _INTEGERS:
        raise ValueError("a number has more than 64 bits")


@dataclass(frozen=True, slots=True)
class Stamp:
    """How vectors were made. Only vectors of an equal stamp can be compared."""

    model_id: str
    revision: str
    precision: str
    pooling: str
    query_prefix: str
    passage_prefix: str
    template_version: int
    dimension: int

    def makes_vectors_of(self, other: Stamp) -> bool:
        """Tell whether equal texts have equal vectors under both: only which texts there are may differ."""
        return replace(self, template_version=other.template_version) == other


class GenerationState(StrEnum):
    """What a generation is good for; the store hands out none that is removed.

    There is at most one of each, but any number of removed ones, whose vectors `reclaim` deletes little by little.
    """

    BUILDING = "building"
    ACTIVE = "active"
    RETIRED = "retired"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Generation:
    """All vectors made under one stamp; `created` is in UTC."""

    id: int
    stamp: Stamp
    state: GenerationState
    created: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """What a write did to which documents; false when it wrote nothing.

    In the order given, but what was removed by kind and source id.
    """

    added: tuple[Key, ...] = ()
    updated: tuple[Key, ...] = ()
    removed: tuple[Key, ...] = ()
    unchanged: tuple[Key, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything was written."""
        return bool(self.added or self.updated or self.removed)


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a generation has come: it is complete when `vectors` has reached `texts`."""

    documents: int
    texts: int
    vectors: int


@dataclass(frozen=True, slots=True)
class Damage:
    """What was wrong with the file when it was opened, and what became of it.

    `moved_to` is where the damaged file lies now, `reason` what SQLite said of it. Of the knowledge, `salvaged`
    documents are in the new file; of `unreadable` ones only the traces were found.
    """

    moved_to: Path
    reason: str
    salvaged: int
    unreadable: int
