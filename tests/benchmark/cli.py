"""The command behind scripts/benchmark.py."""

import argparse
from collections.abc import Sequence
import contextlib
from dataclasses import asdict
import json
from pathlib import Path
import sys

from custom_components.semantic_home.engine.catalog import load_catalog
from custom_components.semantic_home.engine.compute import default_threads

from .measure import LENGTHS, measure_indexing, measure_side_by_side
from .random_model import SHAPES, cached_model, spec_of
from .report import machine, ratios, table
from .subject import BenchmarkError, Subject
from .texts import TextMaker

_ENGINES = ("openvino", "numpy")
_OTHERS = ("torch", "onnxruntime")


def main(arguments: Sequence[str], description: str) -> int:
    """Measure, print and write what the arguments say. Returns the exit code."""
    options = _parse(arguments, description)
    begun_on = machine()
    try:
        report = {"machine": begun_on} | _run(options)
    except BenchmarkError as err:
        _progress(str(err))
        return 1
    print(table(report))  # noqa: T201 - that is what it is for
    if options.json:
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _parse(arguments: Sequence[str], description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/benchmark.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="a model folder: graph, tokenizer.json, config.json")
    parser.add_argument("--model", choices=load_catalog(), default="bge-m3", help="what FOLDER holds (%(default)s)")
    parser.add_argument("--random", choices=SHAPES, help="instead of FOLDER: a model of that size, random weights")
    parser.add_argument("--engine", choices=_ENGINES, default="openvino", help="our encoder (%(default)s)")
    parser.add_argument("--against", choices=(*_OTHERS, *_ENGINES), action="append", default=[])
    parser.add_argument("--threads", type=_positive, metavar="N", help="for all of them (as many as in Home Assistant)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument(
        "--tokens", type=int, nargs="+", default=LENGTHS, metavar="N", help="the lengths of a query (8 16 ... 256)"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each encoder and length (%(default)s)")
    parser.add_argument("--texts", type=int, default=2000, help="to index while queries come; 0 for none (%(default)s)")
    options = parser.parse_args(arguments)
    if (options.folder is None) == (options.random is None):
        parser.error("name either a FOLDER or --random NAME")
    return options


def _positive(number: str) -> int:
    if (value := int(number)) < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def _run(options: argparse.Namespace) -> dict[str, object]:
    folder: Path
    if options.random:
        model, shape = "bge-m3", SHAPES[options.random]
        folder, spec = cached_model(options.random, _progress), spec_of(shape)
    else:
        model, folder = options.model, options.folder.absolute()
        spec = load_catalog()[model]
    try:
        texts = TextMaker(folder / "tokenizer.json")
    except Exception as err:  # tokenizers raises no other
        raise BenchmarkError(f"{folder / 'tokenizer.json'}: {err}") from err
    with contextlib.ExitStack() as running:
        subjects: list[Subject] = []
        for name in dict.fromkeys([options.engine, *options.against]):
            if name == "torch":
                subject = Subject.torch(folder, options.threads)
            elif name == "onnxruntime":
                subject = Subject.onnxruntime(folder, options.threads, _progress)
            else:
                subject = Subject.ours(name, folder, model, spec, options.threads)
            running.callback(subject.end)
            subjects.append(subject)
        lengths = [tokens for tokens in options.tokens if tokens <= spec.max_tokens]
        results = measure_side_by_side(subjects, texts, lengths, options.seconds, _progress)
        for other in subjects[1:]:
            other.end()
        indexing = measure_indexing(subjects[0], texts, options.texts, _progress) if options.texts else None
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "threads": options.threads or default_threads(),
        "model": {
            "name": options.random or str(folder),
            "random": options.random is not None,
            "megabytes": round(size / 1e6, 1),
            "shape": asdict(SHAPES[options.random]) if options.random else None,
        },
        "results": results,
        "ratios": ratios(results),
        "indexing": indexing,
    }


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201
