"""Roles are filled by what can play them, in the same room where that matters, and by nothing else."""

from dataclasses import replace

import pytest

from custom_components.semantic_home.knowledge import IGNORE_LABELS, Binding, Home, HomeEntity, bind, load_library

from .full_home import THINGS, entity, full_home, thing

LIBRARY = load_library()


def ids(binding: Binding) -> dict[str, list[str]]:
    return {role: [one.entity_id for one in bound] for role, bound in binding.bound.items()}


def test_each_room_has_a_binding_of_its_own() -> None:
    bindings = bind(LIBRARY["motion_light"], full_home())
    complete = [binding for binding in bindings if binding.complete]
    assert [binding.area for binding in complete] == ["Hallway", "Living room"]
    assert ids(complete[0]) == {
        "motion": ["binary_sensor.hall_motion"],
        "lights": ["light.hall", "light.hall_mirror"],
        "brightness": ["sensor.hall_brightness"],
    }
    assert ids(complete[1]) == {"motion": ["binary_sensor.living_presence"], "lights": ["light.sofa"]}
    assert complete[0].fit == 1 > complete[1].fit
    assert all([role.name for role in binding.missing] == ["motion"] for binding in bindings[2:])


def test_the_first_kind_that_is_there_fills_a_role() -> None:
    phone = HomeEntity("device_tracker.phone", "Phone")
    leaving = LIBRARY["off_when_leaving"]
    assert ids(bind(leaving, full_home(phone))[0])["people"] == ["person.anna", "person.ben"]
    assert ids(bind(leaving, full_home(phone, without=("person.",)))[0])["people"] == ["device_tracker.phone"]


def test_a_role_for_one_takes_the_first_by_id() -> None:
    others = [HomeEntity(f"notify.{name}", name) for name in ("watch", "laptop")]
    assert ids(bind(LIBRARY["doorbell"], full_home(*others))[0])["notify"] == ["notify.laptop"]


def test_what_is_nowhere_is_near_what_has_the_same_device() -> None:
    sensor = HomeEntity("binary_sensor.m", "M", device_class="motion", device_id="lamp")
    light, other = (HomeEntity(f"light.{name}", name, device_id=name) for name in ("lamp", "other"))
    (first, *_) = bind(LIBRARY["motion_light"], Home.of([sensor, light, other]))
    assert ids(first) == {"motion": ["binary_sensor.m"], "lights": ["light.lamp"]}
    assert first.area is None


@pytest.mark.parametrize(
    ("pattern", "entity_id", "change"),
    [
        ("stale_air", "sensor.bedroom_air", {"device_class": "humidity"}),
        ("stale_air", "sensor.bedroom_air", {"unit": "%"}),
        ("arm_when_leaving", "alarm_control_panel.house", {"features": 1}),
        ("wake_up_light", "light.bedside", {"color_modes": frozenset(["onoff"])}),
        ("coffee_in_the_morning", "switch.coffee", {"name": "Lamp"}),
        ("coffee_in_the_morning", "switch.coffee", {"guarded": True}),
        ("coffee_in_the_morning", "switch.coffee", {"secondary": True}),
        ("coffee_in_the_morning", "switch.coffee", {"labels": IGNORE_LABELS}),
        ("coffee_in_the_morning", "switch.coffee", {"labels": frozenset(["semantic_home:ignore"])}),
        ("coffee_in_the_morning", "switch.coffee", {"labels": frozenset(["semantic_home_ignore"])}),
    ],
)  # fmt: skip
def test_what_cannot_play_a_role_leaves_it_open(pattern: str, entity_id: str, change: dict[str, object]) -> None:
    known = entity(thing(entity_id))
    assert bind(LIBRARY[pattern], full_home(known))[0].complete
    (binding,) = bind(LIBRARY[pattern], full_home(replace(known, **change)))
    assert not binding.complete
    assert len(binding.missing) == 1


@pytest.mark.parametrize("name", ["Kaffeemaschine", "Big coffee maker", "coffee-maker"])
def test_names_are_recognised_in_compounds(name: str) -> None:
    machine = HomeEntity("switch.machine", name)
    assert bind(LIBRARY["coffee_in_the_morning"], Home.of([machine]))[0].complete


def test_what_is_in_one_room_is_about_that_room() -> None:
    waking = LIBRARY["wake_up_light"]
    assert bind(waking, full_home())[0].area == "Bedroom"
    anywhere = HomeEntity("light.reading", "Reading lamp by the bedside", color_modes=frozenset(["brightness"]))
    assert bind(waking, full_home(anywhere))[0].area is None
    assert bind(LIBRARY["off_when_leaving"], full_home())[0].area is None
    assert bind(LIBRARY["off_when_leaving"], full_home().within({"bedroom"}))[0].area == "Bedroom"


def test_short_words_are_not_found_within_others() -> None:
    meter = HomeEntity("switch.meter", "Environment meter")
    assert not bind(LIBRARY["left_on"], Home.of([meter]))[0].complete, "there is an iron in it"
    assert ids(bind(LIBRARY["laundry_done"], full_home())[0])["power"] == ["sensor.washer_power"], "no dishwasher"


def test_nothing_plays_two_roles() -> None:
    for pattern in LIBRARY.values():
        for binding in bind(pattern, full_home()):
            found = [one.entity_id for one in binding.entities]
            assert len(found) == len(set(found)), pattern.id


def test_only_roles_that_say_so_take_what_is_guarded() -> None:
    everything = full_home(*(replace(entity(one), guarded=True) for one in THINGS))
    for pattern in LIBRARY.values():
        for binding in bind(pattern, everything):
            assert all(pattern.roles[role].guarded for role in binding.bound)
            assert binding.guarded == bool(binding.bound)


def test_an_empty_home_lacks_every_role() -> None:
    for pattern in LIBRARY.values():
        (binding,) = bind(pattern, Home.of([]))
        assert binding.missing == pattern.required
        assert binding.fit == 0


def test_a_part_of_the_home_keeps_what_belongs_to_all_of_it() -> None:
    bedroom = full_home().within({"bedroom"})
    assert {one.area_id for one in bedroom.entities} == {"bedroom", None}
    outside = {one.domain for one in bedroom.entities if one.area_id is None}
    assert outside == {"person", "weather", "notify", "calendar"}
    assert full_home().within(()) == full_home()


def test_the_order_of_entities_does_not_matter() -> None:
    entities = [entity(one) for one in THINGS]
    for pattern in LIBRARY.values():
        assert bind(pattern, Home.of(entities)) == bind(pattern, Home.of(reversed(entities)))
