"""Automations are described with the names of Home Assistant's own registries."""

from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.describe_automations import async_describe_automations
from custom_components.semantic_home.index import Document

from .house import Home
from .rendering.test_secrets import ACTIONS, CONDITIONS, DATA, MARKER, TRIGGERS


async def describe(hass: HomeAssistant, **parts: Any) -> Document:
    """Have Home Assistant load an automation of these parts, valid or not, and describe it."""
    assert await async_setup_component(hass, "automation", {"automation": [{"id": "one", "alias": "One", **parts}]})
    await hass.async_block_till_done()
    documents = await async_describe_automations(hass)
    return next(document for document in documents if document.kind == "automation")


@pytest.fixture
def lamp(home: Home) -> str:
    """Give the id of the sofa lamp's registry entry."""
    entry = home.entities.async_get("light.sofa_lamp")
    assert entry
    return entry.id


@pytest.fixture
def remote(home: Home) -> dr.DeviceEntry:
    device = home.devices.async_get_or_create(
        config_entry_id=home.config_entry.entry_id, identifiers={("house", "remote")}, name="Remote"
    )
    home.devices.async_update_device(device.id, name_by_user="Bedside remote")
    return device


@pytest.mark.usefixtures("home")
async def test_the_old_way_to_write_it(hass: HomeAssistant) -> None:
    document = await describe(
        hass,
        trigger={"platform": "state", "entity_id": "media_player.tv", "to": "playing"},
        condition={"condition": "state", "entity_id": "light.sofa_lamp", "state": "on"},
        action={"service": "light.turn_off", "entity_id": "light.sofa_lamp"},
    )
    assert document.views[-1] == (
        "When Television (Living room) changes to playing, if Sofa lamp (Living room) is on: "
        "turn off Sofa lamp (Living room)"
    )


async def test_states_say_what_they_mean(hass: HomeAssistant) -> None:
    hass.states.async_set("binary_sensor.hall", "off", {"friendly_name": "Hall", "device_class": "motion"})
    hass.states.async_set("person.ann", "home", {"friendly_name": "Ann"})
    hass.states.async_set("cover.gate", "open", {"friendly_name": "Gate"})
    document = await describe(
        hass,
        triggers=[
            {"trigger": "state", "entity_id": "binary_sensor.hall", "to": "on"},
            {"trigger": "state", "entity_id": "person.ann", "to": "not_home"},
            {"trigger": "state", "entity_id": "cover.gate", "to": ["opening", "something_else"]},
        ],
        actions=[],
    )
    assert document.views[-1] == (
        "When Hall changes to detected or Ann changes to away or Gate changes to opening or something else"
    )


async def test_ids_are_told_by_name(hass: HomeAssistant, home: Home, lamp: str, remote: dr.DeviceEntry) -> None:
    label = home.labels.async_create("Party")
    document = await describe(
        hass,
        triggers=[{"trigger": "device", "domain": "house", "device_id": remote.id, "type": "press"}],
        actions=[
            {"domain": "light", "device_id": remote.id, "entity_id": lamp, "type": "turn_on"},
            {"action": "light.turn_off", "target": {"floor_id": "upstairs", "label_id": label.label_id}},
            {"action": "light.turn_off", "target": {"device_id": "unknown", "area_id": "nowhere"}},
        ],
    )
    assert document.views[-1] == (
        "When Bedside remote press: turn on Sofa lamp (Living room); turn off light on Upstairs, labelled Party; "
        "light turn off"
    )
    assert document.metadata["entity_ids"] == ["light.sofa_lamp"]
    assert document.metadata["device_ids"] == [remote.id]
    assert document.metadata["area_ids"] == ["living_room"]


async def test_odd_names_harm_nobody(hass: HomeAssistant) -> None:
    hass.states.async_set("light.broken", "on", {"friendly_name": "x\ud83d"})
    hass.states.async_set("light.number", "on", {"friendly_name": 12, "device_class": ["odd"]})
    target = {"entity_id": ["light.broken", "light.number"]}
    document = await describe(
        hass,
        triggers=[{"trigger": "state", "entity_id": "light.number", "to": "on"}],
        actions=[{"action": "light.turn_on", "target": target}],
    )
    assert document.views[-1] == "When 12 changes to on: turn on x?, 12"


async def test_where_it_belongs(hass: HomeAssistant, home: Home) -> None:
    await describe(hass, triggers=[], actions=[])
    home.entities.async_update_entity("automation.one", area_id="bedroom")
    documents = await async_describe_automations(hass)
    assert [document.metadata["area_ids"] for document in documents if document.kind == "automation"] == [["bedroom"]]


async def test_markers_stay_outside(hass: HomeAssistant, home: Home, lamp: str) -> None:
    script = {"alias": "Two", "sequence": ACTIONS, "fields": {MARKER: {"default": MARKER}}, "variables": DATA}
    assert await async_setup_component(hass, "script", {"script": {"two": script}})
    one = await describe(hass, triggers=TRIGGERS, conditions=CONDITIONS, actions=ACTIONS, variables=DATA, **{MARKER: 1})
    documents = await async_describe_automations(hass)
    kinds = {document.kind for document in documents}
    assert kinds >= {"automation", "script", "blueprint"}
    assert one.views[-1].startswith("When a webhook is called or ")
    assert not [document for document in documents if MARKER in repr(document).casefold()]


async def test_many_are_described_alike_every_time(hass: HomeAssistant, home: Home) -> None:
    target = {"entity_id": ["light.sofa_lamp", "light.bedside"], "area_id": ["kitchen", "bedroom"]}
    config = [
        {"id": str(number), "alias": "Same", "triggers": [], "actions": [{"action": "light.toggle", "target": target}]}
        for number in range(50)
    ]
    assert await async_setup_component(hass, "automation", {"automation": config})
    await hass.async_block_till_done()
    first = await async_describe_automations(hass)
    assert len([document for document in first if document.kind == "automation"]) == 50
    assert await async_describe_automations(hass) == first
