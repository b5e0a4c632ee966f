#!/usr/bin/env python3
"""Ask for each pattern that ships in words that were taken out of what it is found by, and say how often it is found.

scripts/evaluate_patterns.py --model .models/all-minilm-l6-v2
scripts/evaluate_patterns.py --server http://localhost:8080/v1 --server-model e5-query --passage-model e5-passage
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from development import ROOT, enter

CACHE = ROOT / ".evaluation/vectors.db"
# What has nothing to do with any automation.
ELSEWHERE = (
    "what is the capital of France",
    "tell me a joke",
    "play jazz in the kitchen",
    "set a timer for ten minutes",
    "who wrote Hamlet",
    "make me a sandwich",
    "how many calories are in a banana",
    "what day is it tomorrow",
)

if TYPE_CHECKING:
    from evaluation.encoders import CachedEncoder


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", type=Path, metavar="FOLDER", help="a model's folder")
    model.add_argument("--server", metavar="URL", help="an OpenAI-compatible embedding server")
    parser.add_argument("--model-id", help="the model's id in the catalog, unless the folder has its name")
    parser.add_argument("--server-model", default="default")
    parser.add_argument("--passage-model")
    options = parser.parse_args()
    enter()
    from evaluation import encoders, patterns  # noqa: PLC0415 - of the environment

    from custom_components.semantic_home.engine import Server  # noqa: PLC0415

    encoder: CachedEncoder
    if options.model:
        encoder = encoders.of_folder(options.model, options.model_id, "openvino", CACHE)
    else:
        encoder = encoders.of_server(Server(options.server, options.server_model, options.passage_model), CACHE)
    print("\n".join(patterns.report(encoder, ELSEWHERE)))
    encoder.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
