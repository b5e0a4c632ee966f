"""What could not become an automation is refused, with a reason that helps; of users it is left out."""

from copy import deepcopy
from typing import Any

import pytest

from custom_components.semantic_home.knowledge import (
    Category,
    Home,
    HomeEntity,
    PatternError,
    automation_of,
    bind,
    read_pattern,
    read_user_patterns,
)

GOOD: dict[str, Any] = {
    "name": "Kettle at four",
    "description": "Boils water.",
    "why": "$kettle could be ready.",
    "category": "comfort",
    "priority": 0.5,
    "utterances": ["tea time"],
    "roles": {
        "kettle": {"what": "a kettle", "kinds": ["switch"]},
        "lamp": {"what": "a lamp", "kinds": ["light:x|y"], "near": "kettle", "optional": True},
    },
    "automation": {
        "triggers": [{"trigger": "time", "at": "16:00:00"}],
        "actions": [
            {"action": "switch.turn_on", "target": {"entity_id": "$kettle"}},
            {"action": "light.turn_on", "target": {"entity_id": ["$lamp"]}},
        ],
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    data: Any = deepcopy(GOOD)
    *parents, last = path.split(".")
    part = data
    for name in parents:
        part = part[int(name)] if name.isdecimal() else part[name]
    if value is None:
        del part[last]
    else:
        part[int(last) if last.isdecimal() else last] = value
    return data


def test_a_good_one() -> None:
    pattern = read_pattern("tea", GOOD)
    assert pattern.category is Category.COMFORT
    assert pattern.anchor == "kettle"
    assert [role.name for role in pattern.required] == ["kettle"]
    assert pattern.roles["lamp"].kinds[0].classes == {"x", "y"}


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("name", None, "name is missing"),
        ("name", "  ", "name is empty"),
        ("name", "x" * 501, "longer than 500"),
        ("priority", 1.1, "priority is not between 0 and 1"),
        ("priority", float("nan"), "priority is not between 0 and 1"),
        ("priority", True, "priority is not between 0 and 1"),
        ("category", "cooking", "category is none of"),
        ("utterances", [], "utterances are 0"),
        ("utterances", ["x", 1], "utterances is missing or no str"),
        ("why", "$lamp is nice", "why refers to lamp, which may be missing"),
        ("roles", {}, "0 roles"),
        ("roles", ["kettle"], "roles is missing or no dict"),
        ("roles.kettle", "switch", "role kettle is no object"),
        ("roles.Kettle", {}, "cannot be called 'Kettle'"),
        ("roles.notify", {}, "cannot be called 'notify'"),
        ("roles.kettle.kinds", None, "role kettle: kinds is missing"),
        ("roles.kettle.kinds", ["switch.kitchen"], "is no kind such as"),
        ("roles.kettle.several", "yes", "several is missing or no bool"),
        ("roles.kettle.features", {"on": -1}, "features are no bits"),
        ("roles.kettle.colour", "red", "there is no colour"),
        ("roles.kettle.optional", True, "no role is required"),
        ("roles.kettle.near", "lamp", "roles are near kettle, lamp"),
        ("roles.lamp.near", "sink", "nothing can be near sink"),
        ("roles.mug", {"what": "a mug", "kinds": ["light"]}, "does not refer to the role mug"),
        ("automation.actions.0.target.entity_id", "$pot", "refers to pot, which is no role"),
        ("automation.actions.0.target.entity_id", "lock.front_door", "has to be an entity_id that is a role"),
        ("automation.actions.0.target.entity_id", "all", "has to be an entity_id that is a role"),
        ("automation.actions.0.target.entity_id", ["$kettle", "lock.front_door"], "has to be an entity_id that is"),
        ("automation.actions.0.target.entity_id", [], "has to be an entity_id that is a role"),
        ("automation.actions.0.target", {"area_id": "kitchen"}, "area_id has to be an entity_id that is a role"),
        ("automation.actions.0.target", {"device_id": "x"}, "device_id has to be an entity_id that is a role"),
        ("automation.actions.0.data", {"message": "{{ states('lock.front_door') }}"}, "a template names an entity"),
        ("automation.actions.0.data", {"message": "{{ states.lock.front_door.state }}"}, "a template names an entity"),
        ("automation.actions.1", {"scene": "scene.movie"}, "scene has to be"),
        ("automation.actions.1", {"tell": "me"}, "tell takes a title and a message"),
        ("automation.actions.1", {"tell": {"title": "x", "message": ""}}, "message is empty"),
        ("automation.actions.1", {"data": {"temperature": {"degrees": "hot", "of": "$kettle"}}}, "degrees takes a num"),
        ("automation.triggers", [], "there are no triggers"),
        ("automation.actions", {"action": "x"}, "there are no actions"),
        ("automation.conditions", {}, "conditions are no list"),
        ("automation.mode", "often", "the mode is none of"),
        ("automation.trigger_variables", {}, "no trigger_variables in an automation"),
    ],
)
def test_bad_ones_are_refused(path: str, value: Any, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        read_pattern("tea", changed(path, value))


def test_what_is_too_deep_or_too_large_is_refused() -> None:
    deep: Any = "x"
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(PatternError, match="deeper than"):
        read_pattern("tea", changed("automation.actions.0.data", deep))
    with pytest.raises(PatternError, match="more than 500 parts"):
        read_pattern("tea", changed("automation.actions.0.data", list(range(500))))


def test_users_need_not_say_everything() -> None:
    metadata = {key: GOOD[key] for key in ("roles", "automation")}
    read = read_user_patterns([("1", "Tea for $2, every day\nand a biscuit", metadata)])
    assert read.skipped == {}
    (pattern,) = read.patterns.values()
    assert (pattern.id, pattern.category) == ("user:1", Category.USER)
    assert pattern.name == "Tea for $2, every day"
    assert pattern.utterances == ("Tea for $2, every day",)
    kettle = HomeEntity("switch.kettle", "Kettle")
    (binding,) = bind(pattern, Home.of([kettle]))
    assert automation_of(binding)["actions"] == [{"action": "switch.turn_on", "target": {"entity_id": "switch.kettle"}}]


def test_of_users_the_bad_ones_are_left_out_with_a_reason() -> None:
    rows = [
        ("1", "A note", {}),
        ("2", "Bad", GOOD | {"roles": 3}),
        ("3", "Good", GOOD),
        ("4", " ", GOOD | {"name": None}),
    ]
    read = read_user_patterns(rows)
    assert read.patterns.keys() == {"user:3"}
    assert read.skipped == {
        "1": "automation is missing or no dict",
        "2": "roles is missing or no dict",
        "4": "name is missing or no str",
    }
