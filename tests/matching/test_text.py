"""Folding and trigrams, in several scripts."""

import unicodedata

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.semantic_home.matching.text import fold, trigrams, weighed_trigrams


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Sofa lamp", "sofa lamp"),
        ("  SOFA--Lamp!! ", "sofa lamp"),
        ("light.sofa_lamp", "light sofa lamp"),
        ("Küchenlicht", "kuchenlicht"),
        ("Ku\u0308chenlicht", "kuchenlicht"),
        ("Übergröße", "ubergrosse"),
        ("Łazienka", "lazienka"),
        ("Køkkenet på første", "kokkenet pa forste"),
        ("Þvottahús", "thvottahus"),
        ("Çalışma odası IŞIĞI", "calisma odasi isigi"),
        ("İstanbul", "istanbul"),
        ("ΦΩΣ κουζίνας", "φωσ κουζινασ"),
        ("Люстра в Детской", "люстра в детскои"),
        ("Lamp №2", "lamp no2"),
        ("ＬＥＤ　ライト", "led ライト"),
        ("\uff97\uff72\uff84", "ライト"),
        ("浴室灯！", "浴室灯"),
        ("מנורה", "מנורה"),
        ("رَفّ", "رف"),
        ("रसोई", "रसोई"),
        ("20 °C", "20 c"),
        ("x²", "x2"),
        ("", ""),
        (" \t\u00a0\n", ""),
        ("?!…💡", ""),
    ],
)
def test_fold(text: str, folded: str) -> None:
    # The expected side may be written composed; what counts is that both come out alike.
    assert fold(text) == unicodedata.normalize("NFKD", folded)


_ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)


@settings(deadline=None, max_examples=500)
@given(_ANY_TEXT)
def test_fold_twice_is_fold_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_no_character_needs_folding_twice() -> None:
    unstable = [char for char in map(chr, range(0x110000)) if fold(fold(char)) != fold(char)]
    assert unstable == []


@settings(deadline=None, max_examples=500)
@given(_ANY_TEXT)
def test_case_and_composition_do_not_matter(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))
    assert fold(f" {text}. ") == fold(text)
    if text.isascii():
        assert fold(text.upper()) == fold(text.lower())


@pytest.mark.parametrize(
    ("folded", "grams"),
    [
        ("", set()),
        ("a", {" a "}),
        ("tv", {" tv", "tv "}),
        ("lamp", {" la", "lam", "amp", "mp "}),
        ("tv on", {" tv", "tv ", " on", "on "}),
        ("свет", {" св", "све", "вет", "ет "}),
        ("灯", {"灯"}),
        ("浴室灯", {"浴室", "室灯"}),
        ("led灯", {"le", "ed", "d灯"}),
        ("ライト on", {"ライ", "イト", " on", "on "}),
        ("ไฟห้อง", {"ไฟ", "ฟห", "ห้", "้อ", "อง"}),
    ],
)
def test_trigrams(folded: str, grams: set[str]) -> None:
    assert trigrams(folded) == grams


@settings(deadline=None, max_examples=500)
@given(_ANY_TEXT)
def test_what_folds_to_something_has_trigrams(text: str) -> None:
    folded = fold(text)
    grams = trigrams(folded)
    assert bool(grams) == bool(folded)
    assert all(1 <= len(gram) <= 3 and gram.strip() for gram in grams)


@settings(deadline=None)
@given(_ANY_TEXT, _ANY_TEXT)
def test_trigrams_of_two_texts_are_those_of_each(left: str, right: str) -> None:
    left, right = fold(left), fold(right)
    assert trigrams(f"{left} {right}") == trigrams(left) | trigrams(right)


def test_trigrams_weigh_what_their_weightiest_word_weighs() -> None:
    grams = weighed_trigrams("beside the bed 浴室灯", {"beside": 0.3, "the": 0.3, "bed": 0.8})
    assert grams.keys() == trigrams("beside the bed 浴室灯")
    assert (grams["sid"], grams["bed"], grams[" be"], grams["浴室"]) == (0.3, 0.8, 0.8, 1.0)
