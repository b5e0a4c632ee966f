"""From probabilities to what is done, by what it is worth."""

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

from custom_components.semantic_home.matching import Caution, Decision, Weights
from custom_components.semantic_home.matching.decision import (
    MOST_OFFERED,
    WORTH_OFFERING,
    decide,
    options,
    probabilities,
)
from custom_components.semantic_home.matching.weights import Costs

_A, _B, _NOTHING = frozenset({0}), frozenset({1}), frozenset[int]()
_BALANCED = Costs(right=1, wrong=4, question=0.5, missed=1)


def test_probabilities() -> None:
    found = probabilities(np.array([1000.0, 1000.0, -1000.0]))
    assert found.tolist() == [0.5, 0.5, 0]


def test_what_comes_to_the_same_is_added_up() -> None:
    found = options([(0.2, _A), (0.3, _NOTHING), (0.4, _A), (0.1, _NOTHING)])
    assert found == [(pytest.approx(0.6), _A), (pytest.approx(0.4), _NOTHING)]


def test_equals_come_in_the_order_of_the_candidates() -> None:
    assert [members for _, members in options([(0.5, _B), (0.5, _A)])] == [_A, _B]


@pytest.mark.parametrize(
    ("best", "second", "decision"),
    [
        # 1 p - 4 (1 - p) is above -0.5 from p = 0.7 on.
        (0.71, 0.29, Decision.MATCH),
        (0.69, 0.31, Decision.AMBIGUOUS),
        (0.5, 0.5, Decision.AMBIGUOUS),
    ],
)
def test_acts_where_that_is_worth_more_than_a_question(best: float, second: float, decision: Decision) -> None:
    found, confidence, chosen = decide([(best, _A), (second, _B)], _BALANCED)
    assert found is decision
    assert chosen == ([_A] if decision is Decision.MATCH else [_A, _B])
    assert confidence == pytest.approx(best if decision is Decision.MATCH else 1)


def test_declines_where_nothing_is_meant() -> None:
    assert decide([(0.9, _NOTHING), (0.1, _A)], _BALANCED) == (Decision.NONE, 0.9, [])
    # 1 p - 1 (1 - p) is above -0.5 from p = 0.25 on.
    assert decide([(0.6, _A), (0.24, _NOTHING), (0.16, _B)], _BALANCED)[0] is Decision.AMBIGUOUS
    assert decide([(0.6, _A), (0.26, _NOTHING), (0.14, _B)], _BALANCED)[0] is Decision.NONE


def test_nothing_weighed() -> None:
    assert decide([], _BALANCED) == (Decision.NONE, 0.0, [])
    assert decide([(1.0, _NOTHING)], _BALANCED) == (Decision.NONE, 1.0, [])


def test_what_is_improbable_is_not_offered() -> None:
    _, confidence, chosen = decide([(0.5, _A), (0.45, _B), (0.05, frozenset({2}))], _BALANCED)
    assert chosen == [_A, _B]
    assert confidence == pytest.approx(0.95)


def test_careful_asks_where_eager_acts() -> None:
    costs = Weights.load().costs
    weighed = [(0.65, _A), (0.35, _B)]
    assert decide(weighed, costs[Caution.EAGER])[0] is Decision.MATCH
    assert decide(weighed, costs[Caution.BALANCED])[0] is Decision.AMBIGUOUS
    weighed = [(0.8, _A), (0.2, _B)]
    assert decide(weighed, costs[Caution.BALANCED])[0] is Decision.MATCH
    assert decide(weighed, costs[Caution.CAREFUL])[0] is Decision.AMBIGUOUS


_WEIGHED = st.lists(st.tuples(st.floats(0.001, 1), st.frozensets(st.integers(0, 4), max_size=3)), min_size=1)


@settings(deadline=None, max_examples=200)
@given(_WEIGHED)
def test_more_caution_never_acts_more(raw: list[tuple[float, frozenset[int]]]) -> None:
    total = sum(found for found, _ in raw)
    weighed = options((found / total, members) for found, members in raw)
    costs = Weights.load().costs
    acts = [
        decide(weighed, costs[caution])[0] is Decision.MATCH
        for caution in (Caution.EAGER, Caution.BALANCED, Caution.CAREFUL)
    ]
    assert acts == sorted(acts, reverse=True)


@settings(deadline=None, max_examples=200)
@given(_WEIGHED)
def test_nothing_else_is_worth_more(raw: list[tuple[float, frozenset[int]]]) -> None:
    """Every decision is held against the definition of the expected worth."""
    total = sum(found for found, _ in raw)
    weighed = options((found / total, members) for found, members in raw)
    truth = {members: found for found, members in weighed}
    worths = {members: found - 4 * (1 - found) for members, found in truth.items() if members}
    nothing = truth.get(_NOTHING, 0.0)
    meant = sorted((found for members, found in truth.items() if members), reverse=True)
    covered = sum([found for found in meant if found >= WORTH_OFFERING * meant[0]][:MOST_OFFERED])
    # What is asked in vain costs what is missed; what is asked needlessly, a question.
    asked = -0.5 * (covered + nothing) - (1 - covered - nothing)
    worth = {Decision.NONE: nothing - (1 - nothing), Decision.AMBIGUOUS: asked}
    if worths:
        worth[Decision.MATCH] = max(worths.values())
    decision, confidence, chosen = decide(weighed, _BALANCED)
    assert worth[decision] == pytest.approx(max(worth.values()))
    assert 0 <= confidence <= 1 + 1e-9
    assert bool(chosen) is (decision is not Decision.NONE)
