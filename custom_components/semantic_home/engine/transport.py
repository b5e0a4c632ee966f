"""How a request reaches a server. The encoder knows no HTTP library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered; the names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """No answer: no connection, a broken one, or the time is up."""


class TransportClosedError(TransportError):
    """The transport was interrupted."""


class Transport(Protocol):
    """Sends requests, one at a time. Blocking."""

    def post(self, url: str, payload: Mapping[str, Any], headers: Mapping[str, str], timeout: float) -> Response:
        """Post the payload as JSON and wait for the answer, `timeout` seconds at most. Raises TransportError."""

    def interrupt(self) -> None:
        """Have the running post, and all later ones, raise TransportClosedError. Called by any thread."""
