"""Similarities of a model made comparable between candidates, homes and models.

Some texts are near to everything ("hubs"), and every model has its own idea of what 0.6 means. What a similarity is
worth is therefore told by how near everyday sentences that mean nothing in particular come to the same candidate.
"""

from collections.abc import Mapping, Sequence
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Beyond this many deviations more of them say nothing more.
_LIMIT = 10.0


class Background:
    """How near background sentences come to each candidate of a home."""

    @staticmethod
    def sentences() -> tuple[str, ...]:
        """Read the sentences from their data file. Blocking."""
        raw = json.loads(Path(__file__).with_name("background.json").read_text("utf-8"))
        return tuple(raw["sentences"])

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
        known = [entity_id for entity_id in cosines if entity_id in self._means]
        corrected = np.array([(cosines[known_id] - self._means[known_id]) / self._spread for known_id in known])
        return dict(zip(known, _above_the_others(corrected).tolist(), strict=True))


def _above_the_others(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardise each value by the mean and spread of all but itself: a home of three is judged like one of 300."""
    others = len(values) - 1
    if others < 1:
        return np.clip(values, -_LIMIT, _LIMIT)
    mean = (values.sum() - values) / others
    variance = ((values**2).sum() - values**2) / others - mean**2
    deviations: NDArray[np.float64] = (values - mean) / np.sqrt(np.maximum(variance, 1.0))
    return np.clip(deviations, -_LIMIT, _LIMIT)
