"""What the matcher promises whatever the weights, and with those that ship: ties, limits, places, tiny homes."""

from dataclasses import replace

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.semantic_home.matching import (
    Candidate,
    Decision,
    Evidence,
    Grammar,
    Matcher,
    MatchRequest,
    MatchResult,
    Place,
    Reason,
    Scored,
)

from .common import CASES, Encode, Model, home, places, target_ids

_PLACES = [Place(f"area:{area}", "area", (area.capitalize(),)) for area in ("office", "hall", "lounge")]
_LAMPS = [
    Candidate("light.desk", ("Desk lamp",), "light", None, "Office", ("area:office",)),
    Candidate("light.hall", ("Hall lamp",), "light", None, "Hall", ("area:hall",)),
    Candidate("light.sofa", ("Sofa lamp", "Stehlampe"), "light", None, "Lounge", ("area:lounge",)),
]
_TWINS = [
    Candidate(f"light.{area}", ("Lamp",), "light", None, area.capitalize(), (f"area:{area}",))
    for area in ("hall", "lounge", "office")
]


def _match(query: str, candidates: list[Candidate] = _LAMPS, **more: object) -> MatchResult:
    return Matcher(candidates, _PLACES).match(MatchRequest(query, **more), None)  # type: ignore[arg-type]


def _ranked(result: MatchResult) -> dict[str, Scored]:
    return {scored.candidate.entity_id: scored for scored in result.ranking}


def test_a_name_that_is_said_is_a_match() -> None:
    result = _match("turn on the sofa lamp")
    assert (result.decision, target_ids(result)) == (Decision.MATCH, ["light.sofa"])
    assert result.confidence > 0.7
    assert result.ranking[0].candidate.entity_id == "light.sofa"


def test_equals_are_asked_about_in_their_order() -> None:
    result = _match("turn on the lamp", _TWINS)
    assert (result.decision, target_ids(result)) == (Decision.AMBIGUOUS, ["light.hall", "light.lounge", "light.office"])
    assert len({scored.confidence for scored in result.ranking}) == 1


def test_a_question_has_no_more_options_than_the_limit() -> None:
    result = _match("turn on the lamp", _TWINS, limit=2)
    assert (result.decision, target_ids(result)) == (Decision.AMBIGUOUS, ["light.hall", "light.lounge"])
    assert len(result.ranking) == 2


@pytest.mark.parametrize("query", ["turn on the lamp", "sofa lamp", "tell me a joke", "turn off all lamps"])
def test_limit_does_not_change_the_decision(query: str) -> None:
    results = [_match(query, limit=limit) for limit in (1, 2, 50)]
    assert len({(result.decision, result.confidence) for result in results}) == 1


def test_min_confidence() -> None:
    sure = _match("turn on the sofa lamp").confidence
    assert _match("turn on the sofa lamp", min_confidence=sure - 0.01).decision is Decision.MATCH
    refused = _match("turn on the sofa lamp", min_confidence=1.0)
    assert (refused.decision, target_ids(refused)) == (Decision.NONE, [])
    assert refused.ranking[0].candidate.entity_id == "light.sofa"


def test_min_confidence_forbids_questions_too() -> None:
    result = _match("turn on the lamp", _TWINS, min_confidence=0.6)
    assert (result.decision, target_ids(result)) == (Decision.NONE, [])


def test_only_what_is_allowed_is_answered() -> None:
    result = _match("turn on the lamp", _TWINS, allowed=frozenset({"light.hall", "switch.unknown"}))
    assert (result.decision, target_ids(result)) == (Decision.MATCH, ["light.hall"])
    assert [scored.candidate.entity_id for scored in result.ranking] == ["light.hall"]


def test_nothing_allowed() -> None:
    result = _match("turn on the sofa lamp", allowed=frozenset())
    assert (result.decision, result.targets, result.ranking) == (Decision.NONE, (), ())


def test_knows_its_candidates() -> None:
    matcher = Matcher(_LAMPS, _PLACES)
    assert len(matcher) == 3
    assert matcher.entity_ids == {"light.desk", "light.hall", "light.sofa"}
    assert matcher.candidates == tuple(_LAMPS)


@pytest.mark.parametrize(
    "query",
    [
        "what is the capital of France?",
        pytest.param(
            "tell me a joke",
            marks=pytest.mark.xfail(reason="no template of home-assistant-intents is small talk", strict=False),
        ),
    ],
)
def test_a_home_of_one_lamp_may_be_meant_by_nothing(encode: Encode, grammar: Grammar, query: str) -> None:
    """By the real model, and by names alone."""
    for lamp in _LAMPS:
        matcher, model = Matcher([lamp], _PLACES, grammar), Model(encode, [lamp], _PLACES)
        assert matcher.match(MatchRequest(query), None).decision is Decision.NONE
        assert matcher.match(MatchRequest(query), model.evidence(query)).decision is Decision.NONE


@pytest.mark.parametrize("lamp", _LAMPS, ids=lambda lamp: lamp.entity_id)
def test_the_only_lamp_of_a_home_is_found(encode: Encode, grammar: Grammar, lamp: Candidate) -> None:
    matcher, model = Matcher([lamp], _PLACES, grammar), Model(encode, [lamp], _PLACES)
    query = f"turn on the {lamp.names[0]}"
    for evidence in (None, model.evidence(query)):
        assert target_ids(matcher.match(MatchRequest(query), evidence)) == [lamp.entity_id]


@pytest.mark.parametrize("area", ["hall", "lounge", "office"])
@pytest.mark.parametrize("model", [False, True])
def test_the_asking_satellites_area_breaks_the_tie(area: str, *, model: bool) -> None:
    deviations = dict.fromkeys((f"light.{one}" for one in ("hall", "lounge", "office")), 0.0)
    evidence = Evidence(deviations, deviations) if model else None
    result = Matcher(_TWINS, _PLACES).match(MatchRequest("turn on the lamp", context_place=f"area:{area}"), evidence)
    assert (result.decision, target_ids(result)) == (Decision.MATCH, [f"light.{area}"])


def test_no_area_is_none_that_is_shared() -> None:
    homeless = [replace(lamp, area=None, places=()) for lamp in _TWINS]
    assert _match("turn on the lamp", homeless) == _match("turn on the lamp", homeless, context_place="area:attic")


def test_places_that_are_named() -> None:
    def found(query: str) -> dict[str, float]:
        return {name: scored.scores.place for name, scored in _ranked(_match(query, limit=9)).items()}

    assert found("the lamp in the lounge") == {"light.sofa": 1, "light.desk": -1, "light.hall": -1}
    assert found("the lamps in lounge and office") == {"light.sofa": 1, "light.desk": 1, "light.hall": -1}
    assert set(found("the lamp in the attic").values()) == {0}


def test_a_place_is_named_by_most_of_its_name_or_in_another_language() -> None:
    lamps = [
        Candidate("light.bed", ("Alpha",), "light", None, "Bedroom", ("area:bedroom",)),
        Candidate("light.living", ("Beta",), "light", None, "Living room", ("area:living_room",)),
    ]
    rooms = [Place("area:bedroom", "area", ("Bedroom",)), Place("area:living_room", "area", ("Living room",))]
    matcher = Matcher(lamps, rooms)

    def found(query: str) -> list[float]:
        ranked = _ranked(matcher.match(MatchRequest(query), None))
        return [ranked[name].scores.place for name in ("light.bed", "light.living")]

    assert found("turn on the lights in the bedrooms") == [1, -1]
    assert found("mach das Licht im Wohnzimmer an") == [-1, 1]
    assert found("allume la lumière dans la chambre") == [1, -1]
    assert found("включи свет в гостиной") == [-1, 1]


def test_kinds() -> None:
    candidates = [
        Candidate("cover.a", ("Alpha",), "cover", "blind"),
        Candidate("light.b", ("Beta",), "light"),
        Candidate("switch.c", ("Gamma",), "switch"),
    ]
    ranked = _ranked(_match("close all blinds", candidates, limit=9))
    assert ranked["cover.a"].scores.kind > 0.5 > ranked["light.b"].scores.kind


def test_a_candidate_without_a_vector_yet_is_matched_by_its_name() -> None:
    deviations = {"light.desk": 0.2, "light.hall": 0.1}
    result = Matcher(_LAMPS, _PLACES).match(MatchRequest("turn on the sofa lamp"), Evidence(deviations, deviations))
    assert target_ids(result) == ["light.sofa"]


def test_without_a_model_there_is_no_dense_score() -> None:
    assert {scored.scores.dense for scored in _match("sofa lamp").ranking} == {None}


def test_reasons() -> None:
    def reason(query: str, evidence: Evidence | None = None) -> Reason:
        result = Matcher(_LAMPS, _PLACES).match(MatchRequest(query), evidence)
        return _ranked(result)["light.sofa"].reason

    # The name that was said, in the home's own spelling.
    assert reason("turn on the SOFA lamp") == Reason("lexical", "Sofa lamp")
    assert reason("schalte die stehlampe ein") == Reason("lexical", "Stehlampe")
    # The same in another language, where it is, or the model's opinion.
    assert reason("allume la lampe du canapé") == Reason("vocabulary", "Sofa lamp")
    assert reason("turn on the light in the lounge") == Reason("place", "Lounge")
    deviations = {"light.sofa": 4.0, "light.desk": 0.0, "light.hall": 0.0}
    assert reason("something cosy", Evidence(deviations, deviations)) == Reason("dense", "Sofa lamp")
    assert reason("something bright") == Reason("kind", "Sofa lamp")


_QUERIES = st.sampled_from([case["say"] for case in CASES["cases"]]) | st.text(max_size=30)
_VALUES = st.lists(st.floats(-10, 10), min_size=len(home()), max_size=len(home()))


@settings(deadline=None, max_examples=40)
@given(
    query=_QUERIES,
    order=st.permutations(home()),
    values=st.none() | _VALUES,
    limit=st.integers(1, 30),
    context=st.sampled_from([None, *(place.id for place in places())]),
)
def test_the_order_of_the_candidates_does_not_matter(
    query: str, order: list[Candidate], values: list[float] | None, limit: int, context: str | None
) -> None:
    request = MatchRequest(query, limit=limit, context_place=context)
    deviations = values and {one.entity_id: value for one, value in zip(home(), values, strict=True)}
    evidence = Evidence(deviations, deviations) if deviations else None
    result = Matcher(home(), places()).match(request, evidence)
    shuffled = Matcher(order, places()).match(request, evidence)

    # Between equals the order of the home decides, and it is the only thing that may.
    assert shuffled.decision is result.decision
    assert shuffled.confidence == pytest.approx(result.confidence, abs=1e-9)
    if result.decision is Decision.MATCH:
        assert set(target_ids(shuffled)) == set(target_ids(result))

    assert len(result.ranking) <= limit
    assert all(0 <= scored.confidence <= 1 for scored in result.ranking)
    assert 0 <= result.confidence <= 1 + 1e-9
    assert bool(result.targets) == (result.decision is not Decision.NONE)
    probabilities = [found for found, _ in result.options]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1 + 1e-9
    for scored in result.ranking:
        assert min(scored.scores.lexical, scored.scores.coverage, scored.scores.kind) >= 0
        assert max(scored.scores.lexical, scored.scores.coverage, scored.scores.kind) <= 1 + 1e-9
        assert scored.scores.place in {-1, 0, 1}
