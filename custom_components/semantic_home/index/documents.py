"""Reads and writes documents over a connection; transactions are the caller's."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import batched
import json
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from .model import Changes, Document, Key, canonical_json
from .schema import DocumentRow, ViewRow

CHUNK = 500
"""How many values one statement names: SQLite bounds them, and repeated sizes are compiled once."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document and its row's id."""

    id: int
    document: Document


@dataclass(frozen=True, slots=True)
class Times:
    """When a document was first and last written, in UTC."""

    created: datetime
    updated: datetime


def text_hash(text: str) -> bytes:
    """Return the 32 bytes under which a text's vectors are kept."""
    return sha256(text.encode()).digest()


def by_key(documents: Iterable[Document]) -> dict[Key, Document]:
    """Return the documents by key, or raise ValueError when two that differ claim the same one."""
    keyed: dict[Key, Document] = {}
    for document in documents:
        if keyed.setdefault(document.key, document) != document:
            raise ValueError(f"Two documents are called {document.key}")
    return keyed


def read_kinds(connection: Connection, kinds: Collection[str] | None) -> dict[Key, Stored]:
    """Return the documents of these kinds, or all, ordered by kind and source id."""
    return _read(connection, true() if kinds is None else DocumentRow.kind.in_(sorted(kinds)))


def read_keys(connection: Connection, keys: Iterable[Key]) -> dict[Key, Stored]:
    """Return those of the documents that exist."""
    stored: dict[Key, Stored] = {}
    for chunk in batched(dict.fromkeys(keys), CHUNK, strict=False):
        source_ids = defaultdict[str, list[str]](list)
        for kind, source_id in chunk:
            source_ids[kind].append(source_id)
        stored |= _read(
            connection,
            or_(*(and_(DocumentRow.kind == kind, DocumentRow.source_id.in_(ids)) for kind, ids in source_ids.items())),
        )
    return stored


def _read(connection: Connection, condition: ColumnElement[bool]) -> dict[Key, Stored]:
    views = defaultdict[int, list[str]](list)
    for document_id, text in _plain_rows(
        connection,
        select(ViewRow.document_id, ViewRow.text)
        .join(DocumentRow, DocumentRow.id == ViewRow.document_id)
        .where(condition)
        .order_by(ViewRow.document_id, ViewRow.position),
    ):
        views[document_id].append(text)
    rows = _plain_rows(
        connection,
        select(
            DocumentRow.id,
            DocumentRow.kind,
            DocumentRow.source_id,
            type_coerce(DocumentRow.metadata_, String),
            DocumentRow.knowledge_type,
            DocumentRow.success_score,
            DocumentRow.language,
        )
        .where(condition)
        .order_by(DocumentRow.kind, DocumentRow.source_id),
    )
    # As one list: a call for each of 100,000 would take half of the time in which they are read.
    metadata = json.loads(f"[{','.join(row[3] for row in rows)}]")
    return {
        (kind, source_id): Stored(row_id, Document.stored(kind, source_id, tuple(views.get(row_id, ())), values, *rest))
        for (row_id, kind, source_id, _, *rest), values in zip(rows, metadata, strict=True)
    }


def _plain_rows(connection: Connection, statement: Select[Any]) -> Sequence[Any]:
    """Return what SQLite gives for text and numbers: 200,000 of SQLAlchemy's own rows would take 0.2 s more."""
    with closing(connection.execute(statement)) as result:
        return result.cursor.fetchall()


def read_times(connection: Connection, stored: Iterable[Stored]) -> dict[Key, Times]:
    """Return the times of these documents."""
    keys = {row.id: row.document.key for row in stored}
    times: dict[Key, Times] = {}
    for chunk in batched(keys, CHUNK, strict=False):
        rows = connection.execute(
            select(DocumentRow.id, DocumentRow.created, DocumentRow.updated).where(DocumentRow.id.in_(chunk))
        )
        times |= {keys[row_id]: Times(created, updated) for row_id, created, updated in rows}
    return times


def write(
    connection: Connection,
    stored: Mapping[Key, Stored],
    wanted: Mapping[Key, Document],
    times: Mapping[Key, Times] | None = None,
) -> Changes:
    """Add the wanted documents that are not stored and update those that differ; without a score they keep theirs.

    Their times are now, or those given, in which case equal documents are written, too.
    """
    times = times or {}
    added, updated, unchanged = list[Key](), list[Key](), list[Key]()
    wanted = {key: _keeping_score(stored.get(key), document) for key, document in wanted.items()}
    for key, document in wanted.items():
        if key not in stored:
            added.append(key)
        elif key not in times and _content(stored[key].document) == _content(document):
            unchanged.append(key)
        else:
            updated.append(key)
    _insert(connection, [wanted[key] for key in added], times)
    _update(connection, [(stored[key], wanted[key]) for key in updated], times)
    return Changes(added=tuple(added), updated=tuple(updated), unchanged=tuple(unchanged))


def delete_rows(connection: Connection, stored: Iterable[Stored]) -> None:
    """Remove the documents and, through the foreign key, their views."""
    for chunk in batched((row.id for row in stored), CHUNK, strict=False):
        connection.execute(delete(DocumentRow).where(DocumentRow.id.in_(chunk)))


def _keeping_score(stored: Stored | None, document: Document) -> Document:
    if stored is None or document.success_score is not None or stored.document.success_score is None:
        return document
    return replace(document, success_score=stored.document.success_score)


def _content(document: Document) -> tuple[object, ...]:
    return (
        document.views,
        canonical_json(document.metadata),
        document.knowledge_type,
        document.success_score,
        document.language,
    )


def _values(document: Document) -> dict[str, object]:
    return {
        "metadata": dict(document.metadata),
        "knowledge_type": document.knowledge_type,
        "success_score": document.success_score,
        "language": document.language,
    }


def _insert(connection: Connection, documents: list[Document], times: Mapping[Key, Times]) -> None:
    if not documents:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "kind": document.kind,
            "source_id": document.source_id,
            **_values(document),
            **asdict(times.get(document.key) or Times(now, now)),
        }
        for document in documents
    ]
    ids = {
        (kind, source_id): row_id
        for row_id, kind, source_id in connection.execute(
            insert(DocumentRow).returning(DocumentRow.id, DocumentRow.kind, DocumentRow.source_id), rows
        )
    }
    _insert_views(connection, {ids[document.key]: document for document in documents})


def _update(connection: Connection, pairs: list[tuple[Stored, Document]], times: Mapping[Key, Times]) -> None:
    if not pairs:
        return
    table = DocumentRow.__table__
    now = datetime.now(UTC)
    given = [(old, new) for old, new in pairs if new.key in times]
    if given:
        created = [{"row_id": old.id, "created": times[new.key].created} for old, new in given]
        connection.execute(update(DocumentRow).where(table.c.id == bindparam("row_id")), created)
    rows = [
        {"row_id": old.id, **_values(new), "updated": times[new.key].updated if new.key in times else now}
        for old, new in pairs
    ]
    connection.execute(update(DocumentRow).where(table.c.id == bindparam("row_id")), rows)
    renamed = {old.id: new for old, new in pairs if old.document.views != new.views}
    for chunk in batched(renamed, CHUNK, strict=False):
        connection.execute(delete(ViewRow).where(ViewRow.document_id.in_(chunk)))
    _insert_views(connection, renamed)


def _insert_views(connection: Connection, documents: Mapping[int, Document]) -> None:
    views = [
        {"document_id": row_id, "position": position, "text": text, "text_hash": text_hash(text)}
        for row_id, document in documents.items()
        for position, text in enumerate(document.views)
    ]
    if views:
        connection.execute(insert(ViewRow), views)
