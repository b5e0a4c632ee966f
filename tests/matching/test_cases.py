"""What is said in the home of cases.json, and what must come of it: with the real model, and without any."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from custom_components.semantic_home.matching import Decision, Grammar, Matcher, MatchRequest, MatchResult

from .common import CASES, Encode, Model, home, places, target_ids

type Way = Callable[[tuple[str, ...]], tuple[Matcher, Model]]


@pytest.fixture(scope="module")
def homes(encode: Encode, grammar: Grammar) -> Way:
    @cache
    def without(entity_ids: tuple[str, ...]) -> tuple[Matcher, Model]:
        candidates = home(without=entity_ids)
        assert len(candidates) == len(home()) - len(entity_ids)
        return Matcher(candidates, places(), grammar), Model(encode, candidates, places())

    return without


def _cases() -> Iterator[Any]:
    for case in CASES["cases"]:
        for way in ("model", "names"):
            if way in case:
                marks = [pytest.mark.xfail(reason=case["wrong"], strict=True)] if "wrong" in case else []
                (kind,) = case[way]
                yield pytest.param(case, way, id=f"{way}-{kind}-{case['say']}", marks=marks)


@pytest.mark.parametrize(("case", "way"), _cases())
def test_case(homes: Way, case: dict[str, Any], way: str) -> None:
    matcher, model = homes(tuple(case.get("without", ())))
    context = f"area:{case['context']}" if "context" in case else None
    evidence = model.evidence(case["say"]) if way == "model" else None
    _check(matcher.match(MatchRequest(case["say"], context_place=context), evidence), case[way])


def _check(result: MatchResult, expected: dict[str, Any]) -> None:
    targets = target_ids(result)
    match expected:
        case {"match": list(entity_ids)}:
            assert (result.decision, sorted(targets)) == (Decision.MATCH, sorted(entity_ids))
        case {"match": entity_id}:
            assert (result.decision, targets) == (Decision.MATCH, [entity_id])
        case {"ambiguous": entity_ids}:
            assert result.decision is Decision.AMBIGUOUS
            assert set(entity_ids) <= set(targets)
        case {"none": True}:
            assert (result.decision, targets) == (Decision.NONE, [])
        case {"first": entity_id}:
            assert result.ranking[0].candidate.entity_id == entity_id
        case {"not": entity_id}:
            assert (result.decision, targets) != (Decision.MATCH, [entity_id])
        case _:
            pytest.fail(f"cases.json: {expected}")


def test_cases_name_entities_of_the_home() -> None:
    known = {candidate.entity_id for candidate in home()}
    for case in CASES["cases"]:
        assert set(case.get("without", ())) <= known
        assert case.get("context") in {None, *CASES["areas"]}
        for way in ("model", "names"):
            for expected in case.get(way, {}).values():
                named = expected if isinstance(expected, list) else [expected]
                assert named == [True] or set(named) <= known


def test_rejections_are_no_afterthought() -> None:
    """A wrong match costs more than a question: there are as many sentences that must not match as half of all."""
    ways = [next(iter(case[way])) for case in CASES["cases"] for way in ("model", "names") if way in case]
    assert 2 * sum(kind in ("none", "not") for kind in ways) >= sum(kind == "match" for kind in ways)


def test_couch_lamp_is_the_models_merit(homes: Way) -> None:
    """Nothing in the home is called a couch but in the vocabulary; no name is said, and the model speaks for it."""
    query = "turn off the lamp next to the couch"
    matcher, model = homes(("light.bedside_left", "light.bedside_right"))
    result = matcher.match(MatchRequest(query), model.evidence(query))
    (best,) = result.targets
    assert (result.decision, best.candidate.entity_id) == (Decision.MATCH, "light.sofa_lamp")
    assert best.scores.dense is not None
    assert best.scores.dense > 1
