"""Reads the knowledge of this integration's ancestor from its SQLite file, which is never written to.

Its embeddings stay unread: nothing says which model made them. SQLite may leave an empty -wal and a -shm beside a file
in WAL mode, as any reader does.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
import os
from pathlib import Path
import sqlite3

from .fields import knowledge_from
from .knowledge import BadRow, Knowledge
from .model import NoKnowledgeTableError, StoreError
from .rows import id_bounds, read_range

TABLES = ("semantic_knowledge", "rag_knowledge")
_REQUIRED = ("text", "knowledge_type")
_OPTIONAL = ("metadata", "success_score", "created_at", "updated_at")


def read_ancestor(path: Path) -> Generator[Knowledge | BadRow]:
    """Yield what each row of either table says, or why it cannot be used.

    Whoever stops before the end closes it, in the same thread. A missing time is the file's own. Raises StoreError when
    the file cannot be read, NoKnowledgeTableError when it has none of the tables.
    """
    try:
        stat = path.stat()
        with closing(_open(path)) as connection:
            # Values as they lie there: one that is not UTF-8 must not end the reading of its neighbours.
            connection.text_factory = bytes
            selects = [select for table in TABLES if (select := _select(connection, table))]
            if not selects:
                raise NoKnowledgeTableError(f"{path} has no table {' or '.join(TABLES)}")
            for table, columns in selects:
                yield from _read(connection, table, columns, stat)
    except (OSError, sqlite3.Error) as err:
        raise StoreError(f"Cannot read {path}: {err}") from err


def _open(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=0"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise
        # In WAL mode, but in a directory where nothing can be created: then nobody else is writing either.
        connection = sqlite3.connect(address.replace("immutable=0", "immutable=1"), uri=True, isolation_level=None)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _select(connection: sqlite3.Connection, table: str) -> tuple[str, str] | None:
    names = {row[1].decode() for row in connection.execute(f"PRAGMA table_info({table})")}
    if not names.issuperset(_REQUIRED):
        return None
    return table, ", ".join((*_REQUIRED, *(name if name in names else "NULL" for name in _OPTIONAL)))


def _read(
    connection: sqlite3.Connection, table: str, columns: str, stat: os.stat_result
) -> Iterator[Knowledge | BadRow]:
    first, last = id_bounds(connection, table, stat.st_size)
    known = datetime.fromtimestamp(stat.st_mtime, UTC)
    statement = f"SELECT rowid, {columns} FROM {table} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"  # noqa: S608 - ours
    for row in read_range(connection, statement, first, last):
        if isinstance(row, int):
            yield BadRow(row, "the file is damaged here")
        else:
            yield _row(row, known)


def _row(row: tuple[object, ...], known: datetime) -> Knowledge | BadRow:
    row_id = row[0]
    assert isinstance(row_id, int)  # noqa: S101 - SQLite's own
    try:
        text, knowledge_type, metadata, score, created, updated = (
            value.decode() if isinstance(value, bytes) else value for value in row[1:]
        )
        return knowledge_from(text, knowledge_type, metadata, score, (created, updated), known)
    except UnicodeDecodeError:
        return BadRow(row_id, "a value is not UTF-8")
    except (ValueError, TypeError) as err:
        return BadRow(row_id, str(err))
