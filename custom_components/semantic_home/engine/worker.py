"""One thread that runs one encoder, for callers on an event loop.

Interactive requests go before bulk ones, and those that wait together go through the model together, since for a few
short texts it takes hardly longer than for one. Bulk work is cut into pieces, and a query never waits for more than
one: they are as large as keeps that wait shorter than it would be noticed, or than the query itself takes here.

An encoder that nobody asks can be unloaded, for its memory. Whoever asks next waits for it to be made again.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from enum import IntEnum
import itertools
import logging
import math
import queue
import threading
import time
from typing import Any

from .encoder import (
    Encoded,
    Encoder,
    EncoderBusyError,
    EncoderClosedError,
    EncoderError,
    EncoderUnavailableError,
    Role,
)
from .memory import return_freed

_LOGGER = logging.getLogger(__name__)

_MAX_BATCH = 16
_MAX_REQUESTS = 64
_TEXT_OVERHEAD = 10
# What a query may have to wait for a piece of bulk work, in seconds: too short for a person to notice, ...
_BULK_PIECE_TIME = 0.03
# ... or, where a text alone takes longer than that, so many times what it takes: with less, a slow machine would
# index text by text, at half the speed, and a query is still answered within three times what it takes alone.
_BULK_PIECE_TEXTS = 2.0


class EncoderTimeoutError(EncoderUnavailableError):
    """The request was not answered within the time its caller gave it."""


class EncoderChangedError(EncoderError):
    """The encoder that was made again gives other vectors than the one before: the model was replaced meanwhile."""


class Lane(IntEnum):
    """Who goes first; the smaller number does. Texts go by the two in the middle."""

    STOP = 0
    INTERACTIVE = 1
    BULK = 2
    UNLOAD = 3


@dataclass(frozen=True, slots=True, order=True)
class _Job:
    lane: Lane
    number: int
    texts: Sequence[str] = field(compare=False, default=())
    role: Role = field(compare=False, default=Role.QUERY)
    # What encode() returns; of UNLOAD, whether the encoder is unloaded now.
    answer: Future[Any] = field(compare=False, default_factory=Future)
    # The caller's: what is logged for its request is told by it.
    context: Context = field(compare=False, default_factory=copy_context)
    # UNLOAD only: for how many seconds nobody may have asked.
    idle: float = field(compare=False, default=0)


class EncoderWorker:
    """Owns an encoder from its loading to its closing, all in one thread."""

    def __init__(
        self,
        make_encoder: Callable[[], Encoder],
        name: str,
        *,
        interrupt: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what makes the encoder (in the thread, after unload() again; may block) and the thread's name.

        `interrupt`, called by another thread, has a make_encoder() that waits for somebody else end soon. The clock
        (seconds) times the bulk pieces, to cut the next ones by, and for how long nobody has asked.
        """
        self._interrupt = interrupt
        self._outdated = False
        self._make_encoder = make_encoder
        self._clock = clock
        self._encoder: Encoder | None = None
        # Held while the encoder is interrupted, and while it is taken away to be closed.
        self._taking = threading.Lock()
        # Revision and dimension of the first one.
        self._identity: tuple[str, int] | None = None
        # Calls of encode() that have not returned. The thread's own work goes on when a caller has given up.
        self._calls = 0
        self._last_asked = clock()
        self._no_calls = asyncio.Event()
        self._no_calls.set()
        # What the next bulk piece may be as large as, and the shortest time that a piece of one text has taken.
        self._bulk_size = 0
        self._one_text_time = math.inf
        self._room = {lane: threading.BoundedSemaphore(_MAX_REQUESTS) for lane in (Lane.INTERACTIVE, Lane.BULK)}
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

    async def encode(
        self, texts: Sequence[str], role: Role, lane: Lane = Lane.INTERACTIVE, within: float | None = None
    ) -> Encoded:
        """Encode texts in the thread, `within` so many seconds, waiting included; None sets no limit.

        Raises EncoderError, EncoderBusyError when 64 requests of its lane are under way, EncoderTimeoutError when the
        time is up, EncoderClosedError after stop(). Cancelling the caller, or its time being up, drops the work that
        has not begun.
        """
        limit = asyncio.timeout(within)
        try:
            with self._call():
                async with limit:
                    return await self._encode(texts, role, lane)
        except TimeoutError as err:
            if not limit.expired():
                raise
            raise EncoderTimeoutError(f"No answer within {within} s") from err

    @property
    def loaded(self) -> bool:
        """Whether the encoder is in memory now."""
        return self._encoder is not None

    def renew(self) -> None:
        """Make the encoder anew before the next request, which has to show then that it is the same model."""
        self._outdated = True

    async def unload(self) -> None:
        """Close the encoder and give its memory back, as soon as nothing waits or runs; the thread stays.

        The next encode() makes it again and waits for that. Raises then, beside what making it raises (of the kinds
        of EncoderError), EncoderChangedError when it is another one; the call after that tries again. Does nothing
        before start() and after stop().
        """
        while self._thread.is_alive() and not await self._unload(0):
            await self._no_calls.wait()

    async def unload_if_idle(self, seconds: float) -> bool:
        """Unload if nobody has asked for so many seconds. Returns whether it did; who asks meanwhile keeps it."""
        if not self.loaded or self._calls or self._clock() - self._last_asked < seconds:
            return False
        return await self._unload(seconds)

    async def _unload(self, idle: float) -> bool:
        """Have the thread unload behind everything that waits; False when somebody asked in the last seconds."""
        if self._stopped:
            return True
        try:
            return bool(await self._put(_Job(Lane.UNLOAD, next(self._numbers), idle=idle)))
        except EncoderClosedError:
            return True

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Count a call as under way, for all of its pieces: between two of them the thread has nothing to do."""
        self._calls += 1
        self._no_calls.clear()
        try:
            yield
        finally:
            self._last_asked = self._clock()
            self._calls -= 1
            if not self._calls:
                self._no_calls.set()

    async def _encode(self, texts: Sequence[str], role: Role, lane: Lane) -> Encoded:
        if lane is not Lane.BULK or not texts:
            return await self._submit(texts, role, lane)
        pieces: list[Encoded] = []
        start = 0
        while start < len(texts):
            end = self._end_of_piece(texts, start)
            pieces.append(await self._submit(texts[start:end], role, lane))
            start = end
        return Encoded.joined(pieces)

    def _end_of_piece(self, texts: Sequence[str], start: int) -> int:
        """Take one text, and those after it that fit into the piece with it."""
        end, size = start + 1, _size(texts[start])
        while end < min(len(texts), start + _MAX_BATCH) and (size := size + _size(texts[end])) <= self._bulk_size:
            end += 1
        return end

    async def stop(self) -> None:
        """Finish the running piece, fail what waits, close the encoder and end the thread. Can be called twice.

        A piece that waits for somebody else, as for a server, is interrupted.
        """
        self._stopped = True
        if self._thread.ident is None:
            return
        # Before the interruption, so that no other piece begins after it.
        self._jobs.put(_Job(Lane.STOP, next(self._numbers)))
        with self._taking:
            if self._encoder is not None:
                self._encoder.interrupt()
        if self._interrupt is not None:
            self._interrupt()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    async def _submit(self, texts: Sequence[str], role: Role, lane: Lane) -> Encoded:
        if self._stopped:
            raise EncoderClosedError
        if not self._room[lane].acquire(blocking=False):
            raise EncoderBusyError
        job = _Job(lane, next(self._numbers), texts, role)
        job.answer.add_done_callback(lambda _: self._room[lane].release())
        encoded: Encoded = await self._put(job)
        return encoded

    def _put(self, job: _Job) -> asyncio.Future[Any]:
        """Put a job where the thread finds it. The worker must not have been stopped."""
        self._jobs.put(job)
        if self._stopped:
            # Loading failed a moment ago, and the thread may have looked for waiting jobs for the last time.
            self._fail_waiting()
        return asyncio.wrap_future(job.answer)

    def _run(self) -> None:
        try:
            encoder = self._load()
        except BaseException as err:  # noqa: BLE001 - it belongs to whoever waits for the start
            self._stopped = True
            self._ready.set_exception(err)
            self._fail_waiting()
            return
        self._last_asked = self._clock()
        self._ready.set_result(encoder)
        try:
            self._serve()
        finally:
            self._stopped = True
            self._fail_waiting()
            self._close()

    def _load(self) -> Encoder:
        """Make the encoder. Raises EncoderChangedError for another one than before, and what making it raises."""
        encoder = self._make_encoder()
        identity = (encoder.revision, encoder.dimension)
        self._encoder = encoder
        if self._identity not in (None, identity):
            self._close()
            raise EncoderChangedError(f"{identity} instead of {self._identity}")
        self._identity = identity
        return encoder

    def _close(self) -> None:
        with self._taking:
            encoder, self._encoder = self._encoder, None
        if encoder is None:
            return
        try:
            encoder.close()
        except Exception:
            # Nobody can use it any more either way, and those who ask later want an answer.
            _LOGGER.exception("The encoder could not be closed")
        return_freed()

    def _serve(self) -> None:
        while (job := self._jobs.get()).lane is not Lane.STOP:
            if job.lane is Lane.UNLOAD:
                self._answer_unload(job)
            else:
                # Before the answer, after which this thread may be late; the call notes when it was answered.
                self._last_asked = self._clock()
                self._answer_texts(job)

    def _answer_unload(self, job: _Job) -> None:
        """Unload, unless somebody is about to ask for more, or has asked since the caller looked."""
        if not job.answer.set_running_or_notify_cancel():
            return
        idle = not self._calls and self._clock() - self._last_asked >= job.idle
        if idle:
            self._close()
        job.answer.set_result(idle)

    def _answer_texts(self, job: _Job) -> None:
        jobs = [waiting for waiting in self._with_its_like(job) if waiting.answer.set_running_or_notify_cancel()]
        if self._outdated:
            self._outdated = False
            self._close()
        if not jobs or (encoder := self._encoder or self._load_again(jobs)) is None:
            return
        if job.lane is Lane.BULK:
            self._answer_bulk(encoder, job)
        elif not (jobs[1:] and _answer_together(encoder, jobs)):
            # One bad text must not cost its neighbours their answer.
            for single in jobs:
                self._answer_single(encoder, single)

    def _answer_single(self, encoder: Encoder, job: _Job) -> None:
        """Answer one request, unless those before it failed because stop() interrupted them: it would wait in turn."""
        if self._stopped:
            job.answer.set_exception(EncoderClosedError())
        else:
            _answer(encoder, job)

    def _load_again(self, jobs: Sequence[_Job]) -> Encoder | None:
        """Load for jobs that wait; None, and they have the error for an answer, when that fails."""
        try:
            encoder = jobs[0].context.run(self._load)
            if self._stopped:
                raise EncoderClosedError  # noqa: TRY301 - one way to answer
        except BaseException as err:  # noqa: BLE001 - it belongs to whoever asked
            known = jobs[0].context.run(_as_encoder_error, err)
            for job in jobs:
                job.answer.set_exception(known)
            return None
        return encoder

    def _with_its_like(self, job: _Job) -> list[_Job]:
        """Take the interactive requests of the same role that wait behind this one, up to 16 texts in all."""
        jobs = [job]
        texts = len(job.texts)
        while job.lane is Lane.INTERACTIVE and texts < _MAX_BATCH:
            try:
                following = self._jobs.get_nowait()
            except queue.Empty:
                break
            texts += len(following.texts)
            if (following.lane, following.role) != (job.lane, job.role) or texts > _MAX_BATCH:
                self._jobs.put(following)
                break
            jobs.append(following)
        return jobs

    def _answer_bulk(self, encoder: Encoder, job: _Job) -> None:
        """Answer, and cut the next pieces so that each should take its time and no more."""
        begin = self._clock()
        _answer(encoder, job)
        took, count, size = self._clock() - begin, len(job.texts), sum(map(_size, job.texts))
        if not count:
            return
        if count == 1:
            self._one_text_time = min(self._one_text_time, took)
        limit = max(_BULK_PIECE_TIME, _BULK_PIECE_TEXTS * self._one_text_time)
        if took > limit:
            self._bulk_size = int(size * limit / took)
        else:
            # By a text at most, to learn what it costs. The last piece of a request may be small for want of texts.
            self._bulk_size = max(self._bulk_size, size + size // min(count, 4))

    def _fail_waiting(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(EncoderClosedError())


def _size(text: str) -> int:
    """Estimate what a text costs, in characters: it has a few tokens whatever its length."""
    return len(text) + _TEXT_OVERHEAD


def _answer(encoder: Encoder, job: _Job) -> None:
    try:
        job.answer.set_result(job.context.run(_encode, encoder, job.texts, job.role))
    except BaseException as err:  # noqa: BLE001 - a panic on tokenizers' Rust side is no Exception
        job.answer.set_exception(job.context.run(_as_encoder_error, err))


def _encode(encoder: Encoder, texts: Sequence[str], role: Role) -> Encoded:
    begin = time.perf_counter()
    encoded = encoder.encode(texts, role)
    _LOGGER.debug("Encoded %s texts as %s in %.1f ms", len(texts), role, 1000 * (time.perf_counter() - begin))
    return encoded


def _as_encoder_error(err: BaseException) -> EncoderError:
    """Pass on what the encoder announced, which is its caller's to report; the unexpected leaves a trace in the log."""
    if isinstance(err, EncoderError):
        return err
    _LOGGER.error("The encoder failed in an unexpected way", exc_info=err)
    return EncoderError(str(err))


def _answer_together(encoder: Encoder, jobs: Sequence[_Job]) -> bool:
    """Answer all requests with one run of the model; False, and nobody has an answer, when it fails."""
    try:
        texts = [text for job in jobs for text in job.texts]
        encoded = jobs[0].context.run(_encode, encoder, texts, jobs[0].role)
    except BaseException:  # noqa: BLE001 - whose text it was will show when each goes alone
        return False
    for job in jobs[1:]:
        job.context.run(_LOGGER.debug, "Encoded %s texts along with another request's", len(job.texts))
    start = 0
    for job in jobs:
        end = start + len(job.texts)
        job.answer.set_result(encoded.cut(start, end))
        start = end
    return True
