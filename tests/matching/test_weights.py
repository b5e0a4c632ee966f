"""The numbers that ship."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from custom_components.semantic_home import matching
from custom_components.semantic_home.matching import Caution, Weights
from custom_components.semantic_home.matching.hypotheses import FEATURES
from custom_components.semantic_home.matching.weights import _vector

_WAYS = ("with_model", "without_model")


def _raw() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((Path(matching.__file__).parent / "weights.json").read_text("utf-8"))
    return raw


@pytest.mark.parametrize("way", _WAYS)
def test_every_feature_has_a_finite_number(way: str) -> None:
    numbers = _raw()[way]
    assert numbers.keys() == set(FEATURES)
    assert all(isinstance(number, int | float) and math.isfinite(number) for number in numbers.values())
    assert len(set(FEATURES)) == len(FEATURES)


def test_they_say_where_they_come_from() -> None:
    raw = _raw()
    assert "CC-BY-4.0" in raw["about"]
    assert raw["cases"] > 1000
    assert len(raw["encoders"]) > 1, "numbers that were fitted with one model are of that model"


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("one.unexplained", -1), ("all.unexplained", -1), ("all.empty", -1),
        ("one.grammar", 1), ("all.grammar", 1), ("none.grammar", 1), ("all.place", 1), ("one.kind", 1),
        ("all.other_place", -1),
    ],
)  # fmt: skip
def test_they_point_the_right_way(way: str, name: str, sign: int) -> None:
    assert _raw()[way][name] * sign > 0


@pytest.mark.parametrize("way", _WAYS)
def test_who_is_elsewhere_gains_nothing(way: str) -> None:
    assert _raw()[way]["one.other_place"] <= 0


def test_more_of_a_name_is_never_less() -> None:
    """A share and its cube have a weight each: together they must grow all the way."""
    shares = np.linspace(0, 1, 50)
    for way in _WAYS:
        raw = _raw()[way]
        worth = raw["one.containment"] * shares + raw["one.containment_cubed"] * shares**3
        assert (np.diff(worth) > 0).all()


def test_without_a_model_its_features_do_not_count() -> None:
    assert all(weight == 0 for name, weight in _raw()["without_model"].items() if "evidence" in name)
    assert sum(weight != 0 for name, weight in _raw()["with_model"].items() if "evidence" in name) >= 5


def test_costs() -> None:
    costs = Weights.load().costs
    assert costs.keys() == set(Caution)
    wrong = [costs[caution].wrong for caution in (Caution.EAGER, Caution.BALANCED, Caution.CAREFUL)]
    assert wrong == sorted(set(wrong))
    for one in costs.values():
        assert one.wrong > one.missed >= one.question > 0
        assert one.right > 0


def test_weights_of_other_features_are_refused() -> None:
    numbers = _raw()["with_model"]
    for other in (numbers | {"one.new": 1.0}, {name: numbers[name] for name in FEATURES[1:]}):
        with pytest.raises(ValueError, match="other features"):
            _vector(other)
