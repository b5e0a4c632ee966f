"""What is taken out: the sentence parted, and what comes of it in the home of cases.json."""

import pytest

from custom_components.semantic_home.matching import Decision, Grammar, Matcher, MatchRequest
from custom_components.semantic_home.matching.exclusion import Exclusions

from .common import CASES, home, places, target_ids

_LIGHTS = {entity_id for entity_id in CASES["entities"] if entity_id.startswith("light.")}


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("all lights except the desk lamp", ("all lights", "the desk lamp")),
        ("all lights except for the desk lamp", ("all lights", "the desk lamp")),
        ("Alle Lampen AUSSER der Stehlampe", ("alle lampen", "der stehlampe")),
        ("toutes les lampes sauf celle du salon", ("toutes les lampes", "celle du salon")),
        ("весь свет, кроме кухни", ("весь свет", "кухни")),
        ("όλα τα φώτα εκτός από την κουζίνα", ("ολα τα φωτα", "την κουζινα")),
        ("机のランプ以外の電気を消して", ("の電気を消して", "机のランフ")),
        ("masa lambası hariç bütün ışıkları kapat", ("butun isiklari kapat", "masa lambasi")),
        ("except for the hall, close all blinds", ("close all blinds", "the hall")),
        ("除了浴室灯，关掉所有的灯", ("关掉所有的灯", "浴室灯")),
    ],
)
def test_parts_of_a_sentence(query: str, parts: tuple[str, str]) -> None:
    found = Exclusions.load().split(query)
    assert found is not None
    # Combining marks that are letters of their own, as the voiced sound mark, fold away on both sides.
    assert tuple(found) == parts


@pytest.mark.parametrize(
    "query", ["", "turn on the sofa lamp", "an exceptional evening", "except", "all lights except", "osimhen", "除了"]
)
def test_nothing_is_taken_out(query: str) -> None:
    assert Exclusions.load().split(query) is None


@pytest.mark.parametrize(
    ("query", "excluded"),
    [
        ("turn off all lights except the mirror light", {"light.mirror"}),
        ("turn off all lights except those in the kitchen", {"light.kitchen_ceiling"}),
        ("schalte alle Lichter außer der Stehlampe aus", {"light.sofa_lamp"}),
        ("éteins toutes les lumières sauf la Mirror light", {"light.mirror"}),
        ("apaga todas las luces menos la Stehlampe", {"light.sofa_lamp"}),
        ("выключи весь свет кроме Люстра в детской", {"light.detskaya"}),
        ("Mirror light hariç tüm ışıkları kapat", {"light.mirror"}),
        ("除了浴室灯，关掉所有的灯", {"light.yushi"}),
    ],
)
def test_all_but(matcher: Matcher, query: str, excluded: set[str]) -> None:
    result = matcher.match(MatchRequest(query), None)
    assert (result.decision, set(target_ids(result))) == (Decision.MATCH, _LIGHTS - excluded)
    assert 0.8 < result.confidence <= 1
    assert [(found, sorted(ids)) for found, ids in result.options] == [(result.confidence, sorted(_LIGHTS - excluded))]


@pytest.mark.parametrize(
    "query",
    [
        # Not known what is meant, but well what is not.
        "turn off everything except the sofa lamp",
        "Mirror light 以外のライトを全部消して",
        "frobnicate whatever except the sofa lamp",
    ],
)
def test_what_is_excluded_is_never_acted_upon(matcher: Matcher, query: str) -> None:
    assert matcher.match(MatchRequest(query), None).decision is not Decision.MATCH


def test_nothing_to_take_out_is_no_match_of_all(matcher: Matcher) -> None:
    """Who excludes what the home lacks has something else in mind."""
    result = matcher.match(MatchRequest("turn off all lights except the swimming pool light"), None)
    assert result.decision is not Decision.MATCH


def test_within_what_is_allowed(grammar: Grammar) -> None:
    allowed = frozenset({"light.mirror", "light.sofa_lamp", "light.bedside_left"})
    request = MatchRequest("turn off all lights except the mirror light", allowed=allowed, limit=1)
    result = Matcher(home(), places(), grammar).match(request, None)
    assert set(target_ids(result)) == {"light.sofa_lamp", "light.bedside_left"}
    assert len(result.ranking) == 1, "a limit shortens the ranking, never what is acted upon"
