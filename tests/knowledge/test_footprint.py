"""What an automation does is seen however it was written, and two that do the same are known as such."""

from dataclasses import replace
from typing import Any

import pytest

from custom_components.semantic_home.knowledge import Footprint, automation_of, bind, footprint, load_library

from .full_home import entity, full_home, thing

HALL = replace(entity(thing("light.hall")), registry_id="a1b2", device_id="d1", labels=frozenset(["dim"]), floor_id="g")
HOME = full_home(HALL)
SENSOR, LIGHT, MIRROR = "binary_sensor.hall_motion", "light.hall", "light.hall_mirror"
ACTING = "{{ trigger.entity_id }}"
MOTION = {"trigger": "state", "entity_id": SENSOR, "to": "on"}
TURN_ON = {"action": "light.turn_on", "target": {"entity_id": LIGHT}}


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (MOTION, {SENSOR}),
        ({"platform": "state", "entity_id": [SENSOR]}, {SENSOR}),
        ({"trigger": "state", "entity_id": f"{SENSOR}, {LIGHT}"}, {SENSOR, LIGHT}),
        ({"trigger": "template", "value_template": "{{ is_state('" + SENSOR + "', 'on') }}"}, {SENSOR}),
        ({"trigger": "device", "device_id": "d1", "entity_id": "a1b2", "type": "turned_on"}, {LIGHT}),
        ({"trigger": "motion.detected", "target": {"area_id": "hallway"}}, {SENSOR}),
        ({"trigger": "light.turned_on", "target": {"label_id": ["dim"]}}, {LIGHT}),
        ({"trigger": "time", "at": "10:00"}, {"time"}),
        ({"trigger": "sun", "event": "sunset"}, {"sun"}),
        ({"trigger": "state", "entity_id": "sun.sun"}, {"sun"}),
        ({"trigger": "state", "entity_id": "person.anna", "to": "home"}, {"presence"}),
        ({"trigger": "numeric_state", "entity_id": "zone.home", "below": 1}, {"presence"}),
        ({"trigger": "zone", "entity_id": "person.anna", "zone": "zone.home"}, {"presence"}),
        ({"triggers": [MOTION]}, {SENSOR}),
        (MOTION | {"enabled": False}, set()),
        ({"trigger": "state", "entity_id": "light.unknown"}, set()),
        ("nonsense", set()),
    ],
)
def test_triggers(trigger: Any, expected: set[str]) -> None:
    assert footprint({"triggers": [trigger], "actions": []}, HOME).triggers == expected
    assert footprint({"trigger": trigger}, HOME).triggers == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (TURN_ON, {(LIGHT, "turn_on")}),
        ({"service": "light.turn_on", "entity_id": LIGHT}, {(LIGHT, "turn_on")}),
        ({"service": "homeassistant.turn_on", "data": {"entity_id": LIGHT}}, {(LIGHT, "turn_on")}),
        ({"action": "light.turn_on", "target": {"area_id": "hallway"}}, {(LIGHT, "turn_on"), (MIRROR, "turn_on")}),
        ({"action": "light.turn_on", "target": {"floor_id": "g"}}, {(LIGHT, "turn_on")}),
        ({"action": "light.toggle", "target": {"entity_id": LIGHT}}, {(LIGHT, "turn_on"), (LIGHT, "turn_off")}),
        ({"type": "turn_on", "device_id": "d1", "entity_id": "a1b2", "domain": "light"}, {(LIGHT, "turn_on")}),
        ({"action": "climate.set_hvac_mode", "target": {"entity_id": "climate.bath"}}, {("climate.bath", "set")}),
        ({"action": "notify.mobile_app_phone"}, {("notification", "tell")}),
        (TURN_ON | {"target": {"entity_id": ACTING}}, {(SENSOR, "turn_on")}),
        ({"choose": [{"conditions": [], "sequence": [TURN_ON]}], "default": []}, {(LIGHT, "turn_on")}),
        ({"if": [{"condition": "state", "entity_id": "light.sofa"}], "then": [TURN_ON]}, {(LIGHT, "turn_on")}),
        ({"repeat": {"count": 2, "sequence": TURN_ON}}, {(LIGHT, "turn_on")}),
        ({"parallel": [[TURN_ON], {"sequence": [TURN_ON]}]}, {(LIGHT, "turn_on")}),
        ({"wait_for_trigger": [MOTION]}, set()),
        (TURN_ON | {"enabled": False}, set()),
        ({"delay": "00:05"}, set()),
    ],
)
def test_actions(action: Any, expected: set[tuple[str, str]]) -> None:
    assert footprint({"triggers": [MOTION], "actions": [action]}, HOME).acts == expected
    assert footprint({"trigger": MOTION, "action": action}, HOME).acts == expected


@pytest.mark.parametrize("pattern", load_library().values(), ids=lambda pattern: pattern.id)
def test_what_a_pattern_makes_has_a_footprint(pattern: Any) -> None:
    for binding in bind(pattern, HOME):
        if binding.complete:
            found = footprint(automation_of(binding), HOME)
            assert found.triggers and found.acts
            assert found.covered_by(found) == 1


def test_the_share_that_is_covered() -> None:
    both = Footprint(frozenset(["m"]), frozenset([("a", "turn_on"), ("a", "turn_off"), ("b", "turn_on")]))
    one = Footprint(frozenset(["m", "n"]), frozenset([("a", "turn_off")]))
    assert both.covered_by(one) == 0.5
    assert one.covered_by(both) == 1
    assert one.covered_by(Footprint(frozenset(["x"]), both.acts)) == 0
    assert one.covered_by(Footprint(both.triggers, frozenset([("a", "turn_on")]))) == 0
