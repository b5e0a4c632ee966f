"""What a hub's answers mean, and how long to go on asking."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
import re

from aiohttp import ClientConnectorCertificateError, ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from .errors import HubError

type Wait = Callable[[float], Awaitable[object]]

# Seconds. A model may take hours over a thin line: what counts is that something keeps coming.
_TIMEOUT = ClientTimeout(total=None, connect=30, sock_read=60)
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
_CONTENT = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}


class PassingError(Exception):
    """What may be over in a while. `retry_after` is the number of seconds that the hub asked for, or 0."""

    def __init__(self, problem: str, detail: str, retry_after: float = 0) -> None:
        """Keep what a HubError is to say if it is not over in time."""
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
        self.retry_after = retry_after


class Patience:
    """Waits longer after each failure in a row, and gives up after so many."""

    def __init__(self, wait: Wait, retries: int, longest: float) -> None:
        """Wait `retries` times with `wait`, each time at most `longest` seconds."""
        self._wait = wait
        self._retries = retries
        self._longest = longest
        self._failures = 0

    def renew(self) -> None:
        """Forget the failures, because something went well since."""
        self._failures = 0

    async def after(self, err: PassingError) -> None:
        """Wait after a failure. Raises HubError when it was one too many."""
        if self._failures >= self._retries:
            raise HubError(err.problem, err.detail) from err
        await self._wait(min(max(2.0**self._failures, err.retry_after), self._longest))
        self._failures += 1


@asynccontextmanager
async def answer(session: ClientSession, url: URL, headers: Mapping[str, str]) -> AsyncIterator[ClientResponse]:
    """Ask, and give the answer: 200, 206 or 416. What breaks while it is read counts as well.

    Raises HubError for an answer that will not change, and PassingError.
    """
    try:
        async with session.get(url, headers=headers, timeout=_TIMEOUT) as response:
            _judge(response)
            yield response
    except ClientConnectorCertificateError as err:
        raise HubError("hub_unreachable", f"{url.host}: {err}") from err
    except (ClientError, TimeoutError, ConnectionError) as err:
        raise PassingError("hub_unreachable", f"{url.host}: {err or type(err).__name__}") from err


def _judge(response: ClientResponse) -> None:
    status = response.status
    if status in _CONTENT:
        return
    asked = response.history[0].url if response.history else response.url
    detail = f"{status} {response.reason}: {asked}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise PassingError("hub_busy", detail, _retry_after(response))
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise PassingError("hub_unreachable", detail, _retry_after(response))
    raise HubError(_lasting(response), detail)


def _lasting(response: ClientResponse) -> str:
    # To somebody without an account Hugging Face answers 401 for every name that it does not have.
    unknown = response.headers.get("X-Error-Code") == "RepoNotFound"
    if unknown or response.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return "hub_not_found"
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS}:
        return "hub_denied"
    return "hub_unreachable"


def _retry_after(response: ClientResponse) -> float:
    """Read the seconds; a date, the header's other form, is as good as nothing."""
    said = response.headers.get("Retry-After", "")
    return float(said) if re.fullmatch(r"\d{1,9}", said, re.ASCII) else 0.0
