"""The development environment (.venv), for commands that need its packages."""

import os
from pathlib import Path
import subprocess
import sys

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"


def enter(*parts: str) -> None:
    """Go on in the environment, made when it is missing, with the project's packages to import.

    Whatever Python the command was started with, it is started there again. `parts` are what it needs beside of what
    scripts/setup makes.
    """
    if Path(sys.prefix) != ENVIRONMENT:
        setup = [str(ROOT / "scripts/setup"), "development", *parts]
        if subprocess.run(setup, check=False).returncode:  # noqa: S603 - our own
            sys.exit(1)
        python = str(ENVIRONMENT / "bin/python")
        os.execv(python, [python, *sys.argv])  # noqa: S606 - no shell is wanted
    sys.path.insert(0, str(ROOT))
