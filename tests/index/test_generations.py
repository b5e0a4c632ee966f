"""Shadow generations: built beside the active one, swapped in when complete, kept for a way back, then gone."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from custom_components.semantic_home.index import (
    Document,
    Generation,
    GenerationState,
    IncompleteGenerationError,
    IndexStore,
    NoPreviousGenerationError,
    Stamp,
    UnknownGenerationError,
)

from .common import DESK, OTHER, SOFA, STAMP, THIRD, raw, vector

LARGER = replace(STAMP, dimension=5)


def embed(store: IndexStore, generation: Generation, refused: Iterable[str] = ()) -> None:
    values = np.full(generation.stamp.dimension, generation.id, np.float32)
    store.put_vectors(generation.id, dict.fromkeys(store.missing_texts(generation.id, 100, set(refused)), values))


def complete(store: IndexStore, stamp: Stamp) -> Generation:
    generation = store.prepare(stamp)
    embed(store, generation)
    return store.swap(generation.id)


def states(store: IndexStore) -> dict[int, str]:
    return {generation.id: str(generation.state) for generation in store.generations()}


def test_the_first_is_active_at_once(store: IndexStore, path: Path) -> None:
    generation = store.prepare(STAMP)
    assert generation.state is GenerationState.ACTIVE
    with raw(path) as watcher:
        before = watcher.execute("PRAGMA data_version").fetchone()
        assert store.prepare(STAMP) == generation
        assert watcher.execute("PRAGMA data_version").fetchone() == before


def test_another_is_built_beside_it(store: IndexStore) -> None:
    store.upsert([SOFA])
    first = complete(store, STAMP)
    second = store.prepare(LARGER)
    assert store.active() == first
    assert states(store) == {first.id: "active", second.id: "building"}
    assert store.prepare(LARGER) == second

    store.upsert([DESK])
    assert store.counts(first.id).vectors == 2
    assert store.missing_texts(first.id, 9) == ["Desk lamp"]
    assert len(store.missing_texts(second.id, 9)) == 3
    embed(store, first)
    embed(store, second)
    assert store.swap(second.id) == replace(second, state=GenerationState.ACTIVE)
    assert store.swap(second.id).state is GenerationState.ACTIVE
    assert states(store) == {first.id: "retired", second.id: "active"}
    assert {len(values) for values in store.vectors(second.id).values()} == {5}
    assert {len(values) for values in store.vectors(first.id).values()} == {3}
    with pytest.raises(ValueError, match="retired"):
        store.swap(first.id)


def test_changing_the_mind_removes_what_was_building(store: IndexStore) -> None:
    store.upsert([SOFA])
    first = complete(store, STAMP)
    second = store.prepare(OTHER)
    embed(store, second)
    third = store.prepare(THIRD)
    assert states(store) == {first.id: "active", third.id: "building"}
    for call in (store.swap, store.counts, store.vectors, store.discard, store.load):
        with pytest.raises(UnknownGenerationError):
            call(second.id)
    with pytest.raises(UnknownGenerationError):
        store.put_vectors(second.id, {"Sofa lamp": vector(1, 0, 0)})

    again = store.prepare(OTHER)
    assert again.id > third.id
    assert store.counts(again.id).vectors == 0
    assert store.prepare(STAMP) == first
    assert states(store) == {first.id: "active"}


def test_the_retired_one_is_built_on(store: IndexStore) -> None:
    store.upsert([SOFA])
    first = complete(store, STAMP)
    second = complete(store, OTHER)
    store.upsert([DESK])
    assert store.prepare(STAMP).id == first.id
    assert states(store) == {first.id: "building", second.id: "active"}
    assert store.missing_texts(first.id, 9) == ["Desk lamp"]
    with pytest.raises(IncompleteGenerationError):
        store.swap(first.id)
    embed(store, first)
    store.swap(first.id)
    assert states(store) == {first.id: "active", second.id: "retired"}


def test_no_swap_before_it_is_complete(store: IndexStore) -> None:
    store.upsert([SOFA, DESK])
    first = complete(store, STAMP)
    second = store.prepare(OTHER)
    refused = {"Sofa lamp", "Desk lamp"}
    assert store.missing_texts(second.id, 1, refused) == ["Lamp, living room"]
    with pytest.raises(IncompleteGenerationError):
        store.swap(second.id, refused)
    assert store.active() == first
    embed(store, second, refused)
    assert store.missing_texts(second.id, 9, refused) == []
    with pytest.raises(IncompleteGenerationError):
        store.swap(second.id, {"Sofa lamp"})
    assert store.swap(second.id, refused).id == second.id


def test_rollback(store: IndexStore) -> None:
    store.upsert([SOFA])
    with pytest.raises(NoPreviousGenerationError):
        store.rollback()
    first = complete(store, STAMP)
    with pytest.raises(NoPreviousGenerationError):
        store.rollback()
    second = complete(store, OTHER)
    building = store.prepare(THIRD)
    for back, other in ((first, second), (second, first)):
        assert store.rollback() == replace(back, state=GenerationState.ACTIVE)
        assert states(store) == {back.id: "active", other.id: "retired", building.id: "building"}
        assert store.counts(back.id).vectors == 2
    embed(store, building)
    store.swap(building.id)
    assert states(store) == {second.id: "retired", building.id: "active"}


def test_other_descriptions_of_a_home_leave_the_way_back(store: IndexStore) -> None:
    store.upsert([SOFA])
    other = complete(store, OTHER)
    first = complete(store, STAMP)
    assert states(store) == {other.id: "retired", first.id: "active"}
    second = complete(store, THIRD)
    assert states(store) == {other.id: "retired", second.id: "active"}, "to the same model there is no way back"
    with pytest.raises(UnknownGenerationError):
        store.counts(first.id)
    assert store.rollback().id == other.id
    third = complete(store, replace(OTHER, template_version=2))
    assert states(store) == {second.id: "retired", third.id: "active"}, "in either direction"


def test_discard(store: IndexStore) -> None:
    store.upsert([SOFA])
    first, second = complete(store, STAMP), complete(store, OTHER)
    third = store.prepare(THIRD)
    with pytest.raises(ValueError, match="answers"):
        store.discard(second.id)
    store.discard(first.id)
    store.discard(third.id)
    assert states(store) == {second.id: "active"}
    with pytest.raises(UnknownGenerationError):
        store.discard(first.id)


def test_the_database_itself_allows_one_of_each(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA])
    complete(store, STAMP)
    complete(store, OTHER)
    store.prepare(THIRD)
    with raw(path) as connection:
        for state in ("building", "active", "retired"):
            with pytest.raises(Exception, match="UNIQUE"):
                connection.execute("UPDATE generation SET state = ?", (state,))


def test_sample(store: IndexStore) -> None:
    texts = tuple(f"text {number}" for number in range(50))
    store.upsert([Document("entity", "x", texts), Document("entity", "y", texts[:9])])
    generation = store.prepare(STAMP)
    vectors = {text: vector(number, 1, 2) for number, text in enumerate(texts[:40])}
    store.put_vectors(generation.id, vectors | {"unused": vector(0, 0, 0)})
    found = store.sample(generation.id, 10, seed=1)
    assert len(found) == 10
    for text, values in found.items():
        np.testing.assert_array_equal(values, vectors[text])
    assert store.sample(generation.id, 10, seed=1).keys() == found.keys()
    assert store.sample(generation.id, 10, seed=2).keys() != found.keys()
    assert store.sample(generation.id, 99, seed=1).keys() == vectors.keys()


def test_background(store: IndexStore) -> None:
    first = store.prepare(STAMP)
    second = store.prepare(LARGER)
    sentences = ("one", "two words")
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert store.background(first.id, sentences) is None
    store.put_background(first.id, sentences, rows)
    found = store.background(first.id, sentences)
    assert found is not None
    np.testing.assert_array_equal(found[0], rows)
    assert found[1] is None
    for others in (("two words", "one"), ("one two", "words"), ("one",), ()):
        assert store.background(first.id, others) is None
    assert store.background(second.id, sentences) is None
    store.put_background(first.id, ("three",), rows[:1])
    assert store.background(first.id, sentences) is None
    for bad in (rows, rows[0], np.full((1, 3), np.nan, np.float32), np.ones((1, 5), np.float32)):
        with pytest.raises(ValueError, match=r"shape|finite"):
            store.put_background(first.id, ("three",), bad)
    store.clear_vectors(first.id)
    assert store.background(first.id, ("three",)) is None


def test_space_is_given_back_little_by_little(store: IndexStore, path: Path) -> None:
    store.upsert([Document("entity", str(number), (f"text {number}",)) for number in range(1_000)])
    large = replace(STAMP, dimension=1_024)
    for revision in range(3):
        generation = store.prepare(replace(large, revision=str(revision)))
        texts = store.missing_texts(generation.id, 1_000)
        store.put_vectors(generation.id, dict.fromkeys(texts, np.ones(1_024, np.float32)))
        store.put_background(generation.id, ("x",), np.ones((1, 1_024), np.float32))
        store.swap(generation.id)
    before = page_count(path)
    assert len(store.generations()) == 2
    steps = 0
    freed = [before]
    while store.reclaim(100):
        steps += 1
        freed.append(page_count(path))
        assert freed[-2] - freed[-1] <= 110
    assert steps > 20
    assert freed[-1] < before * 0.7
    assert not store.reclaim(100)
    with raw(path) as connection:
        assert connection.execute("SELECT count(*) FROM vector").fetchone() == (2_000,)
        assert connection.execute("SELECT count(*) FROM background").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM generation").fetchone() == (2,)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(store.load(store.rollback().id)) == 1_000
    with pytest.raises(ValueError, match="positive"):
        store.reclaim(0)
    store.close()
    assert path.stat().st_size == page_count(path) * 4_096


def page_count(path: Path) -> int:
    with raw(path) as connection:
        count: int = connection.execute("PRAGMA page_count").fetchone()[0]
        return count
