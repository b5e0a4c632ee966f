"""From what may be meant, with probabilities, to what is done: the answer of the highest expected worth."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .types import Decision
from .weights import Costs

type Targets = frozenset[int]
type Option = tuple[float, Targets]

# In a question, what is less probable than this share of the first is not offered.
WORTH_OFFERING, MOST_OFFERED = 0.12, 5


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn scores of competing hypotheses into probabilities (softmax)."""
    shifted = np.exp(scores - scores.max())
    found: NDArray[np.float64] = shifted / shifted.sum()
    return found


def options(readings: Iterable[Option]) -> list[Option]:
    """Add up what comes to the same: probability of each set that may be meant, the probable first.

    The empty set is that nothing is meant which is here.
    """
    total: defaultdict[Targets, float] = defaultdict(float)
    for probability, members in readings:
        total[members] += probability
    return sorted(((found, members) for members, found in total.items()), key=lambda one: (-one[0], sorted(one[1])))


def decide(weighed: Sequence[Option], costs: Costs) -> tuple[Decision, float, list[Targets]]:
    """Choose between acting, asking and declining: the decision, how sure it is, and what is acted on or offered."""
    nothing = next((found for found, members in weighed if not members), 0.0)
    meant = [(found, members) for found, members in weighed if members]
    best = meant[0][0] if meant else 0.0
    offered = [one for one in meant if one[0] >= WORTH_OFFERING * best][:MOST_OFFERED]
    covered = sum(found for found, _ in offered)
    worth = {
        Decision.MATCH: costs.right * best - costs.wrong * (1 - best),
        # A question that offers the wrong things is one asked in vain.
        Decision.AMBIGUOUS: -costs.question * covered
        - costs.missed * (1 - nothing - covered)
        - costs.question * nothing,
        Decision.NONE: costs.right * nothing - costs.missed * (1 - nothing),
    }
    # Of equals the more modest: max takes the first.
    decision = max((Decision.NONE, Decision.AMBIGUOUS, Decision.MATCH), key=worth.__getitem__)
    if decision is Decision.NONE:
        return decision, nothing, []
    if decision is Decision.MATCH:
        return decision, best, [meant[0][1]]
    return decision, covered, [members for _, members in offered]
