"""Opening: creation, migration, refusal, and power cuts."""

from pathlib import Path
import re
import signal
import sqlite3
import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
import pytest
from sqlalchemy import create_engine

from custom_components.semantic_home import index
from custom_components.semantic_home.index import IndexStore, NewerSchemaError, StoreError, database
from custom_components.semantic_home.index.schema import Base

from .common import SOFA, STAMP, dump, raw, vector


@pytest.mark.usefixtures("store")
def test_migrations_agree_with_models(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


@pytest.mark.usefixtures("store")
def test_migrations_and_models_are_the_same_sql(path: Path, tmp_path: Path) -> None:
    """Alembic's comparison knows nothing of checks, partial indexes and table options."""
    created = tmp_path / "created.db"
    engine = create_engine(f"sqlite:///{created}")
    Base.metadata.create_all(engine)
    engine.dispose()
    assert schema(created) == schema(path)


def schema(path: Path) -> set[str]:
    with raw(path) as connection:
        statements = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
        )
        # Constraints may stand in any order, and SQLite quotes the name of a table that was renamed.
        return {" ".join(sorted(re.findall(r'[^\s,"]+', sql))) for (sql,) in statements}


def test_pragmas(store: IndexStore) -> None:
    with store._reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "cache_size", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 1,
        "cache_size": -16384,
        "busy_timeout": 10_000,
    }


def test_reopening_migrates_nothing(path: Path) -> None:
    store = IndexStore.open(path)
    store.upsert([SOFA])
    generation = store.prepare(STAMP)
    store.close()
    before = path.read_bytes()
    store = IndexStore.open(path)
    assert store.documents() == [SOFA]
    assert store.active() == generation
    store.close()
    assert path.read_bytes() == before


def test_odd_paths(tmp_path: Path) -> None:
    folder = tmp_path / "a %(here)s?#ü 100%"
    folder.mkdir()
    for _ in range(2):
        IndexStore.open(folder / "x;y.db").close()
    assert [file.name for file in folder.iterdir()] == ["x;y.db"]


def test_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    IndexStore.open(path).close()
    with raw(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    with pytest.raises(NewerSchemaError, match="9999"):
        IndexStore.open(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_empty_file_is_a_new_database(path: Path) -> None:
    path.touch()
    IndexStore.open(path).close()
    IndexStore.open(path).close()


def test_unreachable_paths(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        IndexStore.open(tmp_path)
    with pytest.raises(StoreError):
        IndexStore.open(tmp_path / "missing" / "x.db")


def test_migration_is_atomic(path: Path) -> None:
    """The last table of the migration exists already, in somebody else's database."""
    with raw(path) as connection:
        connection.execute("CREATE TABLE vector (mine)")
    before = dump(path)
    with pytest.raises(StoreError, match="vector"):
        IndexStore.open(path)
    assert dump(path) == before


def test_migration_does_not_depend_on_the_import_name(tmp_path: Path) -> None:
    package = Path(index.__file__).parent
    program = (
        "import sys; from pathlib import Path; from index import IndexStore; IndexStore.open(Path(sys.argv[1])).close()"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "x.db"], cwd=package.parent, check=True)
    assert schema(tmp_path / "x.db")


def test_migration_keeps_children_of_a_rebuilt_table(path: Path) -> None:
    """SQLite alters tables by rebuilding them; dropping the old one must not cascade."""
    store = IndexStore.open(path)
    store.upsert([SOFA])
    store.close()
    engine = database._engine(path, foreign_keys=False)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE new AS SELECT * FROM document")
        connection.exec_driver_sql("DROP TABLE document")
        connection.exec_driver_sql("ALTER TABLE new RENAME TO document")
    engine.dispose()
    with raw(path) as connection:
        assert connection.execute("SELECT count(*) FROM view").fetchone() == (2,)


POWER_CUT = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from index import Document, IndexStore

pattern = sys.argv[2]

@event.listens_for(Engine, "after_cursor_execute")
def cut(connection, cursor, statement, *rest):
    if pattern in statement:
        os.kill(os.getpid(), signal.SIGKILL)

store = IndexStore.open(Path(sys.argv[1]))
store.reconcile({"entity"}, [Document("entity", "light.sofa", ("Couch",)), Document("entity", "light.new", ("New",))])
"""


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE TABLE "view"',
        "INSERT INTO alembic_version",
        'DELETE FROM "view"',
    ],
)
def test_power_cut(path: Path, statement: str) -> None:
    creating = "CREATE" in statement or "alembic" in statement
    if not creating:
        store = IndexStore.open(path)
        store.upsert([SOFA])
        store.put_vectors(store.prepare(STAMP).id, {"Sofa lamp": vector(1, 0, 0)})
        store.close()
    process = subprocess.run(
        [sys.executable, "-c", POWER_CUT, path, statement], cwd=Path(index.__file__).parent.parent, check=False
    )
    assert process.returncode == -signal.SIGKILL

    store = IndexStore.open(path)
    assert store.documents() == ([] if creating else [SOFA])
    assert creating or list(store.vectors(store.prepare(STAMP).id)) == ["Sofa lamp"]
    store.close()
    with raw(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_no_connection_is_left_open_on_refusal(path: Path) -> None:
    IndexStore.open(path).close()
    with raw(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerSchemaError):
        IndexStore.open(path)
    with sqlite3.connect(path, autocommit=True, timeout=0) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("UPDATE alembic_version SET version_num = '0004'")
    connection.close()
    IndexStore.open(path).close()
