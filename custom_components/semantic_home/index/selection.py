"""Picks knowledge by what is known of it: to look at it, to remove it, and to keep it within bounds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, func, select

from . import documents as document_rows, rating_rows
from .documents import Times
from .knowledge import KIND_KNOWLEDGE, Knowledge
from .model import Changes, Key, canonical_json
from .schema import DocumentRow

# What was written at the same moment, in the order in which it came.
_LATEST_FIRST = (DocumentRow.updated.desc(), DocumentRow.id.desc())


@dataclass(frozen=True, slots=True)
class Selection:
    """Which knowledge is meant: what fits everything that is given; all of it if nothing is.

    `ids` are source ids. Of the metadata, `source` is the value of that name, and `field` has to be there.
    """

    ids: Sequence[str] = ()
    types: Sequence[str] = ()
    source: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the knowledge that is selected, by source id, the latest first; `total` counts all of it."""

    rows: dict[str, Knowledge]
    total: int


class TooManySelectedError(Exception):
    """More is selected than may be removed; `count` tells how much."""

    def __init__(self, count: int) -> None:
        """Take how much is selected."""
        super().__init__(f"{count} pieces of knowledge are selected")
        self.count = count


class UnknownKnowledgeError(Exception):
    """There is no knowledge of this id."""


class KnownAlreadyError(Exception):
    """Another piece of knowledge of this id says the same."""


def page(connection: Connection, selection: Selection, limit: int, offset: int) -> Page:
    """Return at most `limit` pieces after the first `offset`."""
    selected = list(_conditions(selection))
    total = connection.scalar(select(func.count()).select_from(DocumentRow).where(*selected)) or 0
    chosen = select(DocumentRow.source_id).where(*selected).order_by(*_LATEST_FIRST).limit(limit).offset(offset)
    keys = [(KIND_KNOWLEDGE, source_id) for source_id in connection.scalars(chosen)]
    stored = document_rows.read_keys(connection, keys)
    times = document_rows.read_times(connection, stored.values())
    # What has no text can be counted and removed, but there is nothing to show.
    shown = [key for key in keys if stored[key].document.views]
    return Page({key[1]: Knowledge.of(stored[key].document, times[key]) for key in shown}, total)


def keep(connection: Connection, row: Knowledge, among: Selection, most: int) -> Changes:
    """Add or replace a piece of knowledge, and keep no more than `most` of those selected; see IndexStore."""
    stored = document_rows.read_keys(connection, [row.key])
    if row.key in stored:
        known = Knowledge.of(stored[row.key].document, document_rows.read_times(connection, stored.values())[row.key])
        same = canonical_json(known.metadata) == canonical_json(row.metadata)
        row = replace(row, created=known.created, score=known.score if same else row.score)
        if not same:
            # What was said of it was said of something else.
            rating_rows.forget(connection, stored[row.key].id)
    times = {row.key: Times(row.created, row.updated)}
    changes = document_rows.write(connection, stored, {row.key: row.document()}, times)
    # By a clock that was wrong others may be later; what was written now stays all the same.
    others = [source_id for source_id in _selected(connection, among) if source_id != row.key[1]]
    return replace(changes, removed=_remove(connection, others[most - 1 :]))


def change(
    connection: Connection, source_id: str, changed: Callable[[Knowledge], Knowledge]
) -> tuple[Knowledge, Changes]:
    """Change a piece of knowledge; see IndexStore.change_knowledge."""
    key = (KIND_KNOWLEDGE, source_id)
    stored = document_rows.read_keys(connection, [key])
    if key not in stored or not stored[key].document.views:
        raise UnknownKnowledgeError(source_id)
    known = Knowledge.of(stored[key].document, document_rows.read_times(connection, stored.values())[key])
    row = changed(known)
    times = {row.key: Times(row.created, row.updated)}
    if row.key == key:
        return row, document_rows.write(connection, stored, {key: row.document()}, times)
    if document_rows.read_keys(connection, [row.key]):
        raise KnownAlreadyError(row.key[1])
    changes = document_rows.write(connection, {}, {row.key: row.document()}, times)
    rating_rows.move(connection, stored[key].id, row.key)
    document_rows.delete_rows(connection, stored.values())
    return row, replace(changes, removed=(key,))


def remove(connection: Connection, selection: Selection, most: int | None) -> Changes:
    """Remove what is selected; raises TooManySelectedError when that is more than `most`."""
    ids = _selected(connection, selection)
    if most is not None and len(ids) > most:
        raise TooManySelectedError(len(ids))
    return Changes(removed=_remove(connection, ids))


def _selected(connection: Connection, selection: Selection) -> list[str]:
    chosen = select(DocumentRow.source_id).where(*_conditions(selection)).order_by(*_LATEST_FIRST)
    return list(connection.scalars(chosen))


def _remove(connection: Connection, ids: Sequence[str]) -> tuple[Key, ...]:
    stored = document_rows.read_keys(connection, [(KIND_KNOWLEDGE, source_id) for source_id in ids])
    document_rows.delete_rows(connection, stored.values())
    return tuple(stored)


def _conditions(selection: Selection) -> Iterator[ColumnElement[bool]]:
    yield DocumentRow.kind == KIND_KNOWLEDGE
    yield DocumentRow.knowledge_type != ""
    if selection.ids:
        yield DocumentRow.source_id.in_(selection.ids)
    if selection.types:
        yield DocumentRow.knowledge_type.in_(selection.types)
    if selection.source is not None:
        yield func.json_extract(DocumentRow.metadata_, "$.source") == selection.source
    if selection.field is not None:
        yield func.json_type(DocumentRow.metadata_, f"$.{selection.field}").is_not(None)
