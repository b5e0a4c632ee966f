"""Texts that somebody else has found are ranked by what is there: all tokens, one vector, or letters alone."""

import numpy as np
from numpy.typing import NDArray
import pytest

from custom_components.semantic_home.engine import Encoded
from custom_components.semantic_home.reranking import rerank

TEXTS = ["the lights go off at ten", "the heating is turned down every night", "who feeds the cat"]


def unit(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    matrix = np.array(rows, np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def test_letters_alone() -> None:
    scores = rerank("turn the heating down", TEXTS, None, None)
    assert scores.argmax() == 1
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_one_vector_counts_most_and_letters_break_the_tie() -> None:
    said, texts = Encoded(unit((1, 0))), Encoded(unit((1, 0), (1, 0), (0, 1)))
    scores = rerank("turn the heating down", TEXTS, said, texts)
    assert scores.argsort().tolist()[::-1] == [1, 0, 2]
    letters = rerank("turn the heating down", TEXTS, None, None)
    assert scores == pytest.approx(0.7 * np.array([1, 1, 0]) + 0.3 * letters, abs=1e-6)


def test_all_tokens_count_where_the_model_has_them() -> None:
    query = Encoded(unit((1, 0)), None, (unit((1, 0), (0, 1)),))
    # By its one vector the first text is as near as can be; only the last has something near to both tokens.
    tokens = (unit((1, 0)), unit((-1, 0)), unit((1, 0), (0, 1)))
    scores = rerank("", TEXTS, query, Encoded(unit((1, 0), (-1, 0), (0, 1)), None, tokens))
    assert scores.argmax() == 2
    assert scores[2] == pytest.approx(0.9, abs=1e-6)
    assert scores[0] == pytest.approx(0.45, abs=1e-6)


def test_nothing_to_rank() -> None:
    assert rerank("anything", [], None, None).tolist() == []
