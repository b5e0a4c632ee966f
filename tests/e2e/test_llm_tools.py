"""An agent that looks up what is meant and acts on it, outside of a real Home Assistant.

One process serves all tests of this file, in their order.
"""

import pytest

from .harness import mcp, semantic_home
from .harness.client import Client
from .harness.house import House
from .harness.mcp import Agent, AgentError
from .questions import SOFA_LAMP

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(900)]

OURS = {f"semantic_home__{name}" for name in ("find_entities", "clarify", "search_knowledge", "suggest")}
FIND = "semantic_home__find_entities"


async def test_the_home_and_the_server_are_set_up(client: Client):
    await semantic_home.add(client)
    await semantic_home.wait_for_index(client)
    await mcp.serve(client)


async def test_the_tools_are_served_once_each(client: Client):
    """By default the server merges all APIs, that of Assist and that of Semantic Home among them."""
    tools = await Agent(client).tools()
    assert tools.keys() >= {*OURS, "intent__HassTurnOn"}
    assert not [name for name in tools if name.startswith(("assist__", "semantic-home__"))]
    for name in OURS:
        hints = tools[name]["annotations"]
        assert (hints["readOnlyHint"], hints["destructiveHint"], hints["openWorldHint"]) == (True, False, False)
    assert tools[FIND]["inputSchema"]["required"] == ["names"]


@pytest.mark.parametrize("api_id", ["assist", "semantic_home"])
async def test_what_is_meant_is_found_and_turned_on(client: Client, api_id: str):
    agent = Agent(client, api_id)
    [found] = (await agent.use(FIND, names=["the lamp next to the couch"]))["results"]
    assert found["decision"] == "match"
    [lamp] = found["entities"]
    assert lamp == {"name": "Sofa lamp", "entity_id": SOFA_LAMP, "area": "Living Room", "domain": "light"}
    for action, state in (("TurnOff", "off"), ("TurnOn", "on")):
        await agent.use(f"intent__Hass{action}", name=lamp["name"], area=lamp["area"], domain=[lamp["domain"]])
        assert (await client.get(f"/api/states/{SOFA_LAMP}"))["state"] == state


async def test_names_as_agents_write_them(client: Client):
    names = ["Fairy lights, Christmas lights", f'"{SOFA_LAMP}"', "openable lock", "the capital of France"]
    results = (await Agent(client, "assist").use(FIND, names=names))["results"]
    found = [(one["decision"], [entity["entity_id"] for entity in one["entities"]]) for one in results]
    assert found[:2] == [("match", ["switch.decorative_lights"]), ("match", [SOFA_LAMP])]
    assert "lock.openable_lock" not in found[2][1], "it is not exposed"
    assert found[3] == ("none", [])


async def test_the_question_goes_to_the_user_and_back(client: Client):
    agent = Agent(client, "assist")
    asked = await agent.use("semantic_home__clarify", query="turn on the light")
    assert asked["status"] == "question"
    answer = {"clarification_id": asked["clarification_id"], "answer": "the one in the kitchen"}
    resolved = await agent.use("semantic_home__clarify", **answer)
    assert resolved["status"] == "resolved"
    assert [entity["area"] for entity in resolved["entities"]] == ["Kitchen"]
    with pytest.raises(AgentError, match="Begin again"):
        await agent.use("semantic_home__clarify", **answer)


async def test_the_own_api_lists_no_devices(client: Client):
    assist, own = await Agent(client, "assist").prompt(), await Agent(client, "semantic_home").prompt()
    assert "Sofa lamp" in assist
    assert "Sofa lamp" not in own
    assert "Living Room" in own
    assert FIND in own


async def test_bad_arguments_are_explained(client: Client):
    with pytest.raises(AgentError, match="no area Atlantis"):
        await Agent(client, "assist").use(FIND, names=["lamp"], area="Atlantis")


def test_nothing_in_the_log_is_ours(house: House):
    house.stop()
    assert "\n".join(house.complaints) == ""
