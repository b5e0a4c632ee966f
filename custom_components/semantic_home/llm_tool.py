"""What the LLM tools have in common: who asks, what may be told, and how a failure is said."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final, Self, override

import voluptuous as vol

from homeassistant.const import MATCH_ALL
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import area_registry as ar, floor_registry as fr, intent
from homeassistant.helpers.llm import (
    LLMContext,
    Tool,
    ToolAnnotations,
    ToolInput,
    ToolResult,
)
from homeassistant.util.json import JsonObjectType

from .const import DOMAIN, MAX_QUERY_LENGTH
from .exposure import async_exposed
from .home_index import EntityFilter
from .request_log import following
from .service_calls import async_may_read, checked_text, place_of

ATTR_AREA: Final = "area"
_MAX_ERROR_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks through an agent: the user, what may be told, the device that heard it, and what is spoken."""

    hass: HomeAssistant
    context: Context
    visible: frozenset[str]
    device_id: str | None
    language: str

    @classmethod
    async def async_of(cls, hass: HomeAssistant, llm_context: LLMContext) -> Self:
        """Tell what is exposed to the assistant and may be read by its user, whatever the index holds."""
        context = llm_context.context or Context()
        visible = async_exposed(hass, llm_context.assistant, await async_may_read(hass, context))
        language = llm_context.language
        if not language or language == MATCH_ALL:
            language = hass.config.language
        return cls(hass, context, visible, llm_context.device_id, language)

    @property
    def place(self) -> str | None:
        """The area where the asking device stands, by its id as a place."""
        return place_of(self.hass, self.device_id)

    def limits(self, **limits: Any) -> EntityFilter:
        """Limit an answer to what may be told."""
        return EntityFilter(permits=self.visible.__contains__, **limits)

    def area_ids(self, args: dict[str, Any]) -> list[str]:
        """Give the areas that are asked about, by a name or id of one or of a floor; none without any.

        Raises ServiceValidationError when there is no such area.
        """
        if ATTR_AREA not in args:
            return []
        name = checked_text(args[ATTR_AREA], ATTR_AREA, MAX_QUERY_LENGTH)
        areas = ar.async_get(self.hass)
        floors = {floor.floor_id for floor in intent.find_floors(name, fr.async_get(self.hass))}
        found = [area.id for area in intent.find_areas(name, areas)] or [
            area.id for area in areas.async_list_areas() if area.floor_id in floors
        ]
        if not found:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="unknown_area", translation_placeholders={"id": name}
            )
        return found


class HomeTool(Tool):
    """A tool that tells of the home and changes nothing in it."""

    integration = DOMAIN
    annotations = ToolAnnotations(read_only=True, destructive=False, idempotent=True, open_world=False)

    @override
    async def async_call(self, hass: HomeAssistant, tool_input: ToolInput, llm_context: LLMContext) -> ToolResult:
        """Answer, or say in a sentence why not: what an agent reads is no place for a traceback."""
        given = {key: value for key, value in tool_input.tool_args.items() if not intent.is_blank_slot_value(value)}
        try:
            caller = await Caller.async_of(hass, llm_context)
            with following(caller.context.id, f"tool {self.name}"):
                return ToolResult(await self._async_answer(caller, self.parameters(given)))
        except (HomeAssistantError, vol.Invalid) as err:
            return ToolResult({"error": _said(err)}, error=True)

    @abstractmethod
    async def _async_answer(self, caller: Caller, args: dict[str, Any]) -> JsonObjectType:
        """Answer a question whose arguments are as the parameters want them."""

    @override
    def __eq__(self, other: object) -> bool:
        """All instances are interchangeable: where APIs are merged, one of them is enough."""
        return True if type(self) is type(other) else NotImplemented

    @override
    def __hash__(self) -> int:
        return hash(type(self))


def _said(err: Exception) -> str:
    """Say what went wrong, so that it can be sent on: what was given is in it, and may be long or half a sign."""
    text = str(err).encode("utf-8", "replace").decode() or type(err).__name__
    return text[:_MAX_ERROR_LENGTH]
