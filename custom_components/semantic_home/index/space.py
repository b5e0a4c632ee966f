"""Gives the space of what was deleted back to the disk, a little at a time.

Measured at two generations of 100,000 x 1024 (930 MB): deleting one in one statement takes 1.5 s, and VACUUM 8 s, the
file locked and its size needed twice over. A thousand vectors deleted take 50 ms, a thousand pages handed back
60 ms (200 ms at worst), hence incremental.
"""

from contextlib import closing, suppress
from pathlib import Path
import shutil
import sqlite3

from sqlalchemy import Connection, delete, select

from .model import GenerationState
from .schema import GenerationRow, VectorRow

INCREMENTAL = 2
"""The auto_vacuum under which freed pages can be handed back."""

_TABLE = VectorRow.__table__


def make_shrinkable(path: Path) -> None:
    """Make a file from before revision 0002 one that can shrink step by step; does nothing when it is.

    It is rewritten once, 8 s for 460 MB; without room for that on the disk it stays as it is, and freed pages are used
    again but not given back.
    """
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection, suppress(sqlite3.Error):
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == INCREMENTAL:
            return
        # The copy goes to the temporary directory and then through the write-ahead log.
        if shutil.disk_usage(path.parent).free > 3 * path.stat().st_size:
            connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            connection.execute("VACUUM")


def reclaim(connection: Connection, pages: int) -> bool:
    """Delete about so many pages' worth of removed generations or, when there are none, hand back so many pages.

    Return whether there is more to do. Transactions are the caller's.
    """
    removed = connection.execute(
        select(GenerationRow.id).where(GenerationRow.state == GenerationState.REMOVED).limit(1)
    ).scalar_one_or_none()
    if removed is not None:
        # A vector of 1,024 dimensions takes about a page, and smaller ones take less time.
        some = select(_TABLE.c.text_hash).where(_TABLE.c.generation_id == removed).limit(pages)
        deleted = connection.execute(
            delete(VectorRow).where(VectorRow.generation_id == removed, VectorRow.text_hash.in_(some))
        ).rowcount
        if deleted < pages:
            connection.execute(delete(GenerationRow).where(GenerationRow.id == removed))
        return True
    if connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one() != INCREMENTAL:
        return False
    # Every step of this statement frees one page, and SQLAlchemy takes only the first of what returns no columns.
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA incremental_vacuum({pages})")
    cursor.fetchall()
    return bool(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
