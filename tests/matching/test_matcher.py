"""The matcher's rules, each alone, with weights so simple that the numbers can be followed."""

from dataclasses import replace
import math

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.semantic_home.engine import OpenVINOEncoder
from custom_components.semantic_home.matching import (
    Candidate,
    Decision,
    Matcher,
    MatchRequest,
    MatchResult,
    Reason,
    Weights,
)
from custom_components.semantic_home.matching.types import Calibration, Line

from .common import CASES, Model, home

_NOTHING = Line(bias=0, dense=0, lexical=0, coverage=0, place=0, kind=0, context=0)
# The score is the dense evidence (without a model: the share of the name), the log-odds are the lead.
_SIMPLE = Weights(
    with_model=replace(_NOTHING, dense=1),
    without_model=replace(_NOTHING, lexical=1),
    calibration=Calibration(bias=0, score=0, lead=1, farthest=6, nobody=-10),
    match_at=0.75,
    ask_from=-1,
    margin=0.5,
)
_LAMPS = [
    Candidate("light.desk", ("Desk lamp",), "office", "Office", {"office": ("Office",)}, ("Light",)),
    Candidate("light.hall", ("Hall lamp",), "hall", "Hall", {"hall": ("Hall",)}, ("Light",)),
    Candidate("light.sofa", ("Sofa lamp", "Stehlampe"), "lounge", "Lounge", {"lounge": ("Lounge",)}, ("Light",)),
]


def _match(
    dense: dict[str, float] | None, request: MatchRequest | None = None, weights: Weights = _SIMPLE
) -> MatchResult:
    return Matcher(_LAMPS, weights).match(request or MatchRequest("please"), dense)


def _ids(result: MatchResult) -> list[str]:
    return [scored.candidate.entity_id for scored in result.targets]


def _evidence(desk: float, hall: float, sofa: float) -> dict[str, float]:
    return {"light.desk": desk, "light.hall": hall, "light.sofa": sofa}


def test_a_clear_lead_is_a_match() -> None:
    result = _match(_evidence(0, 0.5, 2.5))
    assert (result.decision, _ids(result)) == (Decision.MATCH, ["light.sofa"])
    assert result.confidence == result.ranking[0].confidence == pytest.approx(1 / (1 + math.exp(-2)))
    assert [scored.score for scored in result.ranking] == [2.5, 0.5, 0]
    # The others' lead is over the best, and negative.
    assert result.ranking[1].confidence == pytest.approx(1 / (1 + math.exp(2)))


def test_candidates_near_each_other_are_asked_about() -> None:
    result = _match(_evidence(0, 2, 2.4))
    assert (result.decision, _ids(result)) == (Decision.AMBIGUOUS, ["light.sofa", "light.hall"])
    assert result.confidence == result.ranking[0].confidence


def test_too_little_is_nothing() -> None:
    result = _match(_evidence(-1.2, -1.5, -1.3))
    assert (result.decision, _ids(result)) == (Decision.NONE, [])
    assert result.confidence == pytest.approx(1 - result.ranking[0].confidence)
    assert len(result.ranking) == 3


def test_equals_are_ordered_by_id() -> None:
    result = _match(_evidence(1, 1, 1))
    assert _ids(result) == ["light.desk", "light.hall", "light.sofa"]
    assert result.confidence == 0.5


def test_a_question_has_no_more_options_than_the_limit() -> None:
    result = _match(_evidence(1, 1, 1), MatchRequest("please", limit=2))
    assert (result.decision, _ids(result)) == (Decision.AMBIGUOUS, ["light.desk", "light.hall"])
    assert len(result.ranking) == 2


def test_limit_does_not_change_the_decision() -> None:
    for evidence in (_evidence(0, 0.5, 2.5), _evidence(1, 1, 1), _evidence(-2, -2, -2)):
        assert len({_match(evidence, MatchRequest("please", limit=limit)).decision for limit in (1, 2, 50)}) == 1


@pytest.mark.parametrize(
    ("least", "decision"),
    [(None, Decision.MATCH), (0.0, Decision.MATCH), (0.85, Decision.MATCH), (0.9, Decision.NONE), (1.0, Decision.NONE)],
)
def test_min_confidence(least: float | None, decision: Decision) -> None:
    result = _match(_evidence(0, 0, 2), MatchRequest("please", min_confidence=least))  # 0.88
    assert result.decision is decision


def test_min_confidence_forbids_questions_too() -> None:
    result = _match(_evidence(1, 1, 1), MatchRequest("please", min_confidence=0.6))
    assert (result.decision, _ids(result)) == (Decision.NONE, [])


def test_only_what_is_allowed_is_answered_and_compared_with() -> None:
    evidence = _evidence(2, 2, 2.1)
    allowed = MatchRequest("please", allowed=frozenset({"light.desk", "switch.unknown"}))
    result = _match(evidence, allowed)
    assert (result.decision, _ids(result)) == (Decision.MATCH, ["light.desk"])
    assert [scored.candidate.entity_id for scored in result.ranking] == ["light.desk"]


def test_nothing_allowed() -> None:
    result = _match(_evidence(2, 2, 2), MatchRequest("please", allowed=frozenset()))
    assert result == MatchResult(Decision.NONE, 1.0, (), ())


@pytest.mark.parametrize("dense", [None, {}])
def test_empty_home(weights: Weights, dense: dict[str, float] | None) -> None:
    matcher = Matcher([], weights)
    assert len(matcher) == 0
    assert matcher.entity_ids == frozenset()
    assert matcher.match(MatchRequest("sofa lamp"), dense) == MatchResult(Decision.NONE, 1.0, (), ())


def test_knows_its_candidates() -> None:
    matcher = Matcher(_LAMPS, _SIMPLE)
    assert len(matcher) == 3
    assert matcher.entity_ids == {"light.desk", "light.hall", "light.sofa"}


def test_a_lead_counts_up_to_its_limit() -> None:
    near, far = (_match(_evidence(0, 0, lead)).confidence for lead in (6, 9))
    assert near == far


def test_one_alone_does_not_win_by_default() -> None:
    """Whoever is the only one, by the home or by a filter, still has the nobody as a rival."""
    weights = replace(_SIMPLE, calibration=replace(_SIMPLE.calibration, nobody=-2))
    allowed = MatchRequest("please", allowed=frozenset({"light.sofa"}))
    for score, decision in ((2, Decision.MATCH), (-1.5, Decision.NONE), (-0.99, Decision.AMBIGUOUS)):
        result = _match(_evidence(9, 9, score), allowed, weights)
        assert result.decision is decision
        assert result.ranking[0].confidence == pytest.approx(1 / (1 + math.exp(-score - 2)))
    # Better rivals than that count as they are.
    assert _match(_evidence(0, 0.5, 2.5), weights=weights) == _match(_evidence(0, 0.5, 2.5))


@pytest.mark.parametrize("query", ["what is the capital of France?", "tell me a joke", "打开它"])
def test_a_home_of_one_lamp_may_be_meant_by_nothing(weights: Weights, encoder: OpenVINOEncoder, query: str) -> None:
    """With the weights that ship, and the real model."""
    for lamp in _LAMPS:
        matcher = Matcher([lamp], weights)
        assert matcher.match(MatchRequest(query), None).decision is Decision.NONE
        assert matcher.match(MatchRequest(query), Model(encoder, [lamp]).evidence(query)).decision is Decision.NONE
        named = MatchRequest(f"turn on the {lamp.names[0]}")
        assert _ids(matcher.match(named, Model(encoder, [lamp]).evidence(named.query))) == [lamp.entity_id]


def test_the_asking_satellites_area_breaks_ties() -> None:
    weights = replace(_SIMPLE, with_model=replace(_SIMPLE.with_model, context=2))
    asked = {
        area: _ids(_match(_evidence(1, 1, 1), MatchRequest("please", context_area=area), weights))
        for area in ("hall", "lounge")
    }
    assert asked == {"hall": ["light.hall"], "lounge": ["light.sofa"]}
    assert _match(_evidence(1, 1, 1), MatchRequest("please", context_area="attic"), weights).decision is (
        Decision.AMBIGUOUS
    )
    # Neither does "no area" count as one that entities without an area share.
    homeless = Matcher([replace(lamp, area_id=None) for lamp in _LAMPS], weights)
    assert {scored.score for scored in homeless.match(MatchRequest("please"), _evidence(1, 1, 1)).ranking} == {1}


@pytest.mark.parametrize("dense", [None, {"light.hall": 0.0, "light.bath": 0.0}])
def test_area_breaks_the_tie_of_equal_names(weights: Weights, dense: dict[str, float] | None) -> None:
    """With the weights that ship."""
    lamps = [Candidate("light.bath", ("Lamp",), "bath"), Candidate("light.hall", ("Lamp",), "hall")]
    result = Matcher(lamps, weights).match(MatchRequest("turn on the lamp", context_area="hall"), dense)
    assert result.ranking[0].candidate.entity_id == "light.hall"
    assert _ids(result)[0] == "light.hall"
    without = Matcher(lamps, weights).match(MatchRequest("turn on the lamp"), dense)
    assert (without.decision, _ids(without)) == (Decision.AMBIGUOUS, ["light.bath", "light.hall"])


def test_places_that_are_named() -> None:
    def places(query: str) -> dict[str, float]:
        ranking = Matcher(_LAMPS, _SIMPLE).match(MatchRequest(query), None).ranking
        return {scored.candidate.entity_id: scored.scores.place for scored in ranking}

    assert places("the one in the lounge") == {"light.sofa": 1, "light.desk": -1, "light.hall": -1}
    assert places("lounge and office") == {"light.sofa": 1, "light.desk": 1, "light.hall": -1}
    assert places("in the attic") == {"light.sofa": 0, "light.desk": 0, "light.hall": 0}


def test_a_place_is_named_by_most_of_its_name() -> None:
    lamps = [
        Candidate("light.bed", ("A",), places={"bedroom": ("Bedroom",)}),
        Candidate("light.living", ("B",), places={"living_room": ("Living room", "Wohnzimmer")}),
    ]

    def places(query: str) -> list[float]:
        ranking = Matcher(lamps, _SIMPLE).match(MatchRequest(query), None).ranking
        return [scored.scores.place for scored in sorted(ranking, key=lambda scored: scored.candidate.entity_id)]

    assert places("which room is it?") == [0, 0]
    assert places("in the bedrooms") == [1, -1]
    assert places("in den Wohnzimmern") == [-1, 1]


def test_kinds_that_are_named() -> None:
    candidates = [
        Candidate("cover.a", ("A",), kind_words=("Blind", "Cover")),
        Candidate("light.b", ("B",), kind_words=("Light",)),
        Candidate("switch.c", ("C",)),
    ]
    ranking = Matcher(candidates, _SIMPLE).match(MatchRequest("all blinds"), None).ranking
    kinds = {scored.candidate.entity_id: scored.scores.kind for scored in ranking}
    assert kinds["cover.a"] > 0.7
    assert kinds["light.b"] == kinds["switch.c"] == 0


def test_without_a_model_names_decide() -> None:
    weights = replace(_SIMPLE, without_model=replace(_NOTHING, lexical=5))
    result = _match(None, MatchRequest("die Stehlampe"), weights)
    assert (result.decision, _ids(result)) == (Decision.MATCH, ["light.sofa"])
    assert all(scored.scores.dense is None for scored in result.ranking)


def test_a_candidate_without_a_vector_yet_is_scored_by_its_name() -> None:
    result = _match({"light.desk": 0.2, "light.hall": 0.1}, MatchRequest("sofa lamp"))
    best = result.ranking[0]
    assert best.candidate.entity_id == "light.sofa"
    assert best.scores.dense is None
    assert best.score == pytest.approx(1)


def test_reasons() -> None:
    def reason(query: str, dense: dict[str, float] | None) -> Reason:
        ranking = _match(dense, MatchRequest(query)).ranking
        return next(scored.reason for scored in ranking if scored.candidate.entity_id == "light.sofa")

    evidence = _evidence(0, 0, 3)
    # The alias that was said, in the home's own spelling.
    assert reason("schalte die stehlampe ein", evidence) == Reason("lexical", "Stehlampe")
    assert reason("schalte die stehlampe ein", None) == Reason("lexical", "Stehlampe")
    # Little of a name: with a model that is its doing, without one it is all there is.
    assert reason("a lamp", evidence) == Reason("dense", "Sofa lamp")
    assert reason("a lamp", None) == Reason("lexical", "Sofa lamp")
    assert reason("couch", evidence) == Reason("dense", "Sofa lamp")
    assert reason("couch", None) == Reason("none", "Sofa lamp")


_QUERIES = st.sampled_from([case["say"] for case in CASES["cases"]]) | st.text(max_size=30)


@settings(deadline=None, max_examples=60)
@given(
    query=_QUERIES,
    order=st.permutations(home()),
    evidence=st.none() | st.lists(st.floats(-10, 10), min_size=len(home()), max_size=len(home())),
    limit=st.integers(1, 30),
    context=st.sampled_from([None, *CASES["areas"]]),
)
def test_the_order_of_the_candidates_does_not_matter(
    query: str, order: list[Candidate], evidence: list[float] | None, limit: int, context: str | None
) -> None:
    request = MatchRequest(query, limit=limit, context_area=context)
    dense = evidence and {candidate.entity_id: value for candidate, value in zip(home(), evidence, strict=True)}
    shuffled = dense and {candidate.entity_id: dense[candidate.entity_id] for candidate in order}
    weights = Weights.load()
    result = Matcher(home(), weights).match(request, dense)
    assert Matcher(order, weights).match(request, shuffled) == result

    assert len(result.ranking) == min(limit, len(order))
    assert list(result.ranking) == sorted(result.ranking, key=lambda scored: -scored.confidence)
    assert result.targets == result.ranking[: len(result.targets)]
    assert all(0 < scored.confidence < 1 for scored in result.ranking)
    assert 0 <= result.confidence <= 1
    assert bool(result.targets) == (result.decision is not Decision.NONE)
    assert len(result.targets) == 1 or result.decision is not Decision.MATCH
