"""What the household has asked lately, in numbers: how often, how long an answer took, and what came of it."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import date, datetime

import numpy as np

from homeassistant.util import dt as dt_util

from .matching import Decision

# So many of the latest answers count for what is usual.
RECENT = 200


class QueryStatistics:
    """Counts the requests that were matched, each once whoever asked it; in memory alone, and none of their words."""

    def __init__(self, now: Callable[[], datetime] = dt_util.now) -> None:
        """Begin with none; `now` gives the local time."""
        self._now = now
        self._day: date = now().date()
        self._today = 0
        self._recent: deque[tuple[Decision, float]] = deque(maxlen=RECENT)

    def note(self, decision: Decision, took_ms: float) -> None:
        """Count an answer."""
        self._today = self.today + 1
        self._recent.append((decision, took_ms))

    def resume(self, count: int) -> None:
        """Go on with what was counted today before a restart."""
        self._today = self.today + count

    @property
    def today(self) -> int:
        """How many there were since local midnight."""
        if (day := self._now().date()) != self._day:
            self._day, self._today = day, 0
        return self._today

    @property
    def latencies(self) -> tuple[float, ...]:
        """What the latest answers took, in milliseconds, the newest last."""
        return tuple(took_ms for _, took_ms in self._recent)

    @property
    def last_ms(self) -> float | None:
        """What the latest answer took, in milliseconds; None while there was none."""
        return self._recent[-1][1] if self._recent else None

    @property
    def p95_ms(self) -> float | None:
        """What 95 % of the latest answers took at most, in milliseconds; None while there was none."""
        return float(np.percentile(self.latencies, 95)) if self._recent else None

    @property
    def decisions(self) -> Mapping[Decision, int]:
        """How many of the latest requests were decided in each way."""
        return Counter(decision for decision, _ in self._recent)

    def share(self, decision: Decision) -> float | None:
        """How many per cent of the latest requests were decided so; None while there was none."""
        return 100 * self.decisions.get(decision, 0) / len(self._recent) if self._recent else None
