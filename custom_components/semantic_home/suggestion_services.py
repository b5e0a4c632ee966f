"""The actions about automations that a home could have: patterns that fit a request, and suggestions."""

from typing import Any, Final

import voluptuous as vol

from homeassistant.const import ATTR_AREA_ID, ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util.yaml import dump

from .const import DOMAIN, MAX_QUERY_LENGTH
from .knowledge import Binding, Coverage, Found, Role, Suggestion
from .request_log import followed
from .service_calls import (
    ATTR_QUERY,
    FAILURES,
    STRINGS,
    TEXT,
    async_failure,
    async_limits,
    async_settled_home,
    checked_text,
)
from .suggestions import UnknownAutomationError, Wanted

ATTR_GOAL: Final = "goal"
ATTR_INCLUDE_COVERED: Final = "include_covered"
ATTR_LIMIT: Final = "limit"

SERVICE_FIND_PATTERNS: Final = "find_patterns"
SERVICE_SUGGEST_AUTOMATIONS: Final = "suggest_automations"

_DEFAULT_LIMIT: Final = 5
MAX_LIMIT: Final = 50

_LIMITS = {
    vol.Optional(ATTR_AREA_ID): STRINGS,
    vol.Optional(ATTR_LIMIT, default=_DEFAULT_LIMIT): vol.All(vol.Coerce(int), vol.Range(1, MAX_LIMIT)),
}
FIND_PATTERNS_SCHEMA = vol.Schema(
    {vol.Optional(ATTR_QUERY): TEXT, vol.Optional(ATTR_ENTITY_ID): cv.entity_id, **_LIMITS}
)
SUGGEST_AUTOMATIONS_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_GOAL): TEXT,
        **_LIMITS,
        vol.Optional(ATTR_INCLUDE_COVERED, default=False): cv.boolean,
    }
)


@callback
def async_setup_suggestion_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_FIND_PATTERNS,
        _async_find_patterns,
        FIND_PATTERNS_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN,
        SERVICE_SUGGEST_AUTOMATIONS,
        _async_suggest_automations,
        SUGGEST_AUTOMATIONS_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )


@followed
async def _async_find_patterns(call: ServiceCall) -> ServiceResponse:
    automation_id = call.data.get(ATTR_ENTITY_ID)
    if (ATTR_QUERY in call.data) == (automation_id is not None):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="query_or_automation")
    home, wanted = await async_settled_home(call.hass), await _async_wanted(call, ATTR_QUERY)
    try:
        answer = await home.suggestions.async_find(wanted, automation_id)
    except UnknownAutomationError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="unknown_automation",
            translation_placeholders={"id": str(automation_id)},
        ) from err
    except FAILURES as err:
        raise await async_failure(call.hass, err) from err
    return {"patterns": [_pattern_response(found) for found in answer.found], "skipped": dict(answer.skipped)}


@followed
async def _async_suggest_automations(call: ServiceCall) -> ServiceResponse:
    home, wanted = await async_settled_home(call.hass), await _async_wanted(call, ATTR_GOAL)
    try:
        answer = await home.suggestions.async_suggest(wanted, include_covered=call.data[ATTR_INCLUDE_COVERED])
    except FAILURES as err:
        raise await async_failure(call.hass, err) from err
    return {
        "suggestions": [_suggestion_response(suggestion) for suggestion in answer.suggestions],
        "covered": answer.covered,
        "skipped": dict(answer.skipped),
    }


async def _async_wanted(call: ServiceCall, field: str) -> Wanted:
    limits = await async_limits(call)
    text = checked_text(call.data[field], field, MAX_QUERY_LENGTH) if field in call.data else None
    return Wanted(text, limits.area_ids, limits.permits, call.data[ATTR_LIMIT])


def _pattern_response(found: Found) -> dict[str, Any]:
    binding, pattern = found.binding, found.binding.pattern
    return {
        "id": pattern.id,
        "name": pattern.name,
        "description": pattern.description,
        "category": pattern.category.value,
        "priority": pattern.priority,
        "score": round(found.score, 3),
        "area_id": binding.area_id,
        "complete": binding.complete,
        "requires_confirmation": found.requires_confirmation,
        "roles": {name: _role_response(role, binding) for name, role in pattern.roles.items()},
        "missing": [role.name for role in binding.missing],
    }


def _role_response(role: Role, binding: Binding) -> dict[str, Any]:
    bound = [entity.entity_id for entity in binding.bound.get(role.name, ())]
    return {"what": role.what, "required": not role.optional, "entity_ids": bound}


def _suggestion_response(suggestion: Suggestion) -> dict[str, Any]:
    binding = suggestion.binding
    return {
        "pattern": binding.pattern.id,
        "title": suggestion.title,
        "why": suggestion.why,
        "category": binding.pattern.category.value,
        "priority": binding.pattern.priority,
        "score": round(suggestion.score, 3),
        "area_id": binding.area_id,
        "requires_confirmation": suggestion.requires_confirmation,
        "entities": {role: [entity.entity_id for entity in bound] for role, bound in binding.bound.items()},
        "covered_by": _coverage_response(suggestion.covered_by) if suggestion.covered_by else None,
        "automation": dict(suggestion.config),
        "yaml": dump(dict(suggestion.config)),
    }


def _coverage_response(coverage: Coverage) -> dict[str, Any]:
    return {
        "entity_id": coverage.automation.entity_id,
        "name": coverage.automation.name,
        "structural": round(coverage.structural, 3),
        "semantic": round(coverage.semantic, 3),
    }
