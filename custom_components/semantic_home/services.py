"""The actions: check what was asked, ask the runtime, shape the response."""

from typing import Any, Final

import voluptuous as vol

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, service

from .alias_services import async_setup_alias_services
from .asked_generation import GenerationChoice
from .clarify_services import async_setup_clarify_services
from .compare_services import async_setup_compare_services
from .const import DOMAIN, MAX_QUERY_LENGTH, MAX_TEXT_LENGTH, MAX_TEXTS
from .engine import EncoderError
from .guarded_groups import async_holds_guarded
from .home_index import EntityFilter
from .index import NoPreviousGenerationError, StoreError
from .knowledge_search_services import async_setup_knowledge_search_services
from .knowledge_services import async_setup_knowledge_services
from .knowledge_writing_services import async_setup_knowledge_writing_services
from .learned_requests import Lesson
from .matching import Caution, Decision, Explanation, MatchRequest, MatchResult, Scored
from .request_log import followed
from .runtime import MatchAnswer, SemanticHome
from .service_calls import (
    ATTR_QUERY,
    ENTITY_LIMITS,
    GENERATION,
    STRINGS,
    async_ask_home,
    async_failure,
    async_limits,
    check_number,
    checked_text,
    home_of,
    place_of_device,
)
from .suggestion_services import async_setup_suggestion_services

ATTR_CAUTION: Final = "caution"
ATTR_EXPLAIN: Final = "explain"
ATTR_GENERATION: Final = "generation"
ATTR_LIMIT: Final = "limit"
ATTR_MIN_CONFIDENCE: Final = "min_confidence"
ATTR_TEXTS: Final = "texts"

SERVICE_MATCH_DEVICES: Final = "match_devices"
SERVICE_GENERATE_EMBEDDINGS: Final = "generate_embeddings"
SERVICE_REBUILD_INDEX: Final = "rebuild_index"
SERVICE_ROLLBACK_MODEL: Final = "rollback_model"

_DEFAULT_LIMIT: Final = 5
_MAX_LIMIT: Final = 50

# What a user types is checked by the handlers, whose errors are translated; the schema checks only the shape.
MATCH_DEVICES_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_QUERY): cv.string,
        **ENTITY_LIMITS,
        vol.Optional(ATTR_LIMIT, default=_DEFAULT_LIMIT): vol.All(vol.Coerce(int), vol.Range(1, _MAX_LIMIT)),
        vol.Optional(ATTR_MIN_CONFIDENCE): vol.All(vol.Coerce(float), vol.Range(0, 1)),
        vol.Optional(ATTR_CAUTION): vol.In([str(caution) for caution in Caution]),
        vol.Optional(ATTR_EXPLAIN, default=False): cv.boolean,
        vol.Optional(ATTR_GENERATION, default=GenerationChoice.ACTIVE): GENERATION,
    }
)
GENERATE_EMBEDDINGS_SCHEMA = vol.Schema({vol.Required(ATTR_TEXTS): STRINGS})
REBUILD_INDEX_SCHEMA = vol.Schema({})
ROLLBACK_MODEL_SCHEMA = vol.Schema({})


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_MATCH_DEVICES,
        _async_match_devices,
        MATCH_DEVICES_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN,
        SERVICE_GENERATE_EMBEDDINGS,
        _async_generate_embeddings,
        GENERATE_EMBEDDINGS_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    service.async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_REBUILD_INDEX,
        _async_rebuild_index,
        REBUILD_INDEX_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    service.async_register_admin_service(
        hass, DOMAIN, SERVICE_ROLLBACK_MODEL, _async_rollback_model, ROLLBACK_MODEL_SCHEMA
    )
    async_setup_alias_services(hass)
    async_setup_clarify_services(hass)
    async_setup_compare_services(hass)
    async_setup_knowledge_services(hass)
    async_setup_suggestion_services(hass)
    async_setup_knowledge_writing_services(hass)
    async_setup_knowledge_search_services(hass)


@followed
async def _async_match_devices(call: ServiceCall) -> ServiceResponse:
    async def ask(home: SemanticHome) -> ServiceResponse:
        request = MatchRequest(
            query=checked_text(call.data[ATTR_QUERY], ATTR_QUERY, MAX_QUERY_LENGTH),
            limit=call.data[ATTR_LIMIT],
            min_confidence=call.data.get(ATTR_MIN_CONFIDENCE),
            context_place=place_of_device(call),
            caution=Caution(call.data.get(ATTR_CAUTION, home.caution)),
            explain=call.data[ATTR_EXPLAIN],
        )
        limits = await async_limits(call)
        home.recent_queries.add(request.query)
        answer = await _async_answer(home, call.data[ATTR_GENERATION], request, limits)
        return {
            **_match_response(call.hass, answer),
            "result_id": _result_id(call, home, request, limits, answer.result),
        }

    return await async_ask_home(call.hass, ask)


def _result_id(
    call: ServiceCall, home: SemanticHome, request: MatchRequest, limits: EntityFilter, result: MatchResult
) -> str | None:
    """Remember a match for who may say whether it was right; there is nothing to say of no match."""
    if result.decision is not Decision.MATCH:
        return None
    found = tuple(scored.candidate.entity_id for scored in result.targets)
    circumstances = limits.circumstances(request.context_place)
    return home.results.note(
        Lesson(request.query, call.hass.config.language, found, circumstances), call.context.user_id
    )


@followed
async def _async_generate_embeddings(call: ServiceCall) -> ServiceResponse:
    home = home_of(call.hass)
    texts = call.data[ATTR_TEXTS]
    check_number(texts, MAX_TEXTS)
    texts = [checked_text(text, ATTR_TEXTS, MAX_TEXT_LENGTH) for text in texts]
    if home.model is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_model")
    try:
        vectors = await home.async_embed(texts)
    except EncoderError as err:
        raise await async_failure(call.hass, err) from err
    return {"embeddings": vectors.tolist(), "dimension": vectors.shape[1], "model": home.model}


@followed
async def _async_rebuild_index(call: ServiceCall) -> ServiceResponse:
    try:
        status = await home_of(call.hass).async_rebuild()
    except StoreError as err:
        raise await async_failure(call.hass, err) from err
    return {
        "documents": status.documents,
        "texts": status.texts,
        "embedded": status.vectors,
        "generation": status.generation,
    }


@followed
async def _async_rollback_model(call: ServiceCall) -> None:
    try:
        await home_of(call.hass).async_rollback()
    except NoPreviousGenerationError as err:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_former_model") from err
    except StoreError as err:
        raise await async_failure(call.hass, err) from err


async def _async_answer(
    home: SemanticHome, choice: GenerationChoice, request: MatchRequest, limits: EntityFilter
) -> MatchAnswer:
    if choice is GenerationChoice.ACTIVE:
        return await home.async_match(request, limits)
    async with home.async_asked(choice) as asked:
        return await home.async_match_with(asked, request, limits)


def _match_response(hass: HomeAssistant, answer: MatchAnswer) -> dict[str, Any]:
    result = answer.result
    targets = [scored.candidate for scored in result.targets]
    response: dict[str, Any] = {
        "decision": result.decision.value,
        "confidence": round(result.confidence, 3),
        "entity_ids": [one.entity_id for one in targets],
        "guarded": [one.entity_id for one in targets if one.guarded or async_holds_guarded(hass, one.entity_id)],
        "candidates": [_candidate_response(scored) for scored in result.ranking],
        "model": answer.model,
        "generation": answer.generation,
        "degraded": answer.degraded,
        "took_ms": round(answer.took_ms, 1),
    }
    if result.explanation is not None:
        response["explanation"] = _explanation_response(result.explanation)
    return response


def _explanation_response(explanation: Explanation) -> dict[str, Any]:
    return {
        "kinds": explanation.kinds,
        "forms": explanation.forms,
        "content": explanation.content,
        "grammar": explanation.grammar,
        "readings": [
            {"probability": round(found, 4), "entity_ids": list(entity_ids), "features": features}
            for found, entity_ids, features in explanation.readings
        ],
    }


def _candidate_response(scored: Scored) -> dict[str, Any]:
    scores = scored.scores
    return {
        "entity_id": scored.candidate.entity_id,
        "name": scored.candidate.names[0],
        "area": scored.candidate.area,
        "confidence": round(scored.confidence, 3),
        "scores": {
            "dense": None if scores.dense is None else round(scores.dense, 3),
            "lexical": round(scores.lexical, 3),
            "coverage": round(scores.coverage, 3),
            "place": scores.place,
            "kind": round(scores.kind, 3),
        }
        | ({"heads": {head: round(found, 3) for head, found in scores.heads.items()}} if scores.heads else {}),
        "reason": {"channel": scored.reason.channel, "text": scored.reason.text},
    }
