"""Saves what the household taught us from a damaged file. Vectors, and what describes the home, are made anew."""

from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
import json
from pathlib import Path
import shutil
import sqlite3

from sqlalchemy import Engine

from . import documents as document_rows
from .documents import Stored, Times, text_hash
from .knowledge import KIND_KNOWLEDGE
from .model import Document, Key
from .rows import id_bounds, read_range

_DOCUMENTS = (
    "SELECT id, source_id, metadata, knowledge_type, success_score, language, created, updated FROM document "
    "NOT INDEXED WHERE id BETWEEN ? AND ? AND kind = 'knowledge' ORDER BY id"
)
# The unique constraint's index has its own copy of the keys, on other pages.
_TRACES = "SELECT id FROM document INDEXED BY sqlite_autoindex_document_1 WHERE kind = 'knowledge'"
_HEADER, _PAGE = 100, 4096
_VIEWS = "SELECT text, text_hash FROM view WHERE document_id = ? ORDER BY position"


def connect(path: Path, *, busy_seconds: float) -> sqlite3.Connection:
    """Open a file that may be damaged, in such a way that it, and its write-ahead log, stay as they are."""
    # Not mode=ro: that could not read the log that a power cut left behind.
    address = f"{path.absolute().as_uri()}?mode=rw"
    log = path.with_name(f"{path.name}-wal")
    connection = sqlite3.connect(address, uri=True, timeout=busy_seconds, isolation_level=None)
    if log.exists() and log.stat().st_size:
        # Closing would fold the log into the file. Where there is none, closing leaves nothing behind but the file.
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)
    return connection


def salvage(path: Path, fresh: Path, target: Engine) -> tuple[int, int]:
    """Copy the knowledge that can be read, document by document, into the new file `fresh`, which `target` writes.

    Return how many were copied, and of how many others there were traces.
    """
    # Opening an empty file would make SQLite delete its log.
    found = _read(path) if path.stat().st_size else None
    if found is None:
        found = _read_with_head_of(fresh, path)
    saved, times, traces = found or ({}, {}, set())
    with target.begin() as copy:
        nothing: dict[Key, Stored] = {}
        document_rows.write(copy, nothing, saved, times)
    return len(saved), len(traces)


type _Found = tuple[dict[Key, Document], dict[Key, Times], set[int]]


def _read(path: Path) -> _Found | None:
    """Return the documents, their times and the ids of those that are lost; None when no table can be found."""
    saved: dict[Key, Document] = {}
    times: dict[Key, Times] = {}
    with closing(connect(path, busy_seconds=0)) as connection:
        try:
            # Otherwise SQLite would not open a file that is shorter than its header says.
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("SELECT 1 FROM document, view WHERE 0")
        except sqlite3.Error:
            return None
        traces = _traces(connection)
        for row_id, document, its_times in _readable(connection, path.stat().st_size, traces):
            traces.discard(row_id)
            if document.key not in saved or times[document.key].updated < its_times.updated:
                saved[document.key], times[document.key] = document, its_times
    return saved, times, traces


def _read_with_head_of(fresh: Path, path: Path) -> _Found | None:
    """Read a copy of the file that has the new file's header, or all of its first page with the tables' places.

    Every one of our files has the same, unless it was made before revision 0002.
    """
    page = fresh.read_bytes()[:_PAGE]
    copy = path.with_name(f"{fresh.name}-copy")
    try:
        for length in (_HEADER, _PAGE):
            if path.stat().st_size < 2 * _PAGE:
                break
            for suffix in ("", "-wal"):
                if path.with_name(path.name + suffix).exists():
                    shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
            head = bytearray(page[:length])
            head[28:32] = (path.stat().st_size // _PAGE).to_bytes(4)
            head[32:40] = bytes(8)  # no list of free pages, which would be another file's
            with copy.open("r+b") as file:
                file.write(head)
            if (found := _read(copy)) is not None:
                return found
    finally:
        for suffix in ("", "-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    return None


def _traces(connection: sqlite3.Connection) -> set[int]:
    traces: set[int] = set()
    with suppress(sqlite3.Error):
        for (row_id,) in connection.execute(_TRACES):
            traces.add(row_id)
    return traces


def _readable(connection: sqlite3.Connection, size: int, traces: set[int]) -> Iterator[tuple[int, Document, Times]]:
    first, last = id_bounds(connection, "document", size)
    if last == size and traces:
        last = max(traces)
    for row in read_range(connection, _DOCUMENTS, first, last):
        if isinstance(row, int):
            continue
        row_id = row[0]
        assert isinstance(row_id, int)  # noqa: S101 - SQLite's own
        if row[3] is None:
            # Not what somebody taught us, as nobody could tell from the index.
            traces.discard(row_id)
            continue
        # It is known to have been there, whatever it holds now.
        traces.add(row_id)
        with suppress(sqlite3.Error, ValueError, TypeError):
            yield row_id, *_document(row, _views(connection, row_id))


def _views(connection: sqlite3.Connection, row_id: int) -> tuple[str, ...]:
    views = connection.execute(_VIEWS, (row_id,)).fetchall()
    if not views or any(text_hash(text) != digest for text, digest in views):
        raise ValueError("A view is missing or not what it was")
    return tuple(text for text, _ in views)


def _document(row: tuple[object, ...], views: tuple[str, ...]) -> tuple[Document, Times]:
    _, source_id, metadata, knowledge_type, score, language, created, updated = row
    if not isinstance(source_id, str) or not isinstance(knowledge_type, str):
        raise TypeError("A text is something else")
    if not isinstance(score, float | None) or not isinstance(language, str | None):
        raise TypeError("A value is of another type")
    values = json.loads(str(metadata))
    document = Document(KIND_KNOWLEDGE, source_id, views, values, knowledge_type, score, language)
    return document, Times(_time(created), _time(updated))


def _time(value: object) -> datetime:
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
