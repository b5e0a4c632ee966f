"""Leaves a server alone for a while that has failed several times: nobody should wait for what will not come."""

from collections.abc import Callable
import time

_FAILURES = 3
_FIRST_REST = 30.0
_LONGEST_REST = 300.0


class CircuitBreaker:
    """Opens after three failures in a row. For one thread.

    It rests 30 seconds, then one call may try again; every failure of such a call doubles the rest, up to 5 minutes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a monotonic clock (seconds)."""
        self._clock = clock
        self._failures = 0
        self._rest = _FIRST_REST
        self._open_until = 0.0

    @property
    def remaining(self) -> float:
        """For how many seconds more no call may be made; 0 when one may."""
        return max(0.0, self._open_until - self._clock()) if self.resting else 0.0

    @property
    def resting(self) -> bool:
        """Whether the last calls failed, so that the next one only tries whether things are well again."""
        return self._failures >= _FAILURES

    def succeeded(self) -> None:
        """Note that the server has answered."""
        self._failures = 0
        self._rest = _FIRST_REST

    def failed(self) -> None:
        """Note that a call has failed."""
        self._failures += 1
        if self.resting:
            self._open_until = self._clock() + self._rest
            self._rest = min(2 * self._rest, _LONGEST_REST)
