"""A model's similarities made comparable."""

import statistics
import unicodedata

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

from custom_components.semantic_home.engine import OpenVINOEncoder, Role
from custom_components.semantic_home.matching import Background, compared, hybrid

_IDS = ("a", "b", "c", "d")


def _background(seed: int = 0) -> tuple[np.ndarray, Background]:
    cosines = np.random.default_rng(seed).normal(0.1, 0.05, (len(_IDS), 50)).astype(np.float32)
    return cosines, Background(_IDS, cosines)


def _evidence(background: Background, query: dict[str, float]) -> dict[str, float]:
    found = compared(background.corrected(list(query), np.array(list(query.values()))))
    return dict(zip(query, found.tolist(), strict=True))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_agrees_with_the_definition(seed: int, query: list[float]) -> None:
    cosines, background = _background(seed)
    means = [statistics.fmean(map(float, row)) for row in cosines]
    spread = statistics.pstdev(float(value) - mean for row, mean in zip(cosines, means, strict=True) for value in row)
    corrected = [(value - mean) / spread for value, mean in zip(query, means, strict=True)]
    expected = []
    for place, value in enumerate(corrected):
        others = corrected[:place] + corrected[place + 1 :]
        deviation = (value - statistics.fmean(others)) / max(statistics.pstdev(others), 1)
        expected.append(max(-10, min(10, deviation)))
    found = _evidence(background, dict(zip(_IDS, query, strict=True)))
    assert list(found.values()) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_a_hub_gains_nothing_from_being_near_to_everything() -> None:
    cosines, background = _background()
    query = {"a": 0.3, "b": 0.1, "c": 0.12, "d": 0.08}
    hub = cosines.copy()
    hub[1] += 0.5
    assert _evidence(Background(_IDS, hub), query | {"b": 0.6}) == pytest.approx(_evidence(background, query), abs=1e-3)


@pytest.mark.parametrize(("scale", "shift"), [(0.3, 0.6), (2, -0.1)])
def test_another_models_idea_of_near_makes_no_difference(scale: float, shift: float) -> None:
    cosines, background = _background()
    query = {"a": 0.3, "b": 0.1, "c": 0.12, "d": 0.08}
    other = Background(_IDS, cosines * np.float32(scale) + np.float32(shift))
    assert _evidence(other, {key: value * scale + shift for key, value in query.items()}) == pytest.approx(
        _evidence(background, query), abs=1e-3
    )


def test_the_one_that_stands_out_is_not_hidden_by_itself() -> None:
    _, background = _background()
    found = _evidence(background, {"a": 0.4, "b": 0.1, "c": 0.1, "d": 0.1})
    assert found["a"] > 4
    assert all(found[other] < 0 for other in "bcd")


def test_bounded() -> None:
    _, background = _background()
    found = _evidence(background, {"a": 1.0, "b": -1.0, "c": -1.0, "d": -1.0})
    assert found["a"] == 10
    assert min(found.values()) >= -10


def test_candidates_in_any_order_and_some_of_them() -> None:
    _, background = _background()
    scores = np.array([0.3, 0.1, 0.12, 0.08])
    corrected = background.corrected(list(_IDS), scores)
    assert background.corrected(["c", "a"], scores[[2, 0]]).tolist() == corrected[[2, 0]].tolist()
    assert compared(background.corrected([], np.zeros(0))).tolist() == []


def test_heads_are_weighed_and_those_that_say_nothing_left_out() -> None:
    dense = np.array([2.0, 1.0, -3.0])
    found = hybrid(
        {"dense": dense, "sparse": np.array([40.0, 0.0, np.nan]), "colbert": np.array([1.0, np.nan, np.nan])}
    )
    assert found.tolist() == pytest.approx([0.4 * 2 + 0.2 * 10 + 0.4 * 1, (0.4 * 1 + 0.2 * 0) / 0.6, -3.0])
    assert hybrid({"dense": dense}).tolist() == pytest.approx(dense.tolist())


def test_a_single_candidate_is_judged_by_the_background() -> None:
    cosines, _ = _background()
    background = Background(["a"], cosines[:1])
    mean = float(cosines[0].mean())
    assert _evidence(background, {"a": mean})["a"] == pytest.approx(0, abs=1e-3)
    assert _evidence(background, {"a": mean + 0.2})["a"] > 3


def test_a_background_without_spread() -> None:
    found = _evidence(Background(["a", "b"], np.full((2, 3), 0.5, np.float32)), {"a": 0.5, "b": 0.5})
    assert found == {"a": 0, "b": 0}


_ONE_A_LANGUAGE = {
    "en": "turn it on", "de": "schalte es ein", "fr": "allume ça", "es": "enciéndelo", "it": "accendilo",
    "nl": "zet het aan", "pt": "liga isso", "pl": "włącz to", "cs": "zapni to", "ru": "включи это", "uk": "увімкни це",
    "sv": "sätt på den", "da": "tænd for det", "no": "slå den på", "fi": "laita se päälle", "hu": "kapcsold be",
    "ro": "pornește asta", "tr": "aç şunu", "el": "άναψέ το", "ar": "شغله", "he": "הדלק את זה", "hi": "इसे चालू करो",
    "zh": "打开它", "ja": "それをつけて", "ko": "그거 켜 줘",
}  # fmt: skip


def test_sentences_are_many_and_of_many_languages() -> None:
    sentences = Background.sentences()
    assert len(sentences) >= 100
    assert len(set(sentences)) == len(sentences)
    assert all(sentence == sentence.strip() != "" for sentence in sentences)
    assert set(_ONE_A_LANGUAGE.values()) <= set(sentences)
    scripts = {unicodedata.name(char).split()[0] for text in sentences for char in text if char.isalpha()}
    assert scripts == {
        "LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "CJK", "HIRAGANA", "HANGUL",
    }  # fmt: skip


def test_sentences_are_told_apart_by_the_real_model(encoder: OpenVINOEncoder) -> None:
    """Sentences that were one vector to the model would count twice; a few in scripts that it cannot read may."""
    english = [sentence for sentence in Background.sentences() if sentence.isascii()]
    dense = encoder.encode(english, Role.QUERY).dense
    similar = dense @ dense.T - 2 * np.eye(len(dense), dtype=np.float32)
    assert similar.max() < 0.97
