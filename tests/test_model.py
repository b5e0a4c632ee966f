"""The model of a loaded entry: rests while nobody asks, follows its options, and is brought back from a repair."""

import asyncio
from datetime import timedelta
from pathlib import Path
import shutil
import time
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import (
    CONF_CAUTION,
    CONF_DEVICE,
    CONF_ENGINE,
    CONF_EXACT,
    CONF_FOLDER,
    CONF_IDLE_MINUTES,
    CONF_LEARN,
    CONF_MODEL,
    CONF_MODEL_CHANGE,
    CONF_REMEMBER_QUERIES,
    CONF_SCOPE,
    CONF_THREADS,
    DOMAIN,
)
from custom_components.semantic_home.engine import Lane, OpenVINOEncoder, Role, load_catalog
from custom_components.semantic_home.engine.compute import default_threads
from custom_components.semantic_home.model_choice import Engine, ModelChoice
from custom_components.semantic_home.model_runner import ISSUE_MODEL

from .conftest import MINILM
from .fix import Fix
from .house import Home, async_set_up, async_wait_complete, worker_of
from .test_init import wait_for_issue
from .test_services import match

COUCH = "turn off the lamp next to the couch"


async def pass_minutes(hass: HomeAssistant, entry: MockConfigEntry, minutes: int) -> None:
    """Let the worker's clock and Home Assistant's move on, and what they begin in the background end."""
    later = time.monotonic() + 60 * minutes
    worker_of(entry)._clock = lambda: later
    before = set(hass._background_tasks)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=minutes))
    await asyncio.gather(*(hass._background_tasks - before))
    await hass.async_block_till_done()


async def test_unused_it_gives_its_memory_back_and_comes_back(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    before = await match(hass, COUCH)
    await pass_minutes(hass, entry, 14)
    assert worker_of(entry).loaded
    await pass_minutes(hass, entry, 16)
    assert not worker_of(entry).loaded
    assert not entry.runtime_data.degraded, "it answers all the same"
    after = await match(hass, "switch off the light beside the sofa")
    assert worker_of(entry).loaded
    best = after["candidates"][0]
    assert best["entity_id"] == "light.sofa_lamp"
    assert best["scores"]["dense"] > 0, "the model was asked"
    assert after["generation"] == before["generation"]


async def test_it_does_not_rest_while_the_home_is_embedded(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    worker = worker_of(entry)
    later = time.monotonic() + 3600
    answered = hass.async_create_task(worker.encode(["a", "b"], Role.PASSAGE, Lane.BULK))
    worker._clock = lambda: later
    assert not await worker.unload_if_idle(900)
    await answered


@pytest.mark.parametrize(("minutes", "rests"), [(1, True), (0, False)])
async def test_how_long_it_waits_is_an_option(
    hass: HomeAssistant, home: Home, model_folder: str, minutes: int, *, rests: bool
) -> None:
    data = {CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_FOLDER: model_folder}
    entry = MockConfigEntry(domain=DOMAIN, data=data, options={CONF_IDLE_MINUTES: minutes})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    await pass_minutes(hass, entry, 60)
    assert worker_of(entry).loaded is not rests


async def options_form(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "init")
    return result


async def test_options_are_those_of_the_engine(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    fields = {str(field) for field in (await options_form(hass, entry))["data_schema"].schema}
    always = {CONF_SCOPE, CONF_CAUTION, CONF_LEARN}
    local = {CONF_MODEL_CHANGE, CONF_THREADS, CONF_IDLE_MINUTES, CONF_REMEMBER_QUERIES}
    assert fields == always | local | {CONF_DEVICE, CONF_EXACT}
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_ENGINE: "numpy"})
    fields = {str(field) for field in (await options_form(hass, entry))["data_schema"].schema}
    assert fields == always | local
    hass.config_entries.async_update_entry(entry, data={CONF_MODEL: None})
    fields = {str(field) for field in (await options_form(hass, entry))["data_schema"].schema}
    assert fields == always


async def test_options_reach_openvino(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    models = []
    create = OpenVINOEncoder.__init__

    def keep(self: OpenVINOEncoder, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        models.append(self._model)

    form = await options_form(hass, entry)
    devices = next(field for key, field in form["data_schema"].schema.items() if key == CONF_DEVICE)
    assert "CPU" in devices.config["options"]
    with patch.object(OpenVINOEncoder, "__init__", keep):
        result = await hass.config_entries.options.async_configure(
            form["flow_id"],
            {CONF_SCOPE: "exposed", CONF_DEVICE: "CPU", CONF_EXACT: True, CONF_THREADS: 2, CONF_IDLE_MINUTES: 15},
        )
        assert result["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        await async_wait_complete(entry)
    [model] = models
    assert int(model.get_property("INFERENCE_NUM_THREADS")) == 2
    assert str(model.get_property("INFERENCE_PRECISION_HINT").to_string()) == "f32"


async def test_half_of_the_cores_are_left_to_the_house() -> None:
    assert [default_threads(cores) for cores in (1, 2, 4, 8)] == [1, 1, 2, 4]


async def test_a_device_that_has_gone_is_reported(hass: HomeAssistant, home: Home, model_folder: str) -> None:
    data = {CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_FOLDER: model_folder}
    entry = MockConfigEntry(domain=DOMAIN, data=data, options={CONF_DEVICE: "GPU.7"})
    await async_set_up(hass, entry)
    await wait_for_issue(hass, entry)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL)
    assert issue is not None
    assert "GPU.7" in issue.translation_placeholders["detail"]
    devices = next(
        field for key, field in (await options_form(hass, entry))["data_schema"].schema.items() if key == CONF_DEVICE
    )
    assert "GPU.7" in devices.config["options"], "the form does not choose another by itself"


async def test_the_repair_tries_again(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry
) -> None:
    folder = Path(hass.config.path(entry.data[CONF_FOLDER]))
    shutil.move(folder, folder.with_name("away"))
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_for_issue(hass, entry)
    shutil.move(folder.with_name("away"), folder)

    flow = await repair(hass, hass_client)
    assert "no such folder" in flow["description_placeholders"]["detail"]
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None


async def repair(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> dict[str, Any]:
    """Have the reported problem tried again, as from the repairs page; return what that showed."""
    fix = await Fix.begin(hass, hass_client, ISSUE_MODEL)
    assert (fix.shown["type"], fix.shown["menu_options"]) == ("menu", ["confirm", "reconfigure"])
    flow = await fix.go_on(next_step_id="confirm")
    assert (flow["type"], flow["step_id"]) == ("form", "confirm")
    assert (await fix.go_on())["type"] == "create_entry"
    await hass.async_block_till_done()
    return flow


@pytest.mark.parametrize(
    "data",
    [
        {CONF_MODEL: MINILM, CONF_FOLDER: "semantic_home_models/all-minilm-l6-v2"},
        {CONF_ENGINE: "numpy", CONF_MODEL: MINILM, CONF_FOLDER: "semantic_home_models/all-minilm-l6-v2"},
    ],
)
def test_entries_of_the_first_version_are_read(data: dict[str, str]) -> None:
    choice = ModelChoice.from_data(data, load_catalog())
    assert choice is not None
    assert (choice.engine, choice.spec.id) == (Engine(data.get(CONF_ENGINE, "openvino")), MINILM)
    assert choice.to_data(load_catalog()) == {CONF_ENGINE: "openvino", **data}
