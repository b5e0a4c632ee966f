"""Similarities of a model made comparable between candidates, homes and models.

Some texts are near to everything ("hubs"), and every model has its own idea of what 0.6 means. What a similarity is
worth is therefore told by how near everyday sentences that mean nothing in particular come to the same candidate.
"""

from collections.abc import Iterable, Mapping, Sequence
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]

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

    def __init__(self, ids: Iterable[str], scores: NDArray[np.float32]) -> None:
        """Take scores (candidates, sentences), one row an id, one at least."""
        self._ids = list(ids)
        self._rows = {one: row for row, one in enumerate(self._ids)}
        self._means = scores.mean(axis=1).astype(np.float64)
        # One spread for the home: with one a candidate, names that nothing resembles would win by their small one.
        self._spread = max(float((scores - scores.mean(axis=1)[:, None]).std()), 1e-3)

    def corrected(self, ids: Sequence[str], scores: NDArray[np.floating]) -> Floats:
        """Turn a query's scores with candidates that it knows (n,) into its deviations above what is usual for each.

        Quick in the order in which they were given.
        """
        means = self._means
        if ids != self._ids:
            means = means[[self._rows[one] for one in ids]]
        deviations: Floats = (scores - means) / self._spread
        return deviations


def compared(corrected: Floats) -> Floats:
    """Turn the background's deviations (n,) into those (-10 to 10) above all the other candidates.

    A deviation is never less than the background's.
    """
    # Each by the mean and spread of all but itself: a home of three is judged like one of 300.
    others = len(corrected) - 1
    if others < 1:
        return np.clip(corrected, -_LIMIT, _LIMIT)
    mean = (corrected.sum() - corrected) / others
    variance = ((corrected**2).sum() - corrected**2) / others - mean**2
    deviations: Floats = (corrected - mean) / np.sqrt(np.maximum(variance, 1.0))
    return np.clip(deviations, -_LIMIT, _LIMIT)


def hybrid(corrected: Mapping[str, Floats]) -> Floats:
    """Put what each head says (by its name, (n,)) into one.

    Where another head says nothing of a candidate (NaN), those that do have its weight.
    """
    weights = np.array([[_HEADS[head]] for head in corrected])
    values = np.clip(np.array(list(corrected.values())), -_LIMIT, _LIMIT)
    silent = np.isnan(values)
    total: Floats = np.where(silent, 0.0, weights * values).sum(axis=0) / np.where(silent, 0.0, weights).sum(axis=0)
    return total
