"""Counts what an LLM agent is sent with every request: the prompt and the tools, as Home Assistant makes them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
import json
import tempfile

import probatio
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_test_home_assistant

from homeassistant import loader
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers.llm import LLM_API_ASSIST, APIInstance, LLMContext, ToolInput, async_get_api
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.const import CONF_MODEL, DOMAIN
from custom_components.semantic_home.llm_entity_tools import FindEntities

from .prompt_home import Thing, furnish

# Those of Home Assistant's integrations that bring tools for what is in a home.
_WITH_TOOLS = ("intent", "climate", "cover", "fan", "humidifier", "light", "media_player", "todo", "vacuum")

type Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent: the tokens of the prompt, those of the tools, and how many tools there are."""

    title: str
    prompt: int
    tools: int
    number: int


def measure(things: Sequence[Thing], count: Count) -> tuple[list[Sent], int]:
    """Furnish a Home Assistant of its own, and count what its agents are sent."""

    async def in_a_new_home() -> tuple[list[Sent], int]:
        with tempfile.TemporaryDirectory() as folder:
            async with async_test_home_assistant(config_dir=folder) as hass:
                hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
                try:
                    return await async_measure(hass, things, count)
                finally:
                    await hass.async_stop(force=True)

    return asyncio.run(in_a_new_home())


async def async_measure(hass: HomeAssistant, things: Sequence[Thing], count: Count) -> tuple[list[Sent], int]:
    """Count what agents are sent without and with Semantic Home, and what one look-up adds to a conversation."""
    for component in ("homeassistant", "llm", *_WITH_TOOLS):
        await async_setup_component(hass, component, {})
    furnish(hass, things)
    sent = [_sent("Assist, which lists all devices", await _api(hass, LLM_API_ASSIST), count)]
    entry = MockConfigEntry(domain=DOMAIN, title="Semantic Home", data={CONF_MODEL: None})
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assist, own = await _api(hass, LLM_API_ASSIST), await _api(hass, DOMAIN)
    sent.append(_sent("the same with the tools", assist, count))
    sent.append(_sent("Semantic Home, which lists none", own, count))
    asked = {"names": [things[0].names[0]]}
    answer = await own.async_call_tool(ToolInput(FindEntities.name, asked))
    await hass.config_entries.async_unload(entry.entry_id)
    return sent, count(json.dumps(asked)) + count(json.dumps(answer.data, ensure_ascii=False))


async def _api(hass: HomeAssistant, api_id: str) -> APIInstance:
    asked = LLMContext("test", Context(), "en", "conversation", None)
    return await async_get_api(hass, api_id, asked)


def _sent(title: str, api: APIInstance, count: Count) -> Sent:
    """Count tools as they are written for OpenAI's interface; others write them in a like way."""
    tools = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": probatio.to_openapi(tool.parameters, custom_serializer=api.custom_serializer),
            },
        }
        for tool in api.tools
    ]
    return Sent(title, count(api.api_prompt), count(json.dumps(tools, ensure_ascii=False)), len(tools))
