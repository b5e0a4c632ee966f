"""An API for LLM agents that has Assist's tools, but not the list of all exposed entities in every prompt."""

import logging
from typing import override

from homeassistant.components.homeassistant.const import DOMAIN as LISTING_DOMAIN
from homeassistant.components.llm import DATA_PLATFORMS, LLMTools
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.llm import (
    API,
    LLM_API_ASSIST,
    APIInstance,
    LLMContext,
    Tool,
    ToolInput,
    ToolResult,
    async_register_api,
    selector_serializer,
)

from .const import DOMAIN
from .exposure import async_exposed, async_spoken
from .llm_entity_tools import FindEntities

_LOGGER = logging.getLogger(__name__)

_INSTEAD_OF_THE_LIST = (
    f"The devices of this home are not listed here. Before you control one or answer about one, call "
    f"{FindEntities.name}, and use the name, area and domain that it returns. For all devices of a kind in an area "
    f"pass area and domain alone. For current states call homeassistant__GetLiveContext with name, area or domain."
)


@callback
def async_setup_llm_api(hass: HomeAssistant) -> None:
    """Offer the API to agents, for as long as Home Assistant runs: a reload must not cost an answer."""
    async_register_api(hass, UnlistedAPI(hass=hass, id=DOMAIN, name="Semantic Home"))


class UnlistedAPI(API):
    """Assist without the list: what is meant is looked up. While no home is loaded that could, it is Assist itself."""

    @override
    async def async_get_api_instance(self, llm_context: LLMContext) -> APIInstance:
        """Collect the tools and prompts as Assist does, and put a few sentences in the place of the list."""
        found = await self._async_collect(llm_context)
        exposed = async_exposed(self.hass, llm_context.assistant)
        if exposed and DOMAIN in found and (listing := found.get(LISTING_DOMAIN)):
            # With the names of its areas an agent knows most places without asking.
            areas = {spoken.area.name for one in exposed if (spoken := async_spoken(self.hass, one)).area}
            listing.prompt = "\n".join([_INSTEAD_OF_THE_LIST, f"Areas: {', '.join(sorted(areas))}"])
        return APIInstance(
            api=self,
            api_prompt="\n".join(tools.prompt for tools in found.values() if tools.prompt),
            llm_context=llm_context,
            tools=[_AssistTool(tool) for tools in found.values() for tool in tools.tools],
            custom_serializer=selector_serializer,
        )

    async def _async_collect(self, llm_context: LLMContext) -> dict[str, LLMTools]:
        found = {}
        for domain, platform in sorted((await self.hass.data[DATA_PLATFORMS].async_get_platforms()).items()):
            try:
                tools = platform.async_get_tools(self.hass, llm_context, LLM_API_ASSIST)
            except Exception:
                # Another integration's failure is not to take the other tools away.
                _LOGGER.exception("The LLM tools of %s are left out", domain)
                continue
            if tools is not None:
                found[domain] = tools
        return found


class _AssistTool(Tool):
    """A tool that is Assist's as well: whoever merges both APIs needs it once."""

    def __init__(self, tool: Tool) -> None:
        self.name = tool.name
        self.title = tool.title
        self.description = tool.description
        self.parameters = tool.parameters
        self.annotations = tool.annotations
        self.integration = tool.integration
        self._tool = tool

    @override
    async def async_call(self, hass: HomeAssistant, tool_input: ToolInput, llm_context: LLMContext) -> ToolResult:
        result = await self._tool.async_call(hass, tool_input, llm_context)
        return result if isinstance(result, ToolResult) else ToolResult(result)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tool) and (other.name, other.integration) == (self.name, self.integration)

    @override
    def __hash__(self) -> int:
        return hash((self.name, self.integration))
