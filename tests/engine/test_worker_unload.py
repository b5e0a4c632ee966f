"""The worker lets go of an encoder that nobody asks, and has it again for whoever asks next."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
import itertools
import json
import logging
import os
from pathlib import Path
import queue
import subprocess
import sys
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
    worker as worker_module,
)
from custom_components.semantic_home.engine.worker import EncoderChangedError, EncoderTimeoutError

from .common import MINILM_FOLDER, ROOT

# Only a test that fails waits for so long.
_PATIENCE = 30


class House:
    """Makes encoders, one after another, and says what became of them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.faults: list[BaseException] = []
        self.revision = "first"
        self.dimension = 1
        self.made: list[FakeEncoder] = []
        self.returned_memory = 0
        # Open, unless a test wants to hold something up.
        self.loading, self.gate = threading.Event(), threading.Event()
        self.load_begun, self.entered = threading.Event(), threading.Event()
        self.loading.set()
        self.gate.set()

    def make(self) -> FakeEncoder:
        self.load_begun.set()
        assert self.loading.wait(_PATIENCE)
        if self.faults:
            raise self.faults.pop(0)
        self.made.append(FakeEncoder(self))
        return self.made[-1]

    @property
    def open_encoders(self) -> int:
        return sum(not encoder.closed for encoder in self.made)


class FakeEncoder(Encoder):
    """A text's vector is the number it spells."""

    dimension = 0
    revision = ""

    def __init__(self, house: House) -> None:
        self.house = house
        self.revision = house.revision
        self.dimension = house.dimension
        self.calls: list[tuple[str, ...]] = []
        self.closed = 0
        self.interrupted = threading.Event()
        self.waits_for_somebody_else = False

    @override
    def encode(self, texts: Sequence[str], role: Role) -> Encoded:
        assert not self.closed
        self.calls.append(tuple(texts))
        self.house.entered.set()
        if self.waits_for_somebody_else:
            assert self.interrupted.wait(_PATIENCE)
            raise EncoderClosedError
        assert self.house.gate.wait(_PATIENCE)
        return Encoded(np.array([[float(text)] for text in texts], np.float32).reshape(-1, 1))

    @override
    def interrupt(self) -> None:
        assert not self.closed
        self.interrupted.set()

    @override
    def close(self) -> None:
        assert threading.current_thread().name == "test-encoder"
        self.closed += 1


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    made = House()

    def return_freed() -> None:
        made.returned_memory += 1

    monkeypatch.setattr(worker_module, "return_freed", return_freed)
    return made


@pytest.fixture
async def worker(house: House) -> AsyncGenerator[EncoderWorker]:
    started = EncoderWorker(house.make, "test-encoder", clock=lambda: house.now)
    await started.start()
    house.load_begun.clear()
    yield started
    house.gate.set()
    house.loading.set()
    await started.stop()
    assert not started._thread.is_alive()
    assert not started.loaded
    assert [encoder.closed for encoder in house.made] == [1] * len(house.made)


def _ask(worker: EncoderWorker, *texts: str, lane: Lane = Lane.INTERACTIVE, **more: Any) -> asyncio.Task[Encoded]:
    """Ask without waiting; the request is in the queue when this returns."""
    return asyncio.create_task(worker.encode(texts, Role.QUERY, lane, **more), eager_start=True)


def _start[T](coroutine: Any) -> asyncio.Task[T]:
    return asyncio.create_task(coroutine, eager_start=True)


async def _until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, _PATIENCE)


def _numbers(encoded: Encoded) -> list[float]:
    return [float(row[0]) for row in encoded.dense]


async def test_unloads_and_loads_again(worker: EncoderWorker, house: House) -> None:
    assert worker.loaded
    await worker.unload()
    assert not worker.loaded
    assert (house.made[0].closed, house.returned_memory) == (1, 1)
    assert worker._thread.is_alive()
    assert _numbers(await worker.encode(["1"], Role.QUERY)) == [1]
    assert worker.loaded
    assert [encoder.calls for encoder in house.made] == [[], [("1",)]]
    for lane in (Lane.BULK, Lane.INTERACTIVE):
        await worker.unload()
        await worker.unload()
        assert house.open_encoders == 0
        assert _numbers(await worker.encode(["2", "3"], Role.PASSAGE, lane)) == [2, 3]
    assert len(house.made) == 4


async def test_real_encoder_says_the_same_afterwards(encoder: OpenVINOEncoder, spec: ModelSpec) -> None:
    worker = EncoderWorker(lambda: OpenVINOEncoder(MINILM_FOLDER, spec), "test-encoder")
    first = await worker.start()
    texts = ["turn off the lamp next to the couch", "Küchenlicht", ""]
    before = await worker.encode(texts, Role.QUERY)
    await worker.unload()
    # Whoever started it may go on reading these.
    assert (first.dimension, first.revision) == (384, encoder.revision)
    after = await worker.encode(texts, Role.QUERY)
    np.testing.assert_array_equal(after.dense, before.dense)
    await worker.unload()
    await worker.stop()


_MEMORY = """
import asyncio, json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from engine import EncoderWorker, OpenVINOEncoder, Role, load_catalog

def own():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon"))

async def main():
    spec = load_catalog()["all-minilm-l6-v2"]
    worker = EncoderWorker(lambda: OpenVINOEncoder(pathlib.Path(sys.argv[2]), spec), "encoder")
    seen = []
    await worker.start()
    for _ in range(3):
        await worker.encode(["lamp"] * 8, Role.QUERY)
        seen.append(own())
        await worker.unload()
        seen.append(own())
    print(json.dumps(seen))
    await worker.stop()

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_goes_back_to_the_system(tmp_path: Path) -> None:
    """MiniLM has 90 MB of weights."""
    finished = subprocess.run(
        [sys.executable, "-c", _MEMORY, ROOT / "custom_components/semantic_home", MINILM_FOLDER],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    seen = json.loads(finished.stdout)
    for loaded, unloaded in itertools.batched(seen, 2, strict=True):
        assert loaded - unloaded > 25, seen
    # What stays is not what was loaded: after twelve times it is no more than after three.
    assert seen[5] - seen[1] < 40, seen


async def test_who_asks_goes_before_unloading(worker: EncoderWorker, house: House) -> None:
    house.gate.clear()
    running = _ask(worker, "0")
    await _until(house.entered)
    unloading = _start(worker.unload())
    asked = [_ask(worker, "1"), _ask(worker, "2", lane=Lane.BULK)]
    house.gate.set()
    assert [_numbers(answer) for answer in await asyncio.gather(running, *asked)] == [[0], [1], [2]]
    await unloading
    assert not worker.loaded
    assert len(house.made) == 1


async def test_who_asks_while_it_unloads_is_answered_by_the_next(
    worker: EncoderWorker, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, go_on = threading.Event(), threading.Event()

    def close(encoder: FakeEncoder) -> None:
        closing.set()
        assert go_on.wait(_PATIENCE)
        encoder.closed += 1

    monkeypatch.setattr(FakeEncoder, "close", close)
    unloading = _start(worker.unload())
    await _until(closing)
    asked = [_ask(worker, "1"), _ask(worker, *map(str, range(40)), lane=Lane.BULK)]
    go_on.set()
    assert [_numbers(answer) for answer in await asyncio.gather(*asked)] == [[1], list(range(40))]
    await unloading
    assert [len(encoder.calls) > 0 for encoder in house.made] == [False, True]


async def test_never_between_two_pieces(worker: EncoderWorker, house: House) -> None:
    texts = [str(number) for number in range(60)]
    house.gate.clear()
    bulk = _ask(worker, *texts, lane=Lane.BULK)
    await _until(house.entered)
    unloading = _start(worker.unload())
    refused = _start(worker.unload_if_idle(0))
    house.gate.set()
    assert _numbers(await bulk) == list(range(60))
    await unloading
    assert not await refused
    assert len(house.made) == 1
    assert len(house.made[0].calls) > 3
    assert not worker.loaded


async def test_between_two_pieces_the_thread_has_nothing_to_do_and_does_not_unload(
    worker: EncoderWorker, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that must not cost anything: the queue is empty, and unloading is what comes first."""
    submit = EncoderWorker._submit
    answers: list[bool] = []

    async def submit_late(self: EncoderWorker, *arguments: Any) -> Encoded:
        if house.made[0].calls:
            answers.append(await self._unload(0))
        return await submit(self, *arguments)

    monkeypatch.setattr(EncoderWorker, "_submit", submit_late)
    assert _numbers(await worker.encode([str(number) for number in range(40)], Role.PASSAGE, Lane.BULK))[-1] == 39
    assert answers and not any(answers)
    assert len(house.made) == 1


async def test_unloads_when_nobody_has_asked_for_long(worker: EncoderWorker, house: House) -> None:
    house.now = 10
    await worker.encode(["1"], Role.QUERY)
    house.now = 69
    assert not await worker.unload_if_idle(60)
    assert worker.loaded
    house.now = 70
    assert await worker.unload_if_idle(60)
    assert not worker.loaded
    assert not await worker.unload_if_idle(0), "there is nothing to unload"
    await worker.encode(["1"], Role.QUERY)
    assert not await worker.unload_if_idle(60)
    house.now = 130
    assert await worker.unload_if_idle(60)


async def test_who_asks_meanwhile_keeps_it(worker: EncoderWorker, house: House) -> None:
    house.now = 100
    house.gate.clear()
    # The thread is held up by somebody who no longer waits, so that all below stands in the queue together.
    gone = _ask(worker, "0")
    await _until(house.entered)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    house.now = 200
    idle = _start(worker.unload_if_idle(60))
    asked = _ask(worker, "1")
    house.gate.set()
    assert _numbers(await asked) == [1]
    assert not await idle
    assert worker.loaded


async def test_cancelled_unloading_is_not_done(worker: EncoderWorker, house: House) -> None:
    house.gate.clear()
    running = _ask(worker, "0")
    await _until(house.entered)
    unloading = _start(worker.unload())
    unloading.cancel()
    await asyncio.gather(unloading, return_exceptions=True)
    house.gate.set()
    await running
    await worker.encode(["1"], Role.QUERY)
    assert len(house.made) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (ModelFilesError("file_missing", "model.onnx"), ModelFilesError),
        (MemoryError("no room"), EncoderError),
        (KeyboardInterrupt(), EncoderError),
    ],
)
async def test_loading_again_may_fail_and_is_tried_again(
    worker: EncoderWorker,
    house: House,
    fault: BaseException,
    kind: type[EncoderError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await worker.unload()
    house.faults = [fault]
    house.loading.clear()
    first = _ask(worker, "1")
    await _until(house.load_begun)
    second = _ask(worker, "2")
    house.loading.set()
    with pytest.raises(kind):
        await first
    assert _numbers(await second) == [2]
    assert len(house.made) == 2
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(logged) == (not isinstance(fault, EncoderError))


async def test_all_who_went_together_hear_of_the_failure(worker: EncoderWorker, house: House) -> None:
    await worker.unload()
    house.faults = [EncoderError("one"), EncoderError("two")]
    house.loading.clear()
    first = _ask(worker, "0")
    await _until(house.load_begun)
    together = [_ask(worker, str(number)) for number in range(1, 4)]
    bulk = _ask(worker, *map(str, range(40)), lane=Lane.BULK)
    house.loading.set()
    failed = await asyncio.gather(first, *together, return_exceptions=True)
    assert [str(error) for error in failed] == ["one", "two", "two", "two"]
    assert _numbers(await bulk) == list(range(40))


@pytest.mark.parametrize(("name", "value"), [("revision", "second"), ("dimension", 2)])
async def test_other_model_than_before(worker: EncoderWorker, house: House, name: str, value: Any) -> None:
    await worker.unload()
    first = getattr(house, name)
    setattr(house, name, value)
    for _ in range(2):
        with pytest.raises(EncoderChangedError):
            await worker.encode(["1"], Role.QUERY)
        assert not worker.loaded
        assert house.open_encoders == 0
    setattr(house, name, first)
    assert _numbers(await worker.encode(["1"], Role.QUERY)) == [1]


async def test_nobody_waits_for_a_load_longer_than_he_wants(worker: EncoderWorker, house: House) -> None:
    await worker.unload()
    house.loading.clear()
    asked = _ask(worker, "1", within=0)
    await _until(house.load_begun)
    with pytest.raises(EncoderTimeoutError):
        await asked
    house.loading.set()
    # Who asks next has it at once.
    assert _numbers(await worker.encode(["2"], Role.QUERY)) == [2]
    assert len(house.made) == 2


async def test_is_not_loaded_for_somebody_who_has_gone(worker: EncoderWorker, house: House) -> None:
    await worker.unload()
    for asked in [_ask(worker, "1"), _ask(worker, "2", lane=Lane.BULK)]:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    await worker.unload()
    assert len(house.made) <= 2  # the thread may have been quicker than the cancellation


async def test_too_many_do_not_keep_it(worker: EncoderWorker, house: House) -> None:
    house.gate.clear()
    asked = [_ask(worker, str(number)) for number in range(64)]
    with pytest.raises(EncoderBusyError):
        await worker.encode(["100"], Role.QUERY)
    unloading = _start(worker.unload())
    house.gate.set()
    await asyncio.gather(*asked)
    await unloading
    assert not worker.loaded


async def test_encoder_that_does_not_close(
    worker: EncoderWorker, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def close(encoder: FakeEncoder) -> None:
        encoder.closed += 1
        raise RuntimeError("stuck")

    with monkeypatch.context() as patch:
        patch.setattr(FakeEncoder, "close", close)
        await worker.unload()
    assert not worker.loaded
    assert "could not be closed" in caplog.text
    assert _numbers(await worker.encode(["1"], Role.QUERY)) == [1]


async def test_before_the_start_and_after_the_stop(house: House) -> None:
    worker = EncoderWorker(house.make, "test-encoder")
    await worker.unload()
    assert not await worker.unload_if_idle(0)
    await worker.start()
    await worker.stop()
    await worker.unload()
    assert not await worker.unload_if_idle(0)
    assert [encoder.closed for encoder in house.made] == [1]


async def test_stop_while_unloaded(house: House) -> None:
    worker = EncoderWorker(house.make, "test-encoder")
    await worker.start()
    await worker.unload()
    await worker.stop()
    await worker.stop()
    assert not worker._thread.is_alive()
    assert [encoder.closed for encoder in house.made] == [1]
    with pytest.raises(EncoderClosedError):
        await worker.encode(["1"], Role.QUERY)
    assert len(house.made) == 1


async def test_stop_ends_unloading_that_waits(worker: EncoderWorker, house: House) -> None:
    house.gate.clear()
    running = _ask(worker, "1")
    await _until(house.entered)
    unloading = _start(worker.unload())
    idle = _start(worker.unload_if_idle(0))
    stopping = _start(worker.stop())
    house.gate.set()
    await stopping
    await asyncio.wait_for(unloading, _PATIENCE)
    assert not await idle
    assert _numbers(await running) == [1]


async def test_stop_while_it_loads_again(worker: EncoderWorker, house: House) -> None:
    await worker.unload()
    house.loading.clear()
    asked = [_ask(worker, "1"), _ask(worker, "2", lane=Lane.BULK)]
    await _until(house.load_begun)
    stopping = _start(worker.stop())
    house.loading.set()
    await stopping
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [EncoderClosedError] * 2
    assert [encoder.calls for encoder in house.made] == [[], []]


async def test_unloading_that_crosses_a_loading_failure_is_not_forgotten(house: House) -> None:
    house.loading.clear()
    house.faults = [EncoderError("no")]
    worker = EncoderWorker(house.make, "test-encoder")

    class LateQueue(queue.PriorityQueue[Any]):
        """Takes a job only when the thread has looked for waiting ones for the last time."""

        @override
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            house.loading.set()
            worker._thread.join(_PATIENCE)
            super().put(item, block, timeout)

    worker._jobs = LateQueue()
    starting = _start(worker.start())
    await asyncio.wait_for(worker.unload(), _PATIENCE)
    with pytest.raises(EncoderError, match="no"):
        await starting


@pytest.mark.parametrize("lane", [Lane.INTERACTIVE, Lane.BULK])
async def test_stop_interrupts_what_waits_for_somebody_else(worker: EncoderWorker, house: House, lane: Lane) -> None:
    house.made[0].waits_for_somebody_else = True
    running = _ask(worker, "0", lane=lane)
    await _until(house.entered)
    waiting = [_ask(worker, "1"), _ask(worker, *map(str, range(40)), lane=Lane.BULK)]
    await asyncio.wait_for(worker.stop(), _PATIENCE)
    results = await asyncio.gather(running, *waiting, return_exceptions=True)
    assert [type(result) for result in results] == [EncoderClosedError] * 3
    assert house.made[0].calls == [("0",)]


async def test_interrupted_together_is_not_tried_one_by_one(worker: EncoderWorker, house: House) -> None:
    house.gate.clear()
    first = _ask(worker, "0")
    await _until(house.entered)
    together = [_ask(worker, str(number)) for number in range(1, 4)]
    house.entered.clear()
    house.made[0].waits_for_somebody_else = True
    house.gate.set()
    await first
    await _until(house.entered)
    await asyncio.wait_for(worker.stop(), _PATIENCE)
    results = await asyncio.gather(*together, return_exceptions=True)
    assert [type(result) for result in results] == [EncoderClosedError] * 3
    assert house.made[0].calls == [("0",), ("1", "2", "3")]


async def test_anything_in_any_order(house: House) -> None:
    """Everybody at once, again and again: all are answered, and at the end nothing is open."""
    worker = EncoderWorker(house.make, "test-encoder")
    await worker.start()
    doings: list[Callable[[int], Any]] = [
        lambda number: worker.encode([str(number)], Role.QUERY),
        lambda number: worker.encode([str(number + more) for more in range(30)], Role.PASSAGE, Lane.BULK),
        lambda _: worker.unload(),
        lambda _: worker.unload_if_idle(0),
    ]
    random = np.random.default_rng(5)
    for _ in range(40):
        chosen = random.integers(0, len(doings), 12)
        results = await asyncio.wait_for(
            asyncio.gather(*(doings[which](number) for number, which in enumerate(chosen))), _PATIENCE
        )
        for number, result in enumerate(results):
            if isinstance(result, Encoded):
                assert _numbers(result)[0] == number
        assert house.open_encoders <= 1
    await worker.stop()
    assert house.open_encoders == 0
    assert len(house.made) > 10


async def test_renewed_it_is_made_again_before_the_next_request(worker: EncoderWorker, house: House) -> None:
    await worker.encode(["1"], Role.QUERY)
    worker.renew()
    await worker.encode(["2"], Role.QUERY)
    await worker.encode(["3"], Role.QUERY)
    assert [encoder.calls for encoder in house.made] == [[("1",)], [("2",), ("3",)]], "once, not at every request"
    assert house.open_encoders == 1
