"""Set-up, unload, reload, removal, and what happens when something is missing or broken."""

import asyncio
from datetime import timedelta
from pathlib import Path
import shutil
import sqlite3
import threading
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.requirements import RequirementsNotFound
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import CONF_FOLDER, CONF_MODEL, DOMAIN
from custom_components.semantic_home.engine import Encoded, EncoderError, OpenVINOEncoder, Role
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import StoreError
from custom_components.semantic_home.model_runner import ISSUE_MODEL

from .conftest import MINILM
from .house import Home, async_let_sync, async_set_up, async_wait_complete
from .test_services import match

HomeIndex_use, HomeIndex_add_vectors, HomeIndex_update = HomeIndex.use, HomeIndex.add_vectors, HomeIndex.update


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(DOMAIN)]


async def wait_for_issue(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Wait until the model is said not to run."""
    reported = asyncio.Event()
    unsubscribe = entry.runtime_data.async_listen(reported.set)
    async with asyncio.timeout(60):
        while ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None:
            reported.clear()
            await reported.wait()
    unsubscribe()


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
    await wait_for_issue(hass, entry)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL)
    assert issue is not None
    assert "no such folder" in issue.translation_placeholders["detail"]
    response = await match(hass, "Schalte die Stehlampe aus")
    assert (response["entity_ids"], response["degraded"]) == (["light.sofa_lamp"], True)

    shutil.move(folder.with_name("away"), folder)
    with patch("custom_components.semantic_home.model_runner.RETRY_SECONDS", 0):
        await hass.config_entries.async_reload(entry.entry_id)
        await async_wait_complete(entry)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None
    assert (await match(hass, "Schalte die Stehlampe aus"))["degraded"] is False


@pytest.mark.usefixtures("home")
async def test_a_runtime_gone_after_an_update_degrades(hass: HomeAssistant, model_folder: str) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: MINILM, CONF_FOLDER: model_folder})
    with patch(
        "custom_components.semantic_home.local_engine.async_process_requirements",
        side_effect=RequirementsNotFound(DOMAIN, ["openvino"]),
    ):
        await async_set_up(hass, entry)
        await wait_for_issue(hass, entry)

    hass.config_entries.async_update_entry(entry, data={CONF_MODEL: None})
    await hass.config_entries.async_reload(entry.entry_id)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None, "without a model nothing is wrong"


@pytest.mark.usefixtures("home")
async def test_what_could_not_be_installed_is_tried_again(hass: HomeAssistant, model_folder: str) -> None:
    """Home Assistant's own requirement manager remembers a failure, and would not even try."""
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: MINILM, CONF_FOLDER: model_folder})
    tried: list[str] = []
    online = False

    def install(requirement: str, **_: object) -> bool:
        tried.append(requirement)
        return online

    def is_installed(requirement: str) -> bool:
        return not requirement.startswith(("openvino", "tokenizers"))

    with (
        patch("homeassistant.requirements.pkg_util.is_installed", side_effect=is_installed),
        patch("homeassistant.requirements.pkg_util.install_package", side_effect=install),
        patch("custom_components.semantic_home.model_runner.RETRY_SECONDS", 0),
    ):
        await async_set_up(hass, entry)
        await wait_for_issue(hass, entry)
        assert {requirement.split("==")[0] for requirement in tried} == {"openvino", "tokenizers"}
        online = True
        await async_wait_complete(entry)
    assert entry.runtime_data.model == MINILM
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None


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


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("failure", [StoreError("disk I/O error"), PermissionError("model.onnx")])
async def test_whatever_keeps_the_model_from_running_is_reported_and_tried_again(
    hass: HomeAssistant, model_folder: str, failure: Exception
) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: MINILM, CONF_FOLDER: model_folder})
    failing = [failure]

    def fail_once(*args: object) -> object:
        if failing:
            raise failing.pop()
        return HomeIndex_use(*args)

    with (
        patch("custom_components.semantic_home.model_runner.RETRY_SECONDS", 0),
        patch.object(HomeIndex, "use", autospec=True, side_effect=fail_once),
        patch("custom_components.semantic_home.model_runner.ir.async_create_issue") as report,
    ):
        await async_set_up(hass, entry)
        await async_wait_complete(entry)
    assert str(failure) in report.call_args.kwargs["translation_placeholders"]["detail"]
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None


async def test_embedding_goes_on_after_a_failure(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    failures = [StoreError("disk I/O error")]

    def fail_once(*args: object) -> None:
        if failures:
            raise failures.pop()
        HomeIndex_add_vectors(*args)

    with (
        patch("custom_components.semantic_home.embedding.RETRY_SECONDS", 0),
        patch.object(HomeIndex, "add_vectors", autospec=True, side_effect=fail_once),
    ):
        home.add("switch", "aquarium", "Aquarium pump", "bedroom")
        await async_let_sync(hass, entry)
    assert failures == []
    assert (await match(hass, "switch on the aquarium pump"))["entity_ids"] == ["switch.aquarium"]


async def test_a_text_that_the_model_refuses_costs_no_other_its_vector(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry
) -> None:
    encode, done = OpenVINOEncoder.encode, asyncio.Event()

    def refuse(self: OpenVINOEncoder, texts: list[str], role: Role) -> Encoded:
        if any("Aquarium" in text for text in texts):
            raise EncoderError("token 1000 is out of bounds")
        return encode(self, texts, role)

    def check() -> None:
        # The refused ones are its name, and the sentence about it.
        status = entry.runtime_data.status
        if status.documents == before + 3 and status.vectors == status.texts - 2:
            done.set()

    before = entry.runtime_data.status.documents
    unsubscribe = entry.runtime_data.async_listen(check)
    with patch.object(OpenVINOEncoder, "encode", refuse):
        home.add("switch", "aquarium", "Aquarium pump", "bedroom")
        home.add("switch", "fountain", "Fountain", "bedroom")
        home.add("switch", "heater", "Heater", "bedroom")
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
        async with asyncio.timeout(30):
            await done.wait()
    unsubscribe()
    assert (await match(hass, "switch on the aquarium pump"))["entity_ids"] == ["switch.aquarium"]


async def test_a_failed_set_up_of_any_kind_leaves_no_thread(hass: HomeAssistant, home: Home) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    entry.add_to_hass(hass)
    with patch.object(HomeIndex, "status", side_effect=ValueError("a row that cannot be read")):
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert our_threads() == []


async def test_unload_during_a_change_is_silent(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    writing, go_on = threading.Event(), threading.Event()

    def slow(*args: object) -> bool:
        writing.set()
        go_on.wait(30)
        return HomeIndex_update(*args)

    with patch.object(HomeIndex, "update", autospec=True, side_effect=slow):
        home.entities.async_update_entity("light.sofa_lamp", name="Reading lamp")
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
        assert await hass.async_add_executor_job(writing.wait, 30)
        unloading = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
        go_on.set()
        assert await unloading
    await hass.async_block_till_done()
    assert our_threads() == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
