"""Requests over an aiohttp session that belongs to an event loop, for a thread that is not the loop's."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
import json
import threading
from typing import TYPE_CHECKING, Any, override

from .transport import Response, Transport, TransportClosedError, TransportError

if TYPE_CHECKING:
    # Whoever has a session has it; the rest of the engine goes without.
    from aiohttp import ClientResponse, ClientSession

# 32 vectors of 4,096 numbers are 3 MB. What is longer comes from no embedding server, and must not fill the memory.
_LARGEST_BODY = 16 * 2**20
_CHUNK = 64 * 2**10
# The session keeps the time; only a loop that has stopped lets it pass.
_LOOP_GRACE = 5.0
_TOO_LATE = "no answer within {:.3g} s"


class SessionTransport(Transport):
    """Has the loop do the work, and waits for it. Does not close the session."""

    def __init__(self, session: ClientSession, loop: asyncio.AbstractEventLoop) -> None:
        """Take the session and the loop that it belongs to, which must not be run by the thread that will post."""
        self._session = session
        self._loop = loop
        self._lock = threading.Lock()
        self._running: Future[Response] | None = None
        self._interrupted = False

    @override
    def post(self, url: str, payload: Mapping[str, Any], headers: Mapping[str, str], timeout: float) -> Response:
        running = self._start(url, payload, headers, timeout)
        try:
            return running.result(timeout + _LOOP_GRACE)
        except CancelledError as err:
            raise TransportClosedError from err
        except TimeoutError as err:
            running.cancel()
            raise TransportError(_TOO_LATE.format(timeout)) from err
        finally:
            with self._lock:
                self._running = None

    @override
    def interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            running = self._running
        if running:
            running.cancel()

    def _start(
        self, url: str, payload: Mapping[str, Any], headers: Mapping[str, str], timeout: float
    ) -> Future[Response]:
        with self._lock:
            if self._interrupted:
                raise TransportClosedError
            work = self._post(url, payload, headers, timeout)
            try:
                self._running = asyncio.run_coroutine_threadsafe(work, self._loop)
            except RuntimeError as err:
                # The loop is closed.
                work.close()
                raise TransportClosedError from err
            return self._running

    async def _post(self, url: str, payload: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Response:
        from aiohttp import ClientError  # noqa: PLC0415 - see above

        try:
            return await self._exchange(url, payload, headers, seconds)
        except TimeoutError as err:
            raise TransportError(_TOO_LATE.format(seconds)) from err
        except (ClientError, OSError, RuntimeError) as err:
            # The last one is of a session that somebody has closed.
            raise TransportError(str(err) or type(err).__name__) from err
        except ValueError as err:
            # Of a header, whose value may be the key: it must not be told.
            raise TransportError(type(err).__name__) from None

    async def _exchange(
        self, url: str, payload: Mapping[str, Any], headers: Mapping[str, str], seconds: float
    ) -> Response:
        from aiohttp import ClientTimeout  # noqa: PLC0415 - see above

        async with self._session.post(
            url,
            # Not by the session's own JSON library, which may refuse what ours writes.
            data=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json", **headers},
            timeout=ClientTimeout(total=seconds),
            # The key is for this server only, and a redirected POST would become a GET anyway.
            allow_redirects=False,
        ) as response:
            answered = {name.lower(): value for name, value in response.headers.items()}
            return Response(response.status, answered, await _bounded_body(response))


async def _bounded_body(response: ClientResponse) -> bytes:
    """Read the body, or as much of it as nobody needs."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > _LARGEST_BODY:
            break
    return bytes(body[:_LARGEST_BODY])
