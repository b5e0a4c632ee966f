"""Reads rows of a table of which parts may be damaged."""

from collections.abc import Iterator
import sqlite3

_MAX_FAILURES = 20_000
"""After so many failed reads the rest is given up: what fails everywhere would keep us busy for ever."""


def read_range(
    connection: sqlite3.Connection, statement: str, first: int, last: int
) -> Iterator[tuple[object, ...] | int]:
    """Yield the rows with ids from first to last, and each id at which SQLite fails, whether or not a row was there.

    The statement selects by `BETWEEN ? AND ?`, in the order of the ids, which are its first column. What fails is
    halved until single ids are left.
    """
    failures = 0
    pending = [(first, last)]
    while pending and failures < _MAX_FAILURES:
        low, high = pending.pop()
        try:
            for row in connection.execute(statement, (low, high)):
                yield row
                low = row[0] + 1
        except sqlite3.Error:
            failures += 1
            if low >= high:
                yield low
            else:
                middle = (low + high) // 2
                pending += [(middle + 1, high), (low, middle)]


def id_bounds(connection: sqlite3.Connection, table: str, size: int) -> tuple[int, int]:
    """Return the least and greatest id, or a guess where they cannot be read: no more than the file has bytes."""
    try:
        first, last = connection.execute(f"SELECT min(rowid), max(rowid) FROM {table}").fetchone()  # noqa: S608 - ours
    except sqlite3.Error:
        return 1, size
    return (1, 0) if first is None else (first, last)
