"""Texts found by what they share with a query, against a plain rewriting of the definition."""

from collections.abc import Mapping
import math

from hypothesis import given, strategies as st
import numpy as np
import pytest

from custom_components.semantic_home.matching.text import fold, trigrams
from custom_components.semantic_home.text_index import TextIndex, concepts_of, letters_of, words_of

NAMES = st.sampled_from("abcde")
TEXTS = st.text("abcdä 灯室", max_size=12)
# Put texts under a name, or with None remove it.
CHANGES = st.lists(st.tuples(NAMES, st.none() | st.lists(TEXTS, max_size=2)), max_size=30)


def words(query: str) -> dict[frozenset[str], float]:
    return words_of(dict.fromkeys(fold(query).split(), 1.0))


def find(texts: Mapping[str, str], query: str) -> dict[str, float]:
    index = TextIndex()
    for name, text in texts.items():
        index.put(name, [text])
    return dict(zip(texts, index.scores(words(query)).tolist(), strict=True))


def naive(texts: Mapping[str, list[str]], names: list[str], query: str) -> list[float]:
    """Say what a text's words are worth by going through all of them."""
    letters = {name: frozenset().union(*(trigrams(fold(text)) for text in texts[name])) for name in names}
    there = {
        (name, word): max(len(letters[name] & word) / len(word) - 0.4, 0.0) / 0.6
        for name in names
        for word in words(query)
    }
    worth = {word: math.log(1 + len(names) / (1 + sum(there[name, word] for name in names))) for word in words(query)}
    usual = max(sum(map(len, letters.values())) / max(len(names), 1), 1.0)
    return [
        sum(worth[word] * there[name, word] for word in worth)
        / (sum(worth.values()) or 1.0)
        / math.sqrt(max(0.7 + 0.3 * len(letters[name]) / usual, 1.0))
        for name in names
    ]


@given(CHANGES, TEXTS, st.sets(NAMES))
def test_scores_are_those_of_the_definition_after_any_changes(
    changes: list[tuple[str, list[str] | None]], query: str, some: set[str]
) -> None:
    index, texts = TextIndex(), dict[str, list[str]]()
    for name, put in changes:
        texts.pop(name, None)
        if put is None:
            index.remove(name)
        else:
            index.put(name, put)
            texts[name] = put
    assert index.scores(words(query)) == pytest.approx(naive(texts, list(texts), query), abs=1e-9)
    chosen = [name for name in texts if name in some]
    assert index.scores(words(query), chosen) == pytest.approx(naive(texts, chosen, query), abs=1e-9)


def test_a_name_whose_texts_change_often_is_still_one() -> None:
    index, fresh = TextIndex(), TextIndex()
    for number in range(1000):
        index.put("same", [f"text {number}"])
    index.put("other", ["the other text"])
    fresh.put("same", ["text 999"])
    fresh.put("other", ["the other text"])
    # What was there before makes words look a little rarer until the rest is written anew.
    np.testing.assert_allclose(index.scores(words("text 999")), fresh.scores(words("text 999")))
    assert index.scores(words("text 998"))[0] < index.scores(words("text 999"))[0]


@given(TEXTS)
def test_word_by_word_letters_are_those_of_the_whole(text: str) -> None:
    assert letters_of(text) == trigrams(fold(text))


def test_an_inflected_word_is_found_and_chance_is_not() -> None:
    found = find({"window": "a window is open", "winter": "in winter it is cold"}, "windows")
    assert found["window"] > 0.4 > found["winter"] == pytest.approx(0, abs=0.1)


def test_what_is_written_without_blanks_is_found_in_parts() -> None:
    found = find({"lamp": "打开客厅的灯", "door": "关上车库门"}, "客厅的灯亮着")
    assert found["lamp"] > found["door"] == 0


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    found = find({"a": "the bin", "b": "the lamp", "c": "the door", "d": "the wall"}, "the lamp")
    assert found["b"] > 2 * found["a"] > 0


def test_things_of_a_household_are_the_same_in_every_language() -> None:
    assert concepts_of("Das Garagentor") & concepts_of("the garage door") >= {"garage_door", "door"}
    index = TextIndex(concepts_of)
    index.put("vacuum", ["Vacuum cleaner returned to dock"])
    index.put("door", ["Front door was opened"])
    scores = index.scores({frozenset({one}): 1.0 for one in concepts_of("der Staubsauger")})
    assert scores[0] > 0.5
    assert scores[1] == 0


def test_telling_words_are_the_rare_ones_of_what_is_named() -> None:
    index = TextIndex()
    index.put("a", ["the heron stands"])
    index.put("b", ["the lamp stands"])
    told = index.telling(["a"], ["heron", "the", "lamp"])
    assert told.keys() == {"heron", "the"}
    assert told["heron"] > told["the"]


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert TextIndex().scores(words("lamp")).tolist() == []
    assert find({"a": "lamp"}, "") == {"a": 0.0}
