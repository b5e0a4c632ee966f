"""Fits what each finding about a piece of knowledge counts: regularised logistic regression, with NumPy alone.

For every combination of findings that a search can have, all pieces that were found for the questions of the fitting
half are examples: right or not. Where the first ones are read again, those alone are, as there nothing else is ranked.
No finding may count against a piece: one that would is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from typing import Any

from evaluation.descriptions import Question
from evaluation.retrieval import LETTERS, WITH_MODEL, OpenKnowledge, Way
import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home import knowledge_weights
from custom_components.semantic_home.knowledge_index import READ_AGAIN
from custom_components.semantic_home.knowledge_weights import CONSTANT, WEIGHTS

type Floats = NDArray[np.float64]
type Weights = dict[str, dict[str, float]]

_RIDGE = 1.0
_STEPS = 50
_ABOUT = (
    "What each finding counts in knowledge_index.py, by which findings there are together; fitted by "
    "scripts/evaluate_knowledge.py --fit on one half of scripts/evaluation/knowledge_queries.yaml."
)


def fit_weights(opened: Mapping[str, OpenKnowledge], asked: Sequence[Question], count: int) -> Weights:
    """Fit all weights with these models, of which those without one tell of letters alone, and write the file.

    `count` is how many documents there are. What is read again depends on the weights before, which come first.
    """
    weights: Weights = {}
    for way in sorted((*LETTERS, *WITH_MODEL), key=lambda way: way.rerank):
        some = list(opened.values()) if way.model else list(opened.values())[:1]
        weights |= _fit_way(some, asked, way, READ_AGAIN if way.rerank else count)
        known = json.loads(WEIGHTS.read_text("utf-8"))["weights"]
        about: dict[str, Any] = {"about": _ABOUT, "models": list(opened), "questions": len(asked)}
        WEIGHTS.write_text(json.dumps(about | {"weights": known | weights}, indent=1) + "\n", "utf-8")
        knowledge_weights.forget()
    return weights


def _fit_way(opened: Sequence[OpenKnowledge], asked: Sequence[Question], way: Way, limit: int) -> Weights:
    rows, right = [], []
    for one in opened:
        for question in asked:
            for found in one.ask(question.query, way, limit):
                rows.append(found.found)
                right.append(found.document.source_id in question.right)
    names = sorted(rows[0])
    fitted = fit(np.array([[row[name] for name in names] for row in rows]), np.array(right))
    return {"+".join(names): dict(zip((CONSTANT, *names), (round(float(one), 3) for one in fitted), strict=True))}


def fit(found: Floats, right: NDArray[np.bool_]) -> Floats:
    """Fit examples (n, findings), standardised, by Newton's method: the constant and the weights (1 + findings,)."""
    spread = found.std(axis=0) + 1e-9
    kept = list(range(found.shape[1]))
    while True:
        slopes = _newton(np.column_stack([np.ones(len(found)), found[:, kept] / spread[kept]]), right)
        if len(kept) == 0 or slopes[1:].min() >= 0:
            break
        del kept[int(np.argmin(slopes[1:]))]
    weights = np.zeros(1 + found.shape[1])
    weights[0] = slopes[0]
    weights[[1 + column for column in kept]] = slopes[1:] / spread[kept]
    return weights


def _newton(columns: Floats, right: NDArray[np.bool_]) -> Floats:
    weights = np.zeros(columns.shape[1])
    # The constant is free: it only says how many are right.
    ridge = np.diag([1e-9, *[_RIDGE] * (columns.shape[1] - 1)])
    for _ in range(_STEPS):
        probable = 1 / (1 + np.exp(-columns @ weights))
        slope = columns.T @ (right - probable) - ridge @ weights
        curve = (columns * (probable * (1 - probable))[:, None]).T @ columns + ridge
        step = np.linalg.solve(curve, slope)
        # Far from the end a whole step may go too far.
        weights += step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-9))
        if np.abs(step).max() < 1e-9:  # noqa: PLR2004 - as good as zero
            break
    return weights
