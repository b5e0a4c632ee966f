"""The index follows the home: what is added, renamed, moved, hidden or removed, and nothing else."""

from datetime import timedelta
import threading
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import CoreState, HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import DOMAIN
from custom_components.semantic_home.describe import describe_entity
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import Document, StoreError
from custom_components.semantic_home.sync import HomeSync

from .house import ENTITIES, Home, async_let_sync, async_wait_complete, worker_of
from .test_services import match


async def find(hass: HomeAssistant, query: str) -> str | None:
    response = await match(hass, query)
    return response["entity_ids"][0] if response["decision"] == "match" else None


def documents(entry: MockConfigEntry) -> dict[str, Document]:
    index: HomeIndex = entry.runtime_data.index._opened
    held = index._documents.values()
    return {str(document.metadata.get("entity_id", document.source_id)): document for document in held}


@pytest.fixture
def encoded(entry: MockConfigEntry) -> Any:
    """Collect the passages that are embedded from here on."""
    texts: list[str] = []
    worker = worker_of(entry)
    encode = worker.encode

    async def record(wanted: list[str], role: str, *args: Any, **limits: Any) -> Any:
        if role == "passage":
            texts.extend(wanted)
        return await encode(wanted, role, *args, **limits)

    with patch.object(worker, "encode", record):
        yield texts


async def test_texts_of_an_entity(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    document = documents(entry)["light.sofa_lamp"]
    assert document.source_id == home.entities.async_get("light.sofa_lamp").id
    assert document.views == ("Sofa lamp", "Stehlampe", "Sofa lamp, Light, Living room, Ground floor")
    assert document.metadata["kind_words"] == ["Light"]
    assert documents(entry)["ground_floor"].views == ("Ground floor", "downstairs")


@pytest.mark.usefixtures("entry")
async def test_unexposed_entities_are_not_there(hass: HomeAssistant) -> None:
    response = await match(hass, "lock the front door", limit=50)
    assert "lock.front_door" not in [candidate["entity_id"] for candidate in response["candidates"]]


async def test_rename_embeds_that_entity_alone(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, encoded: list[str]
) -> None:
    home.entities.async_update_entity("light.kitchen_ceiling", name="Chandelier")
    await async_let_sync(hass, entry)
    assert await find(hass, "light the chandelier") == "light.kitchen_ceiling"
    assert sorted(encoded) == ["Chandelier", "Chandelier, Light, Kitchen, Ground floor"]


async def test_new_entity(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    assert await find(hass, "switch on the aquarium pump") is None
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    await async_let_sync(hass, entry)
    assert await find(hass, "switch on the aquarium pump") == "switch.aquarium"


async def test_entity_without_registry_entry(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    hass.states.async_set("light.yaml", "on", {"friendly_name": "Disco ball"})
    await async_let_sync(hass, entry)
    assert await find(hass, "spin the disco ball") == "light.yaml"
    hass.states.async_set("light.yaml", "on", {"friendly_name": "Mirror sphere"})
    await async_let_sync(hass, entry)
    assert documents(entry)["light.yaml"].views[0] == "Mirror sphere"
    hass.states.async_remove("light.yaml")
    await async_let_sync(hass, entry)
    assert "light.yaml" not in documents(entry)


async def test_removed_entity_leaves(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    home.entities.async_remove("light.sofa_lamp")
    hass.states.async_remove("light.sofa_lamp")
    await async_let_sync(hass, entry)
    assert "light.sofa_lamp" not in documents(entry)
    response = await match(hass, "sofa lamp", limit=50)
    assert "light.sofa_lamp" not in [candidate["entity_id"] for candidate in response["candidates"]]


async def test_new_entity_id_keeps_the_document(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, encoded: list[str]
) -> None:
    before = documents(entry)["light.sofa_lamp"]
    home.entities.async_update_entity("light.sofa_lamp", new_entity_id="light.couch")
    hass.states.async_remove("light.sofa_lamp")
    hass.states.async_set("light.couch", "off", {"friendly_name": "Sofa lamp"})
    await async_let_sync(hass, entry)
    after = documents(entry)["light.couch"]
    assert (after.source_id, after.views) == (before.source_id, before.views)
    assert "light.sofa_lamp" not in documents(entry)
    assert await find(hass, "sofa lamp") == "light.couch"
    assert encoded == []


async def test_exposure(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    async_expose_entity(hass, "conversation", "light.sofa_lamp", False)
    async_expose_entity(hass, "conversation", "lock.front_door", True)
    await async_let_sync(hass, entry)
    assert "light.sofa_lamp" not in documents(entry)
    assert await find(hass, "sperr die Haustür auf") == "lock.front_door"


async def test_area_floor_and_device_names_enter_the_texts(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry
) -> None:
    home.areas.async_update("living_room", name="Parlour", aliases={"den"})
    home.floors.async_update("ground_floor", name="Below")
    device = home.devices.async_get_or_create(
        config_entry_id=home.config_entry.entry_id, identifiers={("house", "hue")}, name="Hue bulb"
    )
    home.entities.async_update_entity("light.sofa_lamp", device_id=device.id)
    await async_let_sync(hass, entry)
    assert documents(entry)["light.sofa_lamp"].views[-1] == "Sofa lamp, Light, Parlour, Below, Hue bulb"
    assert documents(entry)["living_room"].views == ("Parlour", "den")

    home.devices.async_update_device(device.id, name_by_user="Reading bulb")
    await async_let_sync(hass, entry)
    assert documents(entry)["light.sofa_lamp"].views[-1].endswith("Reading bulb")


async def test_removed_area_leaves(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    home.areas.async_delete("bedroom")
    await async_let_sync(hass, entry)
    assert "bedroom" not in documents(entry)
    assert documents(entry)["light.bedside"].metadata["area_id"] is None


async def test_states_and_options_change_nothing(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, encoded: list[str]
) -> None:
    with patch.object(HomeSync, "_reconcile") as reconcile, patch.object(HomeSync, "_update") as update:
        hass.states.async_set("light.sofa_lamp", "on", {"friendly_name": "Sofa lamp", "brightness": 200})
        home.entities.async_update_entity_options("light.sofa_lamp", "weather", {"unit": "K"})
        await async_let_sync(hass, entry)
    reconcile.assert_not_called()
    update.assert_not_called()
    assert encoded == []


async def test_changes_in_a_burst_are_taken_in_once(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    with patch.object(HomeIndex, "update", autospec=True, side_effect=HomeIndex.update) as update:
        for domain, object_id, name, *_ in ENTITIES[:4]:
            home.entities.async_update_entity(f"{domain}.{object_id}", name=f"{name} new")
        await async_let_sync(hass, entry)
    assert update.call_count == 1
    assert len(update.call_args.args[1]) == 4


async def test_aliases(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    home.entities.async_update_entity("vacuum.robot", aliases=[er.COMPUTED_NAME, "R2D2"])
    await async_let_sync(hass, entry)
    assert await find(hass, "send R2D2 home") == "vacuum.robot"


async def test_a_failed_write_is_tried_again_by_itself(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    home.entities.async_update_entity("light.sofa_lamp", name="Reading lamp")
    with patch.object(HomeIndex, "update", side_effect=StoreError("database or disk is full")):
        await async_let_sync(hass, entry)
    assert "could not take in" in caplog.text
    assert documents(entry)["light.sofa_lamp"].views[0] == "Sofa lamp"
    await async_let_sync(hass, entry, seconds=100)
    assert documents(entry)["light.sofa_lamp"].views[0] == "Reading lamp"


async def test_a_failed_rebuild_says_so(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    with (
        patch.object(HomeIndex, "reconcile", side_effect=StoreError("database or disk is full")),
        pytest.raises(HomeAssistantError, match="disk is full"),
    ):
        await hass.services.async_call(DOMAIN, "rebuild_index", {}, blocking=True)
    await async_wait_complete(entry)


async def test_a_change_during_a_slow_write_is_not_lost(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry
) -> None:
    writing, go_on = threading.Event(), threading.Event()
    update = HomeIndex.update

    def slow(*args: Any) -> bool:
        writing.set()
        go_on.wait(30)
        return update(*args)

    with patch.object(HomeIndex, "update", autospec=True, side_effect=slow):
        home.entities.async_update_entity("light.sofa_lamp", name="Reading lamp")
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
        assert await hass.async_add_executor_job(writing.wait, 30)
        home.entities.async_update_entity("media_player.tv", name="Telly")
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=10))
        go_on.set()
        await hass.async_block_till_done()
    assert documents(entry)["light.sofa_lamp"].views[0] == "Reading lamp"
    assert documents(entry)["media_player.tv"].views[0] == "Telly"


async def test_odd_names_harm_nobody(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    hass.states.async_set("light.broken", "on", {"friendly_name": "x\ud83d"})
    hass.states.async_set("light.number", "on", {"friendly_name": 12, "device_class": ["odd"]})
    home.entities.async_update_entity("media_player.tv", name="Telly")
    await async_let_sync(hass, entry)
    assert documents(entry)["light.broken"].views[0] == "x?"
    assert documents(entry)["light.number"].views[0] == "12"
    assert documents(entry)["media_player.tv"].views[0] == "Telly"


async def test_an_entity_that_cannot_be_described_is_left_out(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    def describe(hass: HomeAssistant, state: State, kinds: Any) -> Document:
        if state.entity_id == "light.bad":
            raise TypeError("what is this?")
        return describe_entity(hass, state, kinds)

    with patch("custom_components.semantic_home.sync.describe_entity", describe):
        hass.states.async_set("light.bad", "on")
        home.entities.async_update_entity("media_player.tv", name="Telly")
        await async_let_sync(hass, entry)
    assert "light.bad is left out" in caplog.text
    assert "light.bad" not in documents(entry)
    assert documents(entry)["media_player.tv"].views[0] == "Telly"


async def test_a_home_that_is_still_starting_is_not_taken_for_the_whole(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    before = documents(entry)
    hass.set_state(CoreState.starting)
    hass.states.async_remove("light.sofa_lamp")
    hass.bus.async_fire(EVENT_CORE_CONFIG_UPDATE)
    await async_let_sync(hass, entry)
    assert documents(entry) == before
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_CORE_CONFIG_UPDATE)
    await async_let_sync(hass, entry)
    assert "light.sofa_lamp" not in documents(entry)
