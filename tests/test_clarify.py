"""The action that asks and takes answers, on a real index with the real model."""

from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser, async_mock_service
import yaml

from homeassistant.core import Context, HomeAssistant, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.clarifications import LIFETIME, MAX_OPEN
from custom_components.semantic_home.const import CONF_MODEL, DOMAIN
from custom_components.semantic_home.engine import EncoderBusyError
from custom_components.semantic_home.matching import answers
from custom_components.semantic_home.runtime import SemanticHome

from .conftest import ROOT
from .house import Home, async_let_sync, async_set_up, async_wait_complete

LAMPS = ("light.lamp_living", "light.lamp_bedroom")


async def clarify(hass: HomeAssistant, context: Context | None = None, **data: Any) -> dict[str, Any]:
    response = await hass.services.async_call(
        DOMAIN, "clarify", data, blocking=True, return_response=True, context=context
    )
    assert response is not None
    return response


@pytest.fixture
async def lamps(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> MockConfigEntry:
    """Add two lamps of one name, in two rooms."""
    home.add("light", "lamp_living", "Lamp", "living_room")
    home.add("light", "lamp_bedroom", "Lamp", "bedroom")
    await async_let_sync(hass, entry)
    return entry


async def ask(hass: HomeAssistant, context: Context | None = None, **data: Any) -> dict[str, Any]:
    response = await clarify(hass, context, query="turn on the lamp", **data)
    assert response["needs_clarification"], response
    return response


@pytest.mark.usefixtures("lamps")
async def test_question_and_answer(hass: HomeAssistant) -> None:
    asked = await ask(hass)
    assert asked["status"] == "question"
    assert set(LAMPS) <= {entity_id for option in asked["options"] for entity_id in option["entity_ids"]}
    assert [option["id"] for option in asked["options"]] == ["1", "2", "3"][: len(asked["options"])]
    assert all(option["label"] in asked["question"] for option in asked["options"])
    assert (asked["round"], asked["language"], asked["entity_ids"]) == (1, "en", [])

    resolved = await clarify(hass, clarification_id=asked["clarification_id"], answer="the lamp in the bedroom")
    assert (resolved["status"], resolved["entity_ids"]) == ("resolved", ["light.lamp_bedroom"])
    assert (resolved["needs_clarification"], resolved["clarification_id"], resolved["question"]) == (False, None, None)


@pytest.mark.usefixtures("lamps")
async def test_what_is_clear_is_not_asked(hass: HomeAssistant) -> None:
    clear = await clarify(hass, query="turn on the lamp in the bedroom")
    assert (clear["status"], clear["entity_ids"]) == ("resolved", ["light.lamp_bedroom"])
    nothing = await clarify(hass, query="what is the capital of France?")
    assert (nothing["status"], nothing["needs_clarification"], nothing["options"]) == ("none", False, [])


@pytest.mark.usefixtures("lamps")
@pytest.mark.parametrize(("language", "known"), [("de", "de"), ("pt-BR", "pt-BR"), ("de-CH", "de"), ("tlh", "en")])
async def test_language(hass: HomeAssistant, language: str, known: str) -> None:
    assert (await ask(hass, language=language))["language"] == known


@pytest.mark.usefixtures("lamps")
async def test_home_assistants_language_is_the_default(hass: HomeAssistant) -> None:
    hass.config.language = "nl"
    assert (await ask(hass))["language"] == "nl"


@pytest.mark.usefixtures("lamps")
async def test_filters_hold_for_the_answers_too(hass: HomeAssistant) -> None:
    asked = await ask(hass, area_id=["living_room", "bedroom"])
    other = await clarify(hass, clarification_id=asked["clarification_id"], answer="turn on the kitchen lights")
    assert "light.kitchen_ceiling" not in other["entity_ids"]
    asked = await ask(hass)
    other = await clarify(hass, clarification_id=asked["clarification_id"], answer="turn on the kitchen lights")
    assert (other["reason"], other["entity_ids"]) == ("new_request", ["light.kitchen_ceiling"])


@pytest.mark.usefixtures("lamps")
async def test_three_rounds_and_no_more(hass: HomeAssistant) -> None:
    asked = await ask(hass)
    for number in (2, 3):
        asked = await clarify(hass, clarification_id=asked["clarification_id"], answer="yes")
        assert (asked["round"], asked["reason"]) == (number, "not_understood")
    end = await clarify(hass, clarification_id=asked["clarification_id"], answer="yes")
    assert (end["status"], end["entity_ids"], end["needs_clarification"]) == ("given_up", [], False)


@pytest.mark.usefixtures("lamps")
@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({}, "query_or_answer"),
        ({"query": "lamp", "answer": "the first"}, "query_or_answer"),
        ({"answer": "the first"}, "query_or_answer"),
        ({"clarification_id": "x"}, "query_or_answer"),
        ({"query": "lamp", "clarification_id": "x"}, "query_or_answer"),
        ({"clarification_id": "x", "answer": "the first"}, "unknown_clarification"),
        ({"clarification_id": "x", "answer": " "}, "empty_text"),
        ({"clarification_id": "x", "answer": "x" * 501}, "text_too_long"),
        ({"query": " "}, "empty_text"),
        ({"query": "x" * 501}, "text_too_long"),
        ({"query": "lamp", "area_id": "cellar"}, "unknown_area"),
        ({"query": "lamp", "device_id": "nowhere"}, "unknown_device"),
    ],
)
async def test_bad_input(hass: HomeAssistant, data: dict[str, Any], key: str) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await clarify(hass, **data)
    assert (raised.value.translation_domain, raised.value.translation_key) == (DOMAIN, key)
    assert str(raised.value) != key, "the message was not found in the translations"


async def refused(hass: HomeAssistant, clarification_id: str, context: Context | None = None) -> bool:
    try:
        await clarify(hass, context, clarification_id=clarification_id, answer="the first one")
    except ServiceValidationError as err:
        return err.translation_key == "unknown_clarification"
    return False


@pytest.mark.usefixtures("lamps")
async def test_a_question_is_answered_once_and_in_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    once, asked = await ask(hass), await ask(hass)
    assert not await refused(hass, once["clarification_id"])
    assert await refused(hass, once["clarification_id"])

    freezer.tick(LIFETIME - timedelta(seconds=1))
    again = await clarify(hass, clarification_id=asked["clarification_id"], answer="yes")
    assert again["needs_clarification"]
    freezer.tick(LIFETIME + timedelta(seconds=1))
    assert await refused(hass, again["clarification_id"])


async def test_what_was_answered_is_not_asked_again(hass: HomeAssistant, lamps: MockConfigEntry) -> None:
    """With the model; what else there is to learning is in test_learning.py."""
    asked = await ask(hass)
    await clarify(hass, clarification_id=asked["clarification_id"], answer="the lamp in the bedroom")
    again = await clarify(hass, query="switch the lamp off")
    assert (again["status"], again["entity_ids"]) == ("resolved", ["light.lamp_bedroom"])
    await async_wait_complete(lamps)


async def test_another_user_cannot_answer(hass: HomeAssistant, lamps: MockConfigEntry) -> None:
    one, other = (MockUser(is_owner=True).add_to_hass(hass) for _ in range(2))
    asked = await ask(hass, Context(user_id=one.id))
    assert await refused(hass, asked["clarification_id"], Context(user_id=other.id))
    assert await refused(hass, asked["clarification_id"])
    assert not await refused(hass, asked["clarification_id"], Context(user_id=one.id)), "it is still his"


@pytest.mark.usefixtures("lamps")
async def test_only_what_may_be_read_is_offered(hass: HomeAssistant) -> None:
    user = MockUser().add_to_hass(hass)
    user.mock_policy({"entities": {"entity_ids": {LAMPS[0]: {"read": True}, LAMPS[1]: {"read": True}}}})
    context = Context(user_id=user.id)
    asked = await ask(hass, context)
    assert {entity_id for option in asked["options"] for entity_id in option["entity_ids"]} == set(LAMPS)
    other = await clarify(
        hass, context, clarification_id=asked["clarification_id"], answer="turn on the kitchen lights"
    )
    assert "light.kitchen_ceiling" not in other["entity_ids"]


async def test_no_file_is_read_while_asking(hass: HomeAssistant, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    answers._data.cache_clear()
    answers._language.cache_clear()
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_: pytest.fail("a file is read on the event loop"))
    assert (await clarify(hass, query="turn on the light", language="de"))["language"] == "de"


def test_languages_that_nobody_speaks_are_not_kept() -> None:
    known = answers.Language.load("en")
    assert all(answers.Language.load(f"x{number}") is known for number in range(1000))
    assert answers._language.cache_info().currsize <= len(answers.languages())


@pytest.mark.usefixtures("lamps")
async def test_a_right_that_is_taken_away_closes_the_question(hass: HomeAssistant) -> None:
    user = MockUser().add_to_hass(hass)
    user.mock_policy({"entities": {"entity_ids": {one: {"read": True} for one in LAMPS}}})
    asked = await ask(hass, Context(user_id=user.id))
    user.mock_policy({"entities": {"entity_ids": {LAMPS[0]: {"read": True}}}})
    assert await refused(hass, asked["clarification_id"], Context(user_id=user.id))
    user.mock_policy({"entities": {"entity_ids": {one: {"read": True} for one in LAMPS}}})
    assert await refused(hass, asked["clarification_id"], Context(user_id=user.id)), "it is not kept either"


async def test_the_oldest_gives_way(hass: HomeAssistant, lamps: MockConfigEntry) -> None:
    home: SemanticHome = lamps.runtime_data
    first = await ask(hass)
    for _ in range(MAX_OPEN):
        last = await ask(hass)
    assert len(home.clarifications) == MAX_OPEN
    assert await refused(hass, first["clarification_id"])
    assert not await refused(hass, last["clarification_id"])


async def test_nothing_stays_after_unloading(hass: HomeAssistant, lamps: MockConfigEntry) -> None:
    home: SemanticHome = lamps.runtime_data
    asked = await ask(hass)
    await hass.config_entries.async_reload(lamps.entry_id)
    await hass.async_block_till_done()
    assert len(home.clarifications) == 0
    assert await refused(hass, asked["clarification_id"])


async def test_a_question_survives_a_model_that_is_busy(
    hass: HomeAssistant, lamps: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    home: SemanticHome = lamps.runtime_data
    asked = await ask(hass)

    async def busy(*_: object) -> None:
        raise EncoderBusyError("too many")

    with monkeypatch.context() as patched:
        patched.setattr(home.clarifications, "_match_answer", busy)
        with pytest.raises(HomeAssistantError, match="waiting for the model"):
            await clarify(hass, clarification_id=asked["clarification_id"], answer="the lamp in the bedroom")
    resolved = await clarify(hass, clarification_id=asked["clarification_id"], answer="the lamp in the bedroom")
    assert resolved["entity_ids"] == ["light.lamp_bedroom"]


@pytest.mark.usefixtures("lamps")
async def test_the_readmes_automation(hass: HomeAssistant) -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("### `semantic_home.clarify`")[2]
    example = yaml.safe_load(section.partition("```yaml")[2].partition("```")[0])
    heard = {"id": None, "sentence": "the one in the bedroom", "slots": {}}
    asked = async_mock_service(
        hass, "assist_satellite", "ask_question", response=heard, supports_response=SupportsResponse.ONLY
    )
    turned_on = async_mock_service(hass, "light", "turn_on")
    assert await async_setup_component(hass, "script", {"script": {"shine": {"sequence": example["actions"]}}})
    await hass.services.async_call("script", "shine", {"trigger": {"slots": {"what": "the lamp"}}}, blocking=True)
    assert len(asked) == 1 and "Bedroom" in asked[0].data["question"]
    assert [call.data["entity_id"] for call in turned_on] == [["light.lamp_bedroom"]]
