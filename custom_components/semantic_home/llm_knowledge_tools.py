"""The LLM tools that tell what the household knows, and what automations it could have."""

from typing import Any, Final, override

import voluptuous as vol

from homeassistant.helpers import config_validation as cv
from homeassistant.util.json import JsonObjectType
from homeassistant.util.yaml import dump

from .const import DOMAIN, MAX_QUERY_LENGTH
from .describe_automations import ENTITY_KINDS
from .index import KIND_KNOWLEDGE, Document
from .knowledge import Suggestion
from .knowledge_filter import KnowledgeFilter
from .knowledge_index import KnowledgeQuery
from .knowledge_search import KnowledgeAnswer
from .llm_tool import ATTR_AREA, Caller, HomeTool
from .runtime import SemanticHome
from .service_calls import ATTR_QUERY, TEXT, async_ask_home, checked_text
from .suggestions import Suggested, Wanted

_ATTR_GOAL: Final = "goal"
_ATTR_YAML: Final = "yaml"

MAX_PIECES = 5
MAX_PIECE_LENGTH = 400
"""A prompt is no place for a whole text."""
MAX_SUGGESTIONS = 3


class SearchKnowledge(HomeTool):
    """Looks for what the household knows, as far as an agent may be told.

    These are its own pieces of knowledge, and its automations, scripts and scenes; but of all that is about entities,
    as the metadata name them, only what is about none that is not exposed or that the user may not read. An automation
    is about itself, too. What is about devices is left out: which entities these have is not told there. What somebody
    wrote in the text of a note is theirs to tell: it is not read for names.
    """

    name = f"{DOMAIN}__search_knowledge"
    title = "Search knowledge"
    description = (
        "Search what this household has noted and what its automations, scripts and scenes do. "
        "Use it for questions about the house that no entity answers."
    )
    parameters = vol.Schema({vol.Required(ATTR_QUERY): TEXT})

    @override
    async def _async_answer(self, caller: Caller, args: dict[str, Any]) -> JsonObjectType:
        query = KnowledgeQuery(
            checked_text(args[ATTR_QUERY], ATTR_QUERY, MAX_QUERY_LENGTH),
            KnowledgeFilter(kinds=(KIND_KNOWLEDGE, *ENTITY_KINDS), permits=caller.visible.__contains__),
            limit=MAX_PIECES,
        )

        async def ask(home: SemanticHome) -> KnowledgeAnswer:
            return await home.search.async_search(query)

        found = (await async_ask_home(caller.hass, ask)).findings.found
        # An agent judges for itself what it reads: in a house that knows little, little stands out.
        return {"results": [_piece(one.document) for one in found if one.lexical > 0 or (one.dense or 0) > 0]}


class Suggest(HomeTool):
    """Suggests automations that this home could run with what is exposed; creates none."""

    name = f"{DOMAIN}__suggest"
    title = "Suggest automations"
    description = "Suggest automations that this home could run and has not yet. Nothing is created."
    parameters = vol.Schema(
        {
            vol.Optional(_ATTR_GOAL, description="In English: what they should be good for"): TEXT,
            vol.Optional(ATTR_AREA): TEXT,
            vol.Optional(_ATTR_YAML, description="With the whole automations"): cv.boolean,
        }
    )

    @override
    async def _async_answer(self, caller: Caller, args: dict[str, Any]) -> JsonObjectType:
        goal = checked_text(args[_ATTR_GOAL], _ATTR_GOAL, MAX_QUERY_LENGTH) if _ATTR_GOAL in args else None
        wanted = Wanted(goal, caller.area_ids(args), caller.visible.__contains__, MAX_SUGGESTIONS)

        async def ask(home: SemanticHome) -> Suggested:
            return await home.suggestions.async_suggest(wanted, include_covered=False)

        suggested = await async_ask_home(caller.hass, ask)
        whole = args.get(_ATTR_YAML, False)
        return {"suggestions": [_suggestion(one, whole=whole) for one in suggested.suggestions]}


def _piece(document: Document) -> JsonObjectType:
    # A note is its text; an automation has its name first, and what it does last.
    views = [*document.views[:1], *document.views[1:][-1:]]
    text = ": ".join(views)
    if len(text) > MAX_PIECE_LENGTH:
        text = text[: MAX_PIECE_LENGTH - 1] + "…"
    return {"type": document.knowledge_type or document.kind, "text": text}


def _suggestion(suggestion: Suggestion, *, whole: bool) -> JsonObjectType:
    bound = dict.fromkeys(entity.entity_id for role in suggestion.binding.bound.values() for entity in role)
    told: JsonObjectType = {"title": suggestion.title, "why": suggestion.why, "entities": [*bound]}
    if suggestion.requires_confirmation:
        told["requires_confirmation"] = True
    return told | ({_ATTR_YAML: dump(dict(suggestion.config))} if whole else {})
