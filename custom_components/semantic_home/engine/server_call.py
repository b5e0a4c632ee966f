"""Requests to a server that may be busy, away or gone: tries again, gives up in time, and leaves it alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
import json
import random
import threading
from typing import Any

from .circuit_breaker import CircuitBreaker
from .embedding_server import Server, ServerError, ServerUnreachableError, candidates
from .embeddings_api import refusal
from .encoder import EncoderClosedError
from .transport import Response, Transport, TransportClosedError, TransportError

_RETRIES = 2
_FIRST_DELAY = 0.25
# What a server may have us wait. If it wants more, the caller is better off without an answer.
_LONGEST_DELAY = 5.0
_CALL_TIMEOUTS = 2
# Of fewer characters a text says nothing, but is found in any message.
_SECRET = 4


class ServerCall:
    """Posts to one endpoint, for one thread; only interrupt() may come from another."""

    def __init__(
        self,
        server: Server,
        transport: Transport,
        breaker: CircuitBreaker,
        clock: Callable[[], float],
        wait: Callable[[float], object] | None,
    ) -> None:
        """Take the server, what reaches it and what counts its failures, a monotonic clock, and how to wait (seconds).

        By default it waits until the time is over or interrupt() is called.
        """
        self._url = candidates(server.url)[0]
        self._timeout = server.timeout
        self._key = server.api_key
        self._headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._transport = transport
        self._clock = clock
        self._interrupted = threading.Event()
        self._wait = wait or self._interrupted.wait
        self._breaker = breaker

    def deadline(self) -> float:
        """Give the time, by the clock, at which a call that begins now must be over."""
        return self._clock() + _CALL_TIMEOUTS * self._timeout

    def post(self, payload: Mapping[str, Any], deadline: float) -> bytes:
        """Post and return the answer's body. Raises ServerError, and EncoderClosedError after interrupt()."""
        if self._interrupted.is_set():
            raise EncoderClosedError
        if remaining := self._breaker.remaining:
            raise ServerUnreachableError(f"it failed several times and is left alone for {remaining:.0f} s more")
        try:
            body = self._persist(payload, deadline)
        except ServerUnreachableError:
            self._breaker.failed()
            raise
        except ServerError:
            # It does not like the request, but it is there.
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return body

    def interrupt(self) -> None:
        """End a running call, and refuse later ones. Called by any thread."""
        self._interrupted.set()
        self._transport.interrupt()

    def close(self) -> None:
        """Refuse later calls."""
        self._interrupted.set()

    def _persist(self, payload: Mapping[str, Any], deadline: float) -> bytes:
        # Whoever tries whether it is back again should know soon.
        delays = iter(() if self._breaker.resting else (_FIRST_DELAY * 2**number for number in range(_RETRIES)))
        while True:
            try:
                return self._post(payload, deadline)
            except ServerUnreachableError as err:
                delay = self._delay(err.retry_after, next(delays, None))
                if delay is None or self._clock() + delay >= deadline:
                    raise
            self._wait(delay)
            if self._interrupted.is_set():
                raise EncoderClosedError

    def _delay(self, wanted: float | None, backoff: float | None) -> float | None:
        """Say for how many seconds to wait; None when it is not worth it."""
        if backoff is None or (wanted or 0) > _LONGEST_DELAY:
            return None
        # Several homes, or several callers of one, should not come back all at once.
        return max(wanted or 0, backoff * random.uniform(0.5, 1))  # noqa: S311 - nobody gains from guessing it

    def _post(self, payload: Mapping[str, Any], deadline: float) -> bytes:
        timeout = min(self._timeout, deadline - self._clock())
        if timeout <= 0:
            raise ServerUnreachableError("the time for the whole call is up")
        try:
            response = self._transport.post(self._url, payload, self._headers, timeout)
        except TransportClosedError as err:
            raise EncoderClosedError from err
        except TransportError as err:
            if self._interrupted.is_set():
                raise EncoderClosedError from err
            raise ServerUnreachableError(str(err)) from err
        if self._interrupted.is_set():
            raise EncoderClosedError
        response = self._without_secrets(response, payload.get("input", ()))
        if error := refusal(response):
            raise error
        return response.body

    def _without_secrets(self, response: Response, texts: Iterable[str]) -> Response:
        """Strike out the key, which some servers repeat in what they say, and the texts that they complain about."""
        secrets = {*([self._key] if self._key else ())}
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            spoken = (form for text in texts if len(text) >= _SECRET for form in (text, json.dumps(text)[1:-1]))
            secrets.update(spoken)
        body = response.body
        # The longest first: one may be a part of another.
        for secret in sorted(secrets, key=len, reverse=True):
            body = body.replace(secret.encode(), b"***")
        return replace(response, body=body)
