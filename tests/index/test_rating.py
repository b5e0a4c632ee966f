"""How well something served: an average that one judgement never decides alone, and that fades."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st
import pytest

from custom_components.semantic_home.index import Document, IndexStore, Rating
from custom_components.semantic_home.index.rating import HALF_LIFE

NOW = datetime(2026, 11, 24, tzinfo=UTC)
outcomes = st.lists(st.floats(0, 1), max_size=20)


def judged(*judgements: float, every: timedelta = timedelta()) -> Rating:
    rating = Rating()
    for number, outcome in enumerate(judgements):
        rating = rating.judged(outcome, NOW + number * every)
    return rating


@pytest.mark.parametrize(
    ("judgements", "score"),
    [
        ((), 0.5),
        ((1,), 3 / 5),
        ((0,), 2 / 6),
        ((1, 1, 1), 5 / 7),
        ((1, 1, 1, 0), 5 / 9),
        ((1, 0), 3 / 7),
        ((0.5,), 0.5),
    ],
)
def test_a_failure_counts_twice(judgements: tuple[float, ...], score: float) -> None:
    assert judged(*judgements).score == pytest.approx(score)


@given(outcomes, st.timedeltas(timedelta(), timedelta(days=3000)))
def test_always_a_share_and_always_nearer_to_the_middle(judgements: list[float], pause: timedelta) -> None:
    rating = judged(*judgements, every=timedelta(days=1))
    later = rating.at(NOW + timedelta(days=20) + pause)
    assert 0 <= rating.score <= 1
    assert abs(later.score - 0.5) <= abs(rating.score - 0.5) + 1e-9
    assert (later.score - 0.5) * (rating.score - 0.5) >= -1e-9


def test_half_is_forgotten_after_the_half_life() -> None:
    faded = judged(1, 1, 1, 1).at(NOW + HALF_LIFE)
    assert (faded.score, faded.weight) == (pytest.approx((2 + 2) / (4 + 2)), pytest.approx(2))
    assert judged(1).at(NOW - HALF_LIFE) == judged(1), "a clock that was turned back"


def test_in_the_database(store: IndexStore) -> None:
    lamp, other = Document("automation", "a", ("Lamp",)), Document("automation", "b", ("Other",))
    store.upsert([lamp, other])
    assert store.ratings() == {}
    for outcome in (1, 1, 1, 0):
        rating = store.judge(lamp.key, outcome, NOW)
    assert rating is not None and rating.score == pytest.approx(5 / 9)
    assert store.ratings() == store.ratings(lamp.key) == {lamp.key: rating}
    assert store.judge(("automation", "none"), 1, NOW) is None
    # Read anew from the home, it knows nothing of what was said of it.
    assert store.reconcile({"automation"}, [lamp, other]).unchanged == (lamp.key, other.key)
    assert store.ratings() == {lamp.key: rating}
    store.reconcile({"automation"}, [other])
    assert store.ratings() == {}
