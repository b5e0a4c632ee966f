"""Ways through the config flow that several tests take."""

import asyncio
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from custom_components.semantic_home.const import CONF_ENGINE, CONF_MODEL, DOMAIN

from .conftest import MINILM


async def submit(hass: HomeAssistant, flow_id: str, data: dict[str, Any] | None) -> ConfigFlowResult:
    """Answer a step, and watch the progress that follows to its end."""
    result = await hass.config_entries.flow.async_configure(flow_id, data)
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        await asyncio.wait([watched(hass, flow_id)])
        result = await hass.config_entries.flow.async_configure(flow_id)
    return result


async def submit_until(hass: HomeAssistant, flow_id: str, data: dict[str, Any] | None, progress: str) -> None:
    """Answer a step, and go on until the dialog shows this progress."""
    result = await hass.config_entries.flow.async_configure(flow_id, data)
    while result["type"] is FlowResultType.SHOW_PROGRESS and result["progress_action"] != progress:
        await asyncio.wait([watched(hass, flow_id)])
        result = await hass.config_entries.flow.async_configure(flow_id)
    assert (result["type"], result.get("progress_action")) == (FlowResultType.SHOW_PROGRESS, progress)


def watched(hass: HomeAssistant, flow_id: str) -> asyncio.Task[Any]:
    """Give what a dialog shows the progress of."""
    return hass.config_entries.flow._progress[flow_id]._watched


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})


async def choose_engine(hass: HomeAssistant, engine: str) -> ConfigFlowResult:
    result = await begin(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    return await submit(hass, result["flow_id"], {CONF_ENGINE: engine})


async def choose(hass: HomeAssistant, model: str = MINILM, engine: str = "openvino") -> ConfigFlowResult:
    result = await choose_engine(hass, engine)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "model")
    return await submit(hass, result["flow_id"], {CONF_MODEL: model})


async def choose_step(
    hass: HomeAssistant, step: str, model: str = MINILM, engine: str = "openvino"
) -> ConfigFlowResult:
    """Choose a model and where its files come from."""
    result = await choose(hass, model, engine)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "source")
    return await submit(hass, result["flow_id"], {"next_step_id": step})


async def accept(hass: HomeAssistant, result: ConfigFlowResult) -> ConfigFlowResult:
    """See that the model was tried, and take it."""
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "tried"), result.get("errors")
    assert not result["errors"]
    return await submit(hass, result["flow_id"], {})
