"""Opens the database file: pragmas, transactions, migrations."""

from contextlib import closing
import glob
from pathlib import Path
import sqlite3

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from . import integrity
from .model import Damage, NewerSchemaError, StoreError
from .salvage import connect, salvage
from .space import INCREMENTAL, make_shrinkable

BEGIN = "semantic_home_begin"
"""The execution option that chooses how a connection begins its transactions."""

_MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_SECONDS = 10.0


def open_database(path: Path) -> tuple[Engine, Damage | None]:
    """Create, mend or migrate the file and return an engine of one connection, bound to this thread.

    A damaged file is moved aside, never deleted, and what the household taught us is saved from it. Raises
    NewerSchemaError, and leaves the file alone, when its revision is not one of ours; StoreError when it cannot be
    opened or migrated, in which case it is as it was.
    """
    try:
        integrity.finish_replacement(path)
        damage = _mend(path) if path.exists() else None
    except (OSError, sqlite3.Error) as err:
        raise StoreError(f"Cannot open {path}: {err}") from err
    return _open_sound(path), damage


def put_newer_aside(path: Path) -> Path | None:
    """Move a file that a newer version wrote to `<name>.newer-<UTC time>`, where it is kept; return that path.

    None, and the file stays, when it is none of those. Raises StoreError when it cannot be read or moved.
    """
    if not _is_newer(_revision(path), ScriptDirectory.from_config(_migrations())):
        return None
    try:
        return integrity.put_aside(path, why="newer")
    except OSError as err:
        raise StoreError(f"Cannot move {path}: {err}") from err


def open_again(path: Path) -> Engine:
    """Return an engine, bound to this thread, for a file that another one has open."""
    return _engine(path, foreign_keys=True)


def _open_sound(path: Path) -> Engine:
    config = _migrations()
    scripts = ScriptDirectory.from_config(config)
    current = _revision(path)
    if _is_newer(current, scripts):
        raise NewerSchemaError(f"{path} has schema {current}, which this version does not know")
    if current != scripts.get_current_head():
        _migrate(path, config)
    make_shrinkable(path)
    engine = _engine(path, foreign_keys=True)
    try:
        # Here rather than at the first use, which might be in another thread.
        engine.connect().close()
    except SQLAlchemyError as err:
        raise StoreError(f"Cannot open {path}: {err}") from err
    return engine


def _migrations() -> Config:
    config = Config()
    # Alembic keeps its options in a ConfigParser, where % begins an interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _is_newer(revision: str | None, scripts: ScriptDirectory) -> bool:
    return revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}


def _mend(path: Path) -> Damage | None:
    """Put a new file in the place of a damaged one, and do nothing to another.

    Killed at any moment, the next opening begins again, or ends what this one began.
    """
    log = integrity.put_log_aside(path) if path.stat().st_size and integrity.has_false_log(path) else None
    reason = integrity.find_damage(path, busy_seconds=BUSY_SECONDS)
    if reason is None:
        integrity.trust(path)
        return None if log is None else Damage(log, "the write-ahead log is not one", 0, 0)
    made = integrity.replacement(path)
    for leftover in made.parent.glob(f"{glob.escape(made.name)}*"):
        leftover.unlink()
    engine = _open_sound(made)
    try:
        with closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        salvaged, unreadable = salvage(path, made, engine)
    except (SQLAlchemyError, sqlite3.Error) as err:
        raise StoreError(f"Cannot write {made}: {err}") from err
    finally:
        # Closing the last connection folds the write-ahead log into the file.
        engine.dispose()
    aside = integrity.put_aside(path)
    made.rename(path)
    integrity.trust(path)
    return Damage(aside, reason, salvaged, unreadable)


def _revision(path: Path) -> str | None:
    """Read which migration the file has reached, before anything of ours can write to it."""
    if not path.exists():
        return None
    try:
        with closing(connect(path, busy_seconds=BUSY_SECONDS)) as raw:
            if raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
                return None
            row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as err:
        raise StoreError(f"Cannot read {path}: {err}") from err
    return None if row is None else str(row[0])


def _migrate(path: Path, config: Config) -> None:
    """Bring the file to the newest schema, or leave it as it is."""
    # A migration that rebuilds a table drops the old one, and with foreign keys on that would delete its children.
    engine = _engine(path, foreign_keys=False)
    try:
        with engine.connect().execution_options(**{BEGIN: "IMMEDIATE"}) as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                raise StoreError(f"Migrating {path} would leave rows without their parents")
    except (SQLAlchemyError, CommandError) as err:
        if integrity.is_damage(getattr(err, "orig", None)):
            integrity.suspect(path)
        raise StoreError(f"Cannot migrate {path}: {err}") from err
    finally:
        engine.dispose()


def _engine(path: Path, *, foreign_keys: bool) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        # Without an isolation level pysqlite leaves transactions to us; its legacy mode would commit at will.
        connect_args={"isolation_level": None, "check_same_thread": True, "timeout": BUSY_SECONDS},
        # Errors are logged, and what a household calls its things is nobody's business.
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA page_count")
        if cursor.fetchone() == (0,):
            # Once anything is written it would come too late.
            cursor.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # A log that a large transaction has blown up is cut back at the next checkpoint.
        cursor.execute("PRAGMA journal_size_limit = 16777216")
        # Debian's SQLite overwrites all that is deleted: giving up 100,000 vectors would take 4.8 s instead of 1.5 s,
        # and 470 MB of log instead of 57. FAST overwrites where that costs no more writing.
        cursor.execute("PRAGMA secure_delete = FAST")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA cache_size = -16384")
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(BEGIN, 'DEFERRED')}")

    return engine
