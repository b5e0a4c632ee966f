"""What scripts/evaluate_views.py shows of the choices: what they cost, how well they rank, and how they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .views import CHOICES, IN_USE, METRICS, SCOPES, Asked, Cost

type Floats = NDArray[np.float64]

_SEED, _TIMES = 0, 10_000
_BETTER, _WORSE = " ▲", " ▼"


def tables(asked: Sequence[Asked], costs: Mapping[str, Cost]) -> str:
    """Write out each metric with what a choice costs, and then how the choices differ from the one in use."""
    groups: defaultdict[str, list[Asked]] = defaultdict(list)
    for one in sorted(asked, key=lambda one: one.group == SCOPES):
        groups[one.group].append(one)
    columns = [f"{name} ({len(some)} of {len({one.thing for one in some})})" for name, some in groups.items()]
    paid = {choice.title: _paid(costs[choice.title]) for choice in CHOICES}
    parts = []
    for number, metric in enumerate(METRICS):
        values, differences = {}, {}
        for choice in CHOICES:
            cells = [_compared(some, choice.title, number) for some in groups.values()]
            values[choice.title] = [*paid[choice.title], *(value for value, _ in cells)]
            differences[choice.title] = [change for _, change in cells]
        del differences[IN_USE.title]
        parts.append(_table([f"{metric}, %", "texts", "letters", "kB", *columns], values))
        parts.append(_table([f"{metric} less {IN_USE.title}", *columns], differences))
    return "\n\n".join(parts)


def difference(values: Floats, things: Sequence[tuple[str, ...]]) -> tuple[float, float, float]:
    """Give the mean of differences (n,), and its 95 % bootstrap interval.

    Things are drawn, each with all of its sentences: these are asked of the same texts, one finding rather than many.
    """
    numbers = {thing: number for number, thing in enumerate(dict.fromkeys(things))}
    of_thing = [numbers[thing] for thing in things]
    sums, counts = np.bincount(of_thing, values), np.bincount(of_thing)
    drawn = np.random.default_rng(_SEED).integers(len(sums), size=(_TIMES, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (2.5, 97.5))
    return float(values.mean()), float(low), float(high)


def _compared(asked: Sequence[Asked], title: str, metric: int) -> tuple[str, str]:
    """Write the value, marked where it differs from the choice in use by more than chance, and the difference."""
    values, used = (np.array([one.measures[each][metric] for one in asked]) * 100 for each in (title, IN_USE.title))
    mean, low, high = difference(values - used, [one.thing for one in asked])
    mark = _BETTER if low > 0 else _WORSE if high < 0 else ""
    return f"{values.mean():.1f}{mark}", f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _paid(cost: Cost) -> list[str]:
    """Write what an entity costs on average: texts and letters to encode, and kB of vectors to keep."""
    each = (cost.texts, cost.letters, cost.vectors / 1000)
    return [f"{one / cost.entities:.{digits}f}" for one, digits in zip(each, (2, 0, 1), strict=True)]


def _table(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([title, *cells] for title, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
