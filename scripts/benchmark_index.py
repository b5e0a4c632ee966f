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
import sys

from development import enter


def main() -> int:
    """Do it in the development environment."""
    enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=1_024)
    arguments = parser.parse_args()
    from tests.index import benchmark  # noqa: PLC0415 - of the environment

    for line in benchmark.run(arguments.documents, arguments.dimension):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
