"""Brings a model's files from a hub: all of them and all verified, or none.

A download may end at any moment, also with the power; the next one takes up what it left.
"""

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
import re

from aiohttp import ClientResponse, ClientSession

from ..engine import ModelFile
from .answers import PassingError, Patience, Wait, answer
from .errors import HubError
from .folder import disk_errors, is_complete, prepare, put_in_place
from .part import Part
from .urls import file_url

# As much goes to the disk at once; each time costs a thread's turn.
_BUFFER = 2**20
# About three minutes without a single new byte; with a hub that is busy, as long as it asks for.
_RETRIES = 8
_LONGEST_WAIT = 300.0


async def download(  # noqa: PLR0913 - each of them is needed
    session: ClientSession,
    endpoint: str,
    files: Sequence[ModelFile],
    folder: Path,
    progress: Callable[[int, int], None],
    *,
    wait: Wait = asyncio.sleep,
) -> None:
    """Let a folder appear with these files, unless it is there already.

    `progress` gets the bytes that are there and those of the whole, in the event loop. Whoever calls sees to it that
    nobody else is filling the same folder. `wait` is what waits between attempts. Raises HubError.
    """
    total = sum(file.size for file in files)
    if await _on_disk(is_complete, folder, files):
        progress(total, total)
        return
    parts = await _on_disk(prepare, folder, files)

    def report() -> None:
        progress(sum(part.done for part in parts), total)

    report()
    for part in parts:
        await _Transfer(session, endpoint, part, report, wait).run()
    await _on_disk(put_in_place, folder)


class _WrongContentError(Exception):
    """What comes is not the file."""


class _Transfer:
    """Brings one file."""

    def __init__(
        self, session: ClientSession, endpoint: str, part: Part, report: Callable[[], None], wait: Wait
    ) -> None:
        self._session = session
        self._url = file_url(endpoint, part.file)
        self._part = part
        self._report = report
        self._patience = Patience(wait, _RETRIES, _LONGEST_WAIT)

    async def run(self) -> None:
        part = self._part
        try:
            await _on_disk(part.open)
            while await _on_disk(part.hash_more):
                pass
            if part.complete and not part.right:
                # Spoilt on this disk, for which the hub is not to blame.
                await self._restart()
            if not await self._receive():
                await self._restart()
                if not await self._receive():
                    await _on_disk(part.discard)
                    raise HubError("hub_corrupt", str(self._url))
            await _on_disk(part.settle)
        finally:
            await _on_disk(part.close)

    async def _receive(self) -> bool:
        """Go on until all bytes are there. Says whether they are the right ones."""
        furthest = self._part.done
        while not self._part.complete:
            try:
                await self._ask()
            except _WrongContentError:
                return False
            except PassingError as err:
                # A hub that starts over each time and never gets further is not to be asked for ever.
                if self._part.done > furthest:
                    furthest = self._part.done
                    self._patience.renew()
                await self._patience.after(err)
        return self._part.right

    async def _ask(self) -> None:
        done = self._part.done
        # Compressed bytes could neither be resumed nor counted.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        async with answer(self._session, self._url, headers) as response:
            if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if not done:
                    raise PassingError("hub_unreachable", f"{response.status} {response.reason}: {self._url}")
                await self._restart()
                return
            self._check_hash(response)
            if done and not _continues(response, done):
                await self._restart()
                if response.status != HTTPStatus.OK:
                    return
            self._check_length(response)
            await self._take(response)
        if not self._part.complete:
            raise PassingError("hub_unreachable", f"ended early: {self._url}")

    async def _take(self, response: ClientResponse) -> None:
        buffer = bytearray()
        try:
            async for data in response.content.iter_any():
                buffer += data
                if self._part.done + len(buffer) > self._part.file.size:
                    buffer.clear()
                    raise _WrongContentError
                if len(buffer) >= _BUFFER:
                    full, buffer = buffer, bytearray()
                    await self._write(full)
        finally:
            # Also what came before a cut is worth keeping.
            if buffer:
                await self._write(buffer)

    async def _write(self, data: bytearray) -> None:
        await _on_disk(self._part.write, data)
        self._report()

    async def _restart(self) -> None:
        await _on_disk(self._part.restart)
        self._report()

    def _check_hash(self, response: ClientResponse) -> None:
        """Compare with the hash that a hub states of a large file, where it does. Raises HubError `hub_changed`.

        That is in its own answer, before it sends one elsewhere for the bytes.
        """
        wanted = self._part.file.sha256
        for step in (*response.history, response):
            stated = step.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
            if wanted and re.fullmatch("[0-9a-f]{64}", stated) and stated != wanted:
                raise HubError("hub_changed", str(self._url))

    def _check_length(self, response: ClientResponse) -> None:
        """Leave a body that cannot be the file, before it comes."""
        length = response.content_length
        if length is None or response.headers.get("Content-Encoding", "identity") != "identity":
            return
        if self._part.done + length != self._part.file.size:
            raise _WrongContentError


def _continues(response: ClientResponse, done: int) -> bool:
    """Tell whether the body goes on where the part ends."""
    stated = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    return response.status == HTTPStatus.PARTIAL_CONTENT and plain and stated is not None and int(stated[1]) == done


async def _on_disk[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do something in the default executor. Raises HubError for OSError.

    Cancelled, it lets the thread finish first: nobody may close a file that another thread is writing.
    """

    def call() -> T:
        with disk_errors():
            return function(*args, **kwargs)

    running = asyncio.get_running_loop().run_in_executor(None, call)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as err:
            cancelled = err
    if cancelled:
        running.exception()
        raise cancelled
    return running.result()
