"""Run the encoder in a process that watches itself: `python watched_encoder.py blocked|plain`.

`plain` imports OpenVINO as it comes, to show that the watch sees what there is to see. Whatever would leave the
machine is refused as well as noted. Prints what was noted as JSON, one event's name a line of the array.
"""

import json
import os
from pathlib import Path
import sys
import threading
from typing import Any

_REFUSED = {
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg", "socket.bind",
    "subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system",
}  # fmt: skip
_ROOT = Path(__file__).parents[2]


def main() -> None:
    seen = watch(os.environ["HOME"])
    if sys.argv[1] == "plain":
        import openvino  # noqa: F401, PLC0415
    else:
        # By this path it comes without Home Assistant, which starts `ldconfig` and the like when it is imported.
        sys.path.insert(0, str(_ROOT / "custom_components/semantic_home"))
        from engine import OpenVINOEncoder, Role, load_catalog  # noqa: PLC0415

        encoder = OpenVINOEncoder(_ROOT / ".models/all-minilm-l6-v2", load_catalog()["all-minilm-l6-v2"])
        assert encoder.encode(["the lamp next to the couch", "a"], Role.QUERY).dense.shape == (2, 384)
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    print(json.dumps({"seen": seen, "threads": others}))  # noqa: T201


def watch(home: str) -> list[str]:
    """Note from now on what would leave this process, and what is written to the user's home."""
    seen: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            seen.append(event)
            raise PermissionError(event)
        if event in ("open", "os.mkdir") and str(arguments[0]).startswith(home):
            seen.append(event)

    sys.addaudithook(note)
    return seen


main()
