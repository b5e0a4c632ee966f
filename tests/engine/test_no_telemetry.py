"""OpenVINO's Python package reports every import to Google Analytics. Ours must not."""

import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from .common import ROOT


def _watch(mode: str, home: Path) -> dict[str, Any]:
    finished = subprocess.run(
        [sys.executable, str(ROOT / "tests/engine/watched_encoder.py"), mode],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def test_encoder_makes_no_connection_process_thread_or_file(tmp_path: Path) -> None:
    assert _watch("blocked", tmp_path) == {"seen": [], "threads": []}
    assert list(tmp_path.iterdir()) == []


def test_the_watch_sees_what_plain_openvino_does(tmp_path: Path) -> None:
    watched = _watch("plain", tmp_path)
    # The connection itself is made by a process that a thread of it starts, some time later.
    assert {"os.mkdir", "open"} <= set(watched["seen"])
    assert (tmp_path / "intel").is_dir()
