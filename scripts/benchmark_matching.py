#!/usr/bin/env python3
"""Measure what matching takes without encoding, in made-up homes of 1,000 and 10,000 entities.

scripts/benchmark_matching.py           the matcher, with evidence that is there already
scripts/benchmark_matching.py --heads   the whole of a match in an index: the dense head alone against all of BGE-M3's
"""

import argparse
import sys

from development import enter


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--heads", action="store_true", help="with a home in a database, and random vectors")
    options = parser.parse_args()
    enter()
    if options.heads:
        return _heads(options.entities)
    from tests.benchmark.matching import measure  # noqa: PLC0415 - of the environment

    for result in measure(options.entities):
        print(
            f"{result['entities']:6} entities: p50 {result['p50_ms']:.1f} ms, p95 {result['p95_ms']:.1f} ms, "
            f"index made in {result['build_ms']:.0f} ms"
        )
    return 0


def _heads(sizes: list[int]) -> int:
    from tests.benchmark.heads import measure  # noqa: PLC0415 - of the environment

    for result in measure(sizes):
        half, most = (result[name] / result[f"dense_{name}"] for name in ("p50_ms", "p95_ms"))
        print(
            f"{result['entities']:6} entities: dense p50 {result['dense_p50_ms']:.1f} ms, "
            f"p95 {result['dense_p95_ms']:.1f} ms; "
            f"all heads p50 {result['p50_ms']:.1f} ms, p95 {result['p95_ms']:.1f} ms "
            f"({half:.2f} and {most:.2f} times), "
            f"{result['first_ms']:.1f} ms at most for what is asked first; database {result['megabytes']:.0f} MB, "
            f"loaded in {result['load_ms']:.0f} ms"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
