"""The tools of LLM agents, found and called as an agent does it, on a real index with the real model."""

import asyncio
import json
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings, strategies as st
import orjson
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser, async_mock_service

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.llm import APIInstance, LLMContext, ToolInput, ToolResult, async_get_api, selector_serializer
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.const import CONF_MODEL, CONF_SCOPE, DOMAIN, SCOPE_ALL
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import StoreError
from custom_components.semantic_home.llm_entity_tools import MAX_ENTITIES, MAX_NAMES, FindEntities
from custom_components.semantic_home.llm_knowledge_tools import MAX_PIECE_LENGTH, MAX_PIECES
from custom_components.semantic_home.runtime import SemanticHome

from .benchmark.prompt import async_measure
from .benchmark.prompt_home import made_up
from .house import ENTITIES, Home, async_let_sync, async_set_up, async_wait_complete
from .test_any_input import _texts, _values
from .test_clarify import LAMPS

TOOLS = ("find_entities", "clarify", "search_knowledge", "suggest")
SOFA_LAMP = {"name": "Sofa lamp", "entity_id": "light.sofa_lamp", "area": "Living room", "domain": "light"}


def agent(hass: HomeAssistant, **said: Any) -> LLMContext:
    asked: dict[str, Any] = {"context": Context(), "language": "en", "assistant": "conversation", "device_id": None}
    return LLMContext(platform="test", **(asked | said))


async def api_of(hass: HomeAssistant, api_id: str = "assist", **said: Any) -> APIInstance:
    assert await async_setup_component(hass, "llm", {})
    return await async_get_api(hass, api_id, agent(hass, **said))


async def use(hass: HomeAssistant, tool: str, args: dict[str, Any], **said: Any) -> ToolResult:
    api = await api_of(hass, **said)
    result = await api.async_call_tool(ToolInput(f"{DOMAIN}__{tool}", args))
    json.dumps(result.data)
    return result


async def ask(hass: HomeAssistant, tool: str, /, said: dict[str, Any] | None = None, **args: Any) -> Any:
    result = await use(hass, tool, args, **(said or {}))
    assert not result.error, result
    return result.data


async def act(hass: HomeAssistant, action: str, /, **data: Any) -> Any:
    return await hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)


async def find(hass: HomeAssistant, *names: str, said: dict[str, Any] | None = None, **args: Any) -> Any:
    [*found] = (await ask(hass, "find_entities", said, names=list(names), **args))["results"]
    return found


async def meant(hass: HomeAssistant, name: str, **args: Any) -> tuple[str, set[str]]:
    [found] = await find(hass, name, **args)
    return found["decision"], {entity["entity_id"] for entity in found["entities"]}


def satellite_in(home: Home, area: str) -> str:
    device = home.devices.async_get_or_create(config_entry_id=home.config_entry.entry_id, identifiers={("house", area)})
    home.devices.async_update_device(device.id, area_id=area)
    return device.id


@pytest.fixture
async def nameless(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    """Set the integration up without a model: only names answer."""
    entry = MockConfigEntry(domain=DOMAIN, title="Semantic Home", data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    return entry


@pytest.mark.usefixtures("nameless")
async def test_what_is_never_guessed_is_marked(hass: HomeAssistant) -> None:
    garage, lamp = await find(hass, "Garage door", "Sofa lamp")
    assert [entity.get("confirm_first") for entity in garage["entities"] + lamp["entities"]] == [True, None]
    hass.states.async_set("light.sofa_lamp", "off", {"entity_id": ["lock.front_door"]})
    [holds] = await find(hass, "Sofa lamp")
    assert holds["entities"][0]["confirm_first"]


@pytest.mark.usefixtures("nameless")
async def test_assist_has_the_tools(hass: HomeAssistant) -> None:
    api = await api_of(hass)
    tools = {tool.name: tool for tool in api.tools if tool.integration == DOMAIN}
    assert tools.keys() == {f"{DOMAIN}__{name}" for name in TOOLS}
    for name, tool in tools.items():
        schema = probatio.to_openapi(tool.parameters, custom_serializer=selector_serializer, openapi_version="3.1.0")
        assert {field["type"] for field in schema["properties"].values()} <= {"string", "array", "boolean"}
        assert tool.annotations.read_only
        assert not tool.annotations.destructive
        assert not tool.annotations.open_world
        assert tool.annotations.idempotent == (name != f"{DOMAIN}__clarify")
        assert name.removeprefix(DOMAIN) in api.api_prompt or name.endswith("suggest")
    assert "- names: Sofa lamp, Stehlampe" in api.api_prompt, "Assist lists what is exposed"


async def test_without_a_home_there_are_none(hass: HomeAssistant, nameless: MockConfigEntry) -> None:
    before = await api_of(hass)
    await hass.config_entries.async_unload(nameless.entry_id)
    after = await api_of(hass)
    assert DOMAIN not in {tool.integration for tool in after.tools}
    assert DOMAIN not in after.api_prompt
    # An agent that still has them is told why there is no answer.
    for name, args in (("find_entities", {"names": ["lamp"]}), ("clarify", {"query": "lamp"}), ("suggest", {})):
        result = await before.async_call_tool(ToolInput(f"{DOMAIN}__{name}", args))
        assert result.error
        assert "loaded" in str(result.data["error"])


@pytest.mark.usefixtures("nameless")
async def test_exact_names_and_ids_need_no_model(hass: HomeAssistant, home: Home) -> None:
    home.entities.async_update_entity("switch.kettle", aliases=["Tea, please", er.COMPUTED_NAME])
    asked = {
        "light.sofa_lamp": {"light.sofa_lamp"},
        "`LIGHT.sofa_lamp`.": {"light.sofa_lamp"},
        "Sofa lamp": {"light.sofa_lamp"},
        '"sofa  LAMP"!': {"light.sofa_lamp"},
        "«Stehlampe»": {"light.sofa_lamp"},
        "'kuchenlicht'": {"light.kitchen_ceiling"},
        "Sofa lamp, Stehlampe": {"light.sofa_lamp"},
        "Sofa lamp; light.sofa_lamp": {"light.sofa_lamp"},
        "tea, please": {"switch.kettle"},
        "Kettle, Coffee maker": {"switch.kettle", "switch.coffee"},
        "light.bedside, fan.ceiling_fan": {"light.bedside", "fan.ceiling_fan"},
    }
    with patch.object(SemanticHome, "async_match", side_effect=AssertionError("a match was asked for")):
        for said, entity_ids in asked.items():
            assert await meant(hass, said) == ("match", entity_ids), said
        results = await find(hass, "Kettle", "Stehlampe")
    assert [result["name"] for result in results] == ["Kettle", "Stehlampe"]
    # The names are those by which the intents know it, the one that the user prefers first.
    assert results[0]["entities"][0]["name"] == "Tea, please"
    assert results[1]["entities"] == [SOFA_LAMP]


@pytest.mark.usefixtures("nameless")
async def test_one_name_of_several(hass: HomeAssistant, home: Home) -> None:
    for area in ("living_room", "bedroom"):
        home.add("light", f"lamp_{area.partition('_')[0]}", "Lamp", area)
    assert await meant(hass, "lamp") == ("ambiguous", set(LAMPS))
    assert await meant(hass, "lamp, Bedside light") == ("ambiguous", {*LAMPS, "light.bedside"})
    assert await meant(hass, "lamp", area="bedroom") == ("match", {"light.lamp_bedroom"})
    assert await meant(hass, "lamp", area="Upstairs") == ("match", {"light.lamp_bedroom"})
    heard_in_bedroom = {"device_id": satellite_in(home, "bedroom")}
    assert await meant(hass, "lamp", said=heard_in_bedroom) == ("match", {"light.lamp_bedroom"})
    # By its id it is found wherever it is.
    assert await meant(hass, "light.lamp_living", area="bedroom") == ("match", {"light.lamp_living"})


@pytest.mark.usefixtures("entry")
async def test_what_is_meant(hass: HomeAssistant, home: Home) -> None:
    assert await meant(hass, "the lamp next to the couch") == ("match", {"light.sofa_lamp"})
    assert await meant(hass, "öffne das Garagentor", said={"language": "de"}) == ("match", {"cover.garage"})
    assert await meant(hass, "tellevision") == ("match", {"media_player.tv"})
    assert await meant(hass, "the capital of France") == ("none", set())
    decision, lights = await meant(hass, "turn on the light")
    assert decision == "ambiguous"
    assert len(lights) > 1
    assert await meant(hass, "the light", area="kitchen") == ("match", {"light.kitchen_ceiling"})
    assert await meant(hass, "the light", area="KITCHEN", domain="light") == ("match", {"light.kitchen_ceiling"})
    assert (await meant(hass, "the light", domain=["Cover "]))[1].isdisjoint(lights)
    decision, lights = await meant(hass, "all lights", area="downstairs")
    assert (decision, lights) == ("match", {"light.kitchen_ceiling", "light.living_room_ceiling", "light.sofa_lamp"})


@pytest.mark.usefixtures("nameless")
async def test_the_intents_take_what_is_found(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "intent", {})
    calls = async_mock_service(hass, "light", "turn_on")
    [found] = await find(hass, "Stehlampe")
    [entity] = found["entities"]
    api = await api_of(hass)
    args = {key: entity[key] for key in ("name", "area")} | {"domain": [entity["domain"]]}
    result = await api.async_call_tool(ToolInput("intent__HassTurnOn", args))
    assert not result.error
    await hass.async_block_till_done()
    assert [call.data["entity_id"] for call in calls] == [["light.sofa_lamp"]]


@pytest.mark.usefixtures("nameless")
async def test_an_answer_is_bounded(hass: HomeAssistant, home: Home) -> None:
    for number in range(MAX_ENTITIES + 5):
        home.add("light", f"spot_{number}", "Spot", "kitchen")
    [found] = await find(hass, "spot")
    assert (len(found["entities"]), found["more"]) == (MAX_ENTITIES, 5)


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize(
    ("tool", "args", "said"),
    [
        ("find_entities", {}, "names"),
        ("find_entities", {"names": []}, "1 to 10"),
        ("find_entities", {"names": ["lamp"] * (MAX_NAMES + 1)}, "1 to 10"),
        ("find_entities", {"names": [" "]}, "empty"),
        ("find_entities", {"names": ["x" * 501]}, "501 characters"),
        ("find_entities", {"names": [{"name": "lamp"}]}, "names"),
        ("find_entities", {"names": ["half \ud800"]}, "surrogate"),
        ("find_entities", {"names": ["lamp"], "area": "Atlantis"}, "no area Atlantis"),
        ("find_entities", {"names": ["lamp"], "floor": "1"}, "floor"),
        ("clarify", {}, "either a query"),
        ("clarify", {"query": "lamp", "answer": "the first"}, "either a query"),
        ("clarify", {"answer": "the first"}, "either a query"),
        ("clarify", {"clarification_id": "x", "answer": "the first"}, "not known"),
        ("search_knowledge", {"query": "  "}, "query"),
        ("search_knowledge", {"query": "x" * 501}, "501 characters"),
        ("suggest", {"area": "Atlantis"}, "no area Atlantis"),
        ("suggest", {"yaml": "perhaps"}, "yaml"),
    ],
)
async def test_bad_arguments_are_explained(hass: HomeAssistant, tool: str, args: dict[str, Any], said: str) -> None:
    result = await use(hass, tool, args)
    assert result.error
    assert result.data.keys() == {"error"}
    assert said in str(result.data["error"])


_FIELDS = {
    "find_entities": {"names": st.lists(_texts, max_size=3), "area": st.just("kitchen") | _texts, "domain": _texts},
    "clarify": {"query": _texts, "clarification_id": _texts, "answer": _texts},
    "search_knowledge": {"query": _texts},
    "suggest": {"goal": _texts, "area": _texts, "yaml": st.booleans()},
}


@st.composite
def _uses(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Use a tool with some of its arguments, most of the right shape, and now and then one that it does not have."""
    tool = draw(st.sampled_from(TOOLS))
    wanted = {name: fitting for name, fitting in _FIELDS[tool].items() if draw(st.booleans())}
    args = {name: draw(_values if draw(st.integers(0, 5)) == 0 else fitting) for name, fitting in wanted.items()}
    return tool, args | ({draw(st.text(max_size=400)): draw(_values)} if draw(st.integers(0, 9)) == 0 else {})


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(used=_uses())
def test_any_argument(hass: HomeAssistant, nameless: MockConfigEntry, used: tuple[str, dict[str, Any]]) -> None:
    tool, args = used
    for domain, object_id, *_ in ENTITIES[::2]:
        async_expose_entity(hass, "conversation", f"{domain}.{object_id}", False)
    result = hass.loop.run_until_complete(use(hass, tool, args))
    assert not result.error or result.data.keys() == {"error"}
    sent = orjson.dumps(result.data).decode()
    assert len(sent) < 15_000
    hidden = [f"{domain}.{object_id}" for domain, object_id, *_ in ENTITIES[::2]]
    assert not [one for one in hidden if one in sent and one not in str(args)]


@pytest.mark.usefixtures("nameless")
async def test_blanks_are_no_arguments(hass: HomeAssistant) -> None:
    assert await meant(hass, "Stehlampe", area="", domain=None) == ("match", {"light.sofa_lamp"})
    [found] = (await ask(hass, "find_entities", names="Stehlampe", domain="light"))["results"]
    assert found["entities"] == [SOFA_LAMP]


async def test_a_broken_index_is_said(hass: HomeAssistant, nameless: MockConfigEntry) -> None:
    for method, tool, args in (
        ("match", "find_entities", {"names": ["that thing over there"]}),
        ("match", "clarify", {"query": "that thing over there"}),
        ("search_knowledge", "search_knowledge", {"query": "bins"}),
        ("knowledge_page", "suggest", {}),
    ):
        with patch.object(HomeIndex, method, side_effect=StoreError("disk I/O error")):
            result = await use(hass, tool, args)
        assert result == ToolResult({"error": "The request failed: disk I/O error"}, error=True)


async def test_a_reload_costs_no_answer(hass: HomeAssistant, nameless: MockConfigEntry) -> None:
    api = await api_of(hass)
    reload = hass.async_create_task(hass.config_entries.async_reload(nameless.entry_id))
    await asyncio.sleep(0)
    assert nameless.setup_lock.locked()
    result = await api.async_call_tool(ToolInput(f"{DOMAIN}__find_entities", {"names": ["Stehlampe"]}))
    assert result.data["results"][0]["entities"] == [SOFA_LAMP]
    assert await reload


@pytest.mark.usefixtures("entry")
async def test_clarified_to_the_end(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    for area in ("living_room", "bedroom"):
        home.add("light", f"lamp_{area.partition('_')[0]}", "Lamp", area)
    await async_let_sync(hass, entry)
    asked = await ask(hass, "clarify", query="turn on the lamp")
    assert asked.keys() == {"status", "question", "options", "clarification_id"}
    assert asked["status"] == "question"
    assert all(option in asked["question"] for option in asked["options"])
    answer = {"clarification_id": asked["clarification_id"], "answer": "the lamp in the bedroom"}
    # Somebody else's question is nobody's.
    stranger = MockUser().add_to_hass(hass)
    refused = await use(hass, "clarify", answer, context=Context(user_id=stranger.id))
    assert refused.error
    resolved = await ask(hass, "clarify", **answer)
    lamp = {"name": "Lamp", "entity_id": "light.lamp_bedroom", "area": "Bedroom", "domain": "light"}
    assert resolved == {"status": "resolved", "entities": [lamp]}
    assert (await use(hass, "clarify", answer)).error, "it is answered once"
    assert (await act(hass, "list_knowledge"))["total"] == 0, "what an agent says teaches nothing"

    german = await ask(hass, "clarify", {"language": "de"}, query="Lampe an")
    assert german["status"] == "question"
    assert german["question"] != asked["question"]
    here = await ask(hass, "clarify", {"device_id": satellite_in(home, "bedroom")}, query="turn on the lamp")
    assert here == {"status": "resolved", "entities": [lamp]}
    nothing = await ask(hass, "clarify", {"language": "*"}, query="the capital of France")
    assert nothing == {"status": "none", "entities": []}


SECRET = {"light.secret_lamp", "automation.secret_plan", "script.secret_service", "fan.secret_fan"}


@pytest.fixture
async def secrets(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> MockConfigEntry:
    """Hide some things from Assist that the index holds, in a house where all of it is in the index."""
    home.add("light", "secret_lamp", "Secret lamp", "bedroom", ("Geheimlampe",))
    home.add("fan", "secret_fan", "Secret fan", "bedroom")
    hot = {"device_class": "temperature", "unit_of_measurement": "°C", "friendly_name": "Bedroom temperature"}
    home.add("sensor", "temperature", "Bedroom temperature", "bedroom")
    home.entities.async_update_entity("sensor.temperature", device_class="temperature")
    hass.states.async_set("sensor.temperature", "20", hot)
    use_it = [{"action": "light.turn_on", "target": {"entity_id": "light.secret_lamp"}}]
    open_one = [{"action": "light.turn_on", "target": {"entity_id": "light.sofa_lamp"}}]
    plans = [
        {"id": "plan", "alias": "Secret plan", "triggers": [], "actions": open_one},
        {"id": "evening", "alias": "Cosy evening", "triggers": [], "actions": open_one},
        {"id": "both", "alias": "Cosy night", "triggers": [], "actions": [*open_one, *use_it]},
    ]
    scripts = {"secret_service": {"sequence": open_one}, "cosy_reading": {"sequence": open_one}}
    assert await async_setup_component(hass, "automation", {"automation": plans})
    assert await async_setup_component(hass, "script", {"script": scripts})
    for entity_id in SECRET | {"lock.front_door"}:
        async_expose_entity(hass, "conversation", entity_id, False)
    for entity_id in ("automation.cosy_evening", "automation.cosy_night", "script.cosy_reading", "sensor.temperature"):
        async_expose_entity(hass, "conversation", entity_id, True)
    hass.config_entries.async_update_entry(entry, options={CONF_SCOPE: SCOPE_ALL})
    await hass.config_entries.async_reload(entry.entry_id)
    await entry.runtime_data.async_rebuild()
    await async_wait_complete(entry)
    for text, about in (
        ("The secret lamp hums at night, that is normal", ["light.secret_lamp"]),
        ("The sofa lamp hums at night, that is normal", ["light.sofa_lamp"]),
        ("The bins are emptied on Tuesday", []),
    ):
        await act(hass, "add_knowledge", text=text, metadata={"entity_ids": about} if about else {})
    await async_wait_complete(entry)
    return entry


async def everything_said(hass: HomeAssistant, **said: Any) -> str:
    """Ask all tools about what is hidden, and write down all that they say, but for what was asked."""
    names = ["Secret lamp", "Geheimlampe", "light.secret_lamp", "the secret light in the bedroom", "all lights"]
    names += ["turn on everything", "front door", "the fan"]
    fan = "turn the fan on when the bedroom is hot"
    answers = [
        [found["entities"] for found in await find(hass, *names, said=said)],
        *[await ask(hass, "clarify", said, query=query) for query in ("turn on the light", "the secret lamp", "a fan")],
        *[
            await ask(hass, "search_knowledge", said, query=query)
            for query in ("secret lamp", "which lamp hums", "secret plan", "cosy", "secret service")
        ],
        await ask(hass, "suggest", said, yaml=True),
        await ask(hass, "suggest", said, goal=fan, area="Bedroom", yaml=True),
    ]
    return json.dumps(answers)


@pytest.mark.usefixtures("secrets")
async def test_nothing_is_told_of_what_is_not_exposed(hass: HomeAssistant) -> None:
    response = await act(hass, "match_devices", query="the secret lamp")
    assert response["entity_ids"] == ["light.secret_lamp"], "the index knows it"
    known = await act(hass, "search_knowledge", query="secret plan", types=["automation"])
    assert known["results"][0]["metadata"]["name"] == "Secret plan"

    said = await everything_said(hass)
    assert "secret" not in said.casefold()
    assert "geheim" not in said.casefold()
    assert "lock.front_door" not in said
    assert await meant(hass, "Secret lamp") != ("match", {"light.secret_lamp"})
    assert "light.bedside" in said
    ideas = (await ask(hass, "suggest", goal="turn the fan on when the bedroom is hot"))["suggestions"]
    assert set(ideas[0]["entities"]) == {"sensor.temperature", "fan.ceiling_fan"}


@pytest.mark.usefixtures("secrets")
async def test_knowledge_that_is_told(hass: HomeAssistant) -> None:
    async def texts(query: str) -> list[str]:
        results = (await ask(hass, "search_knowledge", query=query))["results"]
        assert len(results) <= MAX_PIECES
        assert all(result.keys() == {"type", "text"} for result in results)
        return [result["text"] for result in results]

    assert (await texts("when does the garbage truck come"))[0] == "The bins are emptied on Tuesday"
    assert (await texts("which lamp hums"))[0] == "The sofa lamp hums at night, that is normal"
    cosy = await texts("cosy")
    assert any(text.startswith("Cosy evening") for text in cosy)
    assert any(text.startswith("cosy_reading") for text in cosy)
    assert not any(text.startswith("Cosy night") for text in cosy), "it uses something hidden, too"
    asked = {"query": "motion-activated light"}
    assert "blueprint" in {result["type"] for result in (await act(hass, "search_knowledge", **asked))["results"]}
    told = (await ask(hass, "search_knowledge", **asked))["results"]
    assert "blueprint" not in {result["type"] for result in told}, "it is neither about the home nor the household's"
    await act(hass, "add_knowledge", text="The boiler: " + "it knocks twice, " * 100)
    [long, *_] = await texts("boiler knocks")
    assert len(long) == MAX_PIECE_LENGTH


@pytest.mark.usefixtures("secrets")
async def test_the_users_own_rights_count_too(hass: HomeAssistant) -> None:
    user = MockUser().add_to_hass(hass)
    readable = {"light.sofa_lamp", "light.secret_lamp"}
    user.mock_policy({"entities": {"entity_ids": {entity_id: {"read": True} for entity_id in readable}}})
    said = {"context": Context(user_id=user.id)}
    answers = json.loads(await everything_said(hass, **said))
    told = {entity["entity_id"] for entities in answers[0] for entity in entities}
    assert told == {"light.sofa_lamp"}
    assert await meant(hass, "Bedside light", said=said) != ("match", {"light.bedside"})
    pieces = (await ask(hass, "search_knowledge", said, query="cosy"))["results"]
    assert not any(piece["type"] in ("automation", "script") for piece in pieces)
    assert (await ask(hass, "suggest", said, goal="fan"))["suggestions"] == []
    unknown = await use(hass, "find_entities", {"names": ["Sofa lamp"]}, context=Context(user_id="nobody"))
    assert unknown.error
    assert unknown.data["error"]


@pytest.mark.usefixtures("nameless")
async def test_an_assistant_to_whom_nothing_can_be_exposed(hass: HomeAssistant, home: Home) -> None:
    before = home.entities.async_get("light.sofa_lamp").options
    api = await api_of(hass)
    with patch.object(api, "llm_context", agent(hass, assistant="ai_task")):
        result = await api.async_call_tool(ToolInput(f"{DOMAIN}__find_entities", {"names": ["Sofa lamp"]}))
    assert result.data["results"] == [{"name": "Sofa lamp", "decision": "none", "entities": []}]
    assert "ai_task" not in home.entities.async_get("light.sofa_lamp").options
    assert home.entities.async_get("light.sofa_lamp").options.keys() >= before.keys()


@pytest.mark.usefixtures("entry")
async def test_suggestions_are_short(hass: HomeAssistant) -> None:
    [first, *_] = (await ask(hass, "suggest", area="Bedroom"))["suggestions"]
    assert {"title", "why", "entities"} <= first.keys() <= {"title", "why", "entities", "requires_confirmation"}
    assert all(hass.states.get(entity_id) for entity_id in first["entities"])
    [whole, *_] = (await ask(hass, "suggest", area="Bedroom", yaml=True))["suggestions"]
    assert whole["title"] == first["title"]
    assert "triggers:" in whole["yaml"]


@pytest.mark.usefixtures("nameless")
async def test_the_own_api_does_without_the_list(hass: HomeAssistant, home: Home) -> None:
    assert await async_setup_component(hass, "intent", {})
    home.areas.async_create("Empty room")
    assist, own = await api_of(hass), await api_of(hass, DOMAIN)
    assert {tool.name for tool in own.tools} == {tool.name for tool in assist.tools}
    assert "intent__HassTurnOn" in {tool.name for tool in own.tools}
    assert "Sofa lamp" in assist.api_prompt
    assert "Sofa lamp" not in own.api_prompt
    assert "Areas: Bedroom, Kitchen, Living room" in own.api_prompt
    assert "Empty room" not in own.api_prompt
    assert f"{DOMAIN}__find_entities" in own.api_prompt
    result = await own.async_call_tool(ToolInput(f"{DOMAIN}__find_entities", {"names": ["Stehlampe"]}))
    assert result.data["results"][0]["entities"] == [SOFA_LAMP]
    live = await own.async_call_tool(ToolInput("homeassistant__GetLiveContext", {"name": "Sofa lamp"}))
    assert "state: 'off'" in live.data["result"]
    # Where both are merged, each tool is needed once.
    by_name = {tool.name: tool for tool in assist.tools}
    assert all(by_name[tool.name] == tool and tool == by_name[tool.name] for tool in own.tools)
    assert FindEntities() == FindEntities()
    assert len({FindEntities(), FindEntities()}) == 1


async def test_the_own_api_is_assist_while_no_home_is_loaded(hass: HomeAssistant, nameless: MockConfigEntry) -> None:
    await hass.config_entries.async_unload(nameless.entry_id)
    assist, own = await api_of(hass), await api_of(hass, DOMAIN)
    assert own.api_prompt == assist.api_prompt
    assert "Sofa lamp" in own.api_prompt


@pytest.mark.usefixtures("nameless")
async def test_the_own_api_survives_another_integrations_failure(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    assert await async_setup_component(hass, "intent", {})
    await api_of(hass)
    with patch("homeassistant.components.intent.llm.async_get_tools", side_effect=ValueError("unthought of")):
        own = await api_of(hass, DOMAIN)
    assert {DOMAIN, "homeassistant"} <= {tool.integration for tool in own.tools}
    assert "The LLM tools of intent are left out" in caplog.text


async def test_what_is_sent_of_a_large_home(hass: HomeAssistant) -> None:
    """What scripts/measure_prompt.py counts in tokens."""
    things = made_up(320)
    assert len({thing.names for thing in things}) == 320
    (assist, with_tools, own), look_up = await async_measure(hass, things, len)
    assert assist.prompt > sum(len(name) for thing in things for name in thing.names), "they are all listed"
    assert 0 < with_tools.prompt - assist.prompt < 500
    assert (with_tools.number, with_tools.tools) == (own.number, own.tools)
    assert assist.number == own.number - len(TOOLS)
    assert own.prompt < assist.prompt / 10
    assert 0 < look_up < 500
