"""Places hidden behind signs, so that a request reads the same whatever they are called."""

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
from custom_components.semantic_home.matching.place_names import SIGNS, PlaceNames
from custom_components.semantic_home.matching.text import fold

from .common import target_ids

_AREA, _FLOOR = SIGNS["area"], SIGNS["floor"]
_NAMES = PlaceNames(
    [("area", "Den"), ("area", "Den Annex"), ("area", "客厅"), ("floor", "Attic"), ("area", "Attic"), ("area", "!?")]
)


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("lights in the DEN please", f"lights in the {_AREA} please"),
        ("the den annex", f"the {_AREA}"),
        ("打开客厅的灯", f"打开{_AREA}的灯"),
        ("up in the attic", f"up in the {_FLOOR}"),
        ("a golden garden", "a golden garden"),
    ],
)
def test_names_are_hidden_where_they_stand_whole(said: str, hidden: str) -> None:
    assert _NAMES.hide(fold(said)) == hidden


def test_words_of_names_are_known() -> None:
    assert _NAMES.words("the den annex and the 客厅") == {"den", "annex", "客", "厅"}
    assert not _NAMES.words("nothing of the kind")


def test_no_place_hides_nothing() -> None:
    assert PlaceNames([]).hide("in the den") == "in the den"


def test_a_room_of_any_name_is_a_room() -> None:
    den = PlaceNames([("area", "Den")])
    plain, known = (RequestModel.load().read("turn on the lights in the den", places) for places in (None, den))
    assert known.forms["area"] > plain.forms["area"]
    assert known.content[-1] > plain.content[-1]


@pytest.mark.parametrize("room", ["Den", "Snug", "Anna", "Zimmer von Opa"])
def test_everything_of_a_kind_in_a_room_of_any_name(room: str, grammar: Grammar) -> None:
    places = [Place("area:one", "area", (room,)), Place("area:other", "area", ("Kitchen",))]
    lights = [
        Candidate(f"light.{place.id[5:]}_{name}", (f"{name} light",), "light", None, place.names[0], (place.id,))
        for place in places
        for name in ("desk", "wall")
    ]
    result = Matcher(lights, places, grammar).match(MatchRequest(f"turn on the lights in the {room}"), None)
    assert (result.decision, sorted(target_ids(result))) == (Decision.MATCH, ["light.one_desk", "light.one_wall"])
