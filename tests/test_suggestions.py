"""Suggestions in a real Home Assistant: what it is offered, it accepts; and nothing is created."""

from collections.abc import Iterator
from datetime import timedelta
import json
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_fire_time_changed,
    async_mock_service,
)
import yaml

from homeassistant.components.automation.config import ValidationStatus, async_validate_config_item
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.const import EntityCategory
from homeassistant.core import Context, HomeAssistant, State
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import (
    area_registry as ar,
    entity_registry as er,
    label_registry as lr,
)
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import CONF_MODEL, CONF_SCOPE, DOMAIN, SCOPE_ALL
from custom_components.semantic_home.index import Knowledge
from custom_components.semantic_home.knowledge import Suggestion, load_library
from custom_components.semantic_home.suggestible_home import async_home_entities
from custom_components.semantic_home.suggestions import Wanted

from .house import Home, async_set_up
from .knowledge.full_home import AREAS, THINGS, Thing

REFUSED = "makes no valid automation here"

pytestmark = pytest.mark.patterns


def furnish(hass: HomeAssistant, things: tuple[Thing, ...]) -> None:
    """Put things into the registries, as an integration would, and give them states."""
    registry, entry = er.async_get(hass), MockConfigEntry(domain="house")
    entry.add_to_hass(hass)
    for thing in things:
        domain, _, object_id = thing.entity_id.partition(".")
        attributes = {"friendly_name": thing.name, **thing.attributes}
        if thing.device_class:
            attributes["device_class"] = thing.device_class
        # Some of the collected ids are none that Home Assistant would give.
        entity_id = registry.async_get_or_create(
            domain,
            "house",
            object_id,
            suggested_object_id=object_id,
            config_entry=entry,
            original_name=thing.name,
            original_device_class=thing.device_class,
            entity_category=EntityCategory.DIAGNOSTIC if thing.diagnostic else None,
        ).entity_id
        registry.async_update_entity(entity_id, area_id=thing.area)
        hass.states.async_set(entity_id, "off", attributes)
        async_expose_entity(hass, "conversation", entity_id, should_expose=True)


async def set_up(hass: HomeAssistant, **options: Any) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None}, options=options)
    await async_set_up(hass, entry)
    return entry


@pytest.fixture
async def entry(hass: HomeAssistant) -> MockConfigEntry:
    """Set up in a home that has something for every pattern, without a model."""
    assert await async_setup_component(hass, "homeassistant", {})
    for area in AREAS.values():
        ar.async_get(hass).async_create(area)
    furnish(hass, THINGS)
    return await set_up(hass)


async def suggest(hass: HomeAssistant, context: Context | None = None, **data: Any) -> list[dict[str, Any]]:
    return (await respond(hass, "suggest_automations", context, **data))["suggestions"]


async def find(hass: HomeAssistant, context: Context | None = None, **data: Any) -> list[dict[str, Any]]:
    return (await respond(hass, "find_patterns", context, **data))["patterns"]


async def respond(hass: HomeAssistant, action: str, context: Context | None = None, **data: Any) -> dict[str, Any]:
    response = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True, context=context
    )
    assert response is not None
    json.dumps(response)
    return response


async def every_suggestion(entry: MockConfigEntry) -> list[Suggestion]:
    answer = await entry.runtime_data.suggestions.async_suggest(Wanted(limit=1000), include_covered=True)
    return list(answer.suggestions)


async def accepted(hass: HomeAssistant, suggestions: list[Suggestion]) -> list[str]:
    """Name the patterns of those that Home Assistant's own validation accepts."""
    found = []
    for suggestion in suggestions:
        validated = await async_validate_config_item(hass, "test", dict(suggestion.config))
        if validated is not None and validated.validation_status is ValidationStatus.OK:
            found.append(suggestion.binding.pattern.id)
    return found


async def test_home_assistant_runs_what_every_pattern_makes(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    suggestions = await every_suggestion(entry)
    assert REFUSED not in caplog.text, "none had to be left out"
    assert {one.binding.pattern.id for one in suggestions} == load_library().keys(), "one at least of each pattern"
    assert await accepted(hass, suggestions) == [one.binding.pattern.id for one in suggestions]
    assert hass.states.async_entity_ids("automation") == [], "nothing was created"
    configs = [{"id": str(number), **one.config} for number, one in enumerate(suggestions)]
    assert await async_setup_component(hass, "automation", {"automation": configs})
    await hass.async_block_till_done()
    states = hass.states.async_all("automation")
    assert len(states) == len(configs)
    assert {state.state for state in states} == {"on"}
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


def templates(value: Any) -> Iterator[str]:
    """Give all templates in a configuration."""
    if isinstance(value, str) and "{{" in value:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from templates(inner)


async def test_messages_say_something(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    state = State("sensor.x", "21", {"friendly_name": "The thing", "unit_of_measurement": "%"})
    trigger = {"to_state": state, "entity_id": "sensor.x", "calendar_event": {"summary": "Paper"}}
    hass.states.async_set("binary_sensor.bedroom_window", "on", {"friendly_name": "Bedroom window"})
    hass.states.async_set("update.router", "on", {"friendly_name": "Router firmware"})
    messages = [text for one in await every_suggestion(entry) for text in templates(one.config["actions"])]
    assert len(messages) >= 25
    for message in messages:
        said = str(Template(message, hass).async_render({"trigger": trigger}, parse_result=False, strict=True))
        assert any(name in said for name in ("The thing", "Bedroom", "Router", "Paper", "letter box", "sensor.x")), said


async def test_it_works_with_what_is_required_alone(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    for entity_id in ("notify.phone", "weather.home", "sensor.hall_brightness", "siren.hall", "valve.main"):
        er.async_get(hass).async_remove(entity_id)
        hass.states.async_remove(entity_id)
    suggestions = await every_suggestion(entry)
    assert {one.binding.pattern.id for one in suggestions} == load_library().keys() - {"rain_and_open_windows"}
    assert await accepted(hass, suggestions) == [one.binding.pattern.id for one in suggestions]


async def test_a_suggestion_says_all_that_is_needed(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    (first, *_) = await suggest(hass, goal="light by motion in the hallway")
    assert first["pattern"] == "motion_light"
    assert first["title"] == first["automation"]["alias"] == "Light by motion: Hallway"
    assert "Hall light" in first["why"] and "Hall motion" in first["why"]
    assert first["entities"] == {
        "motion": ["binary_sensor.hall_motion"],
        "lights": ["light.hall", "light.hall_mirror"],
        "brightness": ["sensor.hall_brightness"],
    }
    assert first["area_id"] == "hallway"
    assert not first["requires_confirmation"] and first["covered_by"] is None
    assert yaml.safe_load(first["yaml"]) == first["automation"]
    assert first["automation"].keys() == {"alias", "description", "triggers", "conditions", "actions", "mode"}


async def test_what_is_created_from_one_does_what_it_says(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    (motion,) = await suggest(hass, goal="light by motion in the hallway", limit=1)
    (left,) = await suggest(hass, goal="lights off when nobody is home", limit=1)
    for entity_id, state in (("sensor.hall_brightness", "20"), ("person.anna", "home"), ("person.ben", "home")):
        hass.states.async_set(entity_id, state)
    calls = {way: async_mock_service(hass, "light", way) for way in ("turn_on", "turn_off")}
    configs = [motion["automation"], left["automation"]]
    assert await async_setup_component(hass, "automation", {"automation": configs})
    await hass.async_block_till_done()

    hass.states.async_set("binary_sensor.hall_motion", "on")
    await hass.async_block_till_done()
    assert calls["turn_on"][0].data["entity_id"] == ["light.hall", "light.hall_mirror"]
    hass.states.async_set("binary_sensor.hall_motion", "off")
    await hass.async_block_till_done()
    assert not calls["turn_off"]
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=5, seconds=1))
    await hass.async_block_till_done()
    assert [call.data["entity_id"] for call in calls["turn_off"]] == [["light.hall", "light.hall_mirror"]]

    for number, person in enumerate(("person.anna", "person.ben")):
        hass.states.async_set(person, "Work")
        await hass.async_block_till_done()
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=10 * (number + 1)))
        await hass.async_block_till_done()
        assert len(calls["turn_off"]) == 1 + number, "the lights go off when the last one has left"


async def test_what_there_is_already_is_named_not_suggested(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    by_hand = {
        "alias": "Flurlicht",
        "trigger": {"platform": "state", "entity_id": "binary_sensor.hall_motion", "to": "on"},
        "action": {"service": "light.turn_on", "target": {"area_id": "hallway"}},
    }
    assert await async_setup_component(hass, "automation", {"automation": [by_hand]})
    await hass.async_block_till_done()
    wanted = {"goal": "light by motion", "area_id": "hallway"}
    assert "motion_light" not in [one["pattern"] for one in await suggest(hass, **wanted)]
    response = await respond(hass, "suggest_automations", **wanted, include_covered=True)
    first = response["suggestions"][0]
    assert first["pattern"] == "motion_light"
    assert first["covered_by"] == {
        "entity_id": "automation.flurlicht", "name": "Flurlicht", "structural": 1.0, "semantic": 0.0
    }  # fmt: skip
    assert response["covered"] >= 1


async def test_the_pattern_of_an_automation_is_found(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    by_hand = {
        "alias": "Zzz",
        "triggers": [{"trigger": "state", "entity_id": "binary_sensor.bedroom_window", "to": "on"}],
        "actions": [{"action": "climate.set_hvac_mode", "target": {"entity_id": "climate.bedroom"}, "data": {}}],
    }
    assert await async_setup_component(hass, "automation", {"automation": [by_hand]})
    await hass.async_block_till_done()
    (first, *_) = await find(hass, entity_id="automation.zzz")
    assert (first["id"], first["area_id"], first["score"]) == ("heating_off_while_airing", "bedroom", 1.0)
    assert first["roles"]["thermostats"]["entity_ids"] == ["climate.bedroom"]


@pytest.mark.parametrize(
    ("query", "pattern"),
    [
        ("turn the heating down when nobody is home", "heating_away"),
        ("tell me when the washing machine has finished", "laundry_done"),
        ("warn me when the garage is left open", "garage_left_open"),
        ("dim the lights when we watch a film", "cinema_light"),
        ("water the lawn in the morning unless it rains", "water_the_garden"),
    ],
)
async def test_patterns_are_found_by_words(
    hass: HomeAssistant, entry: MockConfigEntry, query: str, pattern: str
) -> None:
    (first, *_) = await find(hass, query=query)
    assert first["id"] == pattern
    assert first["complete"] and first["missing"] == []


async def test_roles_that_nothing_fills_are_missing(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    er.async_get(hass).async_remove("vacuum.robot")
    hass.states.async_remove("vacuum.robot")
    (first, *_) = await find(hass, query="vacuum when nobody is home")
    assert first["id"] == "clean_when_away"
    assert not first["complete"] and first["missing"] == ["robots"]
    assert first["roles"]["people"]["entity_ids"] == ["person.anna", "person.ben"]
    assert first["roles"]["robots"] == {"what": "robot vacuum cleaners", "required": True, "entity_ids": []}
    assert "clean_when_away" not in [one["pattern"] for one in await suggest(hass, goal="vacuum when nobody is home")]


async def test_a_room_alone_may_be_the_goal(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    found = await suggest(hass, goal="the bedroom")
    assert found and all("bedroom" in str(one["entities"]) or "bedside" in str(one["entities"]) for one in found)
    assert found == await suggest(hass, area_id="bedroom")
    warm = await suggest(hass, goal="warm bathroom in the morning", limit=1)
    assert [(one["pattern"], one["area_id"], one["score"]) for one in warm] == [("warm_bathroom", "bathroom", 1.0)]


async def test_only_what_the_caller_may_read_is_named(
    hass: HomeAssistant, entry: MockConfigEntry, hass_read_only_user: MockUser
) -> None:
    readable = ["binary_sensor.bedroom_window", "climate.bedroom"]
    policy = {"entities": {"entity_ids": {entity_id: {"read": True} for entity_id in readable}}}
    hass_read_only_user.mock_policy(policy)
    by_hand = {
        "alias": "Secret",
        "triggers": [{"trigger": "state", "entity_id": "binary_sensor.bedroom_window", "to": "on"}],
        "actions": [{"action": "climate.turn_off", "target": {"entity_id": "climate.bedroom"}}],
    }
    assert await async_setup_component(hass, "automation", {"automation": [by_hand]})
    await hass.async_block_till_done()
    context = Context(user_id=hass_read_only_user.id)
    suggestions = await suggest(hass, context, include_covered=True, limit=50)
    assert "heating_off_while_airing" in [one["pattern"] for one in suggestions]
    named = {entity_id for one in suggestions for ids in one["entities"].values() for entity_id in ids}
    assert named == set(readable)
    assert all(one["covered_by"] is None for one in suggestions), "an automation that may not be read is not named"
    patterns = await find(hass, context, query="lock the doors at night")
    assert patterns and "lock.front_door" not in json.dumps(patterns)
    with pytest.raises(ServiceValidationError, match="no automation") as error:
        await find(hass, context, entity_id="automation.secret")
    assert error.value.translation_key == "unknown_automation"


async def test_what_is_not_exposed_is_not_bound(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    async_expose_entity(hass, "conversation", "vacuum.robot", should_expose=False)
    assert "vacuum.robot" not in json.dumps(await suggest(hass, limit=50))
    await hass.config_entries.async_unload(entry.entry_id)
    hass.config_entries.async_update_entry(entry, options={CONF_SCOPE: SCOPE_ALL})
    await hass.config_entries.async_setup(entry.entry_id)
    assert "vacuum.robot" in json.dumps(await suggest(hass, limit=50))


@pytest.mark.parametrize("bearer", ["entity", "area"])
async def test_what_is_labelled_is_ignored(hass: HomeAssistant, entry: MockConfigEntry, bearer: str) -> None:
    label = lr.async_get(hass).async_create("semantic_home:ignore")
    if bearer == "entity":
        er.async_get(hass).async_update_entity("light.hall", labels={label.label_id})
    else:
        ar.async_get(hass).async_update("hallway", labels={label.label_id})
    everything = [str(one.config) for one in await every_suggestion(entry)]
    assert not any("light.hall'" in config for config in everything)
    assert any("light.hall_mirror" in config for config in everything) == (bearer == "entity")


async def test_what_is_guarded_needs_confirmation(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    er.async_get(hass).async_update_entity("switch.coffee", name="Coffee machine at the garage door")
    guarded = ("lock.", "alarm_control_panel.", "siren.", "valve.", "cover.garage", "switch.coffee")
    suggestions = await every_suggestion(entry)
    for suggestion in suggestions:
        assert suggestion.requires_confirmation == any(name in str(suggestion.config) for name in guarded)
    assert not any("switch.coffee" in str(one.config) for one in suggestions), "no role for a coffee machine is guarded"
    assert sum(one.requires_confirmation for one in suggestions) >= 8


async def test_users_have_patterns_of_their_own(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    good = {
        "name": "Tea",
        "roles": {"kettle": {"what": "a kettle", "kinds": ["switch"], "named": ["iron"]}},
        "automation": {
            "triggers": [{"trigger": "time", "at": "16:00:00"}],
            "actions": [{"action": "switch.turn_on", "target": {"entity_id": "$kettle"}}],
        },
    }
    invalid = good | {"name": "Nonsense", "automation": good["automation"] | {"triggers": [{"trigger": "no_such"}]}}
    day = dt_util.utcnow()
    rows = [
        Knowledge("tea at four", "pattern", day, day, good, 0.9),
        Knowledge("no sense at four", "pattern", day, day, invalid),
        Knowledge("just a thought", "pattern", day, day, {"automation": "later"}),
        Knowledge("movie night needs a dark room", "pattern", day, day),
    ]
    before = await suggest(hass, goal="turn on the coffee machine on weekdays", limit=1)
    await entry.runtime_data.knowledge.async_import(rows, dry_run=False)
    response = await respond(hass, "suggest_automations", goal="tea at four")
    (first, *others) = response["suggestions"]
    assert first["title"] == "Tea" and first["entities"] == {"kettle": ["switch.iron"]}
    assert first["category"] == "user"
    assert "Nonsense" not in [one["title"] for one in others], "what Home Assistant does not accept is not returned"
    assert REFUSED in caplog.text
    assert list(response["skipped"].values()) == ["automation is missing or no dict"]
    assert (await respond(hass, "rate", id=first["pattern"], outcome="failure"))["success_score"] < 0.9
    await respond(hass, "rate", id=before[0]["pattern"], outcome="failure")
    after = await suggest(hass, goal="turn on the coffee machine on weekdays", limit=1)
    # A third is what one failure leaves, and success moves the score by a fifth at most, either way.
    expected = before[0]["score"] * (1 + 0.4 * (1 / 3 - 1 / 2))
    assert after[0]["score"] == pytest.approx(expected, abs=0.002), "what failed counts for less"


@pytest.mark.parametrize("data", [{}, {"query": "x", "entity_id": "automation.x"}])
async def test_either_a_query_or_an_automation(hass: HomeAssistant, entry: MockConfigEntry, data: Any) -> None:
    with pytest.raises(ServiceValidationError) as error:
        await find(hass, **data)
    assert error.value.translation_key == "query_or_automation"


async def test_the_same_home_is_answered_the_same(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await suggest(hass, limit=50) == await suggest(hass, limit=50)


async def test_a_group_is_guarded_like_what_is_in_it(hass: HomeAssistant, home: Home) -> None:
    group = home.add("cover", "all", "All shades", "bedroom")
    hass.states.async_set(group, "open", {"entity_id": ["cover.blinds", "cover.garage"], "device_class": "shade"})
    entities = {one.entity_id: one for one in await async_home_entities(hass, "all", None)}
    assert entities["cover.garage"].guarded and entities[group].guarded
    assert not entities["cover.blinds"].guarded
