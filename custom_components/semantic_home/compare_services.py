"""The action that compares two generations of vectors, each asked with its own model."""

from typing import Any, Final

import voluptuous as vol

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, service

from .asked_generation import AskedGeneration, GenerationChoice
from .comparison import Compared, async_compare, percentiles
from .const import DOMAIN, MAX_COMPARED, MAX_QUERY_LENGTH
from .home_index import EntityFilter
from .request_log import followed
from .runtime import MatchAnswer, SemanticHome
from .service_calls import FAILURES, GENERATION, async_failure, async_may_read, check_number, checked_text, home_of

ATTR_FIRST: Final = "first"
ATTR_QUERIES: Final = "queries"
ATTR_SECOND: Final = "second"

SERVICE_COMPARE_MODELS: Final = "compare_models"

_MAX_CHANGED: Final = 50

COMPARE_MODELS_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_QUERIES): vol.All(cv.ensure_list, [cv.string]),
        vol.Optional(ATTR_FIRST, default=GenerationChoice.ACTIVE): GENERATION,
        vol.Optional(ATTR_SECOND): GENERATION,
    }
)


@callback
def async_setup_compare_services(hass: HomeAssistant) -> None:
    """Register the action, for administrators alone: it may show what others asked."""
    service.async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_COMPARE_MODELS,
        _async_compare_models,
        COMPARE_MODELS_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )


@followed
async def _async_compare_models(call: ServiceCall) -> ServiceResponse:
    home = home_of(call.hass)
    choices = _choices(call, home)
    queries = _queries(call, home)
    limits = EntityFilter(permits=await async_may_read(call.hass, call.context))
    try:
        comparison = await async_compare(home, queries, choices, limits)
    except FAILURES as err:
        raise await async_failure(call.hass, err) from err
    compared = comparison.queries
    changed = [one for one in compared if not one.same_decision]
    return {
        "queries": len(compared),
        "same_decision": round(comparison.share_same_decision, 3),
        "same_first": round(comparison.share_same_first, 3),
        "changed": [_changed_response(one) for one in changed[:_MAX_CHANGED]],
        "first": _side_response(comparison.first, [one.first for one in compared]),
        "second": _side_response(comparison.second, [one.second for one in compared]),
    }


def _choices(call: ServiceCall, home: SemanticHome) -> tuple[GenerationChoice, GenerationChoice]:
    building = home.status.building is not None
    second = call.data.get(ATTR_SECOND, GenerationChoice.BUILDING if building else GenerationChoice.PREVIOUS)
    if call.data[ATTR_FIRST] == second:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="same_generation")
    return call.data[ATTR_FIRST], second


def _queries(call: ServiceCall, home: SemanticHome) -> list[str]:
    given = call.data.get(ATTR_QUERIES)
    if given is not None:
        check_number(given, MAX_COMPARED)
        return [checked_text(query, ATTR_QUERIES, MAX_QUERY_LENGTH) for query in given]
    if not (recent := home.recent_queries.all()):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_queries")
    return recent


def _changed_response(compared: Compared) -> dict[str, Any]:
    return {
        "query": compared.query,
        "first": _answer_response(compared.first),
        "second": _answer_response(compared.second),
    }


def _answer_response(answer: MatchAnswer) -> dict[str, Any]:
    result = answer.result
    return {
        "decision": result.decision.value,
        "confidence": round(result.confidence, 3),
        "entity_ids": [scored.candidate.entity_id for scored in result.targets],
    }


def _side_response(asked: AskedGeneration, answers: list[MatchAnswer]) -> dict[str, Any]:
    p50, p95 = percentiles(answers)
    return {
        "choice": asked.choice.value,
        "model": asked.model,
        "generation": asked.id,
        "degraded": not asked.complete,
        "p50_ms": round(p50, 1),
        "p95_ms": round(p95, 1),
    }
