"""What the actions have in common: the home they are asked of, what users type, their rights, what went wrong."""

from collections.abc import Callable

import voluptuous as vol

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, UnknownUser
from homeassistant.helpers import config_validation as cv, service

from .asked_generation import GenerationChoice, GenerationSilentError, NoSuchGenerationError
from .const import DOMAIN
from .engine import EncoderBusyError, EncoderError
from .index import HeldError, StoreError, UnknownGenerationError
from .problems import async_problem_text
from .runtime import SemanticHome, SemanticHomeConfigEntry

GENERATION = vol.All(cv.string, vol.Coerce(GenerationChoice))

FAILURES = (EncoderError, StoreError, NoSuchGenerationError, GenerationSilentError)


def home_of(call: ServiceCall) -> SemanticHome:
    """Give the home that is asked; raises ServiceValidationError while there is none."""
    entry: SemanticHomeConfigEntry = service.async_get_config_entry(call.hass, DOMAIN, None)
    return entry.runtime_data


async def async_settled_home(call: ServiceCall) -> SemanticHome:
    """Give the home, once it is loaded again if it is being reloaded: a change of model must not cost a query."""
    for entry in call.hass.config_entries.async_entries(DOMAIN):
        async with entry.setup_lock:
            pass
    return home_of(call)


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


async def async_may_read(call: ServiceCall) -> Callable[[str], bool] | None:
    """Give the caller's right to read an entity; None, which is no limit, for automations and who may read all."""
    if call.context.user_id is None:
        return None
    user = await call.hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    if user.permissions.access_all_entities(POLICY_READ):
        return None
    return lambda entity_id: user.permissions.check_entity(entity_id, POLICY_READ)


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
