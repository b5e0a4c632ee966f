"""Keeps the file still while somebody copies it."""

from contextlib import closing
from pathlib import Path
import sqlite3

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .model import StoreError

_ATTEMPTS = 3


def hold(engine: Engine, path: Path, *, busy_seconds: float) -> sqlite3.Connection:
    """Fold the write-ahead log into the file and keep every process from writing until the connection is closed.

    The lock belongs to the process, hence ends with it, whatever happens. Raises StoreError when others keep the
    file busy.
    """
    log = path.with_name(f"{path.name}-wal")
    try:
        for _ in range(_ATTEMPTS):
            with closing(engine.raw_connection()) as raw:
                cursor = raw.cursor()
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                busy, *_ = cursor.fetchone() or (1,)
            lock = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
            try:
                lock.execute("BEGIN IMMEDIATE")
                # Another process may have written between the two.
                if not busy and (not log.exists() or log.stat().st_size == 0):
                    return lock
            except sqlite3.Error:
                lock.close()
                raise
            lock.close()
    except (SQLAlchemyError, sqlite3.Error) as err:
        raise StoreError(f"Cannot hold {path}: {err}") from err
    raise StoreError(f"Cannot hold {path}: others are using it")
