"""When a failing server is left alone, by a clock that only the test moves."""

from custom_components.semantic_home.engine.circuit_breaker import CircuitBreaker


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_opens_after_three_failures_in_a_row() -> None:
    breaker = CircuitBreaker(Clock())
    for _ in range(2):
        breaker.failed()
        assert (breaker.resting, breaker.remaining) == (False, 0)
    breaker.failed()
    assert (breaker.resting, breaker.remaining) == (True, 30)


def test_a_success_between_failures_counts_them_anew() -> None:
    breaker = CircuitBreaker(Clock())
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert not breaker.resting


def test_rests_longer_after_each_failed_try_up_to_five_minutes() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.failed()
    breaker.failed()
    rests = []
    for _ in range(6):
        breaker.failed()
        rests.append(breaker.remaining)
        clock.now += breaker.remaining - 1
        assert breaker.remaining == 1
        clock.now += 1
        # One may try, and that is still not yet a server that is well.
        assert (breaker.remaining, breaker.resting) == (0, True)
    assert rests == [30, 60, 120, 240, 300, 300]


def test_a_try_that_succeeds_closes_it_for_good() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for _ in range(4):
        breaker.failed()
    clock.now += 60
    breaker.succeeded()
    assert (breaker.resting, breaker.remaining) == (False, 0)
    breaker.failed()
    breaker.failed()
    assert not breaker.resting
    breaker.failed()
    assert breaker.remaining == 30
