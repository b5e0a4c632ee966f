#!/usr/bin/env python3
"""Measure the index on this machine: how long it takes to open, search, change and shrink, and what memory it takes.

  scripts/benchmark_index.py                      100,000 documents of one view and 1,024 dimensions
  scripts/benchmark_index.py --documents 2000     so many instead
  scripts/benchmark_index.py --dimension 384      of so many dimensions

The file lies in the system's temporary directory, takes about 1 GB with the default numbers while a second generation
is there, and is removed. "Cold" is after its pages were dropped from memory, where the system allows that. Times are
those of this machine at this hour.
"""

import argparse
import os
from pathlib import Path
import subprocess
import sys

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    if Path(sys.prefix) != ENVIRONMENT:
        setup = [str(ROOT / "scripts/setup"), "development"]
        if subprocess.run(setup, check=False).returncode:  # noqa: S603 - our own
            return 1
        python = str(ENVIRONMENT / "bin/python")
        os.execv(python, [python, __file__, *sys.argv[1:]])  # noqa: S606 - no shell is wanted
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=1_024)
    arguments = parser.parse_args()
    sys.path[0] = str(ROOT)
    from tests.index import benchmark  # noqa: PLC0415 - of the environment

    for line in benchmark.run(arguments.documents, arguments.dimension):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
