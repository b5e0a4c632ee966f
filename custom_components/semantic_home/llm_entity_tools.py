"""The LLM tools that say which entities are meant."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, override

import voluptuous as vol

from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.llm import ToolAnnotations
from homeassistant.util.json import JsonObjectType, JsonValueType

from .clarifications import Asker, Clarified, UnknownClarificationError
from .const import DOMAIN, MAX_QUERY_LENGTH
from .exposure import SpokenEntity, async_spoken
from .guarded_groups import async_guarded
from .home_index import EntityFilter
from .llm_tool import ATTR_AREA, Caller, HomeTool
from .matching import Decision, MatchRequest
from .runtime import SemanticHome
from .service_calls import ATTR_QUERY, STRINGS, TEXT, async_ask_home, check_number, checked_text
from .spoken_names import SpokenNames

_ATTR_ANSWER: Final = "answer"
_ATTR_CLARIFICATION_ID: Final = "clarification_id"
_ATTR_DOMAIN: Final = "domain"
_ATTR_NAMES: Final = "names"

MAX_NAMES = 10
MAX_ENTITIES = 20
"""So many entities are told of a name; how many more there are is said."""
# So many entities are read at once, in which everything else waits.
_AT_ONCE = 100


class FindEntities(HomeTool):
    """Finds what the user called something: by its name or id without any model, else by what is meant."""

    name = f"{DOMAIN}__find_entities"
    title = "Find entities"
    description = (
        "Find the entities that the user means: by name, alias, description or entity ID, in any language. "
        "decision: match (all returned are meant), ambiguous (ask which one) or none (the home has no such thing). "
        "Use the returned name and area with the other tools. confirm_first: ask the user before you open, unlock, "
        "disarm or sound it."
    )
    parameters = vol.Schema(
        {
            vol.Required(_ATTR_NAMES, description="What the user called each thing, in the user's words"): STRINGS,
            vol.Optional(ATTR_AREA, description="Only in this area or floor"): TEXT,
            vol.Optional(_ATTR_DOMAIN, description="Only of these domains"): STRINGS,
        }
    )

    @override
    async def _async_answer(self, caller: Caller, args: dict[str, Any]) -> JsonObjectType:
        check_number(args[_ATTR_NAMES], MAX_NAMES)
        names = [checked_text(name, _ATTR_NAMES, MAX_QUERY_LENGTH) for name in args[_ATTR_NAMES]]
        domains = [domain.strip().casefold() for domain in args.get(_ATTR_DOMAIN, ()) if domain.strip()]
        limits = caller.limits(area_ids=caller.area_ids(args), domains=domains)
        known = await _async_known(caller, limits)

        async def ask(home: SemanticHome) -> JsonObjectType:
            return {"results": [await _async_find(home, caller, known, limits, name) for name in names]}

        return await async_ask_home(caller.hass, ask)


class Clarify(HomeTool):
    """Asks the user which one is meant, and understands the answer.

    Read-only, as nothing is changed but which questions wait in memory; but not idempotent, as each takes one answer.
    Nothing is learnt from it: what arrives here is what an agent says, who may have answered the question itself.
    """

    name = f"{DOMAIN}__clarify"
    title = "Clarify"
    description = (
        "When a request is ambiguous: pass the user's request as query to get the question to ask the user, "
        "then pass clarification_id and the user's answer to get the entities. Never answer it yourself."
    )
    annotations = ToolAnnotations(read_only=True, destructive=False, idempotent=False, open_world=False)
    parameters = vol.Schema(
        {
            vol.Optional(ATTR_QUERY, description="The user's request, in the user's words"): TEXT,
            vol.Optional(_ATTR_CLARIFICATION_ID): TEXT,
            vol.Optional(_ATTR_ANSWER, description="The user's answer, in the user's words"): TEXT,
        }
    )

    @override
    async def _async_answer(self, caller: Caller, args: dict[str, Any]) -> JsonObjectType:
        if args.keys() not in ({ATTR_QUERY}, {_ATTR_CLARIFICATION_ID, _ATTR_ANSWER}):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="query_or_answer")
        field = ATTR_QUERY if ATTR_QUERY in args else _ATTR_ANSWER
        said = checked_text(args[field], field, MAX_QUERY_LENGTH)
        asker = Asker(caller.context.user_id, caller.limits(), caller.place)

        async def ask(home: SemanticHome) -> Clarified:
            if field == _ATTR_ANSWER:
                return await home.clarifications.async_answer(args[_ATTR_CLARIFICATION_ID], said, asker)
            home.recent_queries.add(said)
            request = MatchRequest(said, caution=home.caution)
            return await home.clarifications.async_begin(request, caller.language, asker)

        try:
            return _clarified(caller, await async_ask_home(caller.hass, ask))
        except UnknownClarificationError as err:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="unknown_clarification") from err


async def _async_known(caller: Caller, limits: EntityFilter) -> SpokenNames:
    entities = []
    for number, entity_id in enumerate(sorted(caller.visible), 1):
        entities.append(async_spoken(caller.hass, entity_id))
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)

    def admits(entity: SpokenEntity) -> bool:
        in_area = not limits.area_ids or (entity.area is not None and entity.area.id in limits.area_ids)
        return in_area and (not limits.domains or entity.domain in limits.domains)

    return SpokenNames(entities, admits, caller.place)


async def _async_find(
    home: SemanticHome, caller: Caller, known: SpokenNames, limits: EntityFilter, name: str
) -> JsonObjectType:
    if (heard := known.find(name)) is not None:
        return _found(caller, name, Decision.MATCH if heard.sure else Decision.AMBIGUOUS, heard.entities)
    home.recent_queries.add(name)
    request = MatchRequest(name, context_place=caller.place, caution=home.caution)
    result = (await home.async_match(request, limits)).result
    return _found(caller, name, result.decision, _spoken(caller, (one.candidate.entity_id for one in result.targets)))


def _told(caller: Caller, entity: SpokenEntity) -> JsonValueType:
    """Say what it takes to act on an entity, and of a lock and its like that the user has to agree first."""
    guarded = async_guarded(caller.hass, entity.entity_id)
    return entity.told() | ({"confirm_first": True} if guarded else {})


def _found(caller: Caller, name: str, decision: Decision, entities: Iterable[SpokenEntity]) -> JsonObjectType:
    told = [_told(caller, entity) for entity in entities]
    found: JsonObjectType = {"name": name, "decision": decision.value, "entities": told[:MAX_ENTITIES]}
    return found | ({"more": len(told) - MAX_ENTITIES} if len(told) > MAX_ENTITIES else {})


def _clarified(caller: Caller, clarified: Clarified) -> JsonObjectType:
    outcome = clarified.outcome
    answer: JsonObjectType = {"status": outcome.status.value}
    if question := outcome.question:
        options: list[JsonValueType] = [option.label for option in question.options]
        return answer | {"question": question.text, "options": options, _ATTR_CLARIFICATION_ID: clarified.id}
    told = [_told(caller, entity) for entity in _spoken(caller, outcome.entity_ids[:MAX_ENTITIES])]
    return answer | {"entities": told}


def _spoken(caller: Caller, entity_ids: Iterable[str]) -> list[SpokenEntity]:
    return [async_spoken(caller.hass, entity_id) for entity_id in entity_ids]
