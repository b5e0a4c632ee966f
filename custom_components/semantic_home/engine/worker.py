"""One thread that runs one encoder, for callers on an event loop.

Interactive requests go before bulk ones, and bulk work is cut small: a query never waits for more than one piece of it.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
import itertools
import logging
import queue
import threading

import numpy as np

from .encoder import Encoded, Encoder, EncoderBusyError, EncoderClosedError, EncoderError, Role

_LOGGER = logging.getLogger(__name__)

_BULK_PIECE = 16
_MAX_WAITING = 64


class Lane(IntEnum):
    """Who goes first; the smaller number does."""

    STOP = 0
    INTERACTIVE = 1
    BULK = 2


@dataclass(frozen=True, slots=True, order=True)
class _Job:
    lane: Lane
    number: int
    texts: Sequence[str] = field(compare=False, default=())
    role: Role = field(compare=False, default=Role.QUERY)
    answer: Future[Encoded] = field(compare=False, default_factory=Future)


class EncoderWorker:
    """Owns an encoder from its loading to its closing, all in one thread."""

    def __init__(self, make_encoder: Callable[[], Encoder], name: str) -> None:
        """Take what makes the encoder (called in the thread, may block for seconds) and the thread's name."""
        self._make_encoder = make_encoder
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._ready: Future[Encoder] = Future()
        self._stopped = False
        # A daemon, so that a native call that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def start(self) -> Encoder:
        """Load the encoder and return it, for its properties only. Raises what loading raises."""
        if self._stopped:
            raise EncoderClosedError
        # From now on a cancelled caller cannot cancel it: the thread will have an encoder to hand over, or to close.
        self._ready.set_running_or_notify_cancel()
        self._thread.start()
        return await asyncio.wrap_future(self._ready)

    async def encode(self, texts: Sequence[str], role: Role, lane: Lane = Lane.INTERACTIVE) -> Encoded:
        """Encode texts in the thread.

        Raises EncoderError, EncoderBusyError when 64 requests wait already, EncoderClosedError after stop().
        Cancelling the caller drops the work that has not begun.
        """
        if not texts:
            return await self._submit(texts, role, lane)
        step = _BULK_PIECE if lane is Lane.BULK else len(texts)
        pieces = [await self._submit(texts[start : start + step], role, lane) for start in range(0, len(texts), step)]
        return pieces[0] if len(pieces) == 1 else _join(pieces)

    async def stop(self) -> None:
        """Finish the running piece, fail what waits, close the encoder and end the thread. Can be called twice."""
        self._stopped = True
        if self._thread.ident is None:
            return
        self._jobs.put(_Job(Lane.STOP, next(self._numbers)))
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    async def _submit(self, texts: Sequence[str], role: Role, lane: Lane) -> Encoded:
        if self._stopped:
            raise EncoderClosedError
        if lane is Lane.INTERACTIVE and self._jobs.qsize() >= _MAX_WAITING:
            raise EncoderBusyError
        job = _Job(lane, next(self._numbers), texts, role)
        self._jobs.put(job)
        if self._stopped:
            # Loading failed a moment ago, and the thread may have looked for waiting jobs for the last time.
            self._fail_waiting()
        return await asyncio.wrap_future(job.answer)

    def _run(self) -> None:
        try:
            encoder = self._make_encoder()
        except BaseException as err:  # noqa: BLE001 - it belongs to whoever waits for the start
            self._stopped = True
            self._ready.set_exception(err)
            self._fail_waiting()
            return
        self._ready.set_result(encoder)
        try:
            self._serve(encoder)
        finally:
            self._stopped = True
            self._fail_waiting()
            encoder.close()

    def _serve(self, encoder: Encoder) -> None:
        while (job := self._jobs.get()).lane is not Lane.STOP:
            if not job.answer.set_running_or_notify_cancel():
                continue
            try:
                job.answer.set_result(encoder.encode(job.texts, job.role))
            except EncoderError as err:
                job.answer.set_exception(err)
            except BaseException as err:  # a panic on tokenizers' Rust side is no Exception
                _LOGGER.exception("The encoder failed in an unexpected way")
                job.answer.set_exception(EncoderError(str(err)))

    def _fail_waiting(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(EncoderClosedError())


def _join(pieces: Sequence[Encoded]) -> Encoded:
    return Encoded(
        np.concatenate([piece.dense for piece in pieces]),
        tuple(weights for piece in pieces for weights in piece.sparse or ()) or None,
        tuple(vectors for piece in pieces for vectors in piece.multivector or ()) or None,
    )
