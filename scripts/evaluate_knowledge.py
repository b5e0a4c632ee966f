#!/usr/bin/env python3
"""Ask for what the installed Home Assistant can do, in people's own words, and say how well it is found.

  scripts/evaluate_knowledge.py --lexical-only
  scripts/evaluate_knowledge.py --model .models/all-minilm-l6-v2
  scripts/evaluate_knowledge.py --server http://localhost:8080/v1 --server-model e5-query --passage-model e5-passage
  scripts/evaluate_knowledge.py --model ... --server ... --fit

What is looked for are the descriptions of triggers, conditions, actions and blueprints in the installed package; the
questions stand in scripts/evaluation/knowledge_queries.yaml. Every way of asking is the search of the action
search_knowledge, except "dense alone": the plain cosine of the model's vectors. Intervals are 95 % bootstrap intervals
over the questions. --fit fits the weights on one half of the questions (by a hash of their text) with all models that
are named, and writes custom_components/semantic_home/knowledge_weights.json; the tables are always of the other half.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
import sys
import tempfile
from typing import TYPE_CHECKING

from development import ROOT, enter

CACHE = ROOT / ".evaluation/vectors.db"

if TYPE_CHECKING:
    from evaluation.descriptions import Question
    from evaluation.retrieval import OpenKnowledge

    from custom_components.semantic_home.index import Document


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    options = _parse(sys.argv[1:])
    enter()
    return _run(options)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="a model's folder")
    parser.add_argument("--model-id", help="the model's id in the catalog, unless the folder has its name")
    parser.add_argument("--engine", choices=("openvino", "numpy"), default="openvino")
    parser.add_argument("--server", metavar="URL", help="an OpenAI-compatible embedding server")
    parser.add_argument("--server-model", default="default")
    parser.add_argument("--passage-model")
    parser.add_argument("--lexical-only", action="store_true", help="no model")
    parser.add_argument("--fit", action="store_true", help="fit the weights first; needs a model")
    parser.add_argument("--queries", type=Path, help="other questions, in a file of the same kind")
    options = parser.parse_args(arguments)
    has_model = options.model is not None or options.server is not None
    if has_model == options.lexical_only:
        parser.error("name a model's folder, a server or both; or --lexical-only")
    if options.fit and not has_model:
        parser.error("--fit needs a model")
    return options


def _run(options: argparse.Namespace) -> int:
    from evaluation import descriptions  # noqa: PLC0415 - of the environment

    documents = descriptions.descriptions()
    asked = descriptions.questions(options.queries or descriptions.QUESTIONS)
    if strange := {one for question in asked for one in question.right} - {one.source_id for one in documents}:
        print(f"The installed Home Assistant does not describe: {', '.join(sorted(strange))}", file=sys.stderr)
        return 1
    fitting, testing = ([one for one in asked if one.is_for_fitting is half] for half in (True, False))
    print(f"{len(documents)} descriptions; {len(fitting)} questions to fit on, {len(testing)} to test with")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        opened = {name: stack.enter_context(one) for name, one in _opened(options, documents, asked, Path(scratch))}
        if options.fit:
            _fit(opened, fitting, len(documents))
        for name, one in opened.items():
            print(f"\n{name}")
            _show(one, testing, has_model=not options.lexical_only)
    return 0


def _opened(
    options: argparse.Namespace, documents: Sequence[Document], asked: Sequence[Question], folder: Path
) -> Iterator[tuple[str, OpenKnowledge]]:
    from evaluation.encoders import named  # noqa: PLC0415 - of the environment
    from evaluation.retrieval import OpenKnowledge  # noqa: PLC0415

    from custom_components.semantic_home.engine import Role  # noqa: PLC0415

    if options.lexical_only:
        yield "no model", OpenKnowledge(documents, None, folder)
    for encoder in named(options, CACHE):
        print(f"Encoding with {encoder.name} what is not known yet ...", file=sys.stderr)
        encoder.encode([one.query for one in asked], Role.QUERY)
        yield encoder.name, OpenKnowledge(documents, encoder, folder)


def _fit(opened: dict[str, OpenKnowledge], fitting: Sequence[Question], count: int) -> None:
    from fitting import knowledge  # noqa: PLC0415 - of the environment

    print("Fitting ...", file=sys.stderr)
    for name, weights in knowledge.fit_weights(opened, fitting, count).items():
        print(f"{name}: {weights}")


def _show(opened: OpenKnowledge, asked: Sequence[Question], *, has_model: bool) -> None:
    from evaluation import retrieval  # noqa: PLC0415 - of the environment

    kinds = {one.language: "in English" if one.language == "en" else "in other languages" for one in asked}
    kinds["keywords"] = "keywords"
    groups = {"all but keywords": [one for one in asked if one.language != "keywords"]}
    for one in asked:
        groups.setdefault(kinds[one.language], []).append(one)
    for title, some in groups.items():
        if some:
            print(f"\n{title}: {len(some)} questions")
            print(retrieval.table(retrieval.rows(opened, some, has_model=has_model)))
    print()
    for way in retrieval.WITH_MODEL if has_model else retrieval.LETTERS:
        first = [(opened.ask(one.query, way, 1)[0], one) for one in asked]
        judged = [(found, found.document.source_id in one.right) for found, one in first]
        print(f"{way.title}: {retrieval.calibration(judged)}")


if __name__ == "__main__":
    sys.exit(main())
