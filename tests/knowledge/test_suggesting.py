"""What is suggested first, what is not suggested again, and what was asked for."""

from typing import Any

import pytest

from custom_components.semantic_home.knowledge import (
    Automation,
    Binding,
    HomeEntity,
    Knowing,
    find_patterns,
    load_library,
    read_pattern,
    suggest,
)

from .full_home import AREAS, full_home
from .test_reading import GOOD

LIBRARY = load_library()
PATTERNS = list(LIBRARY.values())
HALL_LIGHT = {
    "alias": "Flurlicht",
    "triggers": [{"trigger": "state", "entity_id": "binary_sensor.hall_motion", "to": "on"}],
    "actions": [{"action": "light.turn_on", "target": {"entity_id": "light.hall"}}],
}


def automation(config: dict[str, Any]) -> Automation:
    return Automation("automation.it", str(config["alias"]), config)


def keys(binding: Binding) -> tuple[str, str | None]:
    return binding.pattern.id, binding.area


def test_without_a_goal_the_priority_counts() -> None:
    suggestions = suggest(PATTERNS, full_home())
    assert {one.binding.pattern.id for one in suggestions} == LIBRARY.keys()
    first = suggestions[0].binding.pattern
    assert first.priority == max(pattern.priority for pattern in PATTERNS)
    for one in suggestions:
        assert one.score == pytest.approx(one.binding.pattern.priority * one.binding.fit)


def test_only_what_can_be_filled_is_suggested() -> None:
    suggestions = suggest(PATTERNS, full_home(without=("lock.", "person.")))
    found = {one.binding.pattern.id for one in suggestions}
    assert not found & {"lock_at_night", "lock_when_leaving", "off_when_leaving"}
    assert all(one.binding.complete for one in suggestions)


def test_score_is_relevance_times_fit_times_history() -> None:
    relevance = {"stale_air": 0.8, "lock_at_night": 0.4, "doorbell": 0.0}
    knowing = Knowing(relevance, {"lock_at_night": 1.0, "stale_air": 0.0})
    home = full_home(without=("notify.",))
    scores = {one.binding.pattern.id: one.score for one in suggest(PATTERNS, home, (), knowing)}
    assert scores == {"stale_air": pytest.approx(0.8 * 0.8 * 0.8), "lock_at_night": pytest.approx(0.4 * 1.2)}


@pytest.mark.parametrize("success", [-3.0, 0.0, 0.5, 1.0, 7.0])
def test_history_moves_a_score_by_a_fifth_at_most(success: float) -> None:
    (plain,) = suggest([LIBRARY["doorbell"]], full_home())
    (judged,) = suggest([LIBRARY["doorbell"]], full_home(), (), Knowing(None, {"doorbell": success}))
    assert abs(judged.score / plain.score - 1) <= 0.2 + 1e-9
    assert (judged.score > plain.score, judged.score < plain.score) == (success > 0.5, success < 0.5)


def test_many_rooms_do_not_hide_other_ideas() -> None:
    rooms = [
        HomeEntity(f"{kind}.room{number}", "x", device_class=device_class, area_id=f"r{number}")
        for number in range(20)
        for kind, device_class in (("binary_sensor", "motion"), ("light", None))
    ]
    shown = [one.binding.pattern.id for one in suggest(PATTERNS, full_home(*rooms))[:15]]
    assert 1 <= shown.count("motion_light") <= 5
    assert len(set(shown)) >= 7


def test_an_area_limits_what_is_bound() -> None:
    suggestions = suggest(PATTERNS, full_home(), within={"bedroom"})
    assert "heating_off_while_airing" in {one.binding.pattern.id for one in suggestions}
    for one in suggestions:
        assert {entity.area_id for entity in one.binding.entities} - {None} == {"bedroom"}


def test_what_an_automation_does_already_comes_with_its_name() -> None:
    there = automation(HALL_LIGHT)
    suggestions = suggest([LIBRARY["motion_light"]], full_home(), [there])
    covered = {keys(one.binding): one.covered_by for one in suggestions}
    assert covered["motion_light", "Living room"] is None
    coverage = covered["motion_light", "Hallway"]
    assert coverage is not None
    assert (coverage.automation, coverage.structural, coverage.semantic) == (there, 0.5, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"triggers": [{"trigger": "state", "entity_id": "binary_sensor.living_presence", "to": "on"}]},
        {"actions": [{"action": "light.turn_on", "target": {"entity_id": "light.sofa"}}]},
        {"actions": [{"action": "light.turn_on", "target": {"area_id": "bedroom"}}]},
        {"actions": []},
        {"triggers": None, "actions": "rubbish"},
    ],
)
def test_another_trigger_or_another_deed_covers_nothing(change: dict[str, Any]) -> None:
    there = automation(HALL_LIGHT | change)
    hall = suggest([LIBRARY["motion_light"]], full_home(), [there], within={"hallway"})
    assert [one.covered_by for one in hall] == [None]


def test_a_text_covers_only_where_the_deed_is_the_same() -> None:
    similar = Knowing(None, {}, {("motion_light", "automation.it"): 0.9})
    by_template = HALL_LIGHT | {"triggers": [{"trigger": "event", "event_type": "my_motion"}]}
    (hall,) = suggest([LIBRARY["motion_light"]], full_home(), [automation(by_template)], within={"hallway"})
    assert hall.covered_by is None
    (hall,) = suggest([LIBRARY["motion_light"]], full_home(), [automation(by_template)], similar, within={"hallway"})
    assert hall.covered_by is not None and hall.covered_by.semantic == 0.9
    elsewhere = by_template | {"actions": [{"action": "light.turn_on", "target": {"entity_id": "light.sofa"}}]}
    (hall,) = suggest([LIBRARY["motion_light"]], full_home(), [automation(elsewhere)], similar, within={"hallway"})
    assert hall.covered_by is None, "it says the same of another room"


def test_what_is_suggested_covers_itself() -> None:
    home = full_home()
    for one in suggest(PATTERNS, home):
        again = suggest([one.binding.pattern], home, [Automation("automation.new", one.title, one.config)])
        same = next(other for other in again if other.config == one.config)
        assert same.covered_by is not None, one.title


@pytest.mark.parametrize(
    ("action", "risky"),
    [
        ({"action": "switch.turn_off", "target": {"entity_id": "$kettle"}}, False),
        ({"action": "homeassistant.turn_off", "target": {"entity_id": ["$kettle"]}}, False),
        ({"action": "notify.me", "data": {"message": "x"}}, False),
        ({"delay": {"minutes": 1}}, False),
        ({"action": "shell_command.x"}, True),
        ({"service": "shell_command.x"}, True),
        ({"action": "shell_command.x", "data": {"entity_id": "$kettle"}}, True),
        ({"action": "script.unlock", "target": {"entity_id": "$kettle"}}, True),
        ({"action": "homeassistant.restart", "target": {"entity_id": "$kettle"}}, True),
        ({"action": "{{ 'lock.' + 'unlock' }}", "target": {"entity_id": "$kettle"}}, True),
        ({"if": [], "then": [{"event": "unlock"}]}, True),
    ],
)
def test_whatever_could_do_anything_needs_confirmation(action: dict[str, Any], risky: bool) -> None:  # noqa: FBT001
    actions = [*GOOD["automation"]["actions"], action]
    pattern = read_pattern("tea", GOOD | {"automation": GOOD["automation"] | {"actions": actions}})
    home = full_home(HomeEntity("switch.kettle", "Kettle", area_id="bedroom"))
    suggestions = suggest([pattern], home)
    assert suggestions and {one.requires_confirmation for one in suggestions} == {risky}
    (found,) = find_patterns([pattern], home, Knowing())
    assert found.requires_confirmation == risky


def test_found_patterns_come_with_what_is_missing() -> None:
    relevance = {"clean_when_away": 0.9, "off_when_leaving": 0.6, "doorbell": 0.1}
    found = find_patterns(PATTERNS, full_home(without=("vacuum.",)), Knowing(relevance))
    assert [one.binding.pattern.id for one in found] == ["clean_when_away", "off_when_leaving", "doorbell"]
    assert [role.name for role in found[0].binding.missing] == ["robots"]
    assert found[1].binding.complete
    assert not any(one.requires_confirmation for one in found)


def test_the_pattern_of_an_automation_is_found_by_what_it_does() -> None:
    in_the_hall = HALL_LIGHT | {"actions": [{"action": "light.turn_on", "target": {"area_id": "hallway"}}]}
    found = find_patterns(PATTERNS, full_home(), Knowing({}), like=automation(in_the_hall))
    assert keys(found[0].binding) == ("motion_light", AREAS["hallway"])
    assert "doorbell" not in {one.binding.pattern.id for one in found}
