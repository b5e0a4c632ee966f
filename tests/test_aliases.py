"""From what people said and were understood to an alias in the entity registry, with a yes; and never without."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser, async_fire_time_changed

from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.repairs import DOMAIN as REPAIRS
from homeassistant.components.repairs.issue_handler import RepairsFlowManager
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.helpers import entity_registry as er, intent, issue_registry as ir
from homeassistant.setup import async_setup_component

from custom_components.semantic_home import dismissed_aliases
from custom_components.semantic_home.alias_review import ISSUE_ALIASES
from custom_components.semantic_home.const import CONF_LEARN, CONF_MODEL, DOMAIN

from .house import Home, async_set_up
from .test_clarify import clarify
from .test_learning import import_rows
from .test_services import match

TV, LAMP, LOCK = "media_player.tv", "light.sofa_lamp", "lock.front_door"
TELLY = "turn off the telly"


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    """Set up without a model: what counts here is what was learnt."""
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    return entry


async def call(hass: HomeAssistant, action: str, context: Context | None = None, **data: Any) -> dict[str, Any]:
    response = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True, context=context
    )
    assert response is not None
    return response


async def suggestions(hass: HomeAssistant, **data: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await call(hass, "suggest_aliases", **data))["suggestions"]
    return found


async def teach(hass: HomeAssistant, query: str, entity_id: str = TV, language: str = "en", **more: Any) -> None:
    """Have it learnt what a request means, as from another home's file."""
    metadata = {"entity_ids": [entity_id], "language": language, "source": "user", **more}
    await import_rows(hass, {"text": query, "metadata": metadata})


async def look(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> ir.IssueEntry | None:
    """Let the review come round, and give its issue."""
    freezer.tick(60)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    return ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ALIASES)


async def understood(hass: HomeAssistant, sentence: str, language: str = "en") -> bool:
    """Ask Home Assistant's own agent, and tell whether it knew what to do."""
    await hass.async_block_till_done()
    agent = conversation.async_get_agent(hass)
    result = await agent.async_recognize_intent(
        conversation.ConversationInput(
            sentence, Context(), None, None, None, language, conversation.HOME_ASSISTANT_AGENT
        ),
        strict_intents_only=True,
    )
    return result is not None and not result.unmatched_entities


@pytest.fixture
async def assist(hass: HomeAssistant, home: Home) -> None:
    """Home Assistant's own agent, which knows what is exposed to it."""
    for component in ("conversation", "media_player"):
        assert await async_setup_component(hass, component, {})
    async_expose_entity(hass, "conversation", TV, True)


@pytest.mark.usefixtures("assist")
async def test_from_what_was_right_to_an_alias(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    assert not await understood(hass, TELLY)
    found = await match(hass, TELLY)
    assert found["entity_ids"] == [TV]
    assert await suggestions(hass) == [], "nobody has said that it is right"
    await hass.services.async_call(
        DOMAIN, "rate", {"result_id": found["result_id"], "outcome": "success"}, blocking=True
    )
    (one,) = await suggestions(hass)
    assert (one["entity_id"], one["name"], one["alias"], one["language"]) == (TV, "Television", "telly", "en")
    assert (one["requests"], one["guarded"], one["dismissed"]) == ([TELLY], False, False)
    assert home.entities.async_get(TV).aliases == [er.COMPUTED_NAME], "never without a yes"

    added = {"entity_id": TV, "alias": "telly", "added": True}
    assert await call(hass, "add_alias", id=one["id"]) == added
    assert home.entities.async_get(TV).aliases == [er.COMPUTED_NAME, "telly"]
    assert await suggestions(hass) == []
    assert await understood(hass, TELLY)
    assert await understood(hass, "turn off the television")


@pytest.mark.usefixtures("entry", "assist")
async def test_german(hass: HomeAssistant, home: Home) -> None:
    await teach(hass, "mach die Glotze aus", language="de")
    assert not await understood(hass, "mach die Glotze aus", "de")
    (one,) = await suggestions(hass)
    assert (one["alias"], one["language"]) == ("Glotze", "de")
    await call(hass, "add_alias", id=one["id"])
    assert await understood(hass, "schalte die Glotze ein", "de")


@pytest.mark.usefixtures("entry")
async def test_an_answered_question_counts_as_well(hass: HomeAssistant) -> None:
    asked = await clarify(hass, query="turn on the nook light")
    assert asked["needs_clarification"]
    await clarify(hass, clarification_id=asked["clarification_id"], answer="Bedside light")
    found = [(one["entity_id"], one["alias"]) for one in await suggestions(hass)]
    assert found == [("light.bedside", "nook")], "the sentences know lights themselves"


@pytest.mark.usefixtures("entry")
async def test_what_is_said_in_more_ways_comes_first(hass: HomeAssistant) -> None:
    await teach(hass, "turn on the nook", LAMP)
    for query in (TELLY, "turn on the telly", "is the telly on"):
        await teach(hass, query)
    assert [(one["alias"], len(one["requests"])) for one in await suggestions(hass)] == [("telly", 3), ("nook", 1)]


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(
    ("query", "entity_ids"),
    [
        ("turn off the television", [TV]),
        ("turn off the tellevision", [TV]),
        ("turn it off", [TV]),
        ("turn off that one", [TV]),
        ("turn on the light", [LAMP]),
        ("turn on the lamp", [LAMP]),
        ("turn on the kitchen", ["light.kitchen_ceiling"]),
        ("turn off the radio", [TV]),
        ("turn off 42", [TV]),
        (TELLY, [TV, LAMP]),
        (TELLY, ["media_player.gone"]),
        ("the telly", []),
    ],
)
async def test_what_is_no_good_alias(hass: HomeAssistant, query: str, entity_ids: list[str]) -> None:
    metadata = {"entity_ids": entity_ids, "language": "en", "source": "user"}
    await import_rows(hass, {"text": query, "metadata": metadata})
    assert await suggestions(hass) == []


@pytest.mark.usefixtures("entry")
async def test_what_two_are_called_names_neither(hass: HomeAssistant) -> None:
    await teach(hass, "turn on the nook", LAMP)
    assert len(await suggestions(hass)) == 1
    await teach(hass, "turn on the nook", "light.bedside", asked_in={"context_place": "area:bedroom"})
    assert await suggestions(hass) == []


@pytest.mark.usefixtures("entry")
async def test_what_has_failed_is_not_suggested(hass: HomeAssistant) -> None:
    metadata = {"entity_ids": [TV], "language": "en", "source": "user"}
    await import_rows(hass, {"text": TELLY, "metadata": metadata, "success_score": 0.4})
    assert await suggestions(hass) == []


async def test_what_nobody_can_talk_to_gets_none(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    await teach(hass, TELLY)
    async_expose_entity(hass, "conversation", TV, False)
    assert await suggestions(hass) == []
    async_expose_entity(hass, "conversation", TV, True)
    assert len(await suggestions(hass)) == 1
    home.areas.async_update("kitchen", aliases={"Telly"})
    assert await suggestions(hass) == [], "a room may be called like that now"


async def test_what_has_no_registry_entry_gets_none(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    hass.states.async_set("light.yaml", "off", {"friendly_name": "Yaml"})
    await entry.runtime_data.async_rebuild()
    await teach(hass, "turn on the nook", "light.yaml")
    assert await suggestions(hass) == []
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "add_alias", entity_id="light.yaml", alias="nook")
    assert raised.value.translation_key == "entity_not_registered"


async def test_guarded_things_are_marked(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    async_expose_entity(hass, "conversation", LOCK, True)
    await entry.runtime_data.async_rebuild()
    await teach(hass, "unlock the portcullis", LOCK)
    (one,) = await suggestions(hass)
    assert (one["alias"], one["guarded"]) == ("portcullis", True)


async def test_who_does_not_want_to_be_learnt_from(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await teach(hass, TELLY)
    hass.config_entries.async_update_entry(entry, options={CONF_LEARN: False})
    await hass.config_entries.async_reload(entry.entry_id)
    assert await suggestions(hass) == []


async def test_aliases_keep_their_order(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    home.entities.async_update_entity(TV, aliases=["Flat screen", er.COMPUTED_NAME])
    for added in (True, False):
        assert (await call(hass, "add_alias", entity_id=TV, alias=" Telly "))["added"] is added
    assert home.entities.async_get(TV).aliases == ["Flat screen", er.COMPUTED_NAME, "Telly"]
    home.entities.async_update_entity(TV, aliases=[])
    await call(hass, "add_alias", entity_id=TV, alias="telly")
    assert home.entities.async_get(TV).aliases == [er.COMPUTED_NAME, "telly"], "it keeps its name"


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({}, "suggestion_or_alias"),
        ({"id": "x", "entity_id": TV, "alias": "telly"}, "suggestion_or_alias"),
        ({"entity_id": TV}, "suggestion_or_alias"),
        ({"id": "x", "alias": "telly"}, "suggestion_or_alias"),
        ({"id": "x"}, "unknown_alias_suggestion"),
        ({"entity_id": TV, "alias": "sofa LAMP"}, "alias_taken"),
        ({"entity_id": TV, "alias": "Kitchen"}, "alias_taken"),
        ({"entity_id": TV, "alias": "downstairs"}, "alias_taken"),
        ({"entity_id": "light.gone", "alias": "telly"}, "entity_not_registered"),
        ({"entity_id": TV, "alias": " "}, "empty_text"),
        ({"entity_id": TV, "alias": "…"}, "empty_text"),
        ({"entity_id": TV, "alias": "x" * 41}, "text_too_long"),
    ],
)
async def test_bad_input(hass: HomeAssistant, home: Home, data: dict[str, Any], key: str) -> None:
    before = home.entities.async_get(TV).aliases
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "add_alias", **data)
    assert (raised.value.translation_domain, raised.value.translation_key) == (DOMAIN, key)
    assert home.entities.async_get(TV).aliases == before


async def test_dismissed_for_good(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await teach(hass, TELLY)
    (one,) = await suggestions(hass)
    assert (await call(hass, "dismiss_alias", id=one["id"]))["dismissed"] is True
    assert await suggestions(hass) == []
    await hass.config_entries.async_reload(entry.entry_id)
    await teach(hass, "turn on the telly")
    assert await suggestions(hass) == [], "nor when it is said again, after a restart"
    (known,) = await suggestions(hass, include_dismissed=True)
    assert (known["id"], known["dismissed"]) == (one["id"], True)
    assert (await call(hass, "dismiss_alias", id=one["id"], undo=True))["dismissed"] is False
    assert len(await suggestions(hass)) == 1


async def test_what_was_dismissed_can_be_added_all_the_same(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry
) -> None:
    await teach(hass, TELLY)
    (one,) = await suggestions(hass)
    await call(hass, "dismiss_alias", id=one["id"])
    await call(hass, "add_alias", id=one["id"])
    assert home.entities.async_get(TV).aliases == [er.COMPUTED_NAME, "telly"]
    home.entities.async_update_entity(TV, aliases=[er.COMPUTED_NAME])
    assert len(await suggestions(hass)) == 1, "who said yes once has changed his mind about the no"


@pytest.mark.usefixtures("entry")
async def test_the_oldest_no_gives_way(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dismissed_aliases, "MAX_DISMISSED", 1)
    for query, entity_id in ((TELLY, TV), ("turn on the nook", LAMP)):
        await teach(hass, query, entity_id)
        (one,) = await suggestions(hass)
        await call(hass, "dismiss_alias", id=one["id"])
        if query == TELLY:
            assert await suggestions(hass) == []
    assert [one["alias"] for one in await suggestions(hass)] == ["telly"]


@pytest.mark.usefixtures("entry")
async def test_administrators_alone(hass: HomeAssistant, hass_read_only_user: MockUser) -> None:
    await teach(hass, TELLY)
    (one,) = await suggestions(hass)
    for action, data in (
        ("suggest_aliases", {}),
        ("add_alias", {"id": one["id"]}),
        ("dismiss_alias", {"id": one["id"]}),
    ):
        with pytest.raises(Unauthorized):
            await call(hass, action, Context(user_id=hass_read_only_user.id), **data)
    assert len(await suggestions(hass)) == 1


async def review(hass: HomeAssistant, **said: Any) -> Any:
    """Open the repair, and say something to what it shows."""
    flows: RepairsFlowManager = hass.data[REPAIRS]["flow_manager"]
    shown = await flows.async_init(DOMAIN, context={"issue_id": ISSUE_ALIASES})
    return await flows.async_configure(shown["flow_id"], said) if said else shown


@pytest.fixture
async def repairs(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "repairs", {})


@pytest.mark.usefixtures("entry", "repairs")
async def test_one_issue_that_comes_and_goes(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    assert await look(hass, freezer) is None
    await teach(hass, TELLY)
    await teach(hass, "turn on the nook", LAMP)
    issue = await look(hass, freezer)
    assert issue is not None
    assert (issue.is_fixable, issue.severity) == (True, ir.IssueSeverity.WARNING)
    assert issue.translation_placeholders == {"count": "2"}
    ir.async_ignore_issue(hass, DOMAIN, ISSUE_ALIASES, True)
    await teach(hass, "turn on the scullery spot", "light.kitchen_ceiling")
    issue = await look(hass, freezer)
    assert issue is not None and issue.dismissed_version is not None, "what is ignored stays so"
    for one in await suggestions(hass):
        await call(hass, "dismiss_alias", id=one["id"])
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ALIASES) is None


@pytest.mark.usefixtures("entry", "repairs")
async def test_what_is_ticked_is_added(hass: HomeAssistant, home: Home, freezer: FrozenDateTimeFactory) -> None:
    await teach(hass, TELLY)
    await teach(hass, "turn on the nook", LAMP)
    assert await look(hass, freezer)
    shown = await review(hass)
    assert shown["data_schema"]({}) == {"accepted": [], "dismiss_others": False}, "nothing is ticked"
    options = shown["data_schema"].schema["accepted"].config["options"]
    assert {option["label"] for option in options} == {
        "telly → Television (turn off the telly)",
        "nook → Sofa lamp (turn on the nook)",
    }
    telly = next(option["value"] for option in options if "telly" in option["label"])
    done = await review(hass, accepted=[telly])
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "some_left")
    assert home.entities.async_get(TV).aliases == [er.COMPUTED_NAME, "telly"]
    assert home.entities.async_get(LAMP).aliases == [er.COMPUTED_NAME, "Stehlampe"]
    issue = ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ALIASES)
    assert issue is not None and issue.translation_placeholders == {"count": "1"}, "the other one stays"
    done = await review(hass, dismiss_others=True)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ALIASES) is None
    assert await suggestions(hass) == []
    assert home.entities.async_get(LAMP).aliases == [er.COMPUTED_NAME, "Stehlampe"]


@pytest.mark.usefixtures("entry", "repairs")
async def test_what_is_taken_meanwhile_is_told(hass: HomeAssistant, home: Home, freezer: FrozenDateTimeFactory) -> None:
    await teach(hass, TELLY)
    assert await look(hass, freezer)
    flows: RepairsFlowManager = hass.data[REPAIRS]["flow_manager"]
    shown = await review(hass)
    (option,) = shown["data_schema"].schema["accepted"].config["options"]
    home.areas.async_update("kitchen", aliases={"telly"})
    again = await flows.async_configure(shown["flow_id"], {"accepted": [option["value"]]})
    assert (again["type"], again["errors"]) == (FlowResultType.FORM, {"base": "suggestion_gone"})
    assert home.entities.async_get(TV).aliases == [er.COMPUTED_NAME]


@pytest.mark.usefixtures("repairs")
async def test_while_it_is_not_loaded(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    await teach(hass, TELLY)
    assert await look(hass, freezer)
    await hass.config_entries.async_unload(entry.entry_id)
    done = await review(hass)
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "not_loaded")


async def test_nothing_is_left_of_it(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory, hass_storage: dict[str, Any]
) -> None:
    await teach(hass, TELLY)
    await teach(hass, "turn on the nook", LAMP)
    assert await look(hass, freezer)
    await call(hass, "dismiss_alias", id=(await suggestions(hass))[0]["id"])
    assert hass_storage["semantic_home.dismissed_aliases"]["data"]["ids"]
    await hass.config_entries.async_remove(entry.entry_id)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ALIASES) is None
    assert "semantic_home.dismissed_aliases" not in hass_storage


async def test_the_names_that_assist_knows(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    """What was added is what Home Assistant calls the entity by, from then on."""
    await call(hass, "add_alias", entity_id=TV, alias="telly")
    state, known = hass.states.get(TV), home.entities.async_get(TV)
    assert intent.async_get_entity_aliases(hass, known, state=state) == ["Television", "telly"]
