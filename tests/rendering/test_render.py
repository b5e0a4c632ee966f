"""What is written in an automation is said in plain words, whatever shape it has."""

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from custom_components.semantic_home.rendering import (
    Blueprint,
    render_automation,
    render_blueprint,
    render_scene,
    render_script,
)

from .plain_home import PlainHome

HOME = PlainHome()
CASES = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text(encoding="utf-8"))


def spoken(**config: Any) -> str:
    """Give the last view, unless there is none but the name."""
    views = render_automation("Name", config, HOME).views
    return views[-1] if len(views) > 1 else ""


def started(trigger: Any) -> str:
    return spoken(triggers=trigger).removeprefix("When ")


def needed(condition: Any) -> str:
    return spoken(conditions=condition).removeprefix("If ")


def done(*steps: Any) -> str:
    views = render_script("Name", {"sequence": list(steps)}, HOME).views
    return views[-1] if len(views) > 1 else ""


def test_an_automation_reads_as_it_is_written() -> None:
    rendering = render_automation(
        "Hall light",
        {
            "description": "Lights the way.",
            "triggers": [{"trigger": "state", "entity_id": "binary_sensor.motion", "to": "on"}],
            "conditions": [{"condition": "sun", "after": "sunset"}],
            "actions": [{"action": "light.turn_on", "target": {"entity_id": ["light.lamp", "light.hall_ceiling"]}}],
        },
        HOME,
        "Motion light",
    )
    assert rendering.views == (
        "Hall light",
        "Hall light. Lights the way.",
        (
            "When Hall motion changes to detected, if it is after sunset: turn on Lamp (Hall), Hall ceiling "
            "(from blueprint Motion light)"
        ),
    )
    assert rendering.uses.entity_ids == {"binary_sensor.motion", "light.lamp", "light.hall_ceiling"}
    assert rendering.uses.area_ids == {"hall"}
    assert rendering.uses.triggers == {"state"}
    assert rendering.uses.actions == {"light.turn_on"}


@pytest.mark.parametrize("case", CASES["triggers"], ids=itemgetter("says"))
def test_triggers(case: dict[str, Any]) -> None:
    assert started(case["of"]) == case["says"]


@pytest.mark.parametrize("case", CASES["conditions"], ids=itemgetter("says"))
def test_conditions(case: dict[str, Any]) -> None:
    assert needed(case["of"]) == case["says"]


@pytest.mark.parametrize("case", CASES["steps"], ids=itemgetter("says"))
def test_steps(case: dict[str, Any]) -> None:
    text = case["says"]
    assert done(case["of"]) == text[:1].upper() + text[1:]


def test_scenes() -> None:
    rendering = render_scene("Movie", {"light.lamp": ("on", {"brightness": 80, "friendly_name": "x"})}, HOME)
    assert rendering.views == ("Movie", "Lamp (Hall) on (brightness 80)")
    assert rendering.uses.entity_ids == {"light.lamp"}


def test_blueprints() -> None:
    rendering = render_blueprint(Blueprint("Motion light", "Turns on a light.", ("Motion sensor", "Light")))
    assert rendering.views == ("Motion light", "Motion light. Turns on a light.", "Asks for Motion sensor, Light")


def test_a_long_one_is_told_in_whole_steps_and_used_in_full() -> None:
    lamps = [f"light.lamp_{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(200)]
    rendering = render_automation(
        "Long",
        {
            "description": "word " * 1000,
            "triggers": [{"trigger": "state", "entity_id": lamp} for lamp in lamps[:100]],
            "actions": [{"action": "light.turn_on", "target": {"entity_id": lamp}} for lamp in lamps],
        },
        HOME,
    )
    assert max(map(len, rendering.views)) <= 1000
    trigger, _, action = rendering.views[-1].partition(": ")
    assert trigger.endswith(" changes or …")
    assert action.startswith("turn on lamp aa; turn on lamp ab; ")
    assert action.endswith("; …")
    assert rendering.uses.entity_ids == set(lamps)


def test_a_target_of_very_many_is_not_named_in_full() -> None:
    lamps = [f"light.lamp_{chr(97 + number)}" for number in range(20)]
    text = done({"action": "light.turn_on", "target": {"entity_id": lamps}})
    assert text.endswith("lamp l, …")


def test_equal_configurations_give_equal_texts() -> None:
    config = {
        "triggers": [case["of"] for case in CASES["triggers"]],
        "actions": [case["of"] for case in CASES["steps"]],
    }
    assert render_automation("One", config, HOME) == render_automation("One", config, HOME)


ODD = (
    None,
    True,
    5,
    -1e300,
    float("nan"),
    "",
    "x",
    "{{ x }}",
    "a.b",
    [],
    [[]],
    [None, [5]],
    {},
    {"a": [1]},
    [{"b": {}}],
    {5: 6},
)


def bent(value: Any) -> Iterator[Any]:
    """Give a configuration again and again, each time with something odd in place of one of its parts."""
    yield from ODD
    if isinstance(value, dict):
        for key, part in value.items():
            yield from ({**value, key: odd} for odd in bent(part))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from ([*value[:number], odd, *value[number + 1 :]] for odd in bent(part))


@pytest.mark.parametrize(
    ("kind", "key"), [("triggers", "triggers"), ("conditions", "conditions"), ("steps", "actions")]
)
def test_no_shape_is_too_odd(kind: str, key: str) -> None:
    for case in CASES[kind]:
        for config in bent(case["of"]):
            views = render_automation("Name", {key: config, "description": config}, HOME).views
            assert views[0] == "Name", config
            assert all(0 < len(view) <= 1000 for view in views), config


def test_no_nesting_is_too_deep() -> None:
    config: Any = {"delay": 1}
    for _ in range(10_000):
        config = {"sequence": [config]}
    assert render_script("Name", {"sequence": config}, HOME).views == ("Name",)
