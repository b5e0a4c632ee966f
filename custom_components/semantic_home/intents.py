"""Carries wishes out as Home Assistant's own intents, and says what came of it in Home Assistant's own words."""

from collections.abc import Mapping, Sequence
import logging
from typing import Any, Final

from homeassistant.components.conversation import ConversationInput
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import TemplateError
from homeassistant.helpers import intent
from homeassistant.helpers.template import Template, TemplateState

from .const import DOMAIN
from .matching import Grammar, Thing, Wish

_LOGGER = logging.getLogger(__name__)

ASSISTANT: Final = "conversation"
"""To whom entities are exposed that people talk about."""

# How Home Assistant names its answers to a question about one thing, and about several.
_ONE, _WHICH = "one", "which"
# More than these nobody wants to be told one by one.
_MOST_TOLD = 5


async def async_carry_out(
    hass: HomeAssistant, asked: ConversationInput, wish: Wish, things: Sequence[Thing]
) -> intent.IntentResponse:
    """Do what is wished with each of these things; what fails is told, the others are done all the same."""
    done: list[intent.IntentResponse] = []
    failed: list[intent.IntentResponseTarget] = []
    for thing in things:
        try:
            done.append(await _async_handle(hass, asked, wish, thing))
        except intent.IntentError as err:
            _LOGGER.debug("%s failed for one thing: %s", wish.intent, type(err).__name__)
            kind = intent.IntentResponseTargetType.ENTITY
            failed.append(intent.IntentResponseTarget(thing.name, kind, thing.entity_id))
    response = intent.IntentResponse(asked.language)
    grammar = await hass.async_add_executor_job(Grammar.load, asked.language)
    responses = {} if grammar is None else grammar.responses
    if not done:
        error = str(responses.get("errors", {}).get("handle_error", "")) or wish.intent
        response.async_set_error(intent.IntentResponseErrorCode.FAILED_TO_HANDLE, error)
        return response
    _merge(response, done, failed)
    response.async_set_speech(_speech(hass, responses.get("intents", {}).get(wish.intent, {}), wish, things, done))
    return response


def joined(language: str, responses: Sequence[intent.IntentResponse]) -> intent.IntentResponse:
    """Make one response of those to several requests; it is an error only if all of them are."""
    response = intent.IntentResponse(language)
    speech = [str(one.speech.get("plain", {}).get("speech", "")) for one in responses]
    text = ". ".join(part.rstrip(".") for part in speech if part)
    done = [one for one in responses if one.response_type is not intent.IntentResponseType.ERROR]
    if not done:
        response.async_set_error(responses[0].error_code or intent.IntentResponseErrorCode.UNKNOWN, text)
        return response
    _merge(response, done, [])
    response.async_set_speech(text)
    return response


async def _async_handle(
    hass: HomeAssistant, asked: ConversationInput, wish: Wish, thing: Thing
) -> intent.IntentResponse:
    slots: dict[str, Any] = {slot: {"value": value} for slot, value in wish.values.items()}
    # An entity id is a name, too, and the only one that nothing else can have.
    slots["name"] = {"value": thing.entity_id, "text": thing.name}
    return await intent.async_handle(
        hass,
        DOMAIN,
        wish.intent,
        slots,
        asked.text,
        asked.context,
        asked.language,
        assistant=ASSISTANT,
        device_id=asked.device_id,
        satellite_id=asked.satellite_id,
        conversation_agent_id=asked.agent_id,
    )


def _merge(
    response: intent.IntentResponse,
    done: Sequence[intent.IntentResponse],
    failed: list[intent.IntentResponseTarget],
) -> None:
    response.response_type = done[0].response_type
    response.async_set_results(
        [target for one in done for target in one.success_results],
        [*failed, *(target for one in done for target in one.failed_results)],
    )
    response.async_set_states(
        [state for one in done for state in one.matched_states],
        [state for one in done for state in one.unmatched_states],
    )


def _speech(
    hass: HomeAssistant,
    texts: Mapping[str, str],
    wish: Wish,
    things: Sequence[Thing],
    done: Sequence[intent.IntentResponse],
) -> str:
    """Say it as Home Assistant does; several answers that each stand for one thing, one after the other."""
    said = [text for one in done if (text := str(one.speech.get("plain", {}).get("speech", "")))]
    if said:
        return " ".join(dict.fromkeys(said))
    keys = [wish.response or "default", "default"]
    if wish.asks and len(things) > 1 and "state" not in wish.values:
        keys = [_ONE] if len(things) <= _MOST_TOLD else [_WHICH]
    text = next((texts[key] for key in keys if key in texts), "")
    names = {thing.entity_id: thing.name for thing in things}
    if keys == [_ONE]:
        answers = [_rendered(hass, text, wish, [one], names) for one in done]
        return ". ".join(answer.rstrip(".") for answer in answers if answer)
    return _rendered(hass, text, wish, done, names)


def _rendered(
    hass: HomeAssistant, text: str, wish: Wish, done: Sequence[intent.IntentResponse], names: Mapping[str, str]
) -> str:
    matched = [TemplateState(hass, state) for one in done for state in one.matched_states]
    unmatched = [TemplateState(hass, state) for one in done for state in one.unmatched_states]
    state = next(iter([*matched, *unmatched]), None)
    slots = dict(wish.said) | {slot: value for one in done for slot, value in one.speech_slots.items()}
    slots["name"] = ", ".join(names[one.entity_id] for one in [*matched, *unmatched] if one.entity_id in names)
    query = {"matched": matched, "unmatched": unmatched}
    try:
        answer = Template(text, hass).async_render({"slots": slots, "state": state, "query": query}, parse_result=False)
    except TemplateError as err:
        _LOGGER.warning("Home Assistant's answer to %s cannot be said: %s", wish.intent, err)
        return ""
    return " ".join(str(answer).split())
