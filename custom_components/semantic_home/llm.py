"""The tools that every LLM agent has which may use Assist, and what it is told of them."""

from homeassistant.components.llm import LLMTools
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.llm import LLM_API_ASSIST, LLMContext

from .const import DOMAIN
from .llm_entity_tools import Clarify, FindEntities
from .llm_knowledge_tools import SearchKnowledge, Suggest

PROMPT = (
    f"Do not guess names. When what the user called something is not exactly a name that you know, call "
    f"{FindEntities.name}. If the decision is ambiguous, ask the user with {Clarify.name}; if it is none, say that "
    f"there is no such thing. Before you say that you do not know something about this house, call "
    f"{SearchKnowledge.name}."
)


@callback
def async_get_tools(hass: HomeAssistant, llm_context: LLMContext, api_id: str) -> LLMTools | None:
    """Give the tools for Assist; none while no home is loaded that could answer."""
    if api_id != LLM_API_ASSIST or not hass.config_entries.async_loaded_entries(DOMAIN):
        return None
    return LLMTools([FindEntities(), Clarify(), SearchKnowledge(), Suggest()], PROMPT)
