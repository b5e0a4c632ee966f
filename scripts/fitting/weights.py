"""Fits the weights of the decision on cases, by listwise maximum likelihood, and tries them across homes.

Every hypothesis about a case gets a score that is linear in its features; the softmax over them is the probability of
each, and that of all which come to what was meant is maximised (L-BFGS, with a little ridge).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from custom_components.semantic_home.matching.hypotheses import FEATURES

type Floats = NDArray[np.float64]

_RIDGE = 2e-4
_FOR = {
    *("one.place", "one.place_concept", "one.context", "one.grammar", "one.evidence_name", "one.evidence_sentence"),
    *("one.form", "one.kind", "one.action", "all.kind", "all.action", "all.every", "all.place"),
    *("all.grammar", "all.evidence_place", "none.kind", "none.form", "none.grammar"),
}
# What the cases cannot teach: of two things with one name, the one in the satellite's room is meant.
_AT_LEAST = {"one.context": 2.0}
_AGAINST = {
    *("one.every", "one.other_place", "one.other_place_concept", "one.unexplained"),
    *("all.other_place", "all.no_place", "all.unexplained", "all.evidence_no_place"),
}


@dataclass(frozen=True)
class Example:
    """A case's hypotheses: features (hypotheses, FEATURES), which of them are what was meant, and what it counts."""

    case: Mapping[str, Any]
    features: Floats
    meant: NDArray[np.bool_]
    weight: float


def _bounds(name: str) -> tuple[float | None, float | None]:
    """Say which way a feature can point: a named place never speaks for what is elsewhere, whatever few cases say."""
    if name in _FOR:
        return 0.0, None
    return (None, 0.0) if name in _AGAINST else (None, None)


def fit(examples: Sequence[Example]) -> Floats:
    """Find the weights (FEATURES,)."""
    known = [one for one in examples if one.meant.any() and one.weight]
    counts = np.array([len(one.meant) for one in known])
    starts = np.cumsum([0, *counts])[:-1]
    owner = np.repeat(np.arange(len(known)), counts)
    features = np.concatenate([one.features for one in known])
    scale = features.std(axis=0) + 1e-3
    features = features / scale
    meant = np.concatenate([one.meant for one in known])
    weight = np.array([one.weight for one in known])

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = features @ weights
        shifted = np.exp(scores - np.maximum.reduceat(scores, starts)[owner])
        total = np.add.reduceat(shifted, starts)
        right = np.maximum(np.add.reduceat(shifted * meant, starts), 1e-30)
        lost = float(weight @ (np.log(total) - np.log(right))) + _RIDGE * len(known) * float(weights @ weights)
        pull = (shifted / total[owner] - shifted * meant / right[owner]) * weight[owner]
        return lost, features.T @ pull + 2 * _RIDGE * len(known) * weights

    start = np.zeros(len(FEATURES))
    bounds = [_bounds(name) for name in FEATURES]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    result: Floats = found.x / scale
    for name, least in _AT_LEAST.items():
        column = FEATURES.index(name)
        result[column] = max(result[column], least)
    return result
