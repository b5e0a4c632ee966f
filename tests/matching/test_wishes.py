"""What is to be done, read from Home Assistant's own sentences with any name in them."""

import pytest

from custom_components.semantic_home.matching import Wish, read_wish, toggles


@pytest.mark.parametrize(
    ("query", "language", "domain", "intent", "values"),
    [
        ("turn off the telly", "en", "media_player", "HassTurnOff", {}),
        (
            "could you set the brightness of the thingamajig to 30 percent",
            "en",
            "light",
            "HassLightSet",
            {"brightness": 30},
        ),
        ("set the thingamajig to red", "en", "light", "HassLightSet", {"color": "red"}),
        ("set the position of the big one to 40%", "en", "cover", "HassSetPosition", {"position": 40}),
        ("is the funzel on?", "en", "light", "HassGetState", {"state": "on"}),
        ("mach die Funzel aus", "de", "light", "HassTurnOff", {}),
        ("dimme die Funzel auf 20 Prozent", "de", "light", "HassLightSet", {"brightness": 20}),
        ("allume la loupiote", "fr", "light", "HassTurnOn", {}),
        ("zgaś lampkę nocną", "pl", "light", "HassTurnOff", {}),
        ("ausfall der Funzel einschalten", "de", "light", "HassTurnOn", {}),
        ("unlock the barn", "en", "lock", "HassTurnOff", {}),
        ("lock the barn", "en", "lock", "HassTurnOn", {}),
        # What sentences say of switches alone, people say of these, too.
        ("turn on the dust buster", "en", "vacuum", "HassVacuumStart", {}),
        ("turn off the dust buster", "en", "vacuum", "HassVacuumReturnToBase", {}),
        ("turn on the mist maker", "en", "humidifier", "HassTurnOn", {}),
    ],
)
def test_what_is_said_in_known_words(
    query: str, language: str, domain: str, intent: str, values: dict[str, object]
) -> None:
    wish = read_wish(query, language, {domain})
    assert wish is not None
    assert (wish.intent, wish.values, wish.certain) == (intent, values, True)


def test_the_words_of_values_are_kept() -> None:
    wish = read_wish("set the brightness of the thingamajig to 30 percent", "en", {"light"})
    assert wish is not None
    assert wish.said["brightness"] == "30"
    assert wish.response == "brightness"


@pytest.mark.parametrize(
    ("query", "domain"),
    [
        ("my lamp was a present from my aunt", "light"),
        ("the thing in the corner", "light"),
        ("set a timer for five minutes", "light"),
        ("", "light"),
    ],
)
def test_what_says_nothing_of_what_is_to_be_done(query: str, domain: str) -> None:
    wish = read_wish(query, "en", {domain})
    assert wish is None or (not wish.certain and wish.asks)


def test_a_value_is_no_part_of_a_name() -> None:
    said = read_wish("turn on the lamp to 50", "en", {"light"})
    assert said is None or said.intent != "HassTurnOn"
    # But for a thing that has the number in its name.
    wish = read_wish("turn on lamp 50", "en", {"light"}, ["Lamp 50"])
    assert wish is not None
    assert wish.intent == "HassTurnOn"


@pytest.mark.parametrize(
    ("query", "language", "domain", "intent", "values"),
    [
        ("pausier mal die Glotze", "de", "media_player", "HassMediaPause", {}),
        ("set the thing to 30 percent", "en", "light", "HassLightSet", {"brightness": 30}),
        # To switch a lock would be to lock or to unlock it: nobody can tell.
        ("switch on the barn", "en", "lock", "HassTurnOn", {}),
    ],
)
def test_a_guess_is_told_from_what_was_said(
    query: str, language: str, domain: str, intent: str, values: dict[str, object]
) -> None:
    guessed = read_wish(query, language, {domain})
    assert guessed is not None
    assert (guessed.intent, guessed.values, guessed.certain) == (intent, values, False)


@pytest.mark.parametrize("language", ["tlh", "xx", ""])
def test_a_language_without_sentences(language: str) -> None:
    wish = read_wish("turn off the telly", language, {"media_player"})
    assert wish == Wish("HassTurnOff", certain=False)


@pytest.mark.parametrize(
    ("query", "words", "expected"),
    [
        ("toggle the lamp", {"toggle"}, True),
        ("turn on the lamp", {"toggle"}, False),
        ("alterna la luz", {"Alternar"}, True),
        ("переключи свет", {"Переключить"}, True),
        ("turn on the lamp", set(), False),
    ],
)
def test_toggling(query: str, words: set[str], expected: bool) -> None:  # noqa: FBT001
    assert toggles(query, words) is expected
