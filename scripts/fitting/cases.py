"""From labelled cases to the weights of the decision."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
import json
from pathlib import Path
import random
import sys
import tempfile
from typing import Any

from evaluation import encoders, runner
import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.engine import Server
from custom_components.semantic_home.matching.decision import decide, options as add_up, probabilities
from custom_components.semantic_home.matching.hypotheses import FEATURES
from custom_components.semantic_home.matching.types import Caution
from custom_components.semantic_home.matching.weights import Weights

from .made import made, said_elsewhere
from .weights import Example, Floats, fit

_ROOT = Path(__file__).resolve().parents[2]
_CACHE = _ROOT / ".evaluation/vectors.db"
_SETTINGS = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
_PARTS = 5
_DIGITS = 4


class _Asked:
    """A case as the matcher sees it with one encoder, kept for predictions."""

    def __init__(self, example: Example, targets: Sequence[frozenset[int]], entity_ids: Sequence[str]) -> None:
        self.example, self._targets, self._entity_ids = example, targets, entity_ids

    def predict(self, weights: Floats, costs: Any) -> dict[str, Any]:
        found = probabilities(self.example.features @ weights)
        weighed = add_up(zip(found.tolist(), self._targets, strict=True))
        decision, _, chosen = decide(weighed, costs)
        share = np.zeros(len(self._entity_ids))
        for found, members in weighed:
            share[list(members)] += found / max(len(members), 1) ** 0.5
        return {
            "id": self.example.case["id"],
            "ranked": [self._entity_ids[number] for number in np.argsort(-share, kind="stable")[:50]],
            "decision": str(decision),
            "targets": list(dict.fromkeys(self._entity_ids[one] for members in chosen for one in sorted(members))),
        }


def fit_weights(options: argparse.Namespace, target: Path) -> None:
    """Fit the weights with a model (on all encoders together) and without, and write them."""
    cases = runner.read_cases(options.cases)
    cases += [*made(options.homes), *said_elsewhere(cases, options.homes)]
    ways: dict[str, list[_Asked]] = {"lexical": list(_ask(cases, options.homes, None))}
    for encoder in _encoders(options):
        ways[encoder.name] = list(_ask(cases, options.homes, encoder))
        encoder.close()
    with_model = [one.example for name, asked in ways.items() if name != "lexical" for one in asked]
    if options.across:
        options.across.mkdir(parents=True, exist_ok=True)
        across = {True: _fit_parts([ways["lexical"]])}
        if with_model:
            across[False] = _fit_parts([found for name, found in ways.items() if name != "lexical"])
        for name, asked in ways.items():
            weights = across[name == "lexical"]
            lines = [json.dumps(line, ensure_ascii=False) for line in _across(asked, weights)]
            (options.across / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    without = fit([one.example for one in ways["lexical"]])
    result = {
        "about": _SETTINGS["about"],
        "cases": len(cases),
        "encoders": sorted(ways.keys() - {"lexical"}),
        "costs": _SETTINGS["costs"],
        "with_model": _named(fit(with_model) if with_model else without),
        "without_model": _named(without),
    }
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _fit_parts(ways: Sequence[Sequence[_Asked]]) -> list[Floats]:
    """Fit weights without the homes of each part."""
    examples = [one.example for asked in ways for one in asked]
    return [fit([one for one in examples if _part(one.case) != part]) for part in range(_PARTS)]


def _across(asked: Sequence[_Asked], weights: Sequence[Floats]) -> Iterator[dict[str, Any]]:
    """Predict each case by the weights that were fitted without its home."""
    costs = Weights.load().costs[Caution.BALANCED]
    for one in asked:
        if one.example.case["file"] != "made":
            yield one.predict(weights[_part(one.example.case)], costs)


def _ask(cases: Sequence[Mapping[str, Any]], homes: Path, encoder: encoders.CachedEncoder | None) -> Iterator[_Asked]:
    print(f"Asking {encoder.name if encoder else 'without a model'} ...", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        for home, some in runner.by_home(cases, homes, encoder, Path(scratch), _progress):
            for case in some:
                matcher, request, evidence = home.prepare(case)
                _, _, hypotheses = matcher.suppose(request, evidence)
                entity_ids = [one.entity_id for one in matcher.candidates]
                expected = [entity_ids.index(entity_id) for entity_id in case["expected"]]
                # Of several that may be meant, each alone is right; which one is for a question to find out.
                right = {frozenset([one]) for one in expected} if case["task"] == "ambig" else {frozenset(expected)}
                targets = [hypotheses.targets(number) for number in range(len(hypotheses))]
                meant = np.array([members in right for members in targets])
                yield _Asked(Example(case, hypotheses.features, meant, _weight(case)), targets, entity_ids)


def _weight(case: Mapping[str, Any]) -> float:
    """Say what a case counts: sets are of very different size, and some labels are looser than others."""
    return float(_SETTINGS["sets"].get(case["file"], 1.0) * _SETTINGS["tasks"].get(case["task"], 1.0))


def _part(case: Mapping[str, Any]) -> int:
    """Say in which part of the cross-validation a case's home is; a home's variants stay together."""
    home = case["home"].removesuffix("-noalias")
    return random.Random(home).randrange(_PARTS)  # noqa: S311 - a hash that is the same in every process


def _encoders(options: argparse.Namespace) -> Iterator[encoders.CachedEncoder]:
    for folder in options.model:
        yield encoders.of_folder(folder, None, "openvino", _CACHE)
    if options.server:
        yield encoders.of_server(Server(options.server, options.server_model, options.passage_model), _CACHE)


def _named(weights: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(weight), _DIGITS) for name, weight in zip(FEATURES, weights, strict=True)}


def _progress(done: int, total: int) -> None:
    print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
