"""The actions about suggested aliases: what people say, and a yes or a no to it."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import voluptuous as vol

from homeassistant.const import ATTR_ENTITY_ID, ATTR_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, service

from .alias_suggestions import AliasSuggestion, UnknownAliasSuggestionError
from .const import DOMAIN
from .entity_aliases import AliasTakenError, UnregisteredEntityError, async_add_alias
from .matching import MAX_ALIAS_LENGTH
from .matching.text import fold
from .runtime import SemanticHome
from .service_calls import TEXT, async_ask_home, checked_text

ATTR_ALIAS: Final = "alias"
ATTR_INCLUDE_DISMISSED: Final = "include_dismissed"
ATTR_UNDO: Final = "undo"

SERVICE_ADD_ALIAS: Final = "add_alias"
SERVICE_DISMISS_ALIAS: Final = "dismiss_alias"
SERVICE_SUGGEST_ALIASES: Final = "suggest_aliases"

SUGGEST_ALIASES_SCHEMA = vol.Schema({vol.Optional(ATTR_INCLUDE_DISMISSED, default=False): cv.boolean})
ADD_ALIAS_SCHEMA = vol.Schema(
    {vol.Optional(ATTR_ID): TEXT, vol.Optional(ATTR_ENTITY_ID): cv.entity_id, vol.Optional(ATTR_ALIAS): TEXT}
)
DISMISS_ALIAS_SCHEMA = vol.Schema({vol.Required(ATTR_ID): TEXT, vol.Optional(ATTR_UNDO, default=False): cv.boolean})


@callback
def async_setup_alias_services(hass: HomeAssistant) -> None:
    """Register the actions, for administrators alone: they show what everybody said, and change the registry."""
    for name, call, schema, response in (
        (SERVICE_SUGGEST_ALIASES, _async_suggest_aliases, SUGGEST_ALIASES_SCHEMA, SupportsResponse.ONLY),
        (SERVICE_ADD_ALIAS, _async_add_alias, ADD_ALIAS_SCHEMA, SupportsResponse.OPTIONAL),
        (SERVICE_DISMISS_ALIAS, _async_dismiss_alias, DISMISS_ALIAS_SCHEMA, SupportsResponse.OPTIONAL),
    ):
        service.async_register_admin_service(hass, DOMAIN, name, call, schema, supports_response=response)


async def _async_suggest_aliases(call: ServiceCall) -> ServiceResponse:
    async def ask(home: SemanticHome) -> list[AliasSuggestion]:
        return await home.aliases.async_suggest(dismissed=call.data[ATTR_INCLUDE_DISMISSED])

    return {"suggestions": [_suggestion_response(one) for one in await async_ask_home(call.hass, ask)]}


async def _async_add_alias(call: ServiceCall) -> ServiceResponse:
    data = call.data
    by_id, by_entity = ATTR_ID in data, ATTR_ENTITY_ID in data
    if by_id == by_entity or by_entity != (ATTR_ALIAS in data):
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="suggestion_or_alias")
    # Of what has no letter nobody can say anything.
    said = data[ATTR_ALIAS] if by_entity and fold(data[ATTR_ALIAS]) else ""
    alias = checked_text(said, ATTR_ALIAS, MAX_ALIAS_LENGTH) if by_entity else ""

    async def add(home: SemanticHome) -> dict[str, Any]:
        if by_entity:
            entity_id: str = data[ATTR_ENTITY_ID]
            return {"entity_id": entity_id, "alias": alias, "added": async_add_alias(call.hass, entity_id, alias)}
        calling = await home.aliases.async_accept(data[ATTR_ID])
        return {"entity_id": calling.entity_id, "alias": calling.alias, "added": True}

    return await _async_change(call, add)


async def _async_dismiss_alias(call: ServiceCall) -> ServiceResponse:
    async def dismiss(home: SemanticHome) -> dict[str, Any]:
        change = home.aliases.async_restore if call.data[ATTR_UNDO] else home.aliases.async_dismiss
        calling = await change(call.data[ATTR_ID])
        return {"entity_id": calling.entity_id, "alias": calling.alias, "dismissed": not call.data[ATTR_UNDO]}

    return await _async_change(call, dismiss)


async def _async_change(
    call: ServiceCall, change: Callable[[SemanticHome], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """Change something, and have the repairs say what is left."""

    async def changed(home: SemanticHome) -> dict[str, Any]:
        response = await change(home)
        await home.alias_review.async_refresh()
        return response

    try:
        return await async_ask_home(call.hass, changed)
    except UnknownAliasSuggestionError as err:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="unknown_alias_suggestion") from err
    except UnregisteredEntityError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="entity_not_registered",
            translation_placeholders={"id": str(err)},
        ) from err
    except AliasTakenError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="alias_taken", translation_placeholders={"alias": str(err)}
        ) from err


def _suggestion_response(suggestion: AliasSuggestion) -> dict[str, Any]:
    calling = suggestion.calling
    return {
        "id": suggestion.id,
        "entity_id": calling.entity_id,
        "name": calling.name,
        "alias": calling.alias,
        "language": calling.language,
        "requests": list(calling.requests),
        "last_learnt": calling.last_learnt.isoformat(),
        "guarded": calling.guarded,
        "dismissed": suggestion.dismissed,
    }
