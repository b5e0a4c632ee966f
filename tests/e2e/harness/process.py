"""A real Home Assistant as a child process."""

from collections.abc import Iterator
import http.client
import os
from pathlib import Path
import signal
import socket
import subprocess
import time
from types import TracebackType
from typing import Self

from .folder import CHECKOUT, HomeFolder

PYTHON = CHECKOUT / ".venv-demo" / "bin" / "python"

# Speech packages that must be compiled; Home Assistant starts without them.
COMPILED_PACKAGES = {"pymicro-vad": "pymicro_vad", "pyspeex-noise": "pyspeex_noise"}

# A first start may install packages before it answers.
START_SECONDS = 120
STOP_SECONDS = 60
TAIL_LINES = 30


class HomeAssistantDiedError(RuntimeError):
    """The process ended, or never answered, instead of serving."""


class HomeAssistantProcess:
    """Start, await and stop Home Assistant; it never outlives the `with` block."""

    def __init__(self, folder: HomeFolder, python: Path = PYTHON) -> None:
        """Take the folder to run in and the interpreter to run with."""
        self.folder = folder
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Address of the web interface and the REST API."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the process and wait until its REST API answers."""
        self._port = _free_port()
        self.folder.listen_on(self._port)
        try:
            with self.folder.log.open("wb") as log:
                self._process = subprocess.Popen(
                    list(self._command()),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=_environment(self._python),
                    # Python looks for modules where it starts; in the checkout it would find the tests' packages too.
                    cwd=self.folder.config,
                    # A Ctrl-C in the terminal is meant for the driver, which then stops this process in order.
                    start_new_session=True,
                )
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, politely first."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def is_running(self) -> bool:
        """Tell whether the process has been started and not ended."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _command(self) -> Iterator[str]:
        yield from (str(self._python), "-m", "homeassistant", "-c", str(self.folder.config), "--log-no-color")
        if missing := [name for name, module in COMPILED_PACKAGES.items() if not _installed(self._python, module)]:
            yield from ("--skip-pip-packages", ",".join(missing))

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self._port):
            if process.poll() is not None:
                raise self._died(f"Home Assistant ended with code {process.returncode}")
            if time.monotonic() > deadline:
                raise self._died(f"Home Assistant did not answer within {START_SECONDS} s")
            time.sleep(0.1)

    def _died(self, what: str) -> HomeAssistantDiedError:
        lines = self.folder.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return HomeAssistantDiedError("\n".join([f"{what}. The end of {self.folder.log}:", *lines[-TAIL_LINES:]]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        # Open to everyone: a request without a token elsewhere would be logged as an attack.
        connection.request("GET", "/manifest.json")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError, http.client.HTTPException:
        return False
    finally:
        connection.close()


def _environment(python: Path) -> dict[str, str]:
    """Return our own environment without what would leak another Python into the child."""
    leaking = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SUPERVISOR", "SUPERVISOR_TOKEN"}
    kept = {name: value for name, value in os.environ.items() if name not in leaking}
    # Home Assistant installs packages with the `uv` that it finds first.
    return {**kept, "PATH": f"{python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"}


def _installed(python: Path, module: str) -> bool:
    return any(python.parent.parent.glob(f"lib/python3*/site-packages/{module}*"))
