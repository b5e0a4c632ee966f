"""The action that asks what a request means, and takes the answer."""

from functools import partial
from typing import Any, Final

import voluptuous as vol

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from .clarifications import Asker, Clarified, UnknownClarificationError
from .const import DOMAIN, MAX_QUERY_LENGTH
from .guarded_groups import async_holds_guarded
from .home_index import EntityFilter
from .matching import MatchRequest, Option, Status
from .request_log import followed
from .runtime import SemanticHome
from .service_calls import (
    ATTR_QUERY,
    ENTITY_LIMITS,
    FAILURES,
    async_ask_home,
    async_failure,
    async_limits,
    async_may_read,
    async_may_teach,
    checked_text,
    home_of,
    place_of_device,
)

ATTR_ANSWER: Final = "answer"
ATTR_ASK_AGAIN: Final = "ask_again"
ATTR_CLARIFICATION_ID: Final = "clarification_id"
ATTR_LANGUAGE: Final = "language"

SERVICE_CLARIFY: Final = "clarify"

CLARIFY_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_QUERY): cv.string,
        **ENTITY_LIMITS,
        vol.Optional(ATTR_LANGUAGE): cv.string,
        vol.Optional(ATTR_ASK_AGAIN, default=False): cv.boolean,
        vol.Optional(ATTR_CLARIFICATION_ID): cv.string,
        vol.Optional(ATTR_ANSWER): cv.string,
    }
)


@callback
def async_setup_clarify_services(hass: HomeAssistant) -> None:
    """Register the action."""
    hass.services.async_register(
        DOMAIN, SERVICE_CLARIFY, _async_clarify, CLARIFY_SCHEMA, supports_response=SupportsResponse.ONLY
    )


@followed
async def _async_clarify(call: ServiceCall) -> ServiceResponse:
    asks, answers = ATTR_QUERY in call.data, ATTR_ANSWER in call.data
    if asks == answers or answers != (ATTR_CLARIFICATION_ID in call.data):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="query_or_answer")
    if asks:
        return await async_ask_home(call.hass, partial(_async_begin, call))
    try:
        return await _async_answer(call)
    except UnknownClarificationError as err:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="unknown_clarification") from err
    except FAILURES as err:
        raise await async_failure(call.hass, err) from err


async def _async_begin(call: ServiceCall, home: SemanticHome) -> ServiceResponse:
    language = call.data.get(ATTR_LANGUAGE, call.hass.config.language)
    query = checked_text(call.data[ATTR_QUERY], ATTR_QUERY, MAX_QUERY_LENGTH)
    request = MatchRequest(query, caution=home.caution, recalls=not call.data[ATTR_ASK_AGAIN])
    limits, teaches = await async_limits(call), await async_may_teach(call.hass, call.context)
    asker = Asker(call.context.user_id, limits, place_of_device(call), teaches)
    home.recent_queries.add(request.query)
    return await _response(call, home, await home.clarifications.async_begin(request, language, asker))


async def _async_answer(call: ServiceCall) -> ServiceResponse:
    home = home_of(call.hass)
    answer = checked_text(call.data[ATTR_ANSWER], ATTR_ANSWER, MAX_QUERY_LENGTH)
    limits = EntityFilter(permits=await async_may_read(call.hass, call.context))
    asker = Asker(call.context.user_id, limits, teaches=await async_may_teach(call.hass, call.context))
    clarified = await home.clarifications.async_answer(call.data[ATTR_CLARIFICATION_ID], answer, asker)
    return await _response(call, home, clarified)


async def _response(call: ServiceCall, home: SemanticHome, clarified: Clarified) -> dict[str, Any]:
    outcome, question, lesson = clarified.outcome, clarified.outcome.question, clarified.lesson
    things = await home.async_things(outcome.entity_ids) if outcome.entity_ids else {}
    return {
        "status": outcome.status.value,
        "reason": outcome.reason,
        "needs_clarification": outcome.status is Status.QUESTION,
        "entity_ids": list(outcome.entity_ids),
        "guarded": [
            one
            for one in outcome.entity_ids
            if (one in things and things[one].guarded) or async_holds_guarded(call.hass, one)
        ],
        "missing": list(clarified.missing),
        "clarification_id": clarified.id,
        "expires": clarified.expires.isoformat() if clarified.expires else None,
        "question": question.text if question else None,
        "ambiguity": question.ambiguity.value if question else None,
        "options": [_option_response(option) for option in question.options] if question else [],
        "round": question.round if question else None,
        "language": question.language if question else None,
        "result_id": None if lesson is None else home.results.note(lesson, call.context.user_id),
    }


def _option_response(option: Option) -> dict[str, Any]:
    return {"id": option.id, "label": option.label, "entity_ids": list(option.entity_ids)}
