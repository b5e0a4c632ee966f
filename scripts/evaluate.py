#!/usr/bin/env python3
"""Match sentences with homes in files, by the code that Home Assistant runs, and say how well it went.

  scripts/evaluate.py --homes HOMES --cases FILE... --out predictions.jsonl --lexical-only
  scripts/evaluate.py ... --model .models/all-minilm-l6-v2
  scripts/evaluate.py ... --server http://localhost:8080/v1 --server-model e5-query --passage-model e5-passage
  scripts/evaluate.py ... --explain CASE        why a case comes out as it does, instead of a table
  scripts/evaluate.py ... --reliability         how often it is right when it is so sure

A home file has the keys home, language, floors, areas and entities; only Home Assistant's registries are replaced by
it. A case has id, home, query and context_area; what it expects is read by the scorer alone (--scorer, else score.py
beside the folder of the cases). One line a case is written: id, ranked, decision, targets, took_ms. What a model has
encoded is kept below .evaluation, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from development import ROOT, enter

CACHE = ROOT / ".evaluation/vectors.db"

if TYPE_CHECKING:
    from evaluation.encoders import CachedEncoder
    from evaluation.runner import Answer


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    options = _parse(sys.argv[1:])
    enter()
    return _run(options)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=Path, required=True, help="folder of the home files")
    parser.add_argument("--cases", type=Path, nargs="+", required=True, help="JSON lines")
    parser.add_argument("--out", type=Path, help="where the predictions go")
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", type=Path, metavar="FOLDER", help="a model's folder")
    model.add_argument("--server", metavar="URL", help="an OpenAI-compatible embedding server")
    model.add_argument("--lexical-only", action="store_true", help="no model")
    parser.add_argument("--model-id", help="the model's id in the catalog, unless the folder has its name")
    parser.add_argument("--engine", choices=("openvino", "numpy"), default="openvino")
    parser.add_argument("--server-model", default="default")
    parser.add_argument("--passage-model")
    parser.add_argument("--caution", choices=("careful", "balanced", "eager"), default="balanced")
    parser.add_argument("--explain", metavar="ID", help="print why, for the case of this id")
    parser.add_argument("--reliability", action="store_true")
    parser.add_argument("--scorer", type=Path)
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    from evaluation import report, runner  # noqa: PLC0415 - of the environment

    from custom_components.semantic_home.matching import Caution  # noqa: PLC0415

    cases = runner.read_cases(options.cases)
    if options.explain:
        cases = [case for case in cases if case["id"] == options.explain]
        if not cases:
            return _fail(f"No case has the id {options.explain}")
    encoder = open_encoder(options)
    answers: list[Answer] = []
    with tempfile.TemporaryDirectory() as scratch:
        for home, some in runner.by_home(cases, options.homes, encoder, Path(scratch), _progress):
            for case in some:
                answers.append(home.match(case, caution=Caution(options.caution), explain=bool(options.explain)))
                _progress(len(answers), len(cases))
    if encoder is not None:
        encoder.close()
    if options.explain:
        print(report.explanation(answers[0]))
        return 0
    if options.out:
        lines = (json.dumps(answer.prediction(), ensure_ascii=False) for answer in answers)
        options.out.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        scorer = options.scorer or options.cases[0].resolve().parent.parent / "score.py"
        if scorer.is_file():
            sets = [argument for path in options.cases for argument in ("--set", path.stem)]
            subprocess.run([sys.executable, str(scorer), str(options.out), *sets], check=True)  # noqa: S603
    if options.reliability:
        print(report.reliability(answers))
    print(report.times(answers))
    return 0


def open_encoder(options: argparse.Namespace) -> CachedEncoder | None:
    """Open the model that the options name."""
    from evaluation import encoders  # noqa: PLC0415 - of the environment

    from custom_components.semantic_home.engine import Server  # noqa: PLC0415

    if options.model:
        return encoders.of_folder(options.model, options.model_id, options.engine, CACHE)
    if options.server:
        return encoders.of_server(Server(options.server, options.server_model, options.passage_model), CACHE)
    return None


def _progress(done: int, total: int) -> None:
    print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
