#!/usr/bin/env python3
"""Ask homes in files by a language model alone, and say which texts of an entity it should be given.

  scripts/evaluate_views.py --homes HOMES --cases FILE... --model .models/all-minilm-l6-v2
  scripts/evaluate_views.py ... --server http://localhost:8080/v1 --server-model e5-query --passage-model e5-passage

Homes and cases are those of scripts/evaluate.py. What counts are cases of the task "name", one table column a file,
and those of the task "scope" together. Entities are ranked by how much nearer the model finds them than everyday
sentences, as Home Assistant's actions have it, and by nothing else: no letters, no places, no kinds.

R@1 is the share of cases whose thing is first (of a scope: the share of its things among as many first ones), MRR the
mean of one over its place (of a scope: of its first thing's); ties count as what is to be expected of chance. "267 of
61" are sentences, and the different things that they are about. In "best of" the nearest text counts, "+" adds what is
found. Differences are to what the integration embeds, with 95 % bootstrap intervals over things; ▲ and ▼ mark what is
better or worse by its whole interval. Texts, letters and kB of vectors are what an entity costs on average. What a
model has encoded is kept below .evaluation, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys

from development import ROOT, enter

CACHE = ROOT / ".evaluation/vectors.db"


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    options = _parse(sys.argv[1:])
    enter()
    return _run(options)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=Path, required=True, help="folder of the home files")
    parser.add_argument("--cases", type=Path, nargs="+", required=True, help="JSON lines")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="a model's folder")
    parser.add_argument("--model-id", help="the model's id in the catalog, unless the folder has its name")
    parser.add_argument("--engine", choices=("openvino", "numpy"), default="openvino")
    parser.add_argument("--server", metavar="URL", help="an OpenAI-compatible embedding server")
    parser.add_argument("--server-model", default="default")
    parser.add_argument("--passage-model")
    options = parser.parse_args(arguments)
    if options.model is None and options.server is None:
        parser.error("name a model's folder, a server or both")
    return options


def _run(options: argparse.Namespace) -> int:
    from evaluation import encoders, runner, views, views_report  # noqa: PLC0415 - of the environment

    cases = [case for case in runner.read_cases(options.cases) if views.counted_under(case)]
    if not cases:
        print('No case has the task "name" or "scope" and expects something', file=sys.stderr)
        return 1
    for encoder in encoders.named(options, CACHE):
        print(f"Asking {encoder.name} {len(cases)} sentences, after encoding what is not known yet", file=sys.stderr)
        asked, costs = views.ask_all(cases, options.homes, encoder, _progress)
        print(f"{encoder.name}\n\n{views_report.tables(asked, costs)}\n")
        encoder.close()
    return 0


def _progress(done: int, total: int) -> None:
    print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
