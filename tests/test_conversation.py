"""The conversation agent, over Home Assistant's own conversation, intents and chat log."""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser, async_mock_service

from homeassistant.components import conversation
from homeassistant.components.conversation import ConversationResult
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.intent import IntentResponseType
from homeassistant.setup import async_setup_component

from .house import Home, async_let_sync

AGENT = "conversation.semantic_home"
LAMPS = ("light.lamp_living", "light.lamp_bedroom")


class Talk:
    """Talks with the agent, and keeps what was done."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.calls: list[ServiceCall] = []
        self.conversation_id: str | None = None
        for domain, service in (
            ("light", "turn_on"),
            ("light", "turn_off"),
            ("fan", "turn_on"),
            ("media_player", "turn_off"),
            ("homeassistant", "turn_on"),
            ("homeassistant", "turn_off"),
            ("homeassistant", "toggle"),
            ("switch", "turn_on"),
            ("cover", "open_cover"),
            ("cover", "set_cover_position"),
            ("lock", "unlock"),
            ("lock", "lock"),
            ("vacuum", "start"),
            ("climate", "set_temperature"),
        ):
            calls = async_mock_service(hass, domain, service)
            calls.clear()
            hass.services.async_register(domain, service, self.calls.append)

    async def say(self, text: str, language: str = "en", **given: Any) -> str:
        """Say something, and give what is answered."""
        return str((await self.result(text, language, **given)).response.speech["plain"]["speech"])

    async def result(self, text: str, language: str = "en", **given: Any) -> ConversationResult:
        given.setdefault("context", Context())
        result = await conversation.async_converse(
            self.hass, text, self.conversation_id, language=language, agent_id=AGENT, **given
        )
        self.conversation_id = result.conversation_id
        return result

    @property
    def done(self) -> list[tuple[str, str]]:
        """What was done since it was asked last: service and entity."""
        found = []
        for call in self.calls:
            ids = call.data["entity_id"]
            found += [(call.service, one) for one in ([ids] if isinstance(ids, str) else ids)]
        self.calls.clear()
        return sorted(found)


@pytest.fixture
async def talk(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> Talk:
    """Have the house, two lamps of one name in it, and what acts on it."""
    for domain in ("climate", "cover", "light", "lock", "vacuum"):
        assert await async_setup_component(hass, domain, {})
    home.add("light", "lamp_living", "Lamp", "living_room")
    home.add("light", "lamp_bedroom", "Lamp", "bedroom")
    hass.states.async_set("cover.blinds", "open", {"friendly_name": "Bedroom blinds", "supported_features": 15})
    hass.states.async_set("vacuum.robot", "docked", {"friendly_name": "Dust Buster", "supported_features": 8192})
    hass.states.async_set("lock.front_door", "locked", {"friendly_name": "Front door"})
    await async_let_sync(hass, entry)
    async_expose_entity(hass, "conversation", "lock.front_door", should_expose=True)
    async_expose_entity(hass, "conversation", "cover.garage", should_expose=True)
    await async_let_sync(hass, entry)
    return Talk(hass)


async def test_home_assistants_own_sentences_come_first(talk: Talk) -> None:
    assert await talk.say("turn on the Kitchen lights") == "Turned on the light"
    assert talk.done == [("turn_on", "light.kitchen_ceiling")]


async def test_what_only_meaning_finds(talk: Talk) -> None:
    assert await talk.say("turn off the telly") == "Turned off the media player"
    assert talk.done == [("turn_off", "media_player.tv")]


_OTHER_WORDS = [
    ("please switch on the lamp by the sofa", "en", [("turn_on", "light.sofa_lamp")]),
    ("schalte die Stehlampen aus", "de", [("turn_off", "light.sofa_lamp")]),
    ("set the beside light to 30 percent", "en", [("turn_on", "light.bedside")]),
    ("turn on the dustbuster", "en", [("start", "vacuum.robot")]),
    ("toggle the bedside lite", "en", [("toggle", "light.bedside")]),
]


async def test_other_words_and_languages(talk: Talk) -> None:
    for text, language, done in _OTHER_WORDS:
        talk.conversation_id = None
        said = await talk.say(text, language)
        assert (text, talk.done) == (text, done), said


async def test_what_has_no_answer_of_home_assistants_is_answered(talk: Talk) -> None:
    assert await talk.say("toggle the bedside lite") == "Done."


async def test_a_value_arrives(talk: Talk) -> None:
    await talk.say("set the beside light to 30 percent")
    (call,) = talk.calls
    assert call.data["brightness_pct"] == 30


async def test_question_and_answer(talk: Talk) -> None:
    asked = await talk.result("turn on the lamp")
    assert asked.continue_conversation
    assert "Living room" in asked.response.speech["plain"]["speech"]
    assert talk.done == []
    answered = await talk.result("the one in the bedroom")
    assert not answered.continue_conversation
    assert talk.done == [("turn_on", "light.lamp_bedroom")]


async def test_an_answer_belongs_to_its_conversation(talk: Talk) -> None:
    assert (await talk.result("turn on the lamp")).continue_conversation
    other = Talk(talk.hass)
    await other.say("the one in the bedroom")
    assert other.done == []
    await talk.say("the one in the bedroom")
    assert other.done == [("turn_on", "light.lamp_bedroom")]


async def test_another_request_instead_of_an_answer(talk: Talk) -> None:
    assert (await talk.result("turn on the lamp")).continue_conversation
    await talk.say("turn off the telly")
    assert talk.done == [("turn_off", "media_player.tv")]


async def test_giving_up(talk: Talk) -> None:
    assert (await talk.result("turn on the lamp")).continue_conversation
    assert await talk.say("never mind") == "All right, I leave everything as it is."
    assert talk.done == []
    await talk.say("the one in the bedroom")
    assert talk.done == []


async def test_the_satellites_room(talk: Talk, home: Home) -> None:
    satellite = home.devices.async_get_or_create(config_entry_id=home.config_entry.entry_id, identifiers={("x", "y")})
    home.devices.async_update_device(satellite.id, area_id="bedroom")
    await talk.say("turn on the lamp", device_id=satellite.id)
    assert talk.done == [("turn_on", "light.lamp_bedroom")]


async def test_going_on_from_what_was_said(talk: Talk) -> None:
    await talk.say("turn on the lamp in the living room")
    assert talk.done == [("turn_on", "light.lamp_living")]
    await talk.say("and the one in the kitchen")
    assert talk.done == [("turn_on", "light.kitchen_ceiling")]


_DENIED = [
    ("don't turn on the bedside lite", "en"),
    ("don't switch on the lamp by the sofa", "en"),
    ("turn on the sofa lamp and not the bedside lite", "en"),
    ("don't toggle the bedside lite", "en"),
    ("schalte den Fernseher nicht aus", "de"),
    ("schalte die Stehlampen aus und den Fernseher nicht", "de"),
]


async def test_what_is_not_to_be_done_is_not_done(talk: Talk) -> None:
    for text, language in _DENIED:
        talk.conversation_id = None
        assert (await talk.result(text, language)).response.response_type is IntentResponseType.ERROR, text
        assert talk.done == [], text


async def test_a_denial_does_not_go_on_from_a_request(talk: Talk) -> None:
    await talk.say("turn on the sofa lamp")
    assert talk.done == [("turn_on", "light.sofa_lamp")]
    await talk.say("and not the bedside light")
    assert talk.done == []


async def test_what_names_nothing_does_not_go_on_from_a_request(talk: Talk) -> None:
    await talk.say("turn off the telly")
    assert talk.done == [("turn_off", "media_player.tv")]
    result = await talk.result("no")
    assert not result.continue_conversation
    assert talk.done == []


async def test_asking_for_a_state(talk: Talk) -> None:
    result = await talk.result("is the tv on?")
    assert result.response.response_type is IntentResponseType.QUERY_ANSWER
    assert result.response.speech["plain"]["speech"] == "No, off"
    assert talk.done == []


@pytest.mark.parametrize("answer", ["no", "never mind"])
async def test_a_lock_is_not_opened_by_a_guess(talk: Talk, answer: str) -> None:
    asked = await talk.result("unlock the entrance door")
    assert talk.done == []
    if asked.continue_conversation:
        assert "Front door" in asked.response.speech["plain"]["speech"]
        await talk.say(answer)
    assert talk.done == []


async def test_a_lock_is_opened_after_a_yes(talk: Talk) -> None:
    asked = await talk.result("unlock the frontdoor")
    assert asked.continue_conversation
    assert talk.done == []
    await talk.say("yes")
    assert talk.done == [("unlock", "lock.front_door")]


async def test_nothing_is_done_with_a_lock_that_was_not_clearly_said(talk: Talk) -> None:
    result = await talk.result("front door open up now")
    assert talk.done == []
    assert not result.continue_conversation or "Front door" in result.response.speech["plain"]["speech"]


async def test_what_nobody_understands(talk: Talk) -> None:
    result = await talk.result("what is the capital of France?")
    assert result.response.response_type is IntentResponseType.ERROR
    assert result.response.speech["plain"]["speech"] == "Sorry, I couldn't understand that"
    assert talk.done == []


async def test_speaking_of_something_is_no_request(talk: Talk) -> None:
    result = await talk.result("my lamp was a present from my aunt")
    assert not result.continue_conversation
    assert talk.done == []


async def test_what_is_not_exposed_is_not_there(talk: Talk, hass: HomeAssistant) -> None:
    async_expose_entity(hass, "conversation", "media_player.tv", should_expose=False)
    await talk.say("turn off the telly")
    assert talk.done == []


async def test_rights(talk: Talk, hass: HomeAssistant) -> None:
    user = MockUser().add_to_hass(hass)
    user.mock_policy({"entities": {"entity_ids": {"media_player.tv": {"read": True}}}})
    assert await talk.say("turn off the telly", context=Context(user_id=user.id)) == (
        "You are not allowed to control Television."
    )
    assert talk.done == []


async def test_who_is_not_known_may_do_nothing(talk: Talk) -> None:
    result = await talk.result("turn off the telly", context=Context(user_id="nobody"))
    assert result.response.response_type is IntentResponseType.ERROR
    assert talk.done == []


async def test_nobody_goes_on_from_what_another_user_said(talk: Talk, hass: HomeAssistant) -> None:
    await talk.say("turn on the sofa lamp")
    assert talk.done == [("turn_on", "light.sofa_lamp")]
    user = MockUser(is_owner=True).add_to_hass(hass)
    await talk.say("and the bedside light", context=Context(user_id=user.id))
    assert talk.done == []


async def test_half_a_request_is_none(talk: Talk) -> None:
    result = await talk.result(f"turn off the telly {' ' * 500} tomorrow")
    assert result.response.response_type is IntentResponseType.ERROR
    assert talk.done == []


async def test_joints_without_end_cost_no_more_than_none(talk: Talk, entry: MockConfigEntry) -> None:
    home = entry.runtime_data
    await talk.say("turn on the lamp" + " and x" * 50)
    assert home.statistics.today == 1


async def test_what_is_only_tried_leaves_no_question(talk: Talk, entry: MockConfigEntry) -> None:
    assert (await talk.result("turn off the telly and turn on the lamp")).continue_conversation
    assert len(entry.runtime_data.clarifications) == 1


async def test_several_at_once(talk: Talk) -> None:
    await talk.say("could you switch off the lights of the living room for me")
    assert {one for _, one in talk.done} >= {"light.sofa_lamp", "light.living_room_ceiling", "light.lamp_living"}


_TWO = [
    (
        "turn off the telly and turn on the beside light",
        "en",
        [("turn_off", "media_player.tv"), ("turn_on", "light.bedside")],
    ),
    (
        "mach die Stehlampen an und dann das Küchenlichd aus",
        "de",
        [("turn_off", "light.kitchen_ceiling"), ("turn_on", "light.sofa_lamp")],
    ),
    # Two things, but one request.
    (
        "turn on the coffee maker and the kettle",
        "en",
        [("turn_on", "switch.coffee"), ("turn_on", "switch.kettle")],
    ),
]


async def test_two_in_one_sentence(talk: Talk) -> None:
    for text, language, done in _TWO:
        talk.conversation_id = None
        said = await talk.say(text, language)
        assert (text, talk.done) == (text, done), said


async def test_a_name_is_no_request(talk: Talk) -> None:
    # Home Assistant's own sentences switch on what is only named in full.
    await talk.say("the kettel")
    assert talk.done == []


async def test_of_two_none_is_done_if_one_is_not_clear(talk: Talk) -> None:
    await talk.say("turn off the telly and unlock the frontdoor")
    assert talk.done == []
    talk.conversation_id = None
    await talk.say("turn off the telly and fix the roof")
    assert talk.done == []


async def test_one_device_and_the_languages(hass: HomeAssistant, talk: Talk, entry: MockConfigEntry) -> None:
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert device.name == "Semantic Home"
    languages = conversation.async_get_conversation_languages(hass, AGENT)
    assert {"en", "de", "fr", "pl"} <= set(languages)


async def test_old_conversations_give_way(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.semantic_home.conversation.MAX_CONVERSATIONS", 1)
    assert (await talk.result("turn on the lamp")).continue_conversation
    other = Talk(talk.hass)
    assert (await other.result("turn on the lamp")).continue_conversation
    await talk.say("the one in the bedroom")
    assert other.done == []
