"""How well a piece of knowledge has served: an average of what was said of it, from which old judgements fade.

A Bayesian average: whatever has not been judged starts as if it had been judged `_PRIOR` times at 0.5, so that one
judgement never decides alone. A success counts once, a failure twice: to act on what is wrong costs more than to ask.
What was said counts half after `HALF_LIFE`; knowledge that nobody judges any more returns to 0.5.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from .knowledge import DEFAULT_SCORE

HALF_LIFE = timedelta(days=180)
_PRIOR = 4.0
_WEIGHT_OF_FAILURE = 2.0


@dataclass(frozen=True, slots=True)
class Rating:
    """A score (0-1), and how much was said (`weight`, in successes) until when."""

    score: float = DEFAULT_SCORE
    weight: float = 0.0
    rated: datetime | None = None

    def at(self, now: datetime) -> Rating:
        """Let it fade until now; a clock that was turned back lets nothing fade."""
        if self.rated is None or now <= self.rated:
            return self
        left = 0.5 ** ((now - self.rated) / HALF_LIFE)
        said = self.score * (_PRIOR + self.weight) - _PRIOR * DEFAULT_SCORE
        weight = self.weight * left
        return Rating(_bounded((_PRIOR * DEFAULT_SCORE + said * left) / (_PRIOR + weight)), weight, now)

    def judged(self, outcome: float, now: datetime) -> Rating:
        """Add a judgement, from 0 (a failure) to 1 (a success)."""
        faded = self.at(now)
        weight = outcome + (1 - outcome) * _WEIGHT_OF_FAILURE
        total = faded.score * (_PRIOR + faded.weight) + outcome * weight
        return Rating(_bounded(total / (_PRIOR + faded.weight + weight)), faded.weight + weight, now)


def _bounded(score: float) -> float:
    return min(max(score, 0.0), 1.0)
