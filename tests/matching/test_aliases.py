"""What a request calls a thing, and whether that would be a good alias."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from custom_components.semantic_home import matching
from custom_components.semantic_home.matching import Candidate, Grammar, Home, Place, is_good_alias, named_words
from custom_components.semantic_home.matching.request_names import _named

PACKAGE = Path(matching.__file__).parent
TV, LAMP = "media_player.tv", "light.sofa_lamp"
LIVING, KITCHEN = "area:living_room", "area:kitchen"
THINGS = [
    Candidate(LAMP, ("Sofa lamp", "Stehlampe"), "light", None, "Living room", (LIVING,)),
    Candidate("light.ceiling", ("Ceiling lights",), "light", None, "Living room", (LIVING,)),
    Candidate("light.kitchen", ("Kitchen lights", "Küchenlicht"), "light", None, "Kitchen", (KITCHEN,)),
    Candidate(TV, ("Television",), "media_player", None, "Living room", (LIVING,)),
    Candidate("media_player.radio", ("Kitchen radio",), "media_player", None, "Kitchen", (KITCHEN,)),
    Candidate("lock.front", ("Front door", "Haustür"), "lock"),
    Candidate("vacuum.robot", ("Dust Buster",), "vacuum", None, "Kitchen", (KITCHEN,)),
    Candidate("cover.awning", ("Markise", "awning"), "cover", "awning"),
]
PLACES = [
    Place(LIVING, "area", ("Living room",)),
    Place(KITCHEN, "area", ("Kitchen", "Küche")),
    Place("floor:ground", "floor", ("Ground floor", "downstairs")),
]


@pytest.fixture(scope="module")
def house() -> Home:
    return Home(THINGS, PLACES)


def called(query: str, language: str, entity_id: str = TV) -> str | None:
    one = next(one for one in THINGS if one.entity_id == entity_id)
    return named_words(query, language, one, tuple(PLACES))


@pytest.mark.parametrize(
    ("language", "query", "entity_id", "words"),
    [
        ("en", "turn off the telly", TV, "telly"),
        ("en", "Turn off the Gogglebox!", TV, "Gogglebox"),
        ("en", "could you turn off the gogglebox please", TV, "gogglebox"),
        ("en", "turn off the gogglebox in the kitchen", TV, "gogglebox"),
        ("en", "set the gogglebox volume to 20", TV, "gogglebox"),
        ("en", "turn on the reading nook", LAMP, "reading nook"),
        ("en", "unlock the portcullis", "lock.front", "portcullis"),
        ("en", "start the hoover", "vacuum.robot", "hoover"),
        ("en", "turn it off", TV, "it"),
        ("de", "mach die Glotze aus", TV, "Glotze"),
        ("de", "schalte bitte die Glotze ein", TV, "Glotze"),
        ("de", "schalte die Funzel an", LAMP, "Funzel"),
        ("de-CH", "mach die Glotze aus", TV, "Glotze"),
        ("fr", "éteins l'écran", TV, "écran"),
        ("es", "apaga la caja tonta", TV, "caja tonta"),
        ("nl", "zet de beeldbuis uit", TV, "beeldbuis"),
    ],
)
def test_the_words_that_name_it(language: str, query: str, entity_id: str, words: str) -> None:
    assert called(query, language, entity_id) == words


@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("en", "turn off the lights in the living room"),
        ("en", "turn on the lamp"),
        ("de", "schalte das Licht in der Küche an"),
    ],
)
def test_what_is_understood_without_a_name_names_nothing(language: str, query: str) -> None:
    assert called(query, language, LAMP) is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("kill the gogglebox now", "gogglebox"),
        ("please kill the gogglebox now", "gogglebox"),
        ("dim the big one by the window", None),
        ("do something about it", None),
        ("箱を静かにして", None),
    ],
)
def test_without_a_sentence_that_fits(query: str, words: str | None) -> None:
    assert called(query, "en") == words


@pytest.mark.parametrize(("query", "words"), [("turn off the telly", "telly"), ("turn it off", None)])
def test_without_the_packages(query: str, words: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name in {"hassil", "home_assistant_intents"}:
            raise ImportError(name)
        return imported(name, *args)

    Grammar.load.cache_clear()
    _named.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    try:
        assert called(query, "en") == words
    finally:
        Grammar.load.cache_clear()
        _named.cache_clear()


@pytest.mark.parametrize(
    ("words", "entity_id"),
    [
        ("telly", TV),
        ("gogglebox", TV),
        ("Glotze", TV),
        ("Fernseher", TV),
        ("reading nook", LAMP),
        ("boîte à images", TV),
        ("アイロン台", LAMP),
        ("hoover", "vacuum.robot"),
        ("portcullis", "lock.front"),
    ],
)
def test_good(words: str, entity_id: str, house: Home) -> None:
    assert is_good_alias(words, entity_id, "en", house)


@pytest.mark.parametrize(
    "words",
    [
        # What it is called already, or a slip.
        "Television",
        "tellevision",
        "televisions",
        # What others are called, or as well.
        "sofa",
        "radio",
        "buster",
        "kitchen radio",
        # Places, and what is in them.
        "kitchen",
        "Küche",
        "downstairs",
        "kitchen telly",
        "bathroom",
        # Kinds.
        "light",
        "lamp",
        "Licht",
        "das Licht",
        "big lamp",
        # What only points at something.
        "it",
        "that one",
        "Ding",
        "the second one",
        "the other one",
        "both",
        "big one",
        "left",
        # What is no name by its form.
        "tv",
        "42",
        "箱",
        "one two three four",
        "x" * 41,
        "…",
        "",
    ],
)
def test_bad(words: str, house: Home) -> None:
    assert not is_good_alias(words, TV, "de" if words in {"Licht", "das Licht", "Ding"} else "en", house)


def test_what_fits_two_names_none() -> None:
    two = Home([*THINGS, Candidate("media_player.bedroom", ("Bedroom TV",), "media_player")], PLACES)
    assert not is_good_alias("telly", TV, "en", two)
    assert is_good_alias("gogglebox", TV, "en", two)


def test_what_home_assistant_calls_a_kind_is_no_part_of_a_name() -> None:
    windows = [Candidate(f"cover.{room}", (f"{room.title()} Window",), "cover") for room in ("hall", "attic")]
    assert not is_good_alias("window cover", "cover.hall", "en", Home(windows, []))
    assert not is_good_alias("cover", "cover.hall", "en", Home(windows, []))
    assert is_good_alias("peephole cover", "cover.hall", "en", Home(windows, []))


def test_lists_name_concepts_that_there_are() -> None:
    things = json.loads((PACKAGE / "vocabulary.json").read_text("utf-8"))["things"]
    listed = json.loads((PACKAGE / "aliases.json").read_text("utf-8"))
    assert {*listed["kinds"], *listed["describing"]} <= things.keys()
