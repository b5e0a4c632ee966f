"""How far the vectors of the home are, and how fast that goes."""

from collections.abc import Callable
from dataclasses import dataclass
import time

from .indexed_documents import IndexStatus

# Long enough for two rounds of texts of the largest model on the slowest machine.
WINDOW_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of a generation's texts have vectors; `rate` in texts a second, None while nothing moves."""

    generation: int
    model: str
    building: bool
    done: int
    total: int
    rate: float | None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.done >= self.total

    @property
    def percent(self) -> int:
        """How much is done; 100 only when all of it is."""
        return 100 if self.complete else 100 * self.done // self.total

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate."""
        return (self.total - self.done) / self.rate if self.rate else None


class ProgressMeter:
    """Watches the generation that is being made, else the one that answers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing seen; the clock gives seconds."""
        self._clock = clock
        self._status: IndexStatus | None = None
        self._watched: int | None = None
        self._done = 0
        # When so many texts had vectors. The first is where the watching began: what was there before took no time.
        self._samples: list[tuple[float, int]] = []

    def take(self, status: IndexStatus) -> None:
        """Take notice of how far the index is."""
        self._status = status
        generation, done = _watched(status)
        if generation != self._watched or done < self._done:
            self._samples = [(self._clock(), done)]
        elif done > self._done:
            self._samples = [*self._recent(), (self._clock(), done)]
        self._watched, self._done = generation, done

    @property
    def progress(self) -> Progress | None:
        """How far it is now; None while there is no generation."""
        if (status := self._status) is None or self._watched is None:
            return None
        stamp = status.building_stamp or status.stamp
        return Progress(
            generation=self._watched,
            model=stamp.model_id if stamp else "",
            building=status.building is not None,
            done=self._done,
            total=status.texts,
            rate=self._rate() if self._done < status.texts else None,
        )

    def _recent(self) -> list[tuple[float, int]]:
        begin = self._clock() - WINDOW_SECONDS
        return [sample for sample in self._samples if sample[0] >= begin]

    def _rate(self) -> float | None:
        if not (recent := self._recent()):
            return None
        (first, before), (last, after) = recent[0], recent[-1]
        return (after - before) / (last - first) if last > first else None


def _watched(status: IndexStatus) -> tuple[int | None, int]:
    """Give the generation to watch, and how many texts have vectors in it."""
    return (status.generation, status.vectors) if status.building is None else (status.building, status.built)
