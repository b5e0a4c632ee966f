"""What went wrong with a model, in the user's words."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN
from .engine import EncoderError, ModelFilesError, ServerError, UnfitModelError
from .hub import HubError

_WITH_A_KEY = (HubError, ModelFilesError, ServerError, UnfitModelError)


def problem_of(err: BaseException) -> tuple[str, str]:
    """Name the text below config.error that tells of an error, and its detail."""
    if isinstance(err, _WITH_A_KEY):
        return err.problem, err.detail
    return "model_fails" if isinstance(err, EncoderError) else "unknown", str(err)


async def async_problem_text(hass: HomeAssistant, err: BaseException) -> str:
    """Tell of an error as the dialogs do; what they have no words for, as it says itself."""
    problem, detail = problem_of(err)
    if problem == "unknown":
        return detail or type(err).__name__
    return (await async_texts(hass, "config"))[f"error.{problem}"].format(detail=detail)


async def async_texts(hass: HomeAssistant, category: str) -> dict[str, str]:
    """Return this integration's translations of a category, by what follows it in their keys."""
    texts = await async_get_translations(hass, hass.config.language, category, {DOMAIN})
    prefix = f"component.{DOMAIN}.{category}."
    return {key.removeprefix(prefix): text for key, text in texts.items()}
