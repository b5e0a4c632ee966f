"""What actions and LLM tools have in common: the home that is asked, what users type, their rights, what went wrong."""

from collections.abc import Awaitable, Callable
from typing import Final

import voluptuous as vol

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.const import ATTR_AREA_ID, ATTR_DEVICE_CLASS, ATTR_DEVICE_ID, ATTR_FLOOR_ID, ATTR_LABEL_ID
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, UnknownUser
from homeassistant.helpers import (
    area_registry as ar,
    config_validation as cv,
    device_registry as dr,
    floor_registry as fr,
    label_registry as lr,
    service,
)

from .asked_generation import GenerationChoice, GenerationSilentError, NoSuchGenerationError
from .const import DOMAIN
from .describe import KIND_AREA, place_id
from .engine import EncoderBusyError, EncoderError
from .home_index import EntityFilter
from .index import HeldError, StoreError, UnknownGenerationError
from .problems import async_problem_text
from .runtime import SemanticHome, SemanticHomeConfigEntry

ATTR_DOMAIN: Final = "domain"
ATTR_QUERY: Final = "query"


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise vol.Invalid("half of a sign is in it (a lone surrogate)") from err
    return text


TEXT = vol.All(cv.string, _whole)
STRINGS = vol.All(cv.ensure_list, [TEXT])

# What limits the entities that may be answered, and prefers some.
ENTITY_LIMITS = {
    vol.Optional(ATTR_AREA_ID): STRINGS,
    vol.Optional(ATTR_FLOOR_ID): STRINGS,
    vol.Optional(ATTR_LABEL_ID): STRINGS,
    vol.Optional(ATTR_DOMAIN): STRINGS,
    vol.Optional(ATTR_DEVICE_CLASS): STRINGS,
    vol.Optional(ATTR_DEVICE_ID): cv.string,
}
GENERATION = vol.All(cv.string, vol.Coerce(GenerationChoice))

FAILURES = (EncoderError, StoreError, NoSuchGenerationError, GenerationSilentError)


def home_of(hass: HomeAssistant) -> SemanticHome:
    """Give the home that is asked; raises ServiceValidationError while there is none."""
    entry: SemanticHomeConfigEntry = service.async_get_config_entry(hass, DOMAIN, None)
    return entry.runtime_data


async def async_settled_home(hass: HomeAssistant) -> SemanticHome:
    """Give the home, once it is loaded again if it is being reloaded: a change of model must not cost a query."""
    for entry in hass.config_entries.async_entries(DOMAIN):
        async with entry.setup_lock:
            pass
    return home_of(hass)


async def async_ask_home[Answer](hass: HomeAssistant, ask: Callable[[SemanticHome], Awaitable[Answer]]) -> Answer:
    """Ask the home, anew if a reload that began meanwhile has closed it; of FAILURES users are told in their words."""
    home = await async_settled_home(hass)
    try:
        try:
            return await ask(home)
        except StoreError:
            if (reloaded := await async_settled_home(hass)) is home:
                raise
            return await ask(reloaded)
    except FAILURES as err:
        raise await async_failure(hass, err) from err


def checked_text(text: str, field: str, maximum: int) -> str:
    """Give a text without the blanks around it; raises ServiceValidationError when it is empty or too long."""
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


def check_number(texts: list[str], maximum: int) -> None:
    """Raise ServiceValidationError unless there is a text, and not too many."""
    if not 1 <= len(texts) <= maximum:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="wrong_number_of_texts",
            translation_placeholders={"count": str(len(texts)), "maximum": str(maximum)},
        )


async def async_may_read(hass: HomeAssistant, context: Context) -> Callable[[str], bool] | None:
    """Give the caller's right to read an entity; None, which is no limit, for automations and who may read all."""
    return await _async_right(hass, context, POLICY_READ)


async def async_may_control(hass: HomeAssistant, context: Context) -> Callable[[str], bool] | None:
    """Give the caller's right to control an entity; None, which is no limit, as in `async_may_read`."""
    return await _async_right(hass, context, POLICY_CONTROL)


async def _async_right(hass: HomeAssistant, context: Context, policy: str) -> Callable[[str], bool] | None:
    if context.user_id is None:
        return None
    user = await hass.auth.async_get_user(context.user_id)
    if user is None:
        raise UnknownUser(context=context)
    if user.permissions.access_all_entities(policy):
        return None
    return lambda entity_id: user.permissions.check_entity(entity_id, policy)


async def async_is_admin(hass: HomeAssistant, context: Context) -> bool:
    """Tell whether the caller may change what the home knows: an administrator, or an automation."""
    if context.user_id is None:
        return True
    user = await hass.auth.async_get_user(context.user_id)
    if user is None:
        raise UnknownUser(context=context)
    return user.is_admin


async def async_may_teach(hass: HomeAssistant, context: Context) -> bool:
    """Tell whether the home learns from the caller: an automation, or who may control all that there is."""
    return await async_may_control(hass, context) is None


async def async_limits(call: ServiceCall) -> EntityFilter:
    """Give the entities that may be answered; raises ServiceValidationError for what this home does not have."""
    return EntityFilter(
        area_ids=_known(call, ATTR_AREA_ID, "unknown_area", ar.async_get(call.hass).async_get_area),
        floor_ids=_known(call, ATTR_FLOOR_ID, "unknown_floor", fr.async_get(call.hass).async_get_floor),
        label_ids=_known(call, ATTR_LABEL_ID, "unknown_label", lr.async_get(call.hass).async_get_label),
        domains=call.data.get(ATTR_DOMAIN, ()),
        device_classes=call.data.get(ATTR_DEVICE_CLASS, ()),
        permits=await async_may_read(call.hass, call.context),
    )


def place_of_device(call: ServiceCall) -> str | None:
    """Say in which area, by its id as a place, the asking satellite stands."""
    device_id = call.data.get(ATTR_DEVICE_ID)
    if device_id is not None and dr.async_get(call.hass).async_get(device_id) is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="unknown_device", translation_placeholders={"id": device_id}
        )
    return place_of(call.hass, device_id)


def place_of(hass: HomeAssistant, device_id: str | None) -> str | None:
    """Say in which area, by its id as a place, a device stands; None for one that is not known."""
    device = None if device_id is None else dr.async_get(hass).async_get(device_id)
    area_id = None if device is None else dr.async_get_effective_area_id(hass, device)
    return place_id(KIND_AREA, area_id) if area_id else None


async def async_failure(hass: HomeAssistant, err: Exception) -> HomeAssistantError:
    """Say in the user's words what went wrong: one of FAILURES."""
    if isinstance(err, NoSuchGenerationError):
        return ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="no_generation",
            translation_placeholders={"generation": err.choice},
        )
    if isinstance(err, GenerationSilentError):
        return HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="generation_silent",
            translation_placeholders={
                "generation": err.choice,
                "detail": await async_problem_text(hass, err.cause),
            },
        )
    if isinstance(err, UnknownGenerationError):
        return HomeAssistantError(translation_domain=DOMAIN, translation_key="generation_gone")
    if isinstance(err, HeldError):
        return HomeAssistantError(translation_domain=DOMAIN, translation_key="backup_running")
    key = "busy" if isinstance(err, EncoderBusyError) else "failed"
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders={"detail": str(err)}
    )


def _known(call: ServiceCall, field: str, error: str, find: Callable[[str], object | None]) -> list[str]:
    ids: list[str] = call.data.get(field, [])
    for unknown in (wanted for wanted in ids if find(wanted) is None):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key=error, translation_placeholders={"id": unknown}
        )
    return ids
