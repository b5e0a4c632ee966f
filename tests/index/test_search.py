"""Search in memory, against what NumPy finds by brute force."""

from typing import override

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
import numpy as np
from numpy.typing import NDArray
import pytest

from custom_components.semantic_home.index import VectorIndex

from .common import scores_of, vector

DIMENSION = 5
KINDS = ("entity", "area")


def unit_rows(seed: int, count: int, dimension: int = DIMENSION) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class IndexMachine(RuleBasedStateMachine):
    """The model: each kind's matrices by source id."""

    def __init__(self) -> None:
        super().__init__()
        self.index = VectorIndex(DIMENSION)
        self.model: dict[str, dict[str, NDArray[np.float32]]] = {kind: {} for kind in KINDS}

    @rule(
        kind=st.sampled_from(KINDS),
        source_id=st.sampled_from("abcdefgh"),
        views=st.integers(0, 30),
        # Few seeds, so that documents share vectors and tie.
        seed=st.integers(0, 4),
    )
    def put(self, kind: str, source_id: str, views: int, seed: int) -> None:
        rows = unit_rows(seed, views)
        self.index.put(kind, source_id, rows)
        self.model[kind].pop(source_id, None)
        if views:
            self.model[kind][source_id] = rows.copy()
        rows[:] = np.nan

    @rule(kind=st.sampled_from((*KINDS, "none")), source_id=st.sampled_from("abcdefgh"))
    def remove(self, kind: str, source_id: str) -> None:
        self.index.remove(kind, source_id)
        self.model.get(kind, {}).pop(source_id, None)

    @rule(
        kind=st.sampled_from(KINDS),
        seed=st.integers(0, 1_000),
        allowed=st.none() | st.lists(st.sampled_from("abcdefghxyz")),
    )
    def search(self, kind: str, seed: int, allowed: list[str] | None) -> None:
        query = unit_rows(seed, 1)[0]
        assert scores_of(self.index, query, kind, allowed) == {
            source_id: max(float(np.vecdot(row, query)) for row in rows)
            for source_id, rows in self.model[kind].items()
            if allowed is None or source_id in allowed
        }

    @invariant()
    def same_documents(self) -> None:
        for kind in KINDS:
            assert self.index.documents(kind) == self.model[kind].keys()
        assert len(self.index) == sum(map(len, self.model.values()))

    @override
    def teardown(self) -> None:
        for kind in KINDS:
            for source_id in self.index.documents(kind):
                self.index.remove(kind, source_id)
        assert len(self.index) == 0
        assert all(rows._used == 0 for rows in self.index._kinds.values())


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@given(count=st.integers(1, 300), dimension=st.sampled_from([1, 7, 16, 384]), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_agrees_with_a_matrix_product(count: int, dimension: int, seed: int) -> None:
    rows, query = unit_rows(seed, count, dimension), unit_rows(seed + 1, 1, dimension)[0]
    index = VectorIndex(dimension)
    for number, row in enumerate(rows):
        index.put("entity", str(number), row[np.newaxis])
    found = scores_of(index, query, "entity")
    np.testing.assert_allclose([found[str(number)] for number in range(count)], rows @ query, atol=1e-5)


@given(dimension=st.sampled_from([3, 17, 384, 1024]), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=30)
def test_equal_vectors_tie_wherever_they_lie(dimension: int, seed: int) -> None:
    twin, query = unit_rows(seed, 2, dimension)
    index = VectorIndex(dimension)
    for number in reversed(range(200)):
        index.put("entity", f"{number:03}", twin[np.newaxis])
    for number in range(0, 200, 7):
        index.remove("entity", f"{number:03}")
    assert len(set(scores_of(index, query, "entity").values())) == 1


def test_only_what_is_allowed_is_scored() -> None:
    index = VectorIndex(2)
    for source_id, row in (("best", (1, 0)), ("good", (0.8, 0.6)), ("bad", (0, 1))):
        index.put("entity", source_id, np.array([row], np.float32))
    query = vector(1, 0)
    assert scores_of(index, query, "entity", []) == {}
    assert scores_of(index, query, "entity", frozenset({"bad", "unknown"})) == {"bad": 0.0}


def test_the_best_view_counts() -> None:
    index = VectorIndex(2)
    index.put("entity", "x", np.array([[0, 1], [1, 0], [0, -1]], np.float32))
    assert scores_of(index, vector(1, 0), "entity") == {"x": 1.0}
    index.put("entity", "x", np.array([[1, 0]], np.float32))
    assert scores_of(index, vector(0, 1), "entity") == {"x": 0.0}


def test_unknown_kind() -> None:
    index = VectorIndex(2)
    index.remove("entity", "x")
    assert scores_of(index, vector(1, 0), "entity") == {}
    assert index.documents("entity") == frozenset()


@pytest.mark.parametrize(
    "bad", [np.ones(2, np.float32), np.ones((1, 3), np.float32), np.ones((1, 1, 2), np.float32), [[np.nan, 0]]]
)
def test_put_refuses_and_keeps_what_was_there(bad: NDArray[np.float32]) -> None:
    index = VectorIndex(2)
    index.put("entity", "x", np.array([[1, 0]], np.float32))
    with pytest.raises(ValueError, match=r"shape|finite"):
        index.put("entity", "x", bad)
    assert scores_of(index, vector(1, 0), "entity") == {"x": 1.0}


@pytest.mark.parametrize("bad", [vector(1), vector(1, 0, 0), np.ones((1, 2), np.float32), vector(np.nan, 0)])
def test_query_is_checked_even_when_there_is_nothing_to_find(bad: NDArray[np.float32]) -> None:
    index = VectorIndex(2)
    with pytest.raises(ValueError, match=r"dimensions|finite"):
        scores_of(index, bad, "entity")


def test_dimension_is_positive() -> None:
    with pytest.raises(ValueError, match="dimension"):
        VectorIndex(0)


def test_many_queries_at_once() -> None:
    random = np.random.default_rng(5)
    index = VectorIndex(8)
    views = {f"d{number}": random.standard_normal((1 + number % 3, 8), np.float32) for number in range(2_000)}
    for source_id, rows in views.items():
        index.put("entity", source_id, rows)
    index.remove("entity", "d7")
    queries = random.standard_normal((5, 8), np.float32)
    everyone = index.best_cosines("entity", queries)
    assert everyone.keys() == views.keys() - {"d7"}
    for source_id, best in everyone.items():
        np.testing.assert_allclose(best, (views[source_id] @ queries.T).max(axis=0), rtol=1e-5, atol=1e-6)
    some = index.best_cosines("entity", queries, {"d1", "d1999", "d7", "unknown"})
    assert some.keys() == {"d1", "d1999"}
    assert all((best == everyone[source_id]).all() for source_id, best in some.items()), "to the last bit"
    assert index.best_cosines("entity", queries, ()) == index.best_cosines("area", queries) == {}


def test_the_last_view_becomes_a_document_of_another_kind() -> None:
    index = VectorIndex(2)
    index.put("entity", "many", np.array([[1, 0], [0, 1], [0, -1]], np.float32))
    index.put("entity", "one", np.array([[-1, 0]], np.float32))
    index.put("area", "other", np.array([[1, 0]], np.float32))
    index.part("entity", "sentence")
    assert index.documents("entity") == index.documents("sentence") == {"many", "one"}
    assert scores_of(index, vector(0, -1), "sentence") == {"many": 1.0, "one": 0.0}
    assert scores_of(index, vector(0, -1), "entity") == {"many": 0.0, "one": 0.0}
    assert scores_of(index, vector(0, 1), "entity") == {"many": 1.0, "one": 0.0}
    # Who has no other view keeps it.
    assert scores_of(index, vector(-1, 0), "entity")["one"] == scores_of(index, vector(-1, 0), "sentence")["one"] == 1.0
    assert index.documents("area") == {"other"}
    index.part("unknown", "rest")
    assert index.documents("rest") == frozenset()


@given(
    views=st.lists(st.integers(1, 4), min_size=1, max_size=60),
    loaded=st.booleans(),
    seed=st.integers(0, 1_000),
    removed=st.integers(0, 59),
)
@settings(deadline=None, max_examples=60)
def test_both_parts_are_as_if_they_had_been_put(views: list[int], *, loaded: bool, seed: int, removed: int) -> None:
    rows = {f"d{number:02}": unit_rows(seed + number, count) for number, count in enumerate(views)}
    index, expected = VectorIndex(DIMENSION), VectorIndex(DIMENSION)
    if loaded:
        index.load("entity", list(rows), views, np.concatenate(list(rows.values())))
    else:
        for source_id, vectors in rows.items():
            index.put("entity", source_id, vectors)
    index.part("entity", "rest")
    for source_id, vectors in rows.items():
        expected.put("rest", source_id, vectors[-1:])
        expected.put("entity", source_id, vectors[:-1] if len(vectors) > 1 else vectors)
    # And each goes on by itself.
    gone = f"d{removed:02}"
    for one in (index, expected):
        one.remove("rest", gone)
        one.put("entity", "new", unit_rows(seed, 2))
    query = unit_rows(seed + 1, 1)[0]
    for kind in ("entity", "rest"):
        assert scores_of(index, query, kind) == scores_of(expected, query, kind)
