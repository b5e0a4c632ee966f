"""Set-up, unload, reload, removal, and what happens when something is missing or broken."""

from pathlib import Path
import shutil
import sqlite3
import threading
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.requirements import RequirementsNotFound

from custom_components.semantic_home.const import CONF_FOLDER, CONF_MODEL, DOMAIN
from custom_components.semantic_home.engine import OpenVINOEncoder
from custom_components.semantic_home.runtime import ISSUE_ENCODER

from .conftest import MINILM
from .house import async_set_up, async_wait_complete
from .test_services import match


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(DOMAIN)]


async def test_unload_leaves_nothing_behind(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert our_threads()
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert our_threads() == []
    assert not Path(hass.config.path("semantic_home.db-wal")).exists(), "the write-ahead log was not folded in"


async def test_reload_keeps_the_vectors(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    status = entry.runtime_data.status
    encoded: list[str] = []
    encode = OpenVINOEncoder.encode

    def record(self: OpenVINOEncoder, texts: list[str], role: str) -> object:
        if role == "passage":
            encoded.extend(texts)
        return encode(self, texts, role)

    with patch.object(OpenVINOEncoder, "encode", record):
        assert await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        await async_wait_complete(entry)
    assert entry.runtime_data.status == status
    assert encoded == []
    assert (await match(hass, "turn off the lamp next to the couch"))["entity_ids"] == ["light.sofa_lamp"]


async def test_stopping_home_assistant_ends_the_threads(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    assert our_threads() == []


@pytest.mark.usefixtures("home")
async def test_unload_while_the_model_is_loading(hass: HomeAssistant, model_folder: str) -> None:
    loading, go_on = threading.Event(), threading.Event()
    create = OpenVINOEncoder.__init__

    def slow(self: OpenVINOEncoder, *args: object, **kwargs: object) -> None:
        loading.set()
        go_on.wait(30)
        create(self, *args, **kwargs)

    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: MINILM, CONF_FOLDER: model_folder})
    with patch.object(OpenVINOEncoder, "__init__", slow):
        await async_set_up(hass, entry)
        assert await hass.async_add_executor_job(loading.wait, 30)
        assert (await match(hass, "sofa lamp"))["degraded"] is True
        unloading = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
        go_on.set()
        assert await unloading
    assert our_threads() == []


@pytest.mark.usefixtures("home")
async def test_before_home_assistant_has_started_the_old_index_answers(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.set_state(CoreState.starting)
    for state in hass.states.async_all("light"):
        hass.states.async_remove(state.entity_id)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_wait_complete(entry)
    assert (await match(hass, "turn off the lamp next to the couch"))["entity_ids"] == ["light.sofa_lamp"]
    hass.set_state(CoreState.running)


@pytest.mark.usefixtures("home")
async def test_a_lost_model_degrades_and_comes_back(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    folder = Path(hass.config.path(entry.data[CONF_FOLDER]))
    shutil.move(folder, folder.with_name("away"))
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    await entry.runtime_data._encoder_task

    issue = ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ENCODER)
    assert issue is not None
    assert "folder_missing" in issue.translation_placeholders["detail"]
    response = await match(hass, "Schalte die Stehlampe aus")
    assert (response["entity_ids"], response["degraded"]) == (["light.sofa_lamp"], True)

    shutil.move(folder.with_name("away"), folder)
    await hass.config_entries.async_reload(entry.entry_id)
    await async_wait_complete(entry)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ENCODER) is None
    assert (await match(hass, "Schalte die Stehlampe aus"))["degraded"] is False


@pytest.mark.usefixtures("home")
async def test_a_runtime_gone_after_an_update_degrades(hass: HomeAssistant, model_folder: str) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: MINILM, CONF_FOLDER: model_folder})
    with patch(
        "custom_components.semantic_home.runtime.async_process_requirements",
        side_effect=RequirementsNotFound(DOMAIN, ["openvino"]),
    ):
        await async_set_up(hass, entry)
        await entry.runtime_data._encoder_task
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ENCODER) is not None


@pytest.mark.usefixtures("home")
async def test_a_database_of_a_newer_version_is_left_alone(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_unload(entry.entry_id)
    path = hass.config.path("semantic_home.db")
    database = sqlite3.connect(path)
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.commit()
    database.close()
    before = Path(path).read_bytes()
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "newer_database"
    assert Path(path).read_bytes() == before
    assert our_threads() == []


@pytest.mark.usefixtures("home")
async def test_a_database_that_cannot_be_opened_is_tried_again(hass: HomeAssistant, model_folder: str) -> None:
    Path(hass.config.path("semantic_home.db")).mkdir()
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: MINILM, CONF_FOLDER: model_folder})
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert our_threads() == []


async def test_removing_the_entry_removes_the_index(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert not list(Path(hass.config.config_dir).glob("semantic_home.db*"))
    assert Path(hass.config.path("semantic_home_models")).is_dir(), "the user's own files stay"
