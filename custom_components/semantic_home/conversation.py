"""The conversation agent: Home Assistant's own sentences first, then what people mean, then one good question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, override

from home_assistant_intents import get_languages

from homeassistant.components import conversation
from homeassistant.components.conversation import (
    AssistantContent,
    ChatLog,
    ConversationEntity,
    ConversationEntityFeature,
    ConversationInput,
    ConversationResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import intent
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.translation import async_get_translations

from .clarifications import Asker, Clarified, UnknownClarificationError
from .const import DOMAIN, MAX_QUERY_LENGTH
from .entity import SemanticHomeEntity
from .exposure import async_exposed
from .guarded_groups import async_holds_guarded
from .home_index import EntityFilter
from .intents import ASSISTANT, async_carry_out, joined
from .matching import (
    Grammar,
    Language,
    MatchRequest,
    Outcome,
    Status,
    Thing,
    Wish,
    halves,
    missing,
    negates,
    only_names,
    read_wish,
    toggles,
)
from .request_log import following
from .runtime import SemanticHomeConfigEntry
from .service_calls import FAILURES, async_failure, async_may_control, async_may_read, place_of

PARALLEL_UPDATES = 0

MAX_CONVERSATIONS: Final = 50
"""So many are remembered; the one that was left longest ago gives way."""

# So often a sentence may be parted in two.
_MOST_JOINTS = 4
# Whoever answered a question knows what is about to be done.
_CONFIRMED = frozenset(["answered", "confirmed"])
_TOGGLED = ("cover", "fan", "light", "media_player", "switch")


async def async_setup_entry(
    hass: HomeAssistant, entry: SemanticHomeConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the agent."""
    async_add_entities([SemanticHomeAgent(entry)])


@dataclass(frozen=True, slots=True)
class _Turn:
    """What a conversation may go on from: what was asked last, by whom, and the question that waits for an answer."""

    user_id: str | None
    request: str
    clarification_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Reply:
    response: intent.IntentResponse
    asks: bool = False


class SemanticHomeAgent(SemanticHomeEntity, ConversationEntity):
    """Understands what people mean, and does it through Home Assistant's intents."""

    _attr_name = None
    _attr_supported_features = ConversationEntityFeature.CONTROL

    def __init__(self, entry: SemanticHomeConfigEntry) -> None:
        """Take the entry."""
        super().__init__(entry, "conversation")
        # By conversation, the one that was left longest ago first.
        self._turns: dict[str, _Turn] = {}

    @property
    @override
    def supported_languages(self) -> list[str]:
        return get_languages()

    @override
    async def async_prepare(self, language: str | None = None) -> None:
        """Read a language's sentences before somebody waits for them."""
        await self.hass.async_add_executor_job(Grammar.load, language or self.hass.config.language)

    @override
    async def _async_handle_message(self, user_input: ConversationInput, chat_log: ChatLog) -> ConversationResult:
        try:
            with following(user_input.context.id, "conversation"):
                reply = await self._async_reply(user_input, chat_log)
        except FAILURES as err:
            raise await async_failure(self.hass, err) from err
        speech = str(reply.response.speech.get("plain", {}).get("speech", ""))
        if not speech and reply.response.response_type is intent.IntentResponseType.ACTION_DONE:
            # Home Assistant's sentences have no answer to everything that can be done: to none that toggles.
            speech = await self._async_text(user_input.language, "done")
            reply.response.async_set_speech(speech)
        chat_log.async_add_assistant_content_without_tools(
            AssistantContent(agent_id=user_input.agent_id, content=speech)
        )
        return ConversationResult(reply.response, chat_log.conversation_id, continue_conversation=reply.asks)

    async def _async_reply(self, asked: ConversationInput, chat_log: ChatLog) -> _Reply:
        turn = self._turns.pop(chat_log.conversation_id, None)
        if turn is not None and turn.user_id != asked.context.user_id:
            # Whoever knows the id of a conversation takes part in it, but does not go on from what others said.
            turn = None
        speaker = await _Speaker.async_find(self.hass, asked)
        if turn is not None and turn.clarification_id is not None and len(asked.text) <= MAX_QUERY_LENGTH:
            reply = await self._async_go_on(
                asked, chat_log.conversation_id, speaker, turn.request, turn.clarification_id
            )
            if reply is not None:
                return reply
        if (said := await conversation.async_handle_sentence_triggers(self.hass, asked, chat_log)) is not None:
            return _Reply(_saying(asked, said))
        if (response := await conversation.async_handle_intents(self.hass, asked, chat_log)) is not None:
            self._remember(chat_log.conversation_id, _Turn(asked.context.user_id, asked.text))
            return _Reply(response)
        return await self._async_understand(asked, chat_log.conversation_id, speaker, turn.request if turn else None)

    async def _async_go_on(
        self, asked: ConversationInput, conversation_id: str, speaker: _Speaker, request: str, clarification_id: str
    ) -> _Reply | None:
        """Take what was said as the answer to the question that waits; None when it is something else."""
        try:
            clarified = await self._home.clarifications.async_answer(clarification_id, asked.text, speaker.asker)
        except UnknownClarificationError:
            return None
        outcome = clarified.outcome
        if outcome.status is Status.NONE or outcome.reason == "new_request":
            return None
        if outcome.status is Status.GIVEN_UP:
            return _Reply(_saying(asked, await self._async_text(asked.language, "nothing_done")))
        return await self._async_settle(asked, conversation_id, speaker, request, clarified)

    async def _async_understand(
        self, asked: ConversationInput, conversation_id: str, speaker: _Speaker, before: str | None
    ) -> _Reply:
        """Find out what is meant that no sentence of Home Assistant's fits."""
        text = asked.text.strip()
        if not 1 <= len(text) <= MAX_QUERY_LENGTH:
            # Of half a request nobody knows what the other half said.
            return await self._async_not_understood(asked)
        # "And not the one in the bedroom" is neither a second request nor what goes on from one.
        denied = await self.hass.async_add_executor_job(negates, text, asked.language)
        if not denied and (both := await self._async_both(asked, speaker, text)) is not None:
            return both
        # "And the one in the bedroom": what is to be done was said before.
        follows = before is not None and not denied and "action" in missing(text, asked.language)
        # A "no" or an "ok" that comes after names nothing.
        follows = follows and bool(Language.load(asked.language).hear(text).rest)
        goes_on = before if follows else None
        asker = speaker.asker if goes_on is None else replace(speaker.asker, teaches=False)
        request = MatchRequest(text, caution=self._home.caution, previous=goes_on)
        self._home.recent_queries.add(text)
        clarified = await self._home.clarifications.async_begin(request, asked.language, asker)
        if clarified.outcome.status is Status.NONE:
            return await self._async_not_understood(asked)
        return await self._async_settle(asked, conversation_id, speaker, goes_on or text, clarified)

    async def _async_both(self, asked: ConversationInput, speaker: _Speaker, text: str) -> _Reply | None:
        """Do two things that were said in one sentence; None unless both are clear."""
        parted = await self.hass.async_add_executor_job(list, halves(text, asked.language))
        # Each way costs several matches, and whoever says "and" many times over has not said two things.
        for first, second in parted if len(parted) <= _MOST_JOINTS else ():
            if (clear := await self._async_clear(asked, speaker, first, first)) is None:
                continue
            other = await self._async_clear(asked, speaker, second, second)
            if other is None:
                # "The lamp and the radio", but "the kitchen and hallway lights" is understood as a whole.
                whole = await self._async_outcome(asked, speaker, text)
                other = await self._async_clear(asked, speaker, second, first) if len(whole.entity_ids) == 1 else None
            if other is not None:
                done = [await async_carry_out(self.hass, asked, wish, things) for wish, things in (clear, other)]
                return _Reply(joined(asked.language, done))
        return None

    async def _async_clear(
        self, asked: ConversationInput, speaker: _Speaker, text: str, request: str
    ) -> tuple[Wish, Sequence[Thing]] | None:
        """Give what is to be done, if nothing about it has to be asked, guessed or refused.

        `request` says what is to be done, where that is not the text, which then only names what it is done with.
        """
        outcome = await self._async_outcome(asked, speaker, text)
        if outcome.status is not Status.RESOLVED:
            return None
        things = list((await self._home.async_things(outcome.entity_ids)).values())
        if request != text and not only_names(text, asked.language, things):
            return None
        wish = await self._async_wish(asked, request, things)
        if wish is None or not wish.certain:
            return None
        free = speaker.may_control(things) and not self._guarded(things)
        return (wish, things) if wish.asks or free else None

    async def _async_outcome(self, asked: ConversationInput, speaker: _Speaker, text: str) -> Outcome:
        request = MatchRequest(text, caution=self._home.caution)
        return await self._home.clarifications.async_outcome(request, asked.language, speaker.asker)

    async def _async_settle(
        self, asked: ConversationInput, conversation_id: str, speaker: _Speaker, request: str, clarified: Clarified
    ) -> _Reply:
        """Do what is wished with what is meant, or ask what is meant."""
        outcome = clarified.outcome
        question = outcome.question
        found = await self._home.async_things(outcome.entity_ids if question is None else question.entity_ids)
        things = [found[one] for one in outcome.entity_ids if one in found] or list(found.values())
        wish = await self._async_wish(asked, request, things)
        if wish is None:
            # Whoever only speaks of something is not asked which.
            return (
                await self._async_not_understood(asked)
                if question
                else await self._async_refuse(asked, "no_action", things)
            )
        if question is not None:
            return self._ask(asked, conversation_id, request, clarified)
        if not wish.asks and self._guarded(things):
            if not wish.certain:
                return await self._async_refuse(asked, "not_certain", things)
            if outcome.reason not in _CONFIRMED:
                # Before something is opened that a burglar would like to be open.
                confirmation = self._home.clarifications.async_confirm(request, asked.language, speaker.asker, things)
                return self._ask(asked, conversation_id, request, confirmation)
        if not wish.asks and not speaker.may_control(things):
            return await self._async_refuse(asked, "not_permitted", things)
        self._remember(conversation_id, _Turn(asked.context.user_id, request))
        return _Reply(await async_carry_out(self.hass, asked, wish, things))

    def _guarded(self, things: Sequence[Thing]) -> bool:
        return any(thing.guarded or async_holds_guarded(self.hass, thing.entity_id) for thing in things)

    def _ask(self, asked: ConversationInput, conversation_id: str, request: str, clarified: Clarified) -> _Reply:
        self._remember(conversation_id, _Turn(asked.context.user_id, request, clarified.id))
        question = clarified.outcome.question
        return _Reply(_saying(asked, question.text if question else ""), asks=True)

    async def _async_wish(self, asked: ConversationInput, request: str, things: Sequence[Thing]) -> Wish | None:
        domains = {thing.domain for thing in things}
        names = [name for thing in things for name in (thing.name, *thing.aliases)]
        denied = await self.hass.async_add_executor_job(negates, request, asked.language, names)
        if domains <= {*_TOGGLED} and toggles(request, await _async_toggle_words(self.hass, asked.language)):
            return None if denied else Wish(intent.INTENT_TOGGLE)
        wish = await self.hass.async_add_executor_job(read_wish, request, asked.language, domains, names)
        if wish and denied and not wish.asks:
            return None
        # Whoever only names a thing has not said what to do with it, however likely one thing is.
        return None if wish and not wish.certain and only_names(request, asked.language, things) else wish

    async def _async_not_understood(self, asked: ConversationInput) -> _Reply:
        response = intent.IntentResponse(asked.language)
        grammar = await self.hass.async_add_executor_job(Grammar.load, asked.language)
        text = str(grammar.responses.get("errors", {}).get("no_intent", "")) if grammar else ""
        text = text or await self._async_text(asked.language, "not_understood")
        response.async_set_error(intent.IntentResponseErrorCode.NO_INTENT_MATCH, text)
        return _Reply(response)

    async def _async_refuse(self, asked: ConversationInput, key: str, things: Sequence[Thing]) -> _Reply:
        text = await self._async_text(asked.language, key)
        response = intent.IntentResponse(asked.language)
        response.async_set_error(
            intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
            text.format(name=", ".join(dict.fromkeys(thing.name for thing in things))),
        )
        return _Reply(response)

    async def _async_text(self, language: str, key: str) -> str:
        # Assist's tags of languages are not those of the translations: "zh-CN", "zh-Hans".
        texts = await async_get_translations(self.hass, Language.load(language).code, "common", {DOMAIN})
        return texts[f"component.{DOMAIN}.common.say_{key}"]

    def _remember(self, conversation_id: str, turn: _Turn) -> None:
        self._turns[conversation_id] = turn
        if len(self._turns) > MAX_CONVERSATIONS:
            del self._turns[next(iter(self._turns))]


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Who speaks, of what there is for people who speak, and what of it may be controlled (None: all)."""

    asker: Asker
    controls: Callable[[str], bool] | None

    @classmethod
    async def async_find(cls, hass: HomeAssistant, asked: ConversationInput) -> _Speaker:
        context = asked.context
        visible = async_exposed(hass, ASSISTANT, await async_may_read(hass, context))
        limits, controls = EntityFilter(permits=visible.__contains__), await async_may_control(hass, context)
        return cls(Asker(context.user_id, limits, place_of(hass, asked.device_id), teaches=controls is None), controls)

    def may_control(self, things: Sequence[Thing]) -> bool:
        """Tell whether the speaker may control all of these."""
        return self.controls is None or all(self.controls(thing.entity_id) for thing in things)


def _saying(asked: ConversationInput, text: str) -> intent.IntentResponse:
    response = intent.IntentResponse(asked.language)
    response.async_set_speech(text)
    return response


async def _async_toggle_words(hass: HomeAssistant, language: str) -> frozenset[str]:
    """Give the words that the names of all actions share that toggle something, as Home Assistant translates them."""
    texts = await async_get_translations(hass, language, "services", set(_TOGGLED))
    names = [text for domain in _TOGGLED if (text := texts.get(f"component.{domain}.services.toggle.name"))]
    words = [frozenset(name.casefold().split()) for name in names]
    return frozenset.intersection(*words) if len(words) > 1 else frozenset()
