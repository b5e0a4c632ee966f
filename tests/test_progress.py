"""How far, how fast, how long still: from what has really moved, by a clock that the tests drive."""

import pytest

from custom_components.semantic_home.index import Stamp
from custom_components.semantic_home.indexed_documents import IndexStatus
from custom_components.semantic_home.progress import WINDOW_SECONDS, Progress, ProgressMeter

OLD = Stamp("old", "1", "fp32", "mean", "", "", 1, 384)
NEW = Stamp("new", "1", "fp32", "mean", "", "", 1, 1024)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> ProgressMeter:
    return ProgressMeter(clock)


def building(built: int, total: int = 200) -> IndexStatus:
    return IndexStatus(90, total, total, 1, 2, built, OLD, NEW)


def answering(vectors: int, total: int = 200) -> IndexStatus:
    return IndexStatus(90, total, vectors, 1, stamp=OLD)


def seen(meter: ProgressMeter) -> Progress:
    progress = meter.progress
    assert progress is not None
    return progress


def test_there_is_none_before_the_first_generation(meter: ProgressMeter) -> None:
    assert meter.progress is None
    meter.take(IndexStatus(90, 200, 0, None))
    assert meter.progress is None


def test_it_is_of_the_generation_that_is_being_made(meter: ProgressMeter) -> None:
    meter.take(building(50))
    assert seen(meter) == Progress(2, "new", building=True, done=50, total=200, rate=None)
    assert (seen(meter).percent, seen(meter).seconds_left) == (25, None)
    meter.take(answering(200))
    assert seen(meter) == Progress(1, "old", building=False, done=200, total=200, rate=None)
    assert (seen(meter).percent, seen(meter).complete) == (100, True)


def test_what_was_there_before_took_no_time(meter: ProgressMeter, clock: Clock) -> None:
    meter.take(building(100))
    assert seen(meter).rate is None
    clock.now += 10
    meter.take(building(120))
    assert (seen(meter).rate, seen(meter).seconds_left) == (2.0, 40.0)


def test_the_rate_is_of_the_last_minutes(meter: ProgressMeter, clock: Clock) -> None:
    meter.take(building(0))
    clock.now += 10
    meter.take(building(100))
    clock.now += WINDOW_SECONDS - 5
    meter.take(building(110))
    clock.now += 10
    meter.take(building(120))
    assert seen(meter).rate == 1.0


def test_there_is_no_rate_while_nothing_moves(meter: ProgressMeter, clock: Clock) -> None:
    meter.take(building(0))
    clock.now += 10
    meter.take(building(50))
    assert seen(meter).rate == 5.0
    clock.now += WINDOW_SECONDS + 1
    assert seen(meter).rate is None
    meter.take(building(50))
    assert (seen(meter).rate, seen(meter).seconds_left) == (None, None)
    meter.take(building(60))
    assert seen(meter).rate is None, "the pause is no part of the pace"
    clock.now += 2
    meter.take(building(70))
    assert seen(meter).rate == 5.0


def test_another_generation_and_a_rebuild_begin_anew(meter: ProgressMeter, clock: Clock) -> None:
    meter.take(building(0))
    clock.now += 10
    meter.take(building(50))
    clock.now += 10
    meter.take(answering(100))
    assert seen(meter).rate is None
    clock.now += 10
    meter.take(answering(0))
    assert seen(meter).rate is None
    clock.now += 10
    meter.take(answering(20))
    assert seen(meter).rate == 2.0


def test_nothing_is_left_of_what_is_complete(meter: ProgressMeter, clock: Clock) -> None:
    meter.take(answering(0))
    clock.now += 10
    meter.take(answering(200))
    assert (seen(meter).rate, seen(meter).seconds_left) == (None, None)


def test_a_hundred_per_cent_are_all(meter: ProgressMeter) -> None:
    meter.take(building(1999, 2000))
    assert seen(meter).percent == 99
    meter.take(building(0, 0))
    assert seen(meter).percent == 100
