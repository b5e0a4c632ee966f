"""A real Home Assistant process, set up and asked from outside: the whole path at once.

One process serves all tests of this file, in their order.
"""

import math
import sqlite3

import pytest

from .harness import semantic_home
from .harness.client import Client, CommandRefusedError, JsonObject, RefusedError
from .harness.flow import FlowFailedError
from .harness.folder import MODELS, MODELS_FOLDER, HomeFolder
from .harness.home import Home, furnish
from .harness.house import House, eventually
from .harness.semantic_home import Choice
from .questions import COUCH, SOFA_LAMP

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(900)]

DOMAIN = semantic_home.DOMAIN


@pytest.fixture(scope="module")
def home_folder(home_folder: HomeFolder) -> HomeFolder:
    home_folder.lay_out(MODELS / semantic_home.PORTABLE_MODEL)
    return home_folder


async def _entry(client: Client) -> JsonObject:
    [entry] = await client.entries(DOMAIN)
    return entry


async def test_furnishing_twice_changes_nothing(client: Client):
    async with client.websocket() as socket:
        assert await furnish(socket, Home.load()) == 0


async def test_flow_names_the_field_of_a_folder_that_cannot_be_used(client: Client):
    with pytest.raises(FlowFailedError, match="folder"):
        await semantic_home.add(client, choice=Choice(folder="../elsewhere"))
    with pytest.raises(FlowFailedError, match="folder"):
        await semantic_home.add(client, choice=Choice(folder="semantic_home_models/missing"))
    assert await client.entries(DOMAIN) == []


async def test_flow_sets_the_integration_up(client: Client):
    shown: list[str] = []
    result = await semantic_home.add(client, lambda progress: shown.append(progress["progress_action"]))
    assert result["type"] == "create_entry"
    assert {"install", "load"} >= set(shown) != set()
    assert (await _entry(client))["state"] == "loaded"


async def test_only_one_entry_is_possible(client: Client):
    with pytest.raises(FlowFailedError, match="single_instance_allowed"):
        await semantic_home.add(client)


async def test_the_index_fills(client: Client):
    await semantic_home.wait_for_index(client)


async def test_couch_lamp_is_found(client: Client):
    response = await semantic_home.match(client, COUCH)
    assert (response["decision"], response["entity_ids"]) == ("match", [SOFA_LAMP])
    assert response["model"] == semantic_home.MODEL
    best = response["candidates"][0]
    assert (best["entity_id"], best["name"], best["area"]) == (SOFA_LAMP, "Sofa lamp", "Living Room")
    assert 0 < response["confidence"] <= 1
    assert 0 < best["confidence"] <= 1
    assert best["reason"]


async def test_what_is_no_device_matches_nothing(client: Client):
    response = await semantic_home.match(client, "what is the capital of France")
    assert (response["decision"], response["entity_ids"]) == ("none", [])


async def test_filters_limit_the_answer(client: Client):
    response = await semantic_home.match(client, "lamp", area_id="bedroom", domain="light")
    assert {candidate["entity_id"] for candidate in response["candidates"]} == {"light.bed_light"}


async def test_what_is_not_exposed_is_not_found(client: Client):
    response = await semantic_home.match(client, "openable lock", limit=50)
    assert "lock.openable_lock" not in {candidate["entity_id"] for candidate in response["candidates"]}


async def test_conversation_turns_on_what_is_described(client: Client):
    for wish, state in (("turn off", "off"), ("please turn on", "on")):
        answer = await semantic_home.say(client, f"{wish} the lamp next to the couch")
        assert answer["response"]["response_type"] == "action_done", answer
        assert [target["id"] for target in answer["response"]["data"]["success"]] == [SOFA_LAMP]
        assert (await client.get(f"/api/states/{SOFA_LAMP}"))["state"] == state
    await semantic_home.say(client, "set the lamp next to the couch to 30 percent")
    assert (await client.get(f"/api/states/{SOFA_LAMP}"))["attributes"]["brightness"] == round(0.3 * 255)


async def test_conversation_asks_when_several_fit_and_acts_on_the_answer(client: Client):
    asked = await semantic_home.say(client, "close the window cover")
    assert asked["continue_conversation"]
    assert "Hall Window" in _speech(asked)
    assert "Kitchen Window" in _speech(asked)
    answered = await semantic_home.say(client, "the one in the hall", asked["conversation_id"])
    assert not answered["continue_conversation"]
    assert [target["id"] for target in answered["response"]["data"]["success"]] == ["cover.hall_window"]
    assert (await client.get("/api/states/cover.hall_window"))["state"] in {"closing", "closed"}


async def test_conversation_opens_no_lock_on_a_guess(client: Client):
    async def locks() -> set[str]:
        return {(await client.get(f"/api/states/lock.{name}_door"))["state"] for name in ("front", "kitchen")}

    before = await locks()
    refused = await semantic_home.say(client, "open the frontdoor lock")
    assert (refused["response"]["response_type"], refused["continue_conversation"]) == ("error", False)
    assert "Front Door" in _speech(refused)
    asked = await semantic_home.say(client, "unlock the door")
    assert asked["continue_conversation"]
    assert "Front Door" in _speech(asked)
    assert "Kitchen Door" in _speech(asked)
    await semantic_home.say(client, "never mind", asked["conversation_id"])
    assert await locks() == before == {"locked", "unlocked"}


async def test_rename_is_noticed(client: Client):
    async with client.websocket() as socket:
        [entry] = (await socket.command("config/entity_registry/get_entries", entity_ids=[SOFA_LAMP])).values()

        async def rename(name: str) -> list[JsonObject]:
            await socket.command("config/device_registry/update", device_id=entry["device_id"], name_by_user=name)
            return await eventually(
                lambda: _candidates(client, name),
                lambda candidates: bool(candidates) and candidates[0]["name"] == name,
            )

        candidates = await rename("Zeppelin")
        assert (candidates[0]["entity_id"], candidates[0]["name"]) == (SOFA_LAMP, "Zeppelin")
        candidates = await rename("Sofa lamp")
        assert (candidates[0]["entity_id"], candidates[0]["name"]) == (SOFA_LAMP, "Sofa lamp")


async def _candidates(client: Client, query: str) -> list[JsonObject]:
    candidates: list[JsonObject] = (await semantic_home.match(client, query))["candidates"]
    return candidates


@pytest.mark.parametrize(
    ("data", "said", "key"),
    [
        ({"query": "  "}, "query must not be empty", "empty_text"),
        ({"query": "x" * 501}, "501 characters", "text_too_long"),
        ({"query": "light", "area_id": "atlantis"}, "no area atlantis", "unknown_area"),
    ],
)
async def test_bad_input_is_explained(client: Client, data: JsonObject, said: str, key: str):
    with pytest.raises(RefusedError, match=said) as over_rest:
        await client.action(DOMAIN, "match_devices", data)
    assert over_rest.value.status == 400
    async with client.websocket() as socket:
        with pytest.raises(CommandRefusedError) as over_websocket:
            await socket.action(DOMAIN, "match_devices", data)
    assert over_websocket.value.error["code"] == "service_validation_error"
    assert over_websocket.value.error["translation_key"] == key


async def test_home_assistant_accepts_what_is_suggested(client: Client):
    response = await client.action(DOMAIN, "suggest_automations", {"limit": 50})
    titles = [suggestion["title"] for suggestion in response["suggestions"]]
    assert len(titles) >= 5
    async with client.websocket() as socket:
        for suggestion in response["suggestions"]:
            parts = {part: suggestion["automation"][part] for part in ("triggers", "conditions", "actions")}
            checked = await socket.command("validate_config", **parts)
            assert checked == {part: {"valid": True, "error": None} for part in parts}, suggestion["title"]
        assert not [
            state for state in await socket.command("get_states") if state["entity_id"].startswith("automation.")
        ]
    [bedroom, *_] = (await client.action(DOMAIN, "find_patterns", {"query": "wake me up with light"}))["patterns"]
    assert (bedroom["id"], bedroom["area_id"], bedroom["complete"]) == ("wake_up_light", "bedroom", True)


async def test_knowledge_is_kept_found_judged_and_removed(client: Client):
    notes = ("The guest wifi password is on the fridge", "The bins are emptied on Tuesday")
    ids = [(await client.action(DOMAIN, "add_knowledge", {"text": text}))["id"] for text in notes]
    query = {"query": "how do visitors get onto the internet", "types": ["note"]}
    found = await eventually(
        lambda: client.action(DOMAIN, "search_knowledge", query),
        lambda found: all(result["scores"]["dense"] is not None for result in found["results"]),
    )
    assert [result["id"] for result in found["results"]] == ids
    assert (await client.action(DOMAIN, "search_knowledge", query | {"rerank": True}))["results"][0]["id"] == ids[0]
    for _ in range(3):
        rated = await client.action(DOMAIN, "rate", {"id": ids[1], "outcome": "success"})
    assert rated["success_score"] == pytest.approx(5 / 7, abs=0.01)
    ranked = await client.action(
        DOMAIN, "rerank", {"query": "garbage collection", "candidates": [{"id": one, "text": one} for one in notes]}
    )
    assert ranked["results"][0]["text"] == notes[1]
    listed = await client.action(DOMAIN, "list_knowledge", {"types": ["note"]})
    assert {row["id"]: row["success_score"] for row in listed["knowledge"]} == {
        ids[0]: 0.5,
        ids[1]: pytest.approx(5 / 7),
    }
    with pytest.raises(RefusedError, match="2 pieces"):
        await client.action(DOMAIN, "delete_knowledge", {"types": ["note"]})
    assert await client.action(DOMAIN, "delete_knowledge", {"types": ["note"], "confirm": True}) == {"count": 2}
    assert (await client.action(DOMAIN, "search_knowledge", query))["results"] == []


async def test_embeddings_are_unit_vectors(client: Client):
    response = await client.action(DOMAIN, "generate_embeddings", {"texts": ["couch", "sofa", "tax return"]})
    assert (response["dimension"], response["model"]) == (384, semantic_home.MODEL)
    couch, sofa, tax_return = response["embeddings"]
    for vector in (couch, sofa, tax_return):
        assert len(vector) == 384
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)
    assert math.sumprod(couch, sofa) > math.sumprod(couch, tax_return)


async def test_rebuild_makes_all_vectors_anew(client: Client, house: House):
    _mark_vectors(house.process.folder)
    response = await client.action(DOMAIN, "rebuild_index")
    assert response["documents"] > 0
    await semantic_home.wait_for_index(client)
    assert _marked_vectors(house.process.folder) == 0
    assert (await semantic_home.match(client, COUCH))["entity_ids"] == [SOFA_LAMP]


async def test_reload(client: Client):
    entry = await _entry(client)
    answer = await client.post(f"/api/config/config_entries/entry/{entry['entry_id']}/reload")
    assert not answer["require_restart"]
    await semantic_home.wait_for_index(client)


async def test_unloaded_it_says_so_and_comes_back(client: Client):
    entry = await _entry(client)
    async with client.websocket() as socket:

        async def disable(by: str | None) -> None:
            await socket.command("config_entries/disable", entry_id=entry["entry_id"], disabled_by=by)

        await disable("user")
        assert (await _entry(client))["state"] == "not_loaded"
        with pytest.raises(RefusedError) as refused:
            await semantic_home.match(client, COUCH)
        assert refused.value.status == 400
        await disable(None)
    assert (await _entry(client))["state"] == "loaded"
    await semantic_home.wait_for_index(client)
    assert (await semantic_home.match(client, COUCH))["entity_ids"] == [SOFA_LAMP]


async def test_restart_keeps_the_vectors(house: House):
    async with house.client() as client:
        before = await semantic_home.match(client, COUCH)
    house.stop()
    marked = _mark_vectors(house.process.folder)
    house.process.start()
    async with house.client() as client:
        await client.wait_until_started()
        await semantic_home.wait_for_index(client)
        after = await semantic_home.match(client, COUCH)
    assert (after["entity_ids"], after["generation"]) == (before["entity_ids"], before["generation"])
    assert _marked_vectors(house.process.folder) == marked > 0


async def test_the_portable_engine_takes_over(client: Client, house: House):
    choice = Choice("numpy", folder=f"{MODELS_FOLDER}/{semantic_home.PORTABLE_MODEL}")
    before = await semantic_home.match(client, COUCH)
    await semantic_home.reconfigure(client, (await _entry(client))["entry_id"], choice)
    await semantic_home.wait_for_model(client, before["generation"])
    after = await semantic_home.match(client, COUCH)
    assert (after["decision"], after["entity_ids"]) == ("match", [SOFA_LAMP])
    assert after["generation"] != before["generation"], "these are the vectors of another file"


def test_nothing_in_the_log_is_ours(house: House):
    house.stop()
    assert "\n".join(house.complaints) == ""


def _speech(answer: JsonObject) -> str:
    return str(answer["response"]["speech"]["plain"]["speech"])


def _mark_vectors(folder: HomeFolder) -> int:
    """Mark all vectors in a column that this model leaves empty; a vector made anew has no mark."""
    with _database(folder) as database:
        return database.execute("UPDATE vector SET multivector = x'00'").rowcount


def _marked_vectors(folder: HomeFolder) -> int:
    with _database(folder) as database:
        [[count]] = database.execute("SELECT count(*) FROM vector WHERE multivector = x'00'")
    return int(count)


def _database(folder: HomeFolder) -> sqlite3.Connection:
    return sqlite3.connect(folder.config / "semantic_home.db", timeout=10)
