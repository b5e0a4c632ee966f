"""What each finding about a piece of knowledge counts, as scripts/evaluate_knowledge.py --fit has found it."""

from collections.abc import Mapping
from functools import cache
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WEIGHTS = Path(__file__).with_name("knowledge_weights.json")
CONSTANT = "constant"

type Findings = Mapping[str, NDArray[np.float64]]


def probability(findings: Findings) -> NDArray[np.float64]:
    """Say how probably each piece (n,) is what was meant, by a logistic function of all that was found about it."""
    weights = _load()[name_of(findings)]
    score = sum((weights[name] * values for name, values in findings.items()), np.float64(weights[CONSTANT]))
    return 1 / (1 + np.exp(-np.asarray(score)))


def name_of(findings: Findings) -> str:
    """Name the weights that these findings have together."""
    return "+".join(sorted(findings))


def forget() -> None:
    """Read the file again when it is needed."""
    _load.cache_clear()


@cache
def _load() -> dict[str, dict[str, float]]:
    weights: dict[str, dict[str, float]] = json.loads(WEIGHTS.read_text("utf-8"))["weights"]
    return weights


# Now, where files may be read: questions are asked on the event loop.
_load()
