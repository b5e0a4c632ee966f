"""A file that is held can be copied."""

from pathlib import Path
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from custom_components.semantic_home import index
from custom_components.semantic_home.index import HeldError, IndexStore, Knowledge, StoreError

from .common import DESK, KITCHEN, SOFA, STAMP, raw, vector
from .test_damage import MOMENT


def test_a_copy_of_the_held_file_has_everything(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA])
    generation = store.prepare(STAMP)
    store.put_vectors(generation.id, {"Sofa lamp": vector(1, 0, 0)})
    assert path.with_name(f"{path.name}-wal").stat().st_size
    store.hold()
    store.hold()
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    store.release()
    store.release()
    store.upsert([DESK])

    restored = IndexStore.open(copy)
    assert restored.damage is None
    assert restored.documents() == [SOFA]
    assert restored.active() == generation
    assert list(restored.vectors(generation.id)) == ["Sofa lamp"]
    restored.close()
    assert len(store.documents()) == 2


def test_nobody_writes_while_it_is_held(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA])
    generation = store.prepare(STAMP)
    store.hold()
    before = path.read_bytes()
    for call in (
        lambda: store.upsert([DESK]),
        lambda: store.reconcile({"entity"}, []),
        lambda: store.prepare(STAMP),
        lambda: store.put_vectors(generation.id, {"Sofa lamp": vector(1, 0, 0)}),
        lambda: store.reclaim(1),
        lambda: store.import_knowledge([Knowledge("x", "note", MOMENT, MOMENT)]),
        store.prune,
        store.rollback,
    ):
        with pytest.raises(HeldError):
            call()
    with sqlite3.connect(path, timeout=0) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("DELETE FROM document")
    other.close()
    assert store.documents() == [SOFA]
    assert len(store.missing_texts(generation.id, 9)) == 2
    assert path.read_bytes() == before
    store.release()
    assert store.upsert([DESK])


def test_closing_releases(path: Path) -> None:
    store = IndexStore.open(path)
    store.upsert([KITCHEN])
    store.hold()
    store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with pytest.raises(StoreError):
        store.hold()
    store = IndexStore.open(path)
    assert store.upsert([SOFA])
    store.close()


def test_a_file_that_is_in_use_is_not_held(store: IndexStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.upsert([SOFA])
    with store._reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 10")
    monkeypatch.setattr("custom_components.semantic_home.index.store.BUSY_SECONDS", 0.01)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM view")
        with pytest.raises(StoreError, match=r"hold"):
            store.hold()
        other.execute("ROLLBACK")
    assert store.upsert([DESK])
    store.hold()
    store.release()


HELD = """
import os, signal, sys
from pathlib import Path
from index import Document, IndexStore

store = IndexStore.open(Path(sys.argv[1]))
store.upsert([Document("entity", "light.sofa", ("Couch",))])
store.hold()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_hold_dies_with_the_process(path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", HELD, path], cwd=Path(index.__file__).parent.parent, check=False)
    assert process.returncode == -signal.SIGKILL
    store = IndexStore.open(path)
    assert store.damage is None
    assert len(store.documents()) == 1
    assert store.upsert([DESK])
    store.close()
