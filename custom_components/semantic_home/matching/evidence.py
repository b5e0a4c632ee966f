"""Similarities of a model made comparable between candidates, homes and models.

Some texts are near to everything ("hubs"), and every model has its own idea of what 0.6 means. What a similarity is
worth is therefore told by how near everyday sentences that mean nothing in particular come to the same candidate.
"""

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

# Beyond this many deviations more of them say nothing more.
_LIMIT = 10.0
# BGE-M3's hybrid score is a sum of the scores of its heads, so weighted (Chen et al. 2024, "M3-Embedding", section 3.2,
# arXiv:2402.03216; the weights are those of FlagEmbedding's own example, `weights_for_different_modes`). Here they
# weigh deviations, since what 0.1 means differs more between the heads than between models.
_HEADS = {"dense": 0.4, "sparse": 0.2, "colbert": 0.4}


class Background:
    """How near background sentences come to each candidate of a home."""

    @staticmethod
    def sentences() -> tuple[str, ...]:
        """Read the sentences from their data file. Blocking."""
        raw = json.loads(Path(__file__).with_name("background.json").read_text("utf-8"))
        return tuple(raw["sentences"])

    @classmethod
    def of(cls, scores: Mapping[str, NDArray[np.float32]]) -> Self:
        """Take each candidate's scores (sentences,), of one candidate at least."""
        return cls(list(scores), np.array(list(scores.values()), np.float32))

    def __init__(self, entity_ids: Sequence[str], cosines: NDArray[np.float32]) -> None:
        """Take cosines (candidates, sentences), one row an entity id."""
        means = cosines.mean(axis=1)
        self._means = dict(zip(entity_ids, means.tolist(), strict=True))
        # One spread for the home: with one a candidate, names that nothing resembles would win by their small one.
        self._spread = max(float((cosines - means[:, None]).std()), 1e-3)

    def evidence(self, cosines: Mapping[str, float]) -> dict[str, float]:
        """Turn a query's cosine with each candidate into deviations (-10 to 10) above all the other candidates.

        A candidate's mean with the background is taken off first, and a deviation is never less than the background's.
        Candidates that the background does not know are left out.
        """
        return compared(self.corrected(cosines))

    def corrected(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Turn a query's score with each candidate into the background's deviations above what is usual for it."""
        return {one: (score - self._means[one]) / self._spread for one, score in scores.items() if one in self._means}


def compared(corrected: Mapping[str, float]) -> dict[str, float]:
    """Turn the background's deviations into those (-10 to 10) above all the other candidates."""
    values = np.fromiter(corrected.values(), np.float64, len(corrected))
    return dict(zip(corrected, _above_the_others(values).tolist(), strict=True))


def hybrid(corrected: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Put what each head says (by its name: deviations by candidate) into one, of all that the dense one knows.

    Where another head says nothing of a candidate, those that do have its weight.
    """
    ids = corrected["dense"].keys()
    total, weights = np.zeros(len(ids)), np.zeros(len(ids))
    places = {one: place for place, one in enumerate(ids)}
    for head, found in corrected.items():
        rows = np.fromiter((places[one] for one in found), np.intp, len(found))
        said = np.fromiter(found.values(), np.float64, len(found))
        total[rows] += _HEADS[head] * np.clip(said, -_LIMIT, _LIMIT)
        weights[rows] += _HEADS[head]
    return dict(zip(ids, (total / weights).tolist(), strict=True))


def _above_the_others(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardise each value by the mean and spread of all but itself: a home of three is judged like one of 300."""
    others = len(values) - 1
    if others < 1:
        return np.clip(values, -_LIMIT, _LIMIT)
    mean = (values.sum() - values) / others
    variance = ((values**2).sum() - values**2) / others - mean**2
    deviations: NDArray[np.float64] = (values - mean) / np.sqrt(np.maximum(variance, 1.0))
    return np.clip(deviations, -_LIMIT, _LIMIT)
