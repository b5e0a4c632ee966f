"""The actions that add to what the household knows, change it, and say how well it has served."""

from dataclasses import replace
from typing import Any, Final

import voluptuous as vol

from homeassistant.const import ATTR_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.helpers import config_validation as cv, service
from homeassistant.util import dt as dt_util

from .const import DOMAIN, MAX_METADATA_LENGTH, MAX_TEXT_LENGTH, MAX_TYPE_LENGTH
from .index import DEFAULT_SCORE, Knowledge, KnownAlreadyError, UnknownKnowledgeError, canonical_json, check_json
from .knowledge import USER_PREFIX
from .learned_requests import SOURCE_USER
from .recent_results import UnknownResultError
from .request_log import followed
from .service_calls import FAILURES, TEXT, async_failure, async_is_admin, async_may_teach, checked_text, home_of

ATTR_LANGUAGE: Final = "language"
ATTR_METADATA: Final = "metadata"
ATTR_OUTCOME: Final = "outcome"
ATTR_RESULT_ID: Final = "result_id"
ATTR_SCORE: Final = "score"
ATTR_SOURCE: Final = "source"
ATTR_SUCCESS_SCORE: Final = "success_score"
ATTR_TEXT: Final = "text"
ATTR_TYPE: Final = "type"

SERVICE_ADD_KNOWLEDGE: Final = "add_knowledge"
SERVICE_RATE: Final = "rate"
SERVICE_UPDATE_KNOWLEDGE: Final = "update_knowledge"

TYPE_NOTE: Final = "note"
OUTCOMES = {"success": 1.0, "failure": 0.0}

_SHARE = vol.All(vol.Coerce(float), vol.Range(0, 1))
_WHAT = {
    vol.Optional(ATTR_METADATA): dict,
    vol.Optional(ATTR_LANGUAGE): vol.All(TEXT, vol.Length(max=MAX_TYPE_LENGTH)),
    vol.Optional(ATTR_SUCCESS_SCORE): _SHARE,
}
ADD_KNOWLEDGE_SCHEMA = vol.Schema(
    {vol.Required(ATTR_TEXT): TEXT, vol.Optional(ATTR_TYPE, default=TYPE_NOTE): TEXT, **_WHAT}
)
UPDATE_KNOWLEDGE_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_ID): TEXT,
        vol.Optional(ATTR_TEXT): TEXT,
        vol.Optional(ATTR_TYPE): TEXT,
        **_WHAT,
    }
)
RATE_SCHEMA = vol.All(
    vol.Schema(
        {
            vol.Exclusive(ATTR_ID, "what"): TEXT,
            vol.Exclusive(ATTR_RESULT_ID, "what"): TEXT,
            vol.Exclusive(ATTR_OUTCOME, "how"): vol.In(OUTCOMES),
            vol.Exclusive(ATTR_SCORE, "how"): _SHARE,
        }
    ),
    cv.has_at_least_one_key(ATTR_ID, ATTR_RESULT_ID),
    cv.has_at_least_one_key(ATTR_OUTCOME, ATTR_SCORE),
)


@callback
def async_setup_knowledge_writing_services(hass: HomeAssistant) -> None:
    """Register the actions: knowledge is for administrators and automations; of a result whoever may teach tells."""
    optional = SupportsResponse.OPTIONAL
    for name, call, schema in (
        (SERVICE_ADD_KNOWLEDGE, _async_add_knowledge, ADD_KNOWLEDGE_SCHEMA),
        (SERVICE_UPDATE_KNOWLEDGE, _async_update_knowledge, UPDATE_KNOWLEDGE_SCHEMA),
    ):
        service.async_register_admin_service(hass, DOMAIN, name, call, schema, supports_response=optional)
    hass.services.async_register(DOMAIN, SERVICE_RATE, _async_rate, RATE_SCHEMA, supports_response=optional)


@followed
async def _async_add_knowledge(call: ServiceCall) -> ServiceResponse:
    now = dt_util.utcnow()

    def changed(row: Knowledge) -> Knowledge:
        return _knowledge(replace(row, updated=now, metadata={**row.metadata, ATTR_SOURCE: SOURCE_USER}), call.data)

    row = changed(
        Knowledge(
            text=checked_text(call.data[ATTR_TEXT], ATTR_TEXT, MAX_TEXT_LENGTH),
            knowledge_type=checked_text(call.data[ATTR_TYPE], ATTR_TYPE, MAX_TYPE_LENGTH),
            created=now,
            updated=now,
            score=DEFAULT_SCORE,
        )
    )
    try:
        number, added = await home_of(call.hass).knowledge.async_add(row, changed)
    except FAILURES as err:
        raise await async_failure(call.hass, err) from err
    return {"id": number, "added": added}


@followed
async def _async_update_knowledge(call: ServiceCall) -> ServiceResponse:
    data = dict(call.data)
    for field, longest in ((ATTR_TEXT, MAX_TEXT_LENGTH), (ATTR_TYPE, MAX_TYPE_LENGTH)):
        if field in data:
            data[field] = checked_text(data[field], field, longest)

    def changed(row: Knowledge) -> Knowledge:
        row = replace(
            row,
            text=data.get(ATTR_TEXT, row.text),
            knowledge_type=data.get(ATTR_TYPE, row.knowledge_type),
            updated=dt_util.utcnow(),
        )
        return _knowledge(row, data)

    # Before anything is looked for: bad metadata must not depend on what is there.
    _check_metadata(data.get(ATTR_METADATA, {}))
    try:
        number = await home_of(call.hass).knowledge.async_change(data[ATTR_ID], changed)
    except UnknownKnowledgeError as err:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="unknown_knowledge") from err
    except KnownAlreadyError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="known_already", translation_placeholders={"id": str(err)}
        ) from err
    except FAILURES as err:
        raise await async_failure(call.hass, err) from err
    return {"id": number}


@followed
async def _async_rate(call: ServiceCall) -> ServiceResponse:
    outcome = call.data[ATTR_SCORE] if ATTR_SCORE in call.data else OUTCOMES[call.data[ATTR_OUTCOME]]
    try:
        if ATTR_RESULT_ID in call.data:
            return await _async_rate_result(call, outcome)
        if not await async_is_admin(call.hass, call.context):
            raise Unauthorized(context=call.context)
        # A suggestion calls a user's pattern so.
        source_id = call.data[ATTR_ID].removeprefix(USER_PREFIX)
        rating = await home_of(call.hass).knowledge.async_judge(source_id, outcome)
    except FAILURES as err:
        raise await async_failure(call.hass, err) from err
    if rating is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="unknown_knowledge")
    return {"id": call.data[ATTR_ID], "success_score": round(rating.score, 3)}


async def _async_rate_result(call: ServiceCall, outcome: float) -> dict[str, Any]:
    if not await async_may_teach(call.hass, call.context):
        raise Unauthorized(context=call.context)
    home = home_of(call.hass)
    try:
        lesson = home.results.find(call.data[ATTR_RESULT_ID], call.context.user_id)
    except UnknownResultError as err:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="unknown_result") from err
    judged = await home.knowledge.async_judge_result(lesson, outcome)
    number, rating = judged or (None, None)
    return {"id": number, "success_score": None if rating is None else round(rating.score, 3)}


def _knowledge(row: Knowledge, data: dict[str, Any]) -> Knowledge:
    """Put what the caller gave into a piece of knowledge."""
    metadata = dict(row.metadata)
    if ATTR_METADATA in data:
        _check_metadata(data[ATTR_METADATA])
        kept = {name: value for name, value in metadata.items() if name in {ATTR_SOURCE, ATTR_LANGUAGE}}
        # Where a piece comes from is not for the caller to say.
        given = {name: value for name, value in data[ATTR_METADATA].items() if name != ATTR_SOURCE}
        metadata = kept | given
    if ATTR_LANGUAGE in data:
        metadata[ATTR_LANGUAGE] = data[ATTR_LANGUAGE]
    return replace(row, metadata=metadata, score=data.get(ATTR_SUCCESS_SCORE, row.score))


def _check_metadata(metadata: dict[str, Any]) -> None:
    try:
        check_json(metadata)
        length = len(canonical_json(metadata))
    except (TypeError, ValueError, RecursionError) as err:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="metadata_not_json") from err
    if length > MAX_METADATA_LENGTH:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="metadata_too_long",
            translation_placeholders={"length": str(length), "maximum": str(MAX_METADATA_LENGTH)},
        )
