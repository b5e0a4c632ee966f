"""Home Assistant's own sentences over the names of a home."""

import builtins
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from custom_components.semantic_home.matching import (
    Candidate,
    Decision,
    Grammar,
    Matcher,
    MatchRequest,
    Place,
    RequestModel,
)
from custom_components.semantic_home.matching.grammar import Parse
from custom_components.semantic_home.matching.home import Home
from custom_components.semantic_home.matching.text import fold

from .common import home, places, target_ids


def _parse(grammar: Grammar, query: str, context: str | None = None, candidates: list[Candidate] | None = None) -> Any:
    """Parse with every name of the home offered; gives intent and entity ids, or None."""
    known = Home(candidates or home(), places())
    said = (np.ones(len(known.candidates)), np.ones(len(known.places)))
    number = next((row for row, place in enumerate(known.places) if place.id == context), None)
    parse = grammar.parse(query, known, RequestModel.load().read(fold(query)), said, number)
    if parse is None:
        return None
    options = {frozenset(known.candidates[one].entity_id for one in members) for members in parse.options}
    return parse, options


@pytest.mark.parametrize(
    ("query", "intent", "by_name", "entity_ids"),
    [
        ("turn on the sofa lamp", "HassTurnOn", True, {"light.sofa_lamp"}),
        ("turn off Stehlampe", "HassTurnOff", True, {"light.sofa_lamp"}),
        ("lock the front door", "HassTurnOn", True, {"lock.front_door"}),
        ("turn on the lights in the bedroom", "HassTurnOn", False, {"light.bedside_left", "light.bedside_right"}),
        ("set kitchen brightness to 50 percent", "HassLightSet", False, {"light.kitchen_ceiling"}),
    ],
)
def test_recognises(grammar: Grammar, query: str, intent: str, by_name: bool, entity_ids: set[str]) -> None:  # noqa: FBT001
    parse, options = _parse(grammar, query)
    assert (parse.intent, parse.by_name, parse.nothing) == (intent, by_name, False)
    assert options == {frozenset(entity_ids)}


@pytest.mark.parametrize("query", ["set a timer for five minutes", "what time is it", "add milk to my shopping list"])
def test_what_is_about_no_device(grammar: Grammar, query: str) -> None:
    parse, options = _parse(grammar, query)
    assert parse.nothing
    assert options == set()


@pytest.mark.parametrize(
    "query", ["", "???", "what is the capital of France", "turn on the submarine", "tell me a joke"]
)
def test_rejects(grammar: Grammar, query: str) -> None:
    assert _parse(grammar, query) is None


def test_several_of_one_name_are_all_possible(grammar: Grammar) -> None:
    lamps = [
        Candidate(f"light.{area}", ("Lamp",), "light", None, area, (f"area:{area}",)) for area in ("kitchen", "bedroom")
    ]
    _, options = _parse(grammar, "turn on the lamp", candidates=lamps)
    assert options == {frozenset({"light.kitchen"}), frozenset({"light.bedroom"})}


def test_area_from_context(grammar: Grammar) -> None:
    _, options = _parse(grammar, "turn on the lights", context="area:bedroom")
    assert options == {frozenset({"light.bedside_left", "light.bedside_right"})}


def test_only_names_that_are_said_are_tried(grammar: Grammar) -> None:
    known = Home(home(), places())
    said = (np.zeros(len(known.candidates)), np.zeros(len(known.places)))
    reading = RequestModel.load().read("turn on the sofa lamp")
    assert grammar.parse("turn on the sofa lamp", known, reading, said, None) is None


def test_a_name_is_no_template(grammar: Grammar) -> None:
    """What people call their things must not be read as hassil's syntax, nor break it."""
    odd = [Candidate("light.odd", ("Lamp (old) [x|y] {area} <name>",), "light"), *home()]
    parse, options = _parse(grammar, "turn on the sofa lamp", candidates=odd)
    assert options == {frozenset({"light.sofa_lamp"})}
    assert isinstance(parse, Parse)


def test_two_languages_have_two_grammars() -> None:
    german = Grammar.load("de")
    assert Grammar.load("de-AT") is Grammar.load("de-anything") is german, "nobody can fill the memory with dialects"
    assert Grammar.load("../data/de") is None
    assert german is not None
    _, options = _parse(german, "schalte die Stehlampe ein")
    assert options == {frozenset({"light.sofa_lamp"})}
    assert _parse(german, "turn on the lights in the bedroom") is None


@pytest.mark.parametrize(("language", "there"), [("en-GB", True), ("pt-BR", True), ("xx", False), ("", False)])
def test_languages(language: str, *, there: bool) -> None:
    assert (Grammar.load(language) is not None) is there


@pytest.fixture
def no_hassil(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation whose conversation integration is not there."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] in {"hassil", "home_assistant_intents"}:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    Grammar.load.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    yield
    monkeypatch.undo()
    Grammar.load.cache_clear()


@pytest.mark.usefixtures("no_hassil")
def test_without_hassil_nothing_else_is_missing() -> None:
    grammar = Grammar.load("en")
    assert grammar is None
    result = Matcher(home(), places(), grammar).match(MatchRequest("turn on the sofa lamp", explain=True), None)
    assert (result.decision, target_ids(result)) == (Decision.MATCH, ["light.sofa_lamp"])
    assert result.explanation is not None
    assert result.explanation.grammar is None


def test_the_grammar_is_evidence(grammar: Grammar) -> None:
    """What it recognises becomes more probable by it, and the explanation says so."""
    request = MatchRequest("turn on the sofa lamp", explain=True)
    with_it, without = (
        Matcher(home(), places(), grammar).match(request, None),
        Matcher(home(), places()).match(request, None),
    )
    assert with_it.explanation
    assert with_it.explanation.grammar == "HassTurnOn"
    assert with_it.confidence >= without.confidence
    timer = Matcher(home(), places(), grammar).match(replace(request, query="set a timer for five minutes"), None)
    assert timer.explanation
    assert (timer.decision, timer.explanation.grammar) == (Decision.NONE, "HassStartTimer")


def test_places_share_one_id_space(grammar: Grammar) -> None:
    """A floor and an area may have one name; both readings are offered to the matcher as they are."""
    candidates = [Candidate("light.a", ("Alpha",), "light", None, "Top", ("area:top", "floor:top"))]
    matcher = Matcher(candidates, [Place("area:top", "area", ("Top",)), Place("floor:top", "floor", ("Top",))], grammar)
    assert target_ids(matcher.match(MatchRequest("turn on the lights in the top"), None)) == ["light.a"]
