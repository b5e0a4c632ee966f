"""What a request may mean: one thing, all of a kind in a place, several, nothing. With the weights that ship."""

import numpy as np
import pytest

from custom_components.semantic_home.matching import (
    Candidate,
    Caution,
    Decision,
    Evidence,
    Grammar,
    Matcher,
    MatchRequest,
    MatchResult,
    Place,
    Weights,
)
from custom_components.semantic_home.matching.hypotheses import FEATURES

from .common import home, places, target_ids

_BEDROOM = {"light.bedside_left", "light.bedside_right"}
_UPSTAIRS = {*_BEDROOM, "light.mirror"}
_DOWNSTAIRS = {"light.sofa_lamp", "light.living_room_ceiling", "light.kitchen_ceiling"}


def _match(matcher: Matcher, query: str, context: str | None = None, **more: object) -> MatchResult:
    return matcher.match(MatchRequest(query, context_place=context, **more), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "entity_ids"),
    [
        ("turn on the kitchen lights", {"light.kitchen_ceiling"}),
        ("turn off all lights in the bedroom", _BEDROOM),
        ("turn off all the lights upstairs", _UPSTAIRS),
        ("turn off the lights downstairs", _DOWNSTAIRS),
        ("turn off all lights", {*_UPSTAIRS, *_DOWNSTAIRS, "light.detskaya", "light.yushi"}),
        ("turn off the lights in the kitchen and the living room", _DOWNSTAIRS),
        ("turn on the sofa lamp and the coffee maker", {"light.sofa_lamp", "switch.coffee"}),
        ("mach das Licht in der Küche an", {"light.kitchen_ceiling"}),
        ("enciende las luces del dormitorio", _BEDROOM),
    ],
)
def test_sets(matcher: Matcher, query: str, entity_ids: set[str]) -> None:
    result = _match(matcher, query)
    assert (result.decision, set(target_ids(result))) == (Decision.MATCH, entity_ids)
    assert set(result.options[0][1]) == entity_ids


def test_the_asking_satellites_room_when_none_is_said(matcher: Matcher) -> None:
    assert set(target_ids(_match(matcher, "turn on the lights", "area:bedroom"))) == _BEDROOM
    assert target_ids(_match(matcher, "turn on the lights", "area:kitchen")) == ["light.kitchen_ceiling"]
    nowhere = _match(matcher, "turn on the lights", "area:nowhere")
    assert nowhere == _match(matcher, "turn on the lights")


@pytest.mark.parametrize(
    "query",
    [
        "turn off the lights in the garage",
        "turn on the fan in the kitchen",
        "close the blinds in the garage",
    ],
)
def test_a_set_that_is_empty_is_nothing(matcher: Matcher, query: str) -> None:
    """Rather than the same kind elsewhere, or another kind there."""
    result = _match(matcher, query)
    assert (result.decision, target_ids(result)) == (Decision.NONE, [])
    assert result.options[0][1] == ()


def test_a_set_is_answered_whole(matcher: Matcher) -> None:
    """A limit shortens the ranking, never what is acted upon."""
    result = _match(matcher, "turn off all lights", limit=2)
    assert len(result.targets) == 8
    assert len(result.ranking) == 2


def test_a_set_of_what_is_allowed(matcher: Matcher) -> None:
    allowed = frozenset({"light.bedside_left", "light.mirror", "cover.bedroom"})
    assert target_ids(_match(matcher, "turn off all lights in the bedroom", allowed=allowed)) == ["light.bedside_left"]


def test_classes_of_one_domain() -> None:
    candidates = [
        Candidate("cover.a", ("Alpha",), "cover", "blind", "Hall", ("area:hall",)),
        Candidate("cover.b", ("Beta",), "cover", "blind", "Hall", ("area:hall",)),
        Candidate("cover.c", ("Gamma",), "cover", "garage", "Hall", ("area:hall",)),
    ]
    matcher = Matcher(candidates, [Place("area:hall", "area", ("Hall",))], Grammar.load("en"))
    assert set(target_ids(_match(matcher, "close the blinds in the hall"))) == {"cover.a", "cover.b"}


def test_a_label_is_a_place(grammar: Grammar) -> None:
    candidates = [
        Candidate("light.a", ("Alpha",), "light", None, "Hall", ("area:hall", "label:party"), ("Party",)),
        Candidate("light.b", ("Beta",), "light", None, "Hall", ("area:hall",)),
        Candidate("light.c", ("Gamma",), "light", None, None, ("label:party",), ("Party",)),
    ]
    known = [Place("area:hall", "area", ("Hall",)), Place("label:party", "area", ("Party",))]
    matcher = Matcher(candidates, known, grammar)
    assert set(target_ids(_match(matcher, "turn off all party lights"))) == {"light.a", "light.c"}


def test_goes_on_from_what_was_asked_before(matcher: Matcher) -> None:
    """It says where, the sentence before says what."""
    fan = _match(matcher, "and the one in the bedroom", previous="turn on the fan in the bathroom")
    assert target_ids(fan) == ["fan.bedroom"]
    light = _match(matcher, "and the one in the living room", previous="turn off the kitchen ceiling light")
    assert target_ids(light) == ["light.living_room_ceiling"]
    alone = _match(matcher, "and the one in the living room")
    assert alone.decision is Decision.AMBIGUOUS


def test_caution() -> None:
    """The same probabilities, other answers: careful asks where eager acts."""
    candidates = [Candidate("light.a", ("Reading lamp",), "light"), Candidate("light.b", ("Floor lamp",), "light")]
    matcher = Matcher(candidates)
    # Evidence that makes one of two equal candidates as probable as is wanted.
    answers = {}
    for lead in np.linspace(0, 6, 121):
        evidence = Evidence({"light.a": float(lead), "light.b": 0.0}, {"light.a": float(lead), "light.b": 0.0})
        results = {caution: matcher.match(MatchRequest("the lamp", caution=caution), evidence) for caution in Caution}
        assert len({result.options for result in results.values()}) == 1
        answers[tuple(results[caution].decision for caution in (Caution.EAGER, Caution.CAREFUL))] = results
    assert (Decision.MATCH, Decision.AMBIGUOUS) in answers
    assert (Decision.AMBIGUOUS, Decision.MATCH) not in answers


@pytest.mark.parametrize("way", ["names", "model"])
@pytest.mark.parametrize("query", ["turn on the kitchen lights", "turn on the lamp", "tell me a joke", "включи свет"])
def test_the_explanation_adds_up(matcher: Matcher, query: str, way: str) -> None:
    """Features sum to the score, whose softmax is the probability; the probable come first."""
    evidence = None
    if way == "model":
        deviations = {one.entity_id: (number % 5) - 2.0 for number, one in enumerate(home())}
        evidence = Evidence(deviations, deviations, {"area:kitchen": 3.0})
    request = MatchRequest(query, explain=True)
    result = matcher.match(request, evidence)
    shown = result.explanation
    assert shown is not None
    _, _, hypotheses = matcher.suppose(request, evidence)
    weights = Weights.load().with_model if evidence else Weights.load().without_model
    scores = hypotheses.scores(weights)
    total = np.exp(scores).sum()
    found = [probability for probability, _, _ in shown.readings]
    assert found == sorted(found, reverse=True)
    for probability, _, parts in shown.readings:
        assert parts.keys() <= set(FEATURES)
        score = sum(parts.values())
        assert np.abs(scores - score).min() < 0.0005 * max(len(parts), 1)
        assert np.exp(score) / total == pytest.approx(probability, rel=0.02)
    assert max(shown.kinds.values()) == next(iter(shown.kinds.values()))
    assert all(0 <= content <= 1 for content in shown.content.values())
    assert matcher.match(MatchRequest(query), evidence).explanation is None


def test_explaining_changes_nothing(matcher: Matcher) -> None:
    for query in ("turn on the kitchen lights", "turn off all lights except the mirror light", "tell me a joke"):
        plain, explained = _match(matcher, query), _match(matcher, query, explain=True)
        assert (plain.decision, plain.confidence, plain.targets) == (
            explained.decision,
            explained.confidence,
            explained.targets,
        )


def test_empty_home(grammar: Grammar) -> None:
    matcher = Matcher([], places(), grammar)
    assert (len(matcher), matcher.entity_ids, matcher.candidates) == (0, frozenset(), ())
    for query in ("turn on the sofa lamp", "turn off all lights except the fan", ""):
        for evidence in (None, Evidence({}, {})):
            result = matcher.match(MatchRequest(query), evidence)
            assert (result.decision, result.targets, result.ranking) == (Decision.NONE, (), ())
