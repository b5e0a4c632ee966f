"""The actions: check what was asked, ask the runtime, shape the response."""

from collections.abc import Callable
from typing import Any, Final

import voluptuous as vol

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.const import ATTR_AREA_ID, ATTR_DEVICE_CLASS, ATTR_DEVICE_ID, ATTR_FLOOR_ID, ATTR_LABEL_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, UnknownUser
from homeassistant.helpers import (
    area_registry as ar,
    config_validation as cv,
    device_registry as dr,
    floor_registry as fr,
    label_registry as lr,
    service,
)

from .const import DOMAIN, MAX_QUERY_LENGTH, MAX_TEXT_LENGTH, MAX_TEXTS
from .engine import EncoderBusyError, EncoderError
from .home_index import EntityFilter
from .index import HeldError, NoPreviousGenerationError, StoreError
from .knowledge_services import async_setup_knowledge_services
from .matching import MatchRequest, Scored
from .runtime import MatchAnswer, SemanticHome, SemanticHomeConfigEntry

ATTR_DOMAIN: Final = "domain"
ATTR_LIMIT: Final = "limit"
ATTR_MIN_CONFIDENCE: Final = "min_confidence"
ATTR_QUERY: Final = "query"
ATTR_TEXTS: Final = "texts"

SERVICE_MATCH_DEVICES: Final = "match_devices"
SERVICE_GENERATE_EMBEDDINGS: Final = "generate_embeddings"
SERVICE_REBUILD_INDEX: Final = "rebuild_index"
SERVICE_ROLLBACK_MODEL: Final = "rollback_model"

_DEFAULT_LIMIT: Final = 5
_MAX_LIMIT: Final = 50

_STRINGS = vol.All(cv.ensure_list, [cv.string])

# What a user types is checked by the handlers, whose errors are translated; the schema checks only the shape.
MATCH_DEVICES_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_QUERY): cv.string,
        vol.Optional(ATTR_AREA_ID): _STRINGS,
        vol.Optional(ATTR_FLOOR_ID): _STRINGS,
        vol.Optional(ATTR_LABEL_ID): _STRINGS,
        vol.Optional(ATTR_DOMAIN): _STRINGS,
        vol.Optional(ATTR_DEVICE_CLASS): _STRINGS,
        vol.Optional(ATTR_LIMIT, default=_DEFAULT_LIMIT): vol.All(vol.Coerce(int), vol.Range(1, _MAX_LIMIT)),
        vol.Optional(ATTR_MIN_CONFIDENCE): vol.All(vol.Coerce(float), vol.Range(0, 1)),
        vol.Optional(ATTR_DEVICE_ID): cv.string,
    }
)
GENERATE_EMBEDDINGS_SCHEMA = vol.Schema({vol.Required(ATTR_TEXTS): _STRINGS})
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
    async_setup_knowledge_services(hass)


async def _async_match_devices(call: ServiceCall) -> ServiceResponse:
    home = await _async_settled_home(call)
    request = MatchRequest(
        query=_checked_text(call.data[ATTR_QUERY], ATTR_QUERY, MAX_QUERY_LENGTH),
        limit=call.data[ATTR_LIMIT],
        min_confidence=call.data.get(ATTR_MIN_CONFIDENCE),
        context_area=_area_of_device(call),
    )
    limits = EntityFilter(
        area_ids=_known(call, ATTR_AREA_ID, "unknown_area", ar.async_get(call.hass).async_get_area),
        floor_ids=_known(call, ATTR_FLOOR_ID, "unknown_floor", fr.async_get(call.hass).async_get_floor),
        label_ids=_known(call, ATTR_LABEL_ID, "unknown_label", lr.async_get(call.hass).async_get_label),
        domains=call.data.get(ATTR_DOMAIN, ()),
        device_classes=call.data.get(ATTR_DEVICE_CLASS, ()),
        permits=await _may_read(call),
    )
    try:
        try:
            return _match_response(await home.async_match(request, limits))
        except StoreError:
            # It may have been closed by a reload that began meanwhile.
            if (reloaded := await _async_settled_home(call)) is home:
                raise
            return _match_response(await reloaded.async_match(request, limits))
    except (EncoderError, StoreError) as err:
        raise _failure(err) from err


async def _async_generate_embeddings(call: ServiceCall) -> ServiceResponse:
    home = _home(call)
    texts = call.data[ATTR_TEXTS]
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="wrong_number_of_texts",
            translation_placeholders={"count": str(len(texts)), "maximum": str(MAX_TEXTS)},
        )
    texts = [_checked_text(text, ATTR_TEXTS, MAX_TEXT_LENGTH) for text in texts]
    if home.model is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_model")
    try:
        vectors = await home.async_embed(texts)
    except EncoderError as err:
        raise _failure(err) from err
    return {"embeddings": vectors.tolist(), "dimension": vectors.shape[1], "model": home.model}


async def _async_rebuild_index(call: ServiceCall) -> ServiceResponse:
    try:
        status = await _home(call).async_rebuild()
    except StoreError as err:
        raise _failure(err) from err
    return {
        "documents": status.documents,
        "texts": status.texts,
        "embedded": status.vectors,
        "generation": status.generation,
    }


async def _async_rollback_model(call: ServiceCall) -> None:
    try:
        await _home(call).async_rollback()
    except NoPreviousGenerationError as err:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_former_model") from err
    except StoreError as err:
        raise _failure(err) from err


async def _async_settled_home(call: ServiceCall) -> SemanticHome:
    """Return the home, once it is loaded again if it is being reloaded: a change of model must not cost a query."""
    for entry in call.hass.config_entries.async_entries(DOMAIN):
        async with entry.setup_lock:
            pass
    return _home(call)


def _home(call: ServiceCall) -> SemanticHome:
    entry: SemanticHomeConfigEntry = service.async_get_config_entry(call.hass, DOMAIN, None)
    return entry.runtime_data


def _checked_text(text: str, field: str, maximum: int) -> str:
    stripped = text.strip()
    if not stripped:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="empty_text", translation_placeholders={"field": field}
        )
    if len(stripped) > maximum:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="text_too_long",
            translation_placeholders={"field": field, "length": str(len(stripped)), "maximum": str(maximum)},
        )
    return stripped


def _known(call: ServiceCall, field: str, error: str, find: Callable[[str], object | None]) -> list[str]:
    ids: list[str] = call.data.get(field, [])
    for unknown in (wanted for wanted in ids if find(wanted) is None):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key=error, translation_placeholders={"id": unknown}
        )
    return ids


def _area_of_device(call: ServiceCall) -> str | None:
    """Where the asking satellite stands."""
    if (device_id := call.data.get(ATTR_DEVICE_ID)) is None:
        return None
    if (device := dr.async_get(call.hass).async_get(device_id)) is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="unknown_device", translation_placeholders={"id": device_id}
        )
    return dr.async_get_effective_area_id(call.hass, device)


async def _may_read(call: ServiceCall) -> Callable[[str], bool] | None:
    """Give the caller's right to read an entity; None, which is no limit, for automations and who may read all."""
    if call.context.user_id is None:
        return None
    user = await call.hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    if user.permissions.access_all_entities(POLICY_READ):
        return None
    return lambda entity_id: user.permissions.check_entity(entity_id, POLICY_READ)


def _match_response(answer: MatchAnswer) -> dict[str, Any]:
    result = answer.result
    return {
        "decision": result.decision.value,
        "confidence": round(result.confidence, 3),
        "entity_ids": [scored.candidate.entity_id for scored in result.targets],
        "candidates": [_candidate_response(scored) for scored in result.ranking],
        "model": answer.model,
        "generation": answer.generation,
        "degraded": answer.degraded,
        "took_ms": round(answer.took_ms, 1),
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
        },
        "reason": {"channel": scored.reason.channel, "text": scored.reason.text},
    }


def _failure(err: EncoderError | StoreError) -> HomeAssistantError:
    if isinstance(err, HeldError):
        return HomeAssistantError(translation_domain=DOMAIN, translation_key="backup_running")
    key = "busy" if isinstance(err, EncoderBusyError) else "failed"
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders={"detail": str(err)}
    )
