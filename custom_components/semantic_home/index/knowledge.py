"""What a household knows, on its way in and out: one text, what is known about it, and when that was learned."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
import json
from typing import Self

from sqlalchemy import Connection

from . import documents as document_rows
from .documents import Times
from .model import Document, JsonValue, Key, canonical_json

KIND_KNOWLEDGE = "knowledge"
ASKED_IN = "asked_in"
"""In the metadata of a request: the circumstances, an object, in which it means what it does."""
DEFAULT_SCORE = 0.5
"""The score of what nobody has judged yet."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A text with its type (query, pattern, ...), how well it served (0..1), and its times, kept in UTC.

    Raises ValueError or TypeError for what the index does not take.
    """

    text: str
    knowledge_type: str
    created: datetime
    updated: datetime
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    score: float = DEFAULT_SCORE

    def __post_init__(self) -> None:
        """Refuse what would not survive in the index."""
        if not self.text.strip():
            raise ValueError("the text is empty")
        if not self.knowledge_type:
            raise ValueError("the type is empty")
        if not 0 <= self.score <= 1:
            raise ValueError(f"the score is {self.score}, not between 0 and 1")
        for name in ("created", "updated"):
            object.__setattr__(self, name, getattr(self, name).astimezone(UTC))
        # Checks what is left: that the text is UTF-8, and the metadata JSON.
        self.document()

    @property
    def key(self) -> Key:
        """The document's key: equal texts of one type, in equal circumstances, are one piece of knowledge."""
        asked_in = self.metadata.get(ASKED_IN)
        return KIND_KNOWLEDGE, knowledge_id(
            self.knowledge_type, self.text, asked_in if isinstance(asked_in, dict) else None
        )

    def document(self) -> Document:
        """Return it as the index keeps it."""
        return Document(*self.key, (self.text,), self.metadata, self.knowledge_type, self.score)

    @classmethod
    def of(cls, document: Document, times: Times) -> Self:
        """Return what a document of the index says, through its first view; raises ValueError when it says nothing."""
        if not document.views:
            raise ValueError("the text is missing")
        # Documents may have any score.
        score = DEFAULT_SCORE if document.success_score is None else min(max(document.success_score, 0.0), 1.0)
        return cls(
            document.views[0],
            document.knowledge_type or "",
            times.created,
            times.updated,
            document.metadata,
            score,
        )


@dataclass(frozen=True, slots=True)
class BadRow:
    """What could not be read: a table's row id, or a file's line, and why. The reason holds nothing of the row."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """How many rows became documents, joined others of equal type and text, or said what was known already."""

    added: int = 0
    merged: int = 0
    unchanged: int = 0


def knowledge_id(knowledge_type: str, text: str, asked_in: Mapping[str, JsonValue] | None = None) -> str:
    """Return the source id under which a text of a type is kept, where it is asked in these circumstances."""
    told_apart = [knowledge_type, text, *([canonical_json(asked_in)] if asked_in else [])]
    return sha256(json.dumps(told_apart).encode()).hexdigest()[:32]


def import_rows(connection: Connection, rows: Iterable[Knowledge], *, dry_run: bool) -> ImportCounts:
    """Add the rows to what is there, or only find out what that would do; see IndexStore.import_knowledge."""
    merged: dict[Key, _Merged] = {}
    counts: dict[Key, int] = {}
    for row in rows:
        merged[row.key] = merged[row.key].with_(row) if row.key in merged else _Merged(row, row)
        counts[row.key] = counts.get(row.key, 0) + 1
    stored = document_rows.read_keys(connection, merged)
    times = document_rows.read_times(connection, stored.values())
    changed: dict[Key, Knowledge] = {}
    for key, incoming in merged.items():
        if key not in stored:
            changed[key] = incoming.result()
            continue
        known = Knowledge.of(stored[key].document, times[key])
        if (result := incoming.with_(known).result()) != known:
            changed[key] = result
    if not dry_run:
        document_rows.write(
            connection,
            stored,
            {key: _keeping_language(row, stored.get(key)) for key, row in changed.items()},
            {key: Times(row.created, row.updated) for key, row in changed.items()},
        )
    added = len(merged.keys() - stored.keys())
    unchanged = sum(counts[key] for key in merged if key not in changed)
    return ImportCounts(added, sum(counts.values()) - added - unchanged, unchanged)


def stored_knowledge(connection: Connection) -> Iterator[Knowledge]:
    """Return all knowledge that has a type and a text, by source id."""
    stored = document_rows.read_kinds(connection, {KIND_KNOWLEDGE})
    times = document_rows.read_times(connection, stored.values())
    for key, row in stored.items():
        if row.document.knowledge_type and row.document.views and row.document.views[0].strip():
            yield Knowledge.of(row.document, times[key])


@dataclass(frozen=True, slots=True)
class _Merged:
    """Rows of equal type and text, in whatever order they came.

    The newest is right in all but the score: the ancestor stored a text that it met again as a new row, of the
    default score, and what feedback had taught it must not be forgotten for that. Hence the newest of those that
    were judged gives the score. An average would count the same feedback again with every import.
    """

    newest: Knowledge
    judged: Knowledge

    def with_(self, row: Knowledge) -> _Merged:
        created = min(self.newest.created, row.created)
        return _Merged(
            replace(max(self.newest, row, key=_age), created=created),
            max(self.judged, row, key=lambda knowledge: (knowledge.score != DEFAULT_SCORE, *_age(knowledge))),
        )

    def result(self) -> Knowledge:
        return replace(self.newest, score=self.judged.score)


def _age(knowledge: Knowledge) -> tuple[datetime, float, str]:
    # Two of the same moment are told apart by what they say, so that the order of rows never matters.
    return knowledge.updated, knowledge.score, canonical_json(knowledge.metadata)


def _keeping_language(row: Knowledge, stored: document_rows.Stored | None) -> Document:
    document = row.document()
    return document if stored is None else replace(document, language=stored.document.language)
