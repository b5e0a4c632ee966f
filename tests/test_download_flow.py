"""A model fetched from a hub: through the dialog, across its closing, across restarts, and when it is missing."""

import asyncio
from collections.abc import AsyncIterator
import hashlib
import json
from pathlib import Path
import shutil
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir

from custom_components.semantic_home.const import CONF_ENGINE, CONF_FILES, CONF_HUB, CONF_MODEL, CONF_SPEC, DOMAIN
from custom_components.semantic_home.engine import catalog
from custom_components.semantic_home.model_runner import ISSUE_MODEL
from custom_components.semantic_home.model_store import async_get_store

from .conftest import MINILM, MINILM_IR_FOLDER
from .flow import accept, begin, choose_engine, choose_step, submit, submit_until
from .house import Home, async_set_up, async_wait_complete, worker_of
from .hub_server import Fault, HubServer
from .test_init import our_threads, wait_for_issue
from .test_model import repair
from .test_services import match

REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
WEIGHTS = "openvino_model.bin"
NAMES = ("openvino_model.xml", WEIGHTS, "tokenizer.json", "config.json")

pytestmark = pytest.mark.usefixtures("socket_enabled")


@pytest.fixture
async def hub(hass: HomeAssistant) -> AsyncIterator[HubServer]:
    """A hub that has the model that the dialogs' own address leads to."""
    async with HubServer() as hub:
        await hass.async_add_executor_job(hub.publish, REPOSITORY, MINILM_IR_FOLDER)
        with patch("custom_components.semantic_home.flow_files.DEFAULT_ENDPOINT", hub.endpoint):
            yield hub


@pytest.fixture(autouse=True)
def small_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the catalog pin the files that this hub has: the published ones cannot be had here."""
    [raw] = [model for model in json.loads(catalog._CATALOG_FILE.read_text("utf-8")) if model["id"] == MINILM]
    [source] = raw["files"]
    source |= {"repository": REPOSITORY, "revision": "main", "files": [pin(name) for name in NAMES]}
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps([raw | {"recommended": True}]), "utf-8")
    monkeypatch.setattr(catalog, "_CATALOG_FILE", file)


def pin(name: str) -> dict[str, object]:
    content = (MINILM_IR_FOLDER / name).read_bytes()
    return {"name": name, "path": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def cached(hass: HomeAssistant) -> list[Path]:
    return sorted(Path(hass.config.cache_path(DOMAIN, "models")).glob("*"))


async def download(hass: HomeAssistant) -> ConfigFlowResult:
    return await choose_step(hass, "download")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("engine", ["openvino", "numpy"])
async def test_download_to_a_working_entry(hass: HomeAssistant, hub: HubServer, engine: str) -> None:
    shares: list[float] = []
    with patch(
        "custom_components.semantic_home.config_flow.SemanticHomeConfigFlow.async_update_progress",
        autospec=True,
        side_effect=lambda _, share: shares.append(share),
    ):
        result = await accept(hass, await choose_step(hass, "download", engine=engine))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {CONF_ENGINE: engine, CONF_MODEL: MINILM, CONF_HUB: hub.endpoint}
    assert shares[-1] == 1
    assert len(set(shares)) > 3, "a bar that does not move is none"
    await async_wait_complete(result["result"])
    assert (await match(hass, "turn off the lamp next to the couch"))["entity_ids"] == ["light.sofa_lamp"]
    [folder] = cached(hass)
    assert not folder.is_relative_to(Path(hass.config.path("custom_components")))


@pytest.mark.usefixtures("home")
async def test_the_download_outlives_its_dialog(hass: HomeAssistant, hub: HubServer) -> None:
    halfway = Fault(stall_after=2**20)
    hub.inject(WEIGHTS, halfway)
    result = await choose_step_until_fetch(hass)
    await halfway.reached.wait()
    hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done()

    result = await begin(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "resume")
    assert result["description_placeholders"]["model"] == "all-MiniLM-L6-v2"
    await submit_until(hass, result["flow_id"], {"next_step_id": "continue_setup"}, "fetch")
    halfway.released.set()
    result = await accept(hass, await submit(hass, result["flow_id"], None))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_wait_complete(result["result"])
    assert len(hub.ranges(WEIGHTS)) == 1, "the download that had begun went on"


async def some_of_it(hass: HomeAssistant, halfway: Fault) -> None:
    """Wait until a part of the weights is on the disk."""
    await halfway.reached.wait()
    [work] = async_get_store(hass)._downloads.values()
    came = asyncio.Event()
    watching = asyncio.ensure_future(work.result(lambda share: came.set() if share > 0.1 else None))
    await came.wait()
    watching.cancel()
    await asyncio.wait([watching])


async def choose_step_until_fetch(hass: HomeAssistant) -> ConfigFlowResult:
    result = await choose_engine(hass, "openvino")
    result = await submit(hass, result["flow_id"], {CONF_MODEL: MINILM})
    await submit_until(hass, result["flow_id"], {"next_step_id": "download"}, "fetch")
    return result


@pytest.mark.usefixtures("home")
async def test_starting_over_stops_the_download_and_keeps_what_came(hass: HomeAssistant, hub: HubServer) -> None:
    halfway = Fault(stall_after=10 * 2**20)
    hub.inject(WEIGHTS, halfway)
    result = await choose_step_until_fetch(hass)
    await some_of_it(hass, halfway)
    hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done()

    result = await begin(hass)
    result = await submit(hass, result["flow_id"], {"next_step_id": "start_over"})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    [partial] = cached(hass)
    kept = (partial / f"{WEIGHTS}.part").stat().st_size
    assert kept > 0
    result = await submit(hass, result["flow_id"], {CONF_ENGINE: "openvino"})
    result = await submit(hass, result["flow_id"], {CONF_MODEL: MINILM})
    result = await accept(hass, await submit(hass, result["flow_id"], {"next_step_id": "download"}))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert hub.ranges(WEIGHTS)[1] == f"bytes={kept}-"
    await async_wait_complete(result["result"])


@pytest.mark.usefixtures("home")
async def test_a_cut_in_the_middle_is_mended(hass: HomeAssistant, hub: HubServer) -> None:
    hub.inject(WEIGHTS, Fault(cut_after=3 * 2**20))
    with patch("custom_components.semantic_home.hub.answers.Patience.after"):
        result = await accept(hass, await download(hass))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    first, second = hub.ranges(WEIGHTS)
    assert first is None
    assert second is not None
    await async_wait_complete(result["result"])


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=404), "no such repository"),
        (Fault(status=403), "refuses access"),
        (Fault(wrong=True), "damaged, twice"),
    ],
)
async def test_what_goes_wrong_is_said_and_can_be_tried_again(
    hass: HomeAssistant, hub: HubServer, fault: Fault, said: str
) -> None:
    hub.inject(WEIGHTS, fault, fault)
    result = await download(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "fetch_failed")
    assert said in result["description_placeholders"]["problem"]
    assert [path for path in cached(hass) if path.suffix != ".partial"] == [], "half a model is none"
    hub.inject(WEIGHTS)
    hub._faults.clear()
    result = await accept(hass, await submit(hass, result["flow_id"], {"next_step_id": "fetch"}))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_wait_complete(result["result"])


@pytest.mark.usefixtures("home")
async def test_no_room_on_the_disk_is_said_before_anything_is_fetched(hass: HomeAssistant, hub: HubServer) -> None:
    with patch("custom_components.semantic_home.hub.folder.shutil.disk_usage") as usage:
        usage.return_value.free = 10**6
        result = await download(hass)
    assert "not enough room" in result["description_placeholders"]["problem"]
    assert hub.requests == []


@pytest.mark.usefixtures("home")
async def test_another_repository_is_held_fast_at_what_it_has_now(hass: HomeAssistant, hub: HubServer) -> None:
    commit = await hass.async_add_executor_job(hub.publish, "somebody/her-minilm", MINILM_IR_FOLDER)
    result = await choose_engine(hass, "openvino")
    result = await submit(hass, result["flow_id"], {CONF_MODEL: "own"})
    assert result["step_id"] == "own"
    result = await submit(hass, result["flow_id"], {"dimension": 384, "pooling": "mean", "max_tokens": 256})
    assert result["menu_options"] == ["hub", "folder"], "the catalog has no files of it"
    result = await submit(hass, result["flow_id"], {"next_step_id": "hub"})
    place = {"repository": "somebody/nothing", "revision": "main", "endpoint": hub.endpoint}
    result = await submit(hass, result["flow_id"], place)
    assert result["errors"] == {"base": "hub_not_found"}
    result = await submit(hass, result["flow_id"], place | {"repository": "somebody/her-minilm"})
    result = await accept(hass, result)
    data = result["data"]
    assert (data[CONF_MODEL], data[CONF_SPEC]["dimension"]) == ("her-minilm", 384)
    assert {file["revision"] for file in data[CONF_FILES]} == {commit}
    assert {file["name"] for file in data[CONF_FILES]} >= set(NAMES)
    await async_wait_complete(result["result"])
    assert (await match(hass, "turn off the lamp next to the couch"))["model"] == "her-minilm"


@pytest.mark.usefixtures("home")
async def test_a_mirror_must_have_what_the_catalog_says(hass: HomeAssistant, hub: HubServer) -> None:
    async with HubServer() as mirror:
        await hass.async_add_executor_job(mirror.publish, REPOSITORY, MINILM_IR_FOLDER)
        result = await choose_step(hass, "hub")
        defaults = {str(key): key.default() for key in result["data_schema"].schema}
        assert (defaults["repository"], defaults["revision"]) == (REPOSITORY, "main")
        result = await accept(hass, await submit(hass, result["flow_id"], defaults | {"endpoint": mirror.endpoint}))
        assert result["data"] == {CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: mirror.endpoint}
        await async_wait_complete(result["result"])
    assert hub.requests == []


async def test_a_missing_model_is_fetched_again(hass: HomeAssistant, home: Home, hub: HubServer) -> None:
    """As after a restored backup, which has no cache."""
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_add_executor_job(shutil.rmtree, hass.config.cache_path())
    hub.inject(WEIGHTS, Fault(status=404))
    with patch("custom_components.semantic_home.model_runner.RETRY_SECONDS", 0):
        assert await hass.config_entries.async_setup(entry.entry_id)
        assert (await match(hass, "Schalte die Stehlampe aus"))["entity_ids"] == ["light.sofa_lamp"], "names answer"
        await async_wait_complete(entry)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None


async def test_a_hub_out_of_reach_is_reported_and_asked_again_from_the_repair(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, home: Home, hub: HubServer
) -> None:
    hub.inject(WEIGHTS, Fault(status=404))
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await wait_for_issue(hass, entry)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL)
    assert issue is not None
    assert (issue.translation_key, issue.is_fixable) == ("download_failed", True)
    assert "no such repository" in issue.translation_placeholders["detail"]
    await repair(hass, hass_client)
    await async_wait_complete(entry)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None


async def test_restart_in_the_middle_goes_on_where_it_was(hass: HomeAssistant, home: Home, hub: HubServer) -> None:
    halfway = Fault(stall_after=10 * 2**20)
    hub.inject(WEIGHTS, halfway)
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await some_of_it(hass, halfway)
    # What a stop of Home Assistant does to background work, and to what the integration remembers.
    for task in [task for task in asyncio.all_tasks() if task.get_name().startswith(f"{DOMAIN} download")]:
        task.cancel()
        await asyncio.wait([task])
    await hass.config_entries.async_unload(entry.entry_id)
    [partial] = cached(hass)
    kept = (partial / f"{WEIGHTS}.part").stat().st_size
    assert kept > 0
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_wait_complete(entry)
    assert hub.ranges(WEIGHTS)[1] == f"bytes={kept}-"


async def test_removal_leaves_neither_files_nor_threads(hass: HomeAssistant, home: Home, hub: HubServer) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    assert cached(hass)
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert cached(hass) == []
    assert our_threads() == []


def spoil(hass: HomeAssistant, name: str) -> None:
    """Write zeros over the beginning of a downloaded file, which keeps its size."""
    [folder] = cached(hass)
    content = (folder / name).read_bytes()
    spoilt = bytes(2**20)[: len(content)]
    # In a new file: a model that runs has the old one mapped.
    (folder / name).unlink()
    (folder / name).write_bytes(spoilt + content[len(spoilt) :])


@pytest.mark.parametrize("name", ["openvino_model.xml", WEIGHTS, "tokenizer.json"])
async def test_what_was_spoilt_on_the_disk_is_never_used(
    hass: HomeAssistant, home: Home, hub: HubServer, name: str
) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    generation = entry.runtime_data.status.generation
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_add_executor_job(spoil, hass, name)
    before = len(hub.requests)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_wait_complete(entry)
    assert {request.path for request in hub.requests[before:]} == {name}, "the others are right, and stay"
    assert entry.runtime_data.status.generation == generation


async def test_choosing_again_does_not_stop_what_the_entry_waits_for(
    hass: HomeAssistant, home: Home, hub: HubServer
) -> None:
    halfway = Fault(stall_after=10 * 2**20)
    hub.inject(WEIGHTS, halfway)
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await halfway.reached.wait()
    result = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, result["flow_id"], {CONF_ENGINE: "openvino"})
    result = await submit(hass, result["flow_id"], {CONF_MODEL: MINILM})
    await submit_until(hass, result["flow_id"], {"next_step_id": "download"}, "fetch")
    hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done()
    result = await entry.start_reconfigure_flow(hass)
    await submit(hass, result["flow_id"], {"next_step_id": "start_over"})
    halfway.released.set()
    await async_wait_complete(entry)
    assert len(hub.ranges(WEIGHTS)) == 1


async def test_a_model_that_vanishes_while_it_rests_is_fetched_again(
    hass: HomeAssistant, home: Home, hub: HubServer
) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    await worker_of(entry).unload()
    await hass.async_add_executor_job(shutil.rmtree, hass.config.cache_path())
    assert (await match(hass, "Schalte die Stehlampe aus"))["entity_ids"] == ["light.sofa_lamp"], "names answer"
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert (await match(hass, "switch off the light beside the couch"))["degraded"] is False


async def test_a_model_that_is_not_used_any_more_is_deleted(hass: HomeAssistant, home: Home, hub: HubServer) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    assert cached(hass)
    result = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, result["flow_id"], {CONF_ENGINE: "names_only"})
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert cached(hass) == []


async def test_removal_ends_the_dialog_that_would_change_the_entry(
    hass: HomeAssistant, home: Home, hub: HubServer
) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_HUB: hub.endpoint})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    await entry.start_reconfigure_flow(hass)
    await hass.config_entries.async_remove(entry.entry_id)
    assert hass.config_entries.flow.async_progress_by_handler(DOMAIN) == []
