"""What things and places are called in many languages."""

import json
from pathlib import Path

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.semantic_home import matching
from custom_components.semantic_home.matching import Vocabulary
from custom_components.semantic_home.matching.text import fold

_RAW = json.loads((Path(matching.__file__).parent / "vocabulary.json").read_text("utf-8"))


def _find(text: str) -> frozenset[str]:
    return Vocabulary.load().find(fold(text))


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("kitchen", "kitchen"), ("Küche", "kitchen"), ("cuisine", "kitchen"), ("cocina", "kitchen"),
        ("кухня", "kitchen"), ("κουζίνα", "kitchen"), ("キッチン", "kitchen"), ("厨房", "kitchen"),
        ("रसोई", "kitchen"), ("주방", "kitchen"), ("מטבח", "kitchen"), ("مطبخ", "kitchen"), ("ห้องครัว", "kitchen"),
        ("Wohnzimmer", "living_room"), ("salon", "living_room"), ("гостиная", "living_room"),
        ("lamppu", "lamp"), ("oprawa roleta", "shutter"), ("fenêtre", "window"), ("窗帘", "curtain"),
    ],
)  # fmt: skip
def test_many_languages_and_scripts(text: str, concept: str) -> None:
    assert concept in _find(text)


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        # The longest known part first: a table lamp is no table.
        ("Tischlampe", {"table_lamp"}),
        ("Wohnzimmerlampe", {"living_room", "lamp"}),
        ("Küchenfenster", {"kitchen", "window"}),
        ("Schlafzimmerfenster", {"bedroom", "window"}),
    ],
)
def test_compounds_are_taken_apart(text: str, concepts: set[str]) -> None:
    assert _find(text) == concepts


def test_too_little_of_a_word_is_no_compound() -> None:
    assert _find("Lampenfieberkurvenberechnung") == frozenset()
    assert _find("xyzzyplugh") == frozenset()


@pytest.mark.parametrize(
    ("text", "concept", "part"),
    [
        ("ceiling fan", "ceiling_fan", "fan"),
        ("garage door", "garage_door", "garage"),
        ("living room", "living_room", None),
        ("washing machine", "washing_machine", None),
        ("ventilateur de plafond", "ceiling_fan", "fan"),
    ],
)
def test_phrases_come_before_their_words(text: str, concept: str, part: str | None) -> None:
    found = _find(f"the {text} please")
    assert concept in found
    assert part not in found
    if part:
        assert part in _find(part)


@pytest.mark.parametrize(
    ("text", "concept"),
    [("lamps", "lamp"), ("kitchens", "kitchen"), ("Lampen", "lamp"), ("кухней", "kitchen"), ("keittiössä", "kitchen")],
)
def test_inflected_words(text: str, concept: str) -> None:
    assert concept in _find(text)


def test_every_word_finds_its_concept() -> None:
    for group in ("places", "things"):
        for concept, languages in _RAW[group].items():
            for language, said in languages.items():
                for word in said:
                    phrase = len(fold(word).split()) <= 4
                    assert concept in _find(word) or not phrase, (concept, language, word)


def test_languages_are_many() -> None:
    of_places = [set(languages) for languages in _RAW["places"].values()]
    assert len(set.union(*of_places)) >= 60
    assert len(set.intersection(*of_places)) >= 40, "each place is named in most of them"


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    found = _find(text)
    assert found <= _RAW["places"].keys() | _RAW["things"].keys()
    assert found == _find(text.upper()) or not text.isascii()
