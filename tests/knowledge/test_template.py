"""What becomes of a pattern: an automation with this home's entities, and without what the home lacks."""

from dataclasses import replace
import json
from typing import Any

import pytest

from custom_components.semantic_home.knowledge import automation_of, bind, load_library, title_of, why_of

from .full_home import entity, full_home, thing

LIBRARY = load_library()


def made(pattern: str, **home: Any) -> dict[str, Any]:
    return automation_of(bind(LIBRARY[pattern], full_home(**home))[0])


def test_conditions_upon_what_is_not_there_are_left_out() -> None:
    condition = "numeric_state"
    assert condition in json.dumps(made("motion_light"))
    without = made("motion_light", without=("sensor.hall_brightness",))
    assert condition not in json.dumps(without)
    assert without["actions"][0]["choose"][0]["conditions"] == [{"condition": "trigger", "id": "moves"}]
    assert made("water_the_garden", without=("weather.",))["conditions"] == []


def test_actions_upon_what_is_not_there_are_left_out() -> None:
    actions = [action["action"] for action in made("smoke_alarm")["actions"]]
    assert actions == ["notify.send_message", "light.turn_on", "siren.turn_on"]
    alone = made("smoke_alarm", without=("light.", "siren.", "notify."))
    assert [action["action"] for action in alone["actions"]] == ["persistent_notification.create"]


@pytest.mark.parametrize("pattern", LIBRARY.values(), ids=lambda pattern: pattern.id)
def test_nothing_of_the_template_is_left(pattern: Any) -> None:
    for binding in bind(pattern, full_home()):
        if binding.complete:
            written = json.dumps(automation_of(binding))
            assert "$" not in written
            assert '"tell"' not in written and '"degrees"' not in written


def test_names_do_not_enter_what_home_assistant_runs() -> None:
    trap = replace(entity(thing("binary_sensor.bedroom_window")), name="{{ evil() }}", area="{{ evil() }}")
    for pattern in LIBRARY.values():
        for binding in bind(pattern, full_home(trap)):
            config = automation_of(binding) if binding.complete else {}
            run = {part: config.get(part) for part in ("triggers", "conditions", "actions")}
            assert "evil" not in json.dumps(run), pattern.id


def test_roles_stand_in_templates_as_literals() -> None:
    message = made("open_when_leaving", without=("notify.", "binary_sensor.f", "binary_sensor.m"))["actions"][0]
    assert "expand(['binary_sensor.bedroom_window'])" in message["data"]["message"]
    cooling = made("cooling_with_open_windows")["actions"][0]["data"]["message"]
    assert "state_attr('climate.bedroom', 'friendly_name')" in cooling


@pytest.mark.parametrize(("unit", "away"), [("°C", 17), ("°F", 63)])
def test_temperatures_are_in_the_homes_unit(unit: str, away: int) -> None:
    thermostats = [replace(entity(thing(f"climate.{room}")), unit=unit) for room in ("bath", "bedroom")]
    (binding,) = bind(LIBRARY["heating_away"], full_home(*thermostats))
    (choice,) = automation_of(binding)["actions"]
    assert choice["choose"][0]["sequence"][0]["data"] == {"temperature": away}


def test_title_and_reason_name_the_place_and_the_things() -> None:
    hall = bind(LIBRARY["motion_light"], full_home())[0]
    assert title_of(hall) == "Light by motion: Hallway"
    assert why_of(hall) == (
        "Hall light and Mirror light could follow Hall motion, so that nobody has to look for the switch."
    )
    everywhere = bind(LIBRARY["lights_off_at_bedtime"], full_home())[0]
    assert title_of(everywhere) == "Lights off at bedtime"
    assert "Bedside lamp, Cellar light, Garden lights and 3 more" in why_of(everywhere)
