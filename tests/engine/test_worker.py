"""The encoder's own thread. Where order and faults matter, gates stand in the encoder's way, and no clock."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
import logging
import queue
import threading
from typing import Any, override

import numpy as np
import pytest

from custom_components.semantic_home.engine import (
    Encoded,
    Encoder,
    EncoderBusyError,
    EncoderClosedError,
    EncoderError,
    EncoderWorker,
    Lane,
    ModelFilesError,
    ModelSpec,
    OpenVINOEncoder,
    Role,
)
from custom_components.semantic_home.engine.worker import EncoderTimeoutError

from .common import MINILM_FOLDER

# Only a test that fails waits for so long.
_PATIENCE = 30


class GatedEncoder(Encoder):
    """Says when it is at work, and waits there until the gate is open. A text's vector is the number it spells."""

    dimension = 1
    revision = "gated"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.calls: list[tuple[str, ...]] = []
        self.threads: set[str] = set()
        self.faults: dict[str, BaseException] = {}
        self.closed_in: list[str] = []

    @override
    def encode(self, texts: Sequence[str], role: Role) -> Encoded:
        self.calls.append(tuple(texts))
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        assert self.gate.wait(_PATIENCE)
        for text in texts:
            if fault := self.faults.get(text):
                raise fault
        return Encoded(
            np.array([[float(text)] for text in texts], np.float32).reshape(-1, 1),
            tuple({1: float(text)} for text in texts),
            tuple(np.array([[float(text)]], np.float32) for text in texts),
        )

    @override
    def close(self) -> None:
        self.closed_in.append(threading.current_thread().name)

    async def at_work(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, _PATIENCE)


@pytest.fixture
def gated() -> GatedEncoder:
    return GatedEncoder()


@pytest.fixture
async def worker(gated: GatedEncoder) -> AsyncGenerator[EncoderWorker]:
    # By this clock all work takes no time, so that bulk pieces grow.
    started = EncoderWorker(lambda: gated, "test-encoder", clock=lambda: 0)
    await started.start()
    yield started
    gated.gate.set()
    await started.stop()
    assert not started._thread.is_alive()


def _ask(
    worker: EncoderWorker,
    *texts: str,
    role: Role = Role.QUERY,
    lane: Lane = Lane.INTERACTIVE,
    within: float | None = None,
) -> asyncio.Task[Encoded]:
    """Ask without waiting; the request is in the queue when this returns."""
    return asyncio.create_task(worker.encode(texts, role, lane, within), eager_start=True)


def _numbers(encoded: Encoded) -> list[float]:
    return [float(row[0]) for row in encoded.dense]


async def test_answers_as_the_encoder_does(encoder: OpenVINOEncoder, spec: ModelSpec) -> None:
    worker = EncoderWorker(lambda: OpenVINOEncoder(MINILM_FOLDER, spec), "test-encoder")
    loaded = await worker.start()
    assert (loaded.dimension, loaded.revision) == (384, encoder.revision)
    texts = [f"lamp {number}" for number in range(40)]
    expected = encoder.encode(texts, Role.QUERY).dense
    answers = await asyncio.gather(
        worker.encode(texts, Role.QUERY, Lane.BULK),
        worker.encode(texts, Role.QUERY),
        *(worker.encode([text], Role.QUERY) for text in texts),
    )
    for found in (answers[0].dense, answers[1].dense, np.concatenate([answer.dense for answer in answers[2:]])):
        np.testing.assert_allclose(found, expected, atol=2e-6)
    assert (await worker.encode([], Role.PASSAGE)).dense.shape == (0, 384)
    assert (await worker.encode([], Role.PASSAGE, Lane.BULK)).dense.shape == (0, 384)
    await worker.stop()


async def test_loading_failure_of_the_real_encoder_reaches_start(spec: ModelSpec) -> None:
    worker = EncoderWorker(lambda: OpenVINOEncoder(MINILM_FOLDER / "nowhere", spec), "test-encoder")
    with pytest.raises(ModelFilesError) as caught:
        await worker.start()
    assert caught.value.problem == "folder_missing"
    await worker.stop()


async def test_the_event_loop_runs_on(worker: EncoderWorker, gated: GatedEncoder) -> None:
    asked = _ask(worker, "1")
    await gated.at_work()
    # Were the loop blocked, nobody would open the gate.
    asyncio.get_running_loop().call_soon(gated.gate.set)
    assert _numbers(await asked) == [1]
    assert gated.threads == {"test-encoder"}


async def test_interactive_goes_before_bulk(worker: EncoderWorker, gated: GatedEncoder) -> None:
    first = _ask(worker, "0", lane=Lane.BULK)
    await gated.at_work()
    rest = [
        _ask(worker, "1", lane=Lane.BULK),
        _ask(worker, "2"),
        _ask(worker, "3", lane=Lane.BULK),
        _ask(worker, "4"),
    ]
    gated.gate.set()
    assert [_numbers(answer) for answer in await asyncio.gather(first, *rest)] == [[0], [1], [2], [3], [4]]
    assert gated.calls == [("0",), ("2", "4"), ("1",), ("3",)]


async def test_bulk_is_cut_and_interactive_comes_between(worker: EncoderWorker, gated: GatedEncoder) -> None:
    texts = [str(number) for number in range(40)]
    bulk = _ask(worker, *texts, lane=Lane.BULK)
    await gated.at_work()
    query = _ask(worker, "100")
    gated.gate.set()
    encoded = await bulk
    assert _numbers(encoded) == list(range(40))
    assert encoded.sparse == tuple({1: float(number)} for number in range(40))
    assert encoded.multivector is not None
    assert [float(tokens[0, 0]) for tokens in encoded.multivector] == list(range(40))
    assert _numbers(await query) == [100]
    first, between, *others = gated.calls
    assert (first, between) == (("0",), ("100",))
    assert [text for call in others for text in call] == texts[1:]
    assert max(map(len, others)) <= 16


async def test_those_who_wait_go_together(worker: EncoderWorker, gated: GatedEncoder) -> None:
    running = _ask(worker, "0")
    await gated.at_work()
    asked = [
        _ask(worker, "1"),
        _ask(worker, "2", "3"),
        _ask(worker, "4", role=Role.PASSAGE),
        _ask(worker, "5"),
        _ask(worker, *map(str, range(6, 20))),
        _ask(worker, "20"),
        _ask(worker, "21"),
    ]
    gated.gate.set()
    answers = await asyncio.gather(running, *asked)
    assert [_numbers(answer) for answer in answers] == [[0], [1], [2, 3], [4], [5], list(range(6, 20)), [20], [21]]
    assert answers[2].sparse == ({1: 2.0}, {1: 3.0})
    assert answers[2].multivector is not None
    assert [float(tokens[0, 0]) for tokens in answers[2].multivector] == [2, 3]
    # Never two roles together, and never more than 16 texts.
    assert gated.calls == [("0",), ("1", "2", "3"), ("4",), tuple(map(str, range(5, 21))), ("21",)]


@pytest.mark.parametrize("fault", [EncoderError("broken"), ValueError("broken"), MemoryError("broken")])
async def test_neighbours_of_a_bad_text_get_their_answers(
    worker: EncoderWorker, gated: GatedEncoder, fault: BaseException
) -> None:
    gated.faults["13"] = fault
    running = _ask(worker, "0")
    await gated.at_work()
    asked = [_ask(worker, text) for text in ("1", "13", "2")]
    gated.gate.set()
    await running
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[1], EncoderError)
    assert [_numbers(answer) for answer in answers if isinstance(answer, Encoded)] == [[1], [2]]
    assert gated.calls == [("0",), ("1", "13", "2"), ("1",), ("13",), ("2",)]


async def test_bulk_pieces_are_as_small_as_the_machine_is_slow(gated: GatedEncoder) -> None:
    now, seconds = 0.0, 0.005

    class SlowEncoder(GatedEncoder):
        @override
        def encode(self, texts: Sequence[str], role: Role) -> Encoded:
            nonlocal now
            now += seconds * sum(map(len, texts))
            return super().encode(texts, role)

    slow = SlowEncoder()
    slow.gate.set()
    worker = EncoderWorker(lambda: slow, "test-encoder", clock=lambda: now)
    await worker.start()
    texts = [str(number) for number in range(10, 35)]
    # Two or three texts take the 30 ms that a query may wait; the first pieces have to find that out.
    assert _numbers(await worker.encode(texts, Role.PASSAGE, Lane.BULK)) == list(range(10, 35))
    sizes = [len(call) for call in slow.calls]
    assert sizes[0] == 1
    assert {2, 3} <= set(sizes[1:-1]) <= {1, 2, 3, 4}
    for speed, piece in ((1.0, 1), (0.0001, 16)):
        seconds = speed
        for _ in range(10):
            slow.calls.clear()
            await worker.encode(texts, Role.PASSAGE, Lane.BULK)
        assert max(map(len, slow.calls)) == piece
    # What counts is how much there is to read, not how many there are.
    slow.calls.clear()
    await worker.encode([f"{number:01000}" for number in range(8)], Role.PASSAGE, Lane.BULK)
    assert {len(call) for call in slow.calls} == {1}
    await worker.stop()


async def test_on_a_slow_machine_a_piece_is_as_long_as_a_query(gated: GatedEncoder) -> None:
    """A pass that has a cost of its own, as dequantising the weights is, must not be made for each text."""
    now = 0.0

    class SlowEncoder(GatedEncoder):
        @override
        def encode(self, texts: Sequence[str], role: Role) -> Encoded:
            nonlocal now
            now += 0.15 + 0.05 * len(texts)
            return super().encode(texts, role)

    slow = SlowEncoder()
    slow.gate.set()
    worker = EncoderWorker(lambda: slow, "test-encoder", clock=lambda: now)
    await worker.start()
    await worker.encode([str(number) for number in range(50)], Role.PASSAGE, Lane.BULK)
    await worker.stop()
    # One takes 0.2 s; five 0.4 s, and six would be more than twice as long.
    sizes = [len(call) for call in slow.calls[5:-1]]
    assert set(sizes) <= {3, 4, 5, 6}
    assert sum(sizes) / len(sizes) > 3.5


@pytest.mark.parametrize("lane", [Lane.INTERACTIVE, Lane.BULK])
async def test_time_is_up(worker: EncoderWorker, gated: GatedEncoder, lane: Lane) -> None:
    running = _ask(worker, "0")
    await gated.at_work()
    kept, late = _ask(worker, "1", within=_PATIENCE), _ask(worker, "2", lane=lane, within=0)
    with pytest.raises(EncoderTimeoutError):
        await late
    gated.gate.set()
    assert [_numbers(answer) for answer in await asyncio.gather(running, kept)] == [[0], [1]]
    assert _numbers(await worker.encode(["3"], Role.QUERY)) == [3]
    # What came too late was not done.
    assert gated.calls == [("0",), ("1",), ("3",)]


async def test_time_is_up_for_what_runs(worker: EncoderWorker, gated: GatedEncoder) -> None:
    running = _ask(worker, "0", within=0)
    await gated.at_work()
    with pytest.raises(EncoderTimeoutError):
        await running
    gated.gate.set()
    assert _numbers(await worker.encode(["1"], Role.QUERY)) == [1]


async def test_a_timeout_inside_is_not_taken_for_its_own(worker: EncoderWorker, gated: GatedEncoder) -> None:
    gated.faults["0"] = TimeoutError("a server")
    gated.gate.set()
    with pytest.raises(EncoderError, match="a server") as caught:
        await worker.encode(["0"], Role.QUERY, within=_PATIENCE)
    assert not isinstance(caught.value, EncoderTimeoutError)


async def test_interactive_is_not_cut(worker: EncoderWorker, gated: GatedEncoder) -> None:
    gated.gate.set()
    texts = tuple(str(number) for number in range(40))
    assert _numbers(await worker.encode(texts, Role.QUERY)) == list(range(40))
    assert gated.calls == [texts]


async def test_work_of_a_cancelled_caller_is_not_done(worker: EncoderWorker, gated: GatedEncoder) -> None:
    bulk = _ask(worker, *(str(number) for number in range(40)), lane=Lane.BULK)
    await gated.at_work()
    waiting, kept = _ask(worker, "100"), _ask(worker, "101")
    waiting.cancel()
    bulk.cancel()
    cancelled = await asyncio.gather(bulk, waiting, return_exceptions=True)
    assert [type(result) for result in cancelled] == [asyncio.CancelledError] * 2
    gated.gate.set()
    assert _numbers(await kept) == [101]
    # The piece that had begun was the last of its caller.
    assert gated.calls == [("0",), ("101",)]


class PanicError(BaseException):
    """As tokenizers' Rust side raises it: not an Exception."""


@pytest.mark.parametrize("fault", [EncoderError("broken"), ValueError("broken"), PanicError("broken")])
async def test_failure_is_its_callers_alone(
    worker: EncoderWorker, gated: GatedEncoder, fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    gated.faults["13"] = fault
    gated.gate.set()
    asked = (worker.encode([text], Role.QUERY) for text in ("1", "13", "2"))
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), _PATIENCE)
    assert isinstance(answers[1], EncoderError)
    assert str(answers[1]) == "broken"
    assert [_numbers(answer) for answer in (answers[0], answers[2]) if isinstance(answer, Encoded)] == [[1], [2]]
    # What the encoder announced is the caller's to report; the unexpected leaves a trace.
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(logged) == (not isinstance(fault, EncoderError))


async def test_bulk_stops_at_its_first_failure(worker: EncoderWorker, gated: GatedEncoder) -> None:
    gated.faults["20"] = EncoderError("broken")
    gated.gate.set()
    with pytest.raises(EncoderError, match="broken"):
        await worker.encode([str(number) for number in range(40)], Role.PASSAGE, Lane.BULK)
    assert "20" in gated.calls[-1]


@pytest.mark.parametrize("fault", [EncoderError("no"), MemoryError(), PanicError()])
async def test_loading_failure_reaches_start_and_all_who_wait(fault: BaseException) -> None:
    def make() -> Encoder:
        raise fault

    worker = EncoderWorker(make, "test-encoder")
    early = _ask(worker, "1")
    with pytest.raises(type(fault)) as caught:
        await worker.start()
    assert caught.value is fault
    with pytest.raises(EncoderClosedError):
        await early
    with pytest.raises(EncoderClosedError):
        await worker.encode(["1"], Role.QUERY)
    await worker.stop()
    assert not worker._thread.is_alive()


async def test_request_that_crosses_a_loading_failure_is_not_forgotten() -> None:
    fail = threading.Event()

    def make() -> Encoder:
        assert fail.wait(_PATIENCE)
        raise EncoderError("no")

    worker = EncoderWorker(make, "test-encoder")

    class LateQueue(queue.PriorityQueue[Any]):
        """Takes a request only when the thread has looked for waiting ones for the last time."""

        @override
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            fail.set()
            worker._thread.join(_PATIENCE)
            super().put(item, block, timeout)

    worker._jobs = LateQueue()
    starting = asyncio.create_task(worker.start(), eager_start=True)
    with pytest.raises(EncoderClosedError):
        await asyncio.wait_for(worker.encode(["1"], Role.QUERY), _PATIENCE)
    with pytest.raises(EncoderError, match="no"):
        await starting


async def test_stop_fails_the_waiting_and_ends_the_thread(gated: GatedEncoder) -> None:
    worker = EncoderWorker(lambda: gated, "test-encoder")
    await worker.start()
    running = _ask(worker, "1")
    await gated.at_work()
    waiting = [_ask(worker, "2"), _ask(worker, *map(str, range(40)), lane=Lane.BULK)]
    stopping = [asyncio.create_task(worker.stop(), eager_start=True) for _ in range(2)]
    gated.gate.set()
    await asyncio.gather(*stopping)
    assert _numbers(await running) == [1]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [EncoderClosedError] * 2
    assert gated.calls == [("1",)]
    assert gated.closed_in == ["test-encoder"]
    assert not worker._thread.is_alive()
    with pytest.raises(EncoderClosedError):
        await worker.encode(["3"], Role.QUERY)
    await worker.stop()
    assert gated.closed_in == ["test-encoder"]


async def test_bulk_that_is_under_way_ends_with_stop(worker: EncoderWorker, gated: GatedEncoder) -> None:
    bulk = _ask(worker, *map(str, range(40)), lane=Lane.BULK)
    await gated.at_work()
    stopping = asyncio.create_task(worker.stop(), eager_start=True)
    gated.gate.set()
    with pytest.raises(EncoderClosedError):
        await bulk
    await stopping
    assert len(gated.calls) == 1


async def test_stop_before_start() -> None:
    made: list[GatedEncoder] = []

    def make() -> GatedEncoder:
        made.append(GatedEncoder())
        return made[0]

    worker = EncoderWorker(make, "test-encoder")
    await worker.stop()
    await worker.stop()
    with pytest.raises(EncoderClosedError):
        await worker.encode(["1"], Role.QUERY)
    # Nobody would stop it a second time.
    with pytest.raises(EncoderClosedError):
        await worker.start()
    assert made == []


@pytest.mark.parametrize("cancelled", [False, True], ids=["awaited", "cancelled"])
async def test_stop_while_loading_closes_what_was_loaded(gated: GatedEncoder, cancelled: bool) -> None:  # noqa: FBT001
    load = threading.Event()

    def make() -> GatedEncoder:
        assert load.wait(_PATIENCE)
        return gated

    worker = EncoderWorker(make, "test-encoder")
    starting = asyncio.create_task(worker.start(), eager_start=True)
    if cancelled:
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    stopping = asyncio.create_task(worker.stop(), eager_start=True)
    load.set()
    await stopping
    assert gated.closed_in == ["test-encoder"]
    if not cancelled:
        assert await starting is gated


async def test_says_busy_rather_than_grow(worker: EncoderWorker, gated: GatedEncoder) -> None:
    running = _ask(worker, "0")
    await gated.at_work()
    waiting = [_ask(worker, str(number)) for number in range(1, 64)]
    refused = _ask(worker, "100")
    assert isinstance(refused.exception(), EncoderBusyError)  # at once
    bulk = _ask(worker, "200", lane=Lane.BULK)
    gated.gate.set()
    answers = await asyncio.gather(running, *waiting, bulk)
    assert [_numbers(answer) for answer in answers] == [[number] for number in [*range(64), 200]]
    assert _numbers(await worker.encode(["100"], Role.QUERY)) == [100]
    assert ("100",) not in gated.calls[:-1]


async def test_encoder_is_made_in_its_thread() -> None:
    made_in: list[str] = []

    def make() -> GatedEncoder:
        made_in.append(threading.current_thread().name)
        return GatedEncoder()

    worker = EncoderWorker(make, "test-encoder")
    await worker.start()
    await worker.stop()
    assert made_in == ["test-encoder"]
