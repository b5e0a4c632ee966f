#!/usr/bin/env python3
"""Measure what searching household knowledge takes without encoding: 10,000 made-up pieces of 1,024 dimensions.

scripts/benchmark_knowledge.py                    plain, limited, expanded and read again
scripts/benchmark_knowledge.py --pieces 1000      of so many pieces

The vectors are random. "Made at the start" is what is read and made of the texts when Home Assistant starts.
"""

import argparse
import sys

from development import enter


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    enter()
    from tests.benchmark.knowledge import measure  # noqa: PLC0415 - of the environment

    print(f"{options.pieces} pieces of knowledge, {options.rounds} searches each; milliseconds")
    for title, half, most in measure(options.pieces, options.rounds):
        print(f"{title:24} p50 {half:7.1f}  p95 {most:7.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
