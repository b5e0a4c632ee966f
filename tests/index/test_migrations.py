"""From every earlier revision, with data in it, to the newest."""

from pathlib import Path

import numpy as np
import pytest

from custom_components.semantic_home.index import Document, GenerationState, IndexStore, StoreError

from .common import THIRD, raw
from .old_file import TIME, make_0001

TABLES = {
    "document": "*",
    "view": "*",
    "vector": "*",
    "generation": "id, model_id, revision, precision, template_version, dimension, state, created",
}


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with raw(path) as connection:
        return {
            table: connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()
            for table, columns in TABLES.items()
        }


def test_0001_keeps_everything(path: Path) -> None:
    make_0001(path, 20)
    before = contents(path)
    assert len(before["vector"]) == 80
    store = IndexStore.open(path)
    assert store.damage is None
    assert contents(path) == before
    assert store.documents()[0] == Document(
        "entity", "light.1", ("Lamp 1", "Light 1"), {"domain": "light"}, None, None, "en"
    )
    assert [(each.id, each.state) for each in store.generations()] == [
        (3, GenerationState.RETIRED),
        (4, GenerationState.ACTIVE),
    ]
    assert store.generations()[0].created.isoformat(" ") == f"{TIME}+00:00"
    np.testing.assert_array_equal(store.vectors(4)["Lamp 1"], np.full(3, 0.004, np.float32))
    # Generation 5 was there once, and somebody may still be computing its vectors.
    assert store.prepare(THIRD).id == 6
    assert store.rollback().id == 3
    store.close()


def test_0001_becomes_a_file_that_can_shrink(path: Path) -> None:
    make_0001(path, 2_000)
    with raw(path) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    store = IndexStore.open(path)
    before = contents(path)
    store.discard(3)
    while store.reclaim(100):
        pass
    store.close()
    with raw(path) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    after = contents(path)
    assert after["document"] == before["document"]
    assert after["vector"] == [row for row in before["vector"] if row[0] == 4]


def test_without_room_for_a_copy_it_stays_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_0001(path, 50)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0}))
    store = IndexStore.open(path)
    store.discard(3)
    while store.reclaim(100):
        pass
    assert store.counts(4).vectors == 100
    store.close()


@pytest.mark.parametrize("obstacle", ["CREATE TABLE background (mine)", "CREATE TABLE new_generation (mine)"])
def test_a_migration_that_fails_changes_nothing(path: Path, obstacle: str) -> None:
    make_0001(path)
    with raw(path) as connection:
        connection.execute(obstacle)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="Cannot migrate"):
        IndexStore.open(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with raw(path) as connection:
        connection.execute(f"DROP TABLE {obstacle.split()[2]}")
    store = IndexStore.open(path)
    assert len(store.documents()) == 3
    store.close()


def test_rows_that_would_lose_their_parents_stop_it(path: Path) -> None:
    make_0001(path)
    with raw(path) as connection:
        connection.execute("DELETE FROM generation WHERE id = 3")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="parents"):
        IndexStore.open(path)
    assert path.read_bytes() == before
