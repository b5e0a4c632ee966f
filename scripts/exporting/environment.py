"""The environment that reference runs and exports need: .venv-export, with PyTorch, on Python 3.11 to 3.13.

A script calls enter() first; it starts again there, from whatever Python runs it. The environment is made when it is
missing or its pins have changed. That took under three minutes where pip found a CPU build of PyTorch; elsewhere pip
fetches the CUDA one, several GB.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-export"
PINS = ROOT / ".ci/pins/export.txt"
TORCH = "torch==2.13.0"


def enter() -> None:
    """Be in the environment, starting this script again when it is not."""
    if Path(sys.prefix) == ENVIRONMENT:
        return
    make()
    python = str(ENVIRONMENT / "bin/python")
    sys.stdout.flush()
    os.execv(python, [python, *sys.argv])  # noqa: S606 - no shell is wanted


def is_made() -> bool:
    """Tell whether the environment is there, by today's pins."""
    made_from = ENVIRONMENT / "made-from"
    return made_from.is_file() and made_from.read_text() == _stamp()


def make() -> None:
    """Install PyTorch first and the rest by its pins, without dependencies, so that nothing brings another PyTorch."""
    if is_made():
        return
    print("Making", ENVIRONMENT.name, "(minutes) ...", file=sys.stderr, flush=True)
    run(_find_python(), "-m", "venv", "--clear", str(ENVIRONMENT))
    pip = (str(ENVIRONMENT / "bin/python"), "-m", "pip", "install", "--quiet")
    run(*pip, TORCH)
    run(*pip, "--no-deps", "--require-hashes", "-r", str(PINS))
    (ENVIRONMENT / "made-from").write_text(_stamp())


def run(*command: str) -> None:
    """Run a command, and end here when it fails; it has said why."""
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        sys.exit("Failed: " + " ".join(command))


def _stamp() -> str:
    return TORCH + " " + hashlib.sha256(PINS.read_bytes()).hexdigest()


def _find_python() -> str:
    """Find a Python that PyTorch has wheels for; one that is on PATH may still be an empty shim."""
    for name in ("python3.11", "python3.12", "python3.13", "python3"):
        found = shutil.which(name)
        test = "import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
        if found and not subprocess.run([found, "-c", test], stderr=subprocess.DEVNULL, check=False).returncode:  # noqa: S603
            return found
    sys.exit("No Python 3.11, 3.12 or 3.13 (with venv) was found on PATH.")
