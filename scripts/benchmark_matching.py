#!/usr/bin/env python3
"""Measure what matching takes without encoding, in made-up homes of 1,000 and 10,000 entities.

scripts/benchmark_matching.py
"""

import argparse
import sys

from development import enter


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, nargs="+", default=[1000, 10000])
    options = parser.parse_args()
    enter()
    from tests.benchmark.matching import measure  # noqa: PLC0415 - of the environment

    for result in measure(options.entities):
        print(
            f"{result['entities']:6} entities: p50 {result['p50_ms']:.1f} ms, p95 {result['p95_ms']:.1f} ms, "
            f"index made in {result['build_ms']:.0f} ms"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
