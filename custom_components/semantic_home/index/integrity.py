"""Finds out whether the file is damaged, and puts a damaged one aside."""

from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
import sqlite3
import time

from .salvage import connect

_OURS = ("document", "view", "generation", "alembic_version")
"""Tables that cannot be made anew from the home, or without which the others mean nothing."""

_WHOLE_SECONDS = 30.0
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOG_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_LOG = ("-wal", "-shm")


def is_damage(err: BaseException | None) -> bool:
    """Tell damage from what another time or place would mend: a lock, a missing directory, a full disk."""
    code = getattr(err, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or (code is not None and code & 0xFF in _DAMAGE_CODES)


def find_damage(path: Path, *, busy_seconds: float) -> str | None:
    """Say what is wrong with the file, if anything; raises sqlite3.Error when it cannot be opened for other reasons.

    The documents' tables are always checked. The whole file only after an unclean end, which has left a write-ahead
    log behind, or when reading met damage (`suspect`), and for half a minute at most. At 460 MB of vectors the whole
    takes 0.3 s when the file is in memory, but 14 s from a slow disk: the pages are read in the order of their
    tables, not of the file. Vectors can be made anew, and are checked for their size whenever they are read.
    """
    log = _beside(path, "-wal")
    unclean = (log.exists() and log.stat().st_size > 0) or _suspect_mark(path).exists()
    if path.stat().st_size == 0:
        # SQLite would take it for a new database, and delete the log.
        return "the file is empty, its write-ahead log is not" if unclean and log.exists() else None
    try:
        with closing(connect(path, busy_seconds=busy_seconds)) as connection:
            if not unclean and _is_short(connection, path):
                return "the file is shorter than it says"
            known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            for table in _OURS:
                if table in known and (reason := _check(connection, f"PRAGMA quick_check({table})")):
                    return reason
            return _check(connection, "PRAGMA quick_check(1)", _WHOLE_SECONDS) if unclean else None
    except sqlite3.DatabaseError as err:
        if is_damage(err):
            return str(err)
        raise


def has_false_log(path: Path) -> bool:
    """Tell whether what lies where the write-ahead log should be is none, which SQLite would overwrite."""
    log = _beside(path, "-wal")
    return log.exists() and log.stat().st_size > 0 and _head(log) not in _LOG_MAGIC


def suspect(path: Path) -> None:
    """Note beside the file that reading met damage, so that the next opening checks all of it."""
    with suppress(OSError):
        _suspect_mark(path).touch()


def trust(path: Path) -> None:
    """Take back what `suspect` noted."""
    with suppress(OSError):
        _suspect_mark(path).unlink(missing_ok=True)


def replacement(path: Path) -> Path:
    """Return where the file that is to take the damaged one's place is made."""
    return _beside(path, ".salvaged")


def put_aside(path: Path, suffixes: tuple[str, ...] = ("", *_LOG), *, why: str = "corrupt") -> Path:
    """Move the file, and then its log, to `<name>.<why>-<UTC time>`; return that path."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = _beside(path, f".{why}-{stamp}")
    # The file first: while it is there, what was salvaged is not known to be complete.
    for suffix in suffixes:
        with suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(aside, suffix))
    return aside


def put_log_aside(path: Path) -> Path:
    """Move what has taken the log's place, and have the file checked; return where it lies."""
    suspect(path)
    return _beside(put_aside(path, _LOG), "-wal")


def finish_replacement(path: Path) -> None:
    """Complete what a power cut interrupted: the damaged file was moved, the new one not yet in its place."""
    made = replacement(path)
    if path.exists():
        return
    if any(_beside(path, suffix).exists() for suffix in _LOG):
        put_aside(path, _LOG)
    if made.exists():
        made.rename(path)


def _is_short(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether pages are missing at the end; while there is a log, they may be in it."""
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return path.stat().st_size < int(pages * size)


def _check(connection: sqlite3.Connection, statement: str, seconds: float | None = None) -> str | None:
    if seconds is not None:
        end = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > end, 1_000)
    try:
        answer = str(connection.execute(statement).fetchone()[0])
    except sqlite3.OperationalError as err:
        if err.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    finally:
        connection.set_progress_handler(None, 0)
    return None if answer == "ok" else answer


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _suspect_mark(path: Path) -> Path:
    return _beside(path, ".suspect")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
