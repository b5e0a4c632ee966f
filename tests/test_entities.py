"""What Home Assistant shows of a change of the model: how far it is, and that it may have to wait."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from homeassistant.components.update import DATA_COMPONENT, UpdateEntity
from homeassistant.core import HomeAssistant, State
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import (
    CHANGE_AUTOMATIC,
    CHANGE_ON_INSTALL,
    CONF_CONFIRMED,
    CONF_ENGINE,
    CONF_MODEL,
    CONF_MODEL_CHANGE,
    DOMAIN,
)
from custom_components.semantic_home.describe import TEMPLATE_VERSION
from custom_components.semantic_home.engine import Encoded, OpenVINOEncoder, Role
from custom_components.semantic_home.model_loading import async_load
from custom_components.semantic_home.progress import WINDOW_SECONDS, ProgressMeter

from .conftest import MINILM
from .house import Home, async_set_up, async_wait_complete
from .test_generations import COUCH, Gate, change, data, encode, rows, swapped
from .test_services import match

PROGRESS = "sensor.semantic_home_embedding_progress"
MODEL = "update.semantic_home_model"


class Halfway(Gate):
    """Lets some texts through, by a clock that only they move, and then holds back the rest."""

    SECONDS_A_TEXT = 2.0

    def __init__(self, folder: str, texts: int) -> None:
        super().__init__(folder)
        self._free = texts
        self.now = 5000.0

    def clock(self) -> float:
        return self.now

    def __call__(self, encoder: OpenVINOEncoder, texts: Sequence[str], role: Role) -> Encoded:
        if role is Role.PASSAGE and len(self.embedded) < self._free:
            self.embedded.extend(texts)
            self.now += self.SECONDS_A_TEXT * len(texts)
            return encode(encoder, texts, role)
        return super().__call__(encoder, texts, role)


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home, model_folder: str) -> MockConfigEntry:
    """Give a home whose model changes by itself."""
    return await set_up(hass, model_folder, CHANGE_AUTOMATIC)


@pytest.fixture
async def patient(hass: HomeAssistant, home: Home, model_folder: str) -> MockConfigEntry:
    """Give a home whose model changes when the user says so."""
    return await set_up(hass, model_folder, CHANGE_ON_INSTALL)


async def set_up(hass: HomeAssistant, folder: str, model_change: str) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN, title="Semantic Home", data=data(folder), options={CONF_MODEL_CHANGE: model_change}
    )
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    await hass.async_block_till_done()
    return entry


async def reload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()


def state(hass: HomeAssistant, entity_id: str) -> State:
    found = hass.states.get(entity_id)
    assert found is not None
    return found


def shown(hass: HomeAssistant) -> tuple[str, bool, int | None]:
    """Give what the update shows: whether it is on, is being installed, and how far."""
    update = state(hass, MODEL)
    return update.state, update.attributes["in_progress"], update.attributes["update_percentage"]


def versions(hass: HomeAssistant) -> tuple[str, str]:
    attributes = state(hass, MODEL).attributes
    return attributes["installed_version"], attributes["latest_version"]


async def install(hass: HomeAssistant) -> None:
    await hass.services.async_call("update", "install", {"entity_id": MODEL}, blocking=True)


async def settle(hass: HomeAssistant, entry: MockConfigEntry, former: int) -> None:
    await swapped(entry, former)
    await hass.async_block_till_done()


async def test_one_service_has_them_all(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    categories = {entity.entity_id: str(entity.entity_category) for entity in entities}
    assert (categories[PROGRESS], categories[MODEL]) == ("diagnostic", "config")
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert (device.name, device.entry_type) == ("Semantic Home", dr.DeviceEntryType.SERVICE)
    assert {entity.device_id for entity in entities} == {device.id}


async def test_at_rest_everything_is_done(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    status = entry.runtime_data.status
    progress = state(hass, PROGRESS)
    assert progress.state == "100"
    assert {name: progress.attributes[name] for name in ("state", "generation", "model", "done", "total")} == {
        "state": "active",
        "generation": status.generation,
        "model": MINILM,
        "done": status.texts,
        "total": status.texts,
    }
    assert (progress.attributes["rate"], progress.attributes["time_left"]) == (None, None)
    assert shown(hass) == ("off", False, None)
    installed, latest = versions(hass)
    assert installed == latest
    assert installed.startswith(f"{MINILM} (")
    assert state(hass, MODEL).attributes["auto_update"] is True
    assert entry.runtime_data.change.wished.stamp == status.stamp, "the files told before the model was loaded"


async def test_a_build_shows_how_far_it_is_and_how_fast(
    hass: HomeAssistant, entry: MockConfigEntry, portable_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    gate = Halfway(Path(portable_folder).name, entry.runtime_data.status.texts // 2)
    with (
        gate.patch(),
        patch("custom_components.semantic_home.embedding._TEXTS_A_ROUND", 4),
        patch("custom_components.semantic_home.runtime.ProgressMeter", partial(ProgressMeter, gate.clock)),
    ):
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        status = entry.runtime_data.status
        assert 0 < status.built < status.texts
        progress = state(hass, PROGRESS)
        assert progress.state == str(100 * status.built // status.texts)
        attributes = progress.attributes
        assert (attributes["state"], attributes["generation"]) == ("building", status.building)
        assert (attributes["done"], attributes["total"]) == (status.built, status.texts)
        assert attributes["rate"] == 1 / gate.SECONDS_A_TEXT
        assert attributes["time_left"] == (status.texts - status.built) * gate.SECONDS_A_TEXT
        assert shown(hass) == ("on", True, int(progress.state))
        assert "answers until" in state(hass, MODEL).attributes["release_summary"]

        gate.now += WINDOW_SECONDS + 1
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=11))
        await hass.async_block_till_done()
        attributes = state(hass, PROGRESS).attributes
        assert (attributes["rate"], attributes["time_left"]) == (None, None), "nothing moves"

        gate.opened.set()
        await settle(hass, entry, old)
    progress = state(hass, PROGRESS)
    assert (progress.state, progress.attributes["state"]) == ("100", "active")
    assert progress.attributes["generation"] == entry.runtime_data.status.generation
    assert shown(hass) == ("off", False, None)


async def test_to_install_what_is_under_way_is_no_error(
    hass: HomeAssistant, entry: MockConfigEntry, portable_folder: str
) -> None:
    before = versions(hass)[0]
    old = entry.runtime_data.status.generation
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        assert shown(hass) == ("on", True, 0)
        installed, latest = versions(hass)
        assert installed == before != latest
        lines = list(entry.runtime_data._lines)
        update = hass.data[DATA_COMPONENT].get_entity(MODEL)
        assert isinstance(update, UpdateEntity)
        await update.async_install(None, backup=False)
        assert entry.runtime_data._lines == lines
        gate.opened.set()
        await settle(hass, entry, old)
    assert versions(hass) == (latest, latest)


async def test_a_change_waits_for_the_click_and_costs_nothing_until_then(
    hass: HomeAssistant, patient: MockConfigEntry, portable_folder: str
) -> None:
    old = patient.runtime_data.status.generation
    gate = Gate(Path(portable_folder).name)
    loading = AsyncMock(side_effect=async_load)
    with gate.patch(), patch("custom_components.semantic_home.model_runner.async_load", loading):
        await change(hass, patient, portable_folder)
        await async_wait_complete(patient)
        await reload(hass, patient)
        await async_wait_complete(patient)
        await hass.async_block_till_done()
        assert shown(hass) == ("on", False, None)
        update = state(hass, MODEL).attributes
        assert update["auto_update"] is False
        assert "When you install it" in update["release_summary"]
        assert len(set(versions(hass))) == 2
        assert {call.args[1].folder for call in loading.await_args_list} == {data_folder(patient, "active")}
        assert (patient.runtime_data.status.building, gate.reached.is_set()) == (None, False)
        progress = state(hass, PROGRESS)
        assert (progress.state, progress.attributes["state"]) == ("100", "active")
        found = await match(hass, COUCH)
        assert (found["generation"], found["degraded"]) == (old, False)

        runtime = patient.runtime_data
        latest = versions(hass)[1]
        await install(hass)
        await gate.wait(hass)
        await async_wait_complete(patient)
        assert patient.runtime_data is runtime, "not even a reload"
        assert shown(hass) == ("on", True, 0)
        assert (await match(hass, "switch off the light beside the sofa"))["generation"] == old
        gate.opened.set()
        await settle(hass, patient, old)
    assert shown(hass) == ("off", False, None)
    assert versions(hass) == (latest, latest), "what was promised came"
    assert CONF_CONFIRMED not in patient.data


def data_folder(entry: MockConfigEntry, record: str) -> str:
    folder: str = entry.data[record]["data"]["folder"]
    return folder


@pytest.mark.parametrize("begun", [False, True])
async def test_one_click_is_enough_for_a_restart_in_the_middle(
    hass: HomeAssistant, patient: MockConfigEntry, portable_folder: str, *, begun: bool
) -> None:
    old = patient.runtime_data.status.generation
    await change(hass, patient, portable_folder)
    first = Gate(Path(portable_folder).name)
    with first.patch():
        await install(hass)
        if begun:
            await first.wait(hass)
        unloading = hass.async_create_task(hass.config_entries.async_unload(patient.entry_id))
        first.opened.set()
        assert await unloading
    second = Gate(Path(portable_folder).name)
    with second.patch():
        assert await hass.config_entries.async_setup(patient.entry_id)
        await second.wait(hass)
        assert shown(hass)[:2] == ("on", True)
        second.opened.set()
        await settle(hass, patient, old)
    assert shown(hass) == ("off", False, None)


async def test_a_click_is_for_one_change_only(
    hass: HomeAssistant, patient: MockConfigEntry, portable_folder: str, model_folder: str
) -> None:
    old = patient.runtime_data.status.generation
    await change(hass, patient, portable_folder)
    await install(hass)
    await settle(hass, patient, old)
    new = patient.runtime_data.status.generation
    await change(hass, patient, model_folder)
    await async_wait_complete(patient)
    assert shown(hass) == ("on", False, None)
    assert patient.runtime_data.status.generation == new
    await install(hass)
    await settle(hass, patient, new)
    assert patient.runtime_data.status.generation == old


async def test_another_choice_in_the_dialog_needs_another_click(
    hass: HomeAssistant, patient: MockConfigEntry, portable_folder: str
) -> None:
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, patient, portable_folder)
        await install(hass)
        await gate.wait(hass)
        assert CONF_CONFIRMED in patient.data
        result = await patient.start_reconfigure_flow(hass)
        gate.opened.set()
        result = await hass.config_entries.flow.async_configure(result["flow_id"], {CONF_ENGINE: "names_only"})
        assert result["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
    assert CONF_CONFIRMED not in patient.data


async def test_files_that_are_gone_for_a_while_are_no_other_model(
    hass: HomeAssistant, patient: MockConfigEntry, model_folder: str
) -> None:
    await hass.config_entries.async_unload(patient.entry_id)
    folder = Path(hass.config.path(model_folder))
    await hass.async_add_executor_job(folder.rename, folder.with_name("elsewhere"))
    assert await hass.config_entries.async_setup(patient.entry_id)
    await hass.async_block_till_done()
    assert shown(hass) == ("off", False, None)


async def test_the_way_back_waits_for_nobody(
    hass: HomeAssistant, patient: MockConfigEntry, portable_folder: str
) -> None:
    old = patient.runtime_data.status.generation
    await change(hass, patient, portable_folder)
    await install(hass)
    await settle(hass, patient, old)
    await hass.services.async_call(DOMAIN, "rollback_model", blocking=True)
    await hass.async_block_till_done()
    await async_wait_complete(patient)
    assert patient.runtime_data.status.generation == old
    assert shown(hass) == ("off", False, None)


async def test_what_changes_no_vector_waits_for_nobody(hass: HomeAssistant, home: Home, portable_folder: str) -> None:
    entry = await set_up(hass, portable_folder, CHANGE_ON_INSTALL)
    before = entry.runtime_data.status.generation
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_ENGINE: "numpy"})
    await reload(hass, entry)
    await async_wait_complete(entry)
    await hass.async_block_till_done()
    assert entry.runtime_data.status.generation == before
    assert shown(hass) == ("off", False, None)
    assert entry.data["active"]["data"][CONF_ENGINE] == "numpy"


async def test_other_words_for_entities_wait_too(hass: HomeAssistant, patient: MockConfigEntry) -> None:
    old = patient.runtime_data.status.generation
    await hass.config_entries.async_unload(patient.entry_id)
    with patch("custom_components.semantic_home.embedding.TEMPLATE_VERSION", TEMPLATE_VERSION + 1):
        assert await hass.config_entries.async_setup(patient.entry_id)
        await async_wait_complete(patient)
        await hass.async_block_till_done()
        assert shown(hass) == ("on", False, None)
        assert (await match(hass, COUCH))["generation"] == old
        assert patient.runtime_data.status.building is None
        await install(hass)
        await settle(hass, patient, old)
    assert shown(hass) == ("off", False, None)


async def test_the_option_is_in_the_dialog_and_to_take_it_back_begins_the_change(
    hass: HomeAssistant, patient: MockConfigEntry, portable_folder: str
) -> None:
    old = patient.runtime_data.status.generation
    await change(hass, patient, portable_folder)
    form = await hass.config_entries.options.async_init(patient.entry_id)
    defaults = {str(key): key.default() for key in form["data_schema"].schema}
    assert defaults[CONF_MODEL_CHANGE] == CHANGE_ON_INSTALL
    result = await hass.config_entries.options.async_configure(
        form["flow_id"], {**defaults, CONF_MODEL_CHANGE: CHANGE_AUTOMATIC}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    await settle(hass, patient, old)
    assert shown(hass) == ("off", False, None)


async def test_to_wait_stops_what_was_begun_of_another_model(
    hass: HomeAssistant, entry: MockConfigEntry, portable_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        unloading = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
        gate.opened.set()
        assert await unloading
    own = {"dimension": 384, "pooling": "mean", "query_prefix": "query: "}
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_MODEL: "mine", "spec": own}, options={CONF_MODEL_CHANGE: CHANGE_ON_INSTALL}
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_wait_complete(entry)
    await hass.async_block_till_done()
    assert shown(hass) == ("on", False, None)
    assert versions(hass)[1].startswith("mine (")
    assert rows(hass, "SELECT id, state FROM generation WHERE state != 'removed'") == [(old, "active")]


async def test_what_has_begun_goes_on_whatever_the_option_says_by_now(
    hass: HomeAssistant, entry: MockConfigEntry, portable_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        unloading = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
        gate.opened.set()
        assert await unloading
        hass.config_entries.async_update_entry(entry, options={CONF_MODEL_CHANGE: CHANGE_ON_INSTALL})
        assert await hass.config_entries.async_setup(entry.entry_id)
        await settle(hass, entry, old)
    assert shown(hass) == ("off", False, None)


async def test_names_alone_have_neither(hass: HomeAssistant, home: Home) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    assert hass.states.get(PROGRESS) is None
    assert hass.states.get(MODEL) is None


async def test_without_a_model_any_more_they_are_unavailable(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    hass.config_entries.async_update_entry(entry, data={CONF_MODEL: None})
    await reload(hass, entry)
    assert (state(hass, PROGRESS).state, state(hass, MODEL).state) == ("unavailable", "unavailable")


async def test_unloading_leaves_nobody_listening(
    hass: HomeAssistant, entry: MockConfigEntry, portable_folder: str
) -> None:
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        runtime: Any = entry.runtime_data
        assert runtime._listeners
        unloading = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
        gate.opened.set()
        assert await unloading
    assert not runtime._listeners
    assert (state(hass, PROGRESS).state, state(hass, MODEL).state) == ("unavailable", "unavailable")


async def test_they_are_no_part_of_the_house(hass: HomeAssistant, home: Home, model_folder: str) -> None:
    entry = MockConfigEntry(domain=DOMAIN, title="Semantic Home", data=data(model_folder), options={"scope": "all"})
    await async_set_up(hass, entry)
    await entry.runtime_data.async_rebuild()
    await async_wait_complete(entry)
    assert hass.states.get(MODEL) is not None
    own = {entity.id for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)}
    indexed = {source for (source,) in rows(hass, "SELECT source_id FROM document WHERE kind = 'entity'")}
    assert indexed
    assert indexed.isdisjoint(own)
    assert rows(hass, "SELECT count(*) FROM view WHERE text LIKE '%progress%'") == [(0,)]
