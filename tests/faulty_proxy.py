"""A real HTTP server that stands before an embedding server, asks for a key, and goes wrong on demand."""

import base64
from collections import deque
from collections.abc import Callable, Mapping
import contextlib
from dataclasses import dataclass, field
import http.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import socket
import threading
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np

_PATIENCE = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to whoever asked."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    path: str
    headers: Mapping[str, str]
    payload: dict[str, Any]


# Gives the answer to one request; what it is given asks the real server.
type Fault = Callable[[Callable[[], Answer]], Answer]


class FaultyProxy:
    """Runs for the length of a `with` block.

    `faults` are for the next requests, one each; `always` is for all that follow. `key` is the one it wants. `asked`
    are the requests that came. `hanging` is set when a request of `hang` has come.
    """

    def __init__(self, upstream: str) -> None:
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.key: str | None = None
        self.asked: list[Asked] = []
        self.hanging = threading.Event()
        self._released = threading.Event()
        self._upstream = urlsplit(upstream)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        # Stopping waits for the requests that are under way.
        self._server.daemon_threads = False
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="faulty-proxy")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def hang(self, forward: Callable[[], Answer]) -> Answer:
        """Answer once release() is called, or the proxy ends."""
        self.hanging.set()
        assert self._released.wait(_PATIENCE)
        return forward()

    def release(self) -> None:
        self._released.set()

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if self.key and asked.headers.get("Authorization") != f"Bearer {self.key}":
            return problem(401, f"Invalid key: {asked.headers.get('Authorization')}")
        fault = self.faults.popleft() if self.faults else self.always
        return fault(lambda: self._forward(asked)) if fault else self._forward(asked)

    def _forward(self, asked: Asked) -> Answer:
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=_PATIENCE)
        try:
            connection.request("POST", asked.path, json.dumps(asked.payload))
            response = connection.getresponse()
            return Answer(response.status, response.read(), {"Content-Type": "application/json"})
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                super().setup()
                proxy._connections.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    answer = proxy.answer(Asked(self.path, dict(self.headers), json.loads(body)))
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer.body)
                except ConnectionError:
                    # Of `cut`, or whoever asked has gone.
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        for connection in self._connections:
            # Who has connected and asks nothing would be waited for without end.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


def problem(status: int, message: str, **headers: str) -> Answer:
    """Write an error as OpenAI does."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": status}})
    return Answer(status, body.encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def fails(status: int, message: str = "no", **headers: str) -> Fault:
    """Answer with a status, in OpenAI's way."""
    return lambda _: problem(status, message, **headers)


def says(body: bytes, status: int = 200, **headers: str) -> Fault:
    """Answer with these very bytes."""
    return lambda _: Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def cut(_: Callable[[], Answer]) -> Answer:
    """End the connection without an answer."""
    raise ConnectionAbortedError


def changes(change: Callable[[list[dict[str, Any]]], Any]) -> Fault:
    """Replace the items of a real answer."""

    def fault(forward: Callable[[], Answer]) -> Answer:
        answer = forward()
        whole = json.loads(answer.body)
        whole["data"] = change(whole["data"])
        return Answer(answer.status, json.dumps(whole).encode(), answer.headers)

    return fault


def each(change: Callable[[list[float]], Any]) -> Fault:
    """Replace every vector of a real answer."""
    return changes(lambda items: [item | {"embedding": change(item["embedding"])} for item in items])


html = says(b"<!DOCTYPE html><html><body>Please log in; our model is great</body></html>", Content_Type="text/html")
other_model = each(lambda vector: vector[::-1])
token_vectors = each(lambda vector: [vector, vector])
backwards = changes(lambda items: items[::-1])
base64_vectors = each(lambda vector: base64.b64encode(np.array(vector, "<f4").tobytes()).decode())
