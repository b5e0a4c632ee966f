"""Generations and their vectors."""

from datetime import UTC, datetime
from pathlib import Path
import sqlite3

import numpy as np
import pytest

from custom_components.semantic_home.index import (
    Counts,
    Document,
    GenerationState,
    IndexStore,
    StoreError,
    UnknownGenerationError,
)

from .common import DESK, KITCHEN, OTHER, SOFA, STAMP, THIRD, dump, raw, vector


def states(path: Path) -> list[tuple[int, str]]:
    with raw(path) as connection:
        return connection.execute("SELECT id, state FROM generation WHERE state != 'removed' ORDER BY id").fetchall()


def test_first_generation(store: IndexStore) -> None:
    assert store.active() is None
    before = datetime.now(UTC)
    generation = store.prepare(STAMP)
    assert generation.stamp == STAMP
    assert generation.state is GenerationState.ACTIVE
    assert before <= generation.created <= datetime.now(UTC)
    assert store.active() == generation


def test_equal_stamp_is_the_same_generation_and_no_write(store: IndexStore, path: Path) -> None:
    generation = store.prepare(STAMP)
    with raw(path) as watcher:
        before = watcher.execute("PRAGMA data_version").fetchone()
        assert store.prepare(STAMP) == generation
        assert watcher.execute("PRAGMA data_version").fetchone() == before


@pytest.mark.parametrize("other", [OTHER, THIRD])
def test_two_generations_of_equal_dimension_never_mix(store: IndexStore, other: object) -> None:
    store.upsert([DESK])
    first = store.prepare(STAMP)
    store.put_vectors(first.id, {"Desk lamp": vector(1, 0, 0)})
    second = store.prepare(other)

    assert second.id != first.id
    assert store.vectors(second.id) == {}
    assert store.vectors(second.id, ["Desk lamp"]) == {}
    assert store.missing_texts(second.id, 10) == ["Desk lamp"]
    assert store.counts(second.id) == Counts(documents=1, texts=1, vectors=0)

    store.put_vectors(second.id, {"Desk lamp": vector(0, 1, 0)})
    np.testing.assert_array_equal(store.vectors(first.id)["Desk lamp"], vector(1, 0, 0))
    np.testing.assert_array_equal(store.vectors(second.id)["Desk lamp"], vector(0, 1, 0))
    assert store.clear_vectors(second.id) == 1
    assert list(store.vectors(first.id)) == ["Desk lamp"]


def test_the_former_is_kept_and_the_older_removed(store: IndexStore, path: Path) -> None:
    first = store.prepare(STAMP)
    store.put_vectors(first.id, {"x": vector(1, 0, 0)})
    second = store.swap(store.prepare(OTHER).id)
    assert states(path) == [(first.id, "retired"), (second.id, "active")]

    third = store.swap(store.prepare(THIRD).id)
    assert states(path) == [(second.id, "retired"), (third.id, "active")]
    with raw(path) as connection:
        assert connection.execute("SELECT count(*) FROM vector").fetchone() == (1,)
        while store.reclaim(100):
            pass
        assert connection.execute("SELECT count(*) FROM vector").fetchone() == (0,)


def test_going_back_finds_the_vectors(store: IndexStore, path: Path) -> None:
    first = store.prepare(STAMP)
    store.put_vectors(first.id, {"x": vector(1, 0, 0)})
    second = store.swap(store.prepare(OTHER).id)
    assert store.swap(store.prepare(STAMP).id) == first
    assert states(path) == [(first.id, "active"), (second.id, "retired")]
    assert list(store.vectors(first.id, ["x"])) == ["x"]


def test_ids_never_come_back(store: IndexStore, path: Path) -> None:
    generation = store.prepare(STAMP)
    with raw(path) as connection:
        connection.execute("DELETE FROM generation")
    assert store.prepare(STAMP).id > generation.id


def test_the_schema_allows_one_active_and_one_per_stamp(store: IndexStore, path: Path) -> None:
    store.prepare(STAMP)
    store.prepare(OTHER)
    with raw(path) as connection:
        with pytest.raises(sqlite3.IntegrityError, match=r"generation\.state"):
            connection.execute("UPDATE generation SET state = 'active'")
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
            connection.execute("UPDATE generation SET revision = 'same'")
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            connection.execute("UPDATE generation SET state = 'other'")


def test_a_failing_swap_leaves_the_active_generation(store: IndexStore, path: Path) -> None:
    first = store.prepare(STAMP)
    with raw(path) as connection:
        connection.execute(
            "CREATE TRIGGER fail BEFORE UPDATE ON generation WHEN NEW.state = 'active' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    second = store.prepare(OTHER)
    before = dump(path)
    with pytest.raises(StoreError):
        store.swap(second.id)
    assert dump(path) == before
    assert store.active() == first


def test_missing_texts(store: IndexStore) -> None:
    store.upsert([SOFA, DESK, KITCHEN, Document("entity", "light.twin", ("Desk lamp",))])
    generation = store.prepare(STAMP)
    missing = store.missing_texts(generation.id, 100)
    assert sorted(missing) == ["Desk lamp", "Kitchen", "Küche", "Lamp, living room", "Sofa lamp"]
    assert store.missing_texts(generation.id, 2) == missing[:2]

    store.put_vectors(generation.id, {missing[0]: vector(1, 0, 0), missing[3]: vector(0, 1, 0)})
    assert store.missing_texts(generation.id, 100) == [missing[1], missing[2], missing[4]]
    assert store.counts(generation.id) == Counts(documents=4, texts=5, vectors=2)
    with pytest.raises(ValueError, match="limit"):
        store.missing_texts(generation.id, 0)


def test_vectors_survive_exactly(path: Path) -> None:
    values = vector(0.1, -np.float32(1e-45), np.finfo(np.float32).max)
    store = IndexStore.open(path)
    store.put_vectors(store.prepare(STAMP).id, {"Küche": values})
    store.close()
    store = IndexStore.open(path)
    found = store.vectors(store.prepare(STAMP).id, ["Küche", "none"])
    assert list(found) == ["Küche"]
    assert found["Küche"].dtype == np.float32
    assert found["Küche"].tobytes() == values.tobytes()
    with raw(path) as connection:
        assert connection.execute("SELECT dense FROM vector").fetchone() == (values.astype("<f4").tobytes(),)
    store.close()


def test_put_replaces_and_is_idempotent(store: IndexStore) -> None:
    generation = store.prepare(STAMP)
    for values in (vector(1, 0, 0), vector(0, 1, 0), vector(0, 1, 0)):
        store.put_vectors(generation.id, {"x": values})
        np.testing.assert_array_equal(store.vectors(generation.id, ["x"])["x"], values)
    store.put_vectors(generation.id, {})


@pytest.mark.parametrize(
    "bad",
    [vector(1, 0), vector(1, 0, 0, 0), np.ones((1, 3), np.float32), vector(np.nan, 0, 0), vector(0, np.inf, 0)],
)
def test_put_refuses(store: IndexStore, bad: np.ndarray) -> None:
    generation = store.prepare(STAMP)
    with pytest.raises(ValueError, match=r"dimensions|finite"):
        store.put_vectors(generation.id, {"good": vector(1, 0, 0), "bad": bad})
    assert store.vectors(generation.id, ["good", "bad"]) == {}


def test_many_vectors(store: IndexStore) -> None:
    generation = store.prepare(STAMP)
    texts = [f"text {number}" for number in range(1_201)]
    store.upsert([Document("entity", "all", tuple(texts))])
    store.put_vectors(generation.id, {text: vector(number, 0, 0) for number, text in enumerate(texts)})
    for found in (store.vectors(generation.id), store.vectors(generation.id, texts)):
        assert {text: values[0] for text, values in found.items()} == {text: n for n, text in enumerate(texts)}


def test_prune(store: IndexStore) -> None:
    store.upsert([SOFA, Document("entity", "light.twin", ("Sofa lamp",))])
    first, second = store.prepare(STAMP), store.prepare(OTHER)
    for generation in (first, second):
        store.put_vectors(generation.id, {text: vector(1, 0, 0) for text in (*SOFA.views, "unused")})
    assert store.prune() == 2
    store.remove("entity", ["light.sofa"])
    assert set(store.vectors(second.id)) == {"Sofa lamp"}
    assert set(store.vectors(second.id, SOFA.views)) == set(SOFA.views)
    assert store.prune() == 2
    assert set(store.vectors(first.id, SOFA.views)) == {"Sofa lamp"}
    assert store.prune() == 0


def test_unknown_generation(store: IndexStore) -> None:
    for call in (
        store.counts,
        store.vectors,
        store.clear_vectors,
        lambda generation_id: store.missing_texts(generation_id, 1),
        lambda generation_id: store.put_vectors(generation_id, {}),
    ):
        with pytest.raises(UnknownGenerationError):
            call(7)


def test_a_damaged_vector_is_noticed(store: IndexStore, path: Path) -> None:
    store.upsert([DESK])
    generation = store.prepare(STAMP)
    store.put_vectors(generation.id, {"Desk lamp": vector(1, 0, 0)})
    with raw(path) as connection:
        connection.execute("UPDATE vector SET dense = x'00'")
    with pytest.raises(StoreError, match="1 bytes"):
        store.vectors(generation.id)


def test_vectors_of_the_same_model_are_taken_over(store: IndexStore) -> None:
    store.upsert([SOFA, DESK])
    first = store.prepare(STAMP)
    store.put_vectors(first.id, {"Sofa lamp": vector(1, 0, 0), "Desk lamp": vector(0, 1, 0), "Gone": vector(0, 0, 1)})
    second = store.prepare(THIRD)
    store.put_vectors(second.id, {"Desk lamp": vector(0, 1, 0)})
    assert store.take_over(second.id, first.id, 9) == ["Sofa lamp"]
    assert store.take_over(second.id, first.id, 9) == []
    assert store.vectors(second.id)["Sofa lamp"].tolist() == [1, 0, 0]
    assert set(store.vectors(second.id)) == {"Sofa lamp", "Desk lamp"}


def test_no_other_models_vectors_are_taken_over(store: IndexStore) -> None:
    first = store.prepare(STAMP)
    second = store.prepare(OTHER)
    with pytest.raises(ValueError, match="not made alike"):
        store.take_over(second.id, first.id, 9)
