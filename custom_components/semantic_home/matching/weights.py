"""The numbers of the decision: what each feature counts, and what being right or wrong is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .hypotheses import FEATURES
from .types import Caution


@dataclass(frozen=True, slots=True)
class Costs:
    """What an answer is worth; a question costs the same whether it was needed or not."""

    right: float
    wrong: float
    question: float
    missed: float


@dataclass(frozen=True, slots=True)
class Weights:
    """What scripts/fit_matcher.py found. `with_model`, `without_model`: (FEATURES,) float64."""

    with_model: NDArray[np.float64]
    without_model: NDArray[np.float64]
    costs: Mapping[Caution, Costs]

    @staticmethod
    @cache
    def load() -> Weights:
        """Read the committed weights, once. Blocking."""
        raw = json.loads(Path(__file__).with_name("weights.json").read_text("utf-8"))
        return Weights(
            _vector(raw["with_model"]),
            _vector(raw["without_model"]),
            {Caution(caution): Costs(**costs) for caution, costs in raw["costs"].items()},
        )


def _vector(weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Put named weights in the order of the features. Raises ValueError when they are not of these features."""
    if unknown := weights.keys() ^ set(FEATURES):
        raise ValueError(f"The weights are of other features: {sorted(unknown)}")
    return np.array([weights[name] for name in FEATURES], np.float64)
