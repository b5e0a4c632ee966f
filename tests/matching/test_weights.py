"""The numbers that ship."""

from collections.abc import Iterator
import json
import math
from pathlib import Path
from typing import Any

from custom_components.semantic_home import matching
from custom_components.semantic_home.matching import Weights


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _numbers(inner)
    elif not isinstance(value, str):
        yield value


def test_all_are_finite_numbers() -> None:
    raw = json.loads((Path(matching.__file__).parent / "weights.json").read_text("utf-8"))
    numbers = list(_numbers(raw))
    assert len(numbers) >= 20
    assert all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)


def test_they_point_the_right_way(weights: Weights) -> None:
    for line in (weights.with_model, weights.without_model):
        assert line.bias < 0
        assert min(line.lexical, line.coverage, line.place, line.kind, line.context) > 0
    assert weights.with_model.dense > 0
    assert weights.without_model.dense == 0
    assert min(weights.calibration.score, weights.calibration.lead, weights.calibration.farthest) > 0
    assert 0.5 <= weights.match_at < 1
    assert weights.calibration.nobody < weights.ask_from
    assert weights.margin > 0
