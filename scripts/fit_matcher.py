#!/usr/bin/env python3
"""Make the matcher's numbers again: the request model and the weights of the decision.

  scripts/fit_matcher.py requests               matching/request_model.npz, from the templates of home-assistant-intents
  scripts/fit_matcher.py weights --homes HOMES --cases FILE... [--model FOLDER] [--server URL ...]
                                                matching/weights.json, from labelled cases
  scripts/fit_matcher.py weights ... --across DIR
                                                also writes, for each encoder, predictions by weights that were fitted
                                                without the case's home (five parts), as scripts/evaluate.py writes them

The request model takes templates of two releases: the newest, and one of 2025 which had more sentences about sensors.
Both steps are deterministic: the same input on the same platform gives the same files, bit for bit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
from pathlib import Path
import sys

from development import ROOT, enter

MATCHING = ROOT / "custom_components/semantic_home/matching"
FORMER_TEMPLATES = ROOT / ".models/home-assistant-intents-2025"
SEED = 0
EACH = 18


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    options = _parse(sys.argv[1:])
    enter("templates")
    if options.what == "requests":
        _fit_requests()
    else:
        from fitting import cases  # noqa: PLC0415 - of the environment

        cases.fit_weights(options, MATCHING / "weights.json")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("requests")
    weights = what.add_parser("weights")
    weights.add_argument("--homes", type=Path, required=True)
    weights.add_argument("--cases", type=Path, nargs="+", required=True)
    weights.add_argument("--model", type=Path, action="append", default=[], help="a model's folder")
    weights.add_argument("--server", help="an embedding server")
    weights.add_argument("--server-model", default="default")
    weights.add_argument("--passage-model")
    weights.add_argument("--across", type=Path)
    return parser.parse_args(arguments)


def _fit_requests() -> None:
    from fitting import request_training, templates  # noqa: PLC0415 - of the environment
    import numpy as np  # noqa: PLC0415

    names = templates.Names(json.loads((MATCHING / "vocabulary.json").read_text("utf-8")))
    folders = [FORMER_TEMPLATES / "home_assistant_intents/data", templates.released()]
    print("Making sentences ...", file=sys.stderr)
    sentences = [*templates.sentences(folders, names, EACH, SEED), *templates.chatter(for_weights=False)]
    print(f"Training on {len(sentences)} sentences ...", file=sys.stderr)
    arrays = request_training.train(sentences, names, SEED, lambda line: print(line, file=sys.stderr))
    np.savez_compressed(MATCHING / "request_model.npz", **arrays)


if __name__ == "__main__":
    sys.exit(main())
