"""What evaluation shows: why a case came out as it did, how far to trust a confidence, how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from custom_components.semantic_home.matching import Decision

from .runner import Answer

# Cases whose label is one of several defensible ones, or coarser than the words: they tell of the label.
_LOOSE = {"name_loose", "scope_coarse"}
_BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def explanation(answer: Answer) -> str:
    """Write out what the matcher weighed."""
    result = answer.result
    lines = [
        f"{answer.case['query']}  ->  {result.decision} {[one.candidate.entity_id for one in result.targets]}",
        f"confidence {result.confidence:.3f}, expected {answer.case.get('expected')}",
    ]
    if (shown := result.explanation) is not None:
        lines += [f"kinds    {shown.kinds}", f"forms    {shown.forms}", f"content  {shown.content}"]
        lines.append(f"grammar  {shown.grammar}")
        for found, entity_ids, parts in shown.readings:
            lines.append(f"{found:6.3f}  {', '.join(entity_ids) or 'nothing'}")
            lines += [
                f"          {value:8.3f}  {name}" for name, value in sorted(parts.items(), key=lambda one: -abs(one[1]))
            ]
    return "\n".join(lines)


def reliability(answers: Sequence[Answer]) -> str:
    """Compare confidences of matches with how often they are right, and give the expected calibration error.

    Loosely labelled cases are left out. The error is Naeini et al.'s (2015): the mean distance of both, weighted by how
    many fall in a bin.
    """
    strict = [answer for answer in answers if answer.case.get("task") not in _LOOSE]
    matches = [answer for answer in strict if answer.result.decision is Decision.MATCH]
    sure = np.array([answer.result.confidence for answer in matches])
    right = np.array(
        [
            {one.candidate.entity_id for one in answer.result.targets} == set(answer.case["expected"])
            for answer in matches
        ]
    )
    lines, error = ["| confidence | matches | right |", "|---|---|---|"], 0.0
    for low, high in pairwise(_BINS):
        inside = (sure > low) & (sure <= high)
        if inside.any():
            lines.append(f"| {low:.2f}-{high:.2f} | {inside.sum()} | {100 * right[inside].mean():.1f} % |")
            error += inside.mean() * abs(float(right[inside].mean()) - float(sure[inside].mean()))
    return "\n".join([*lines, f"expected calibration error {error:.3f}"])


def times(answers: Sequence[Answer]) -> str:
    """Give percentiles of what matching took, without encoding."""
    half, most = np.percentile([answer.took_ms for answer in answers], (50, 95))
    return f"matching without encoding: p50 {half:.1f} ms, p95 {most:.1f} ms, {len(answers)} cases"
