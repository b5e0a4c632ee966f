"""What the household knows is added, found, changed, judged and ranked through the actions, on a real index."""

import asyncio
import json
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
import voluptuous as vol

from homeassistant.auth.models import Group
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers.json import json_bytes
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.const import CONF_ENGINE, CONF_FOLDER, CONF_MODEL, DOMAIN

from .conftest import MINILM
from .house import Home, async_let_sync, async_set_up, async_wait_complete
from .test_knowledge_services import call, config_file
from .test_learning import BEDROOM, LAMP, LIVING, import_rows, learnt, meant

WIFI = "The guest wifi password is on the fridge"
ROOM = "Anna's room is the attic"
# What UTF-8 cannot hold, and what is deeper than JSON is read.
HALF = "\ud800"
DEEP = json.loads("[" * 300 + "]" * 300)
BINS = "The paper bin is emptied every second Tuesday"


@pytest.fixture
async def letters(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    """Set up without a model, in a house with two lamps of one name."""
    for entity_id, area in ((LIVING, "living_room"), (BEDROOM, "bedroom")):
        home.add("light", entity_id.partition(".")[2], "Lamp", area)
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    return entry


@pytest.fixture
async def minilm(hass: HomeAssistant, home: Home, model_folder: str) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN, data={CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_FOLDER: model_folder}
    )
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    return entry


async def act(hass: HomeAssistant, action: str, context: Context | None = None, **data: Any) -> dict[str, Any]:
    response = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True, context=context
    )
    assert response is not None
    return response


async def add(hass: HomeAssistant, *texts: str, **data: Any) -> list[str]:
    return [(await act(hass, "add_knowledge", text=text, **data))["id"] for text in texts]


async def found(hass: HomeAssistant, query: str, context: Context | None = None, **data: Any) -> list[str]:
    response = await act(hass, "search_knowledge", context, query=query, **data)
    return [result["text"] for result in response["results"]]


def problem(err: pytest.ExceptionInfo[HomeAssistantError]) -> str | None:
    return err.value.translation_key


@pytest.mark.usefixtures("letters")
async def test_what_is_added_twice_is_one_piece(hass: HomeAssistant) -> None:
    first = await act(hass, "add_knowledge", text=f"  {WIFI} ", metadata={"who": "guests"}, language="en")
    again = await act(hass, "add_knowledge", text=WIFI, metadata={"who": "everybody"})
    other = await act(hass, "add_knowledge", text=WIFI, type="query")
    assert first == {"id": first["id"], "added": True}
    assert again == {"id": first["id"], "added": False}
    assert other["added"] and other["id"] != first["id"]
    rows = (await call(hass, "list", types="note"))["knowledge"]
    assert [(row["id"], row["text"], row["success_score"]) for row in rows] == [(first["id"], WIFI, 0.5)]
    assert rows[0]["metadata"] == {"source": "user", "who": "everybody", "language": "en"}
    await act(hass, "add_knowledge", text=WIFI)
    assert (await call(hass, "list", types="note"))["knowledge"][0]["metadata"] == rows[0]["metadata"], (
        "nothing is lost"
    )
    await act(hass, "add_knowledge", text=WIFI, metadata={"source": "library"})
    assert await found(hass, WIFI, types="note") == await found(hass, WIFI, limit=1) == [WIFI], (
        "it stays the user's own"
    )


async def test_found_by_meaning_and_by_letters(hass: HomeAssistant, minilm: MockConfigEntry) -> None:
    await add(hass, WIFI, ROOM, BINS)
    await async_wait_complete(minilm)
    response = await act(hass, "search_knowledge", query="how do visitors get onto the internet", limit=2)
    assert next(result["text"] for result in response["results"]) == WIFI
    assert len(response["results"]) == 2
    best = response["results"][0]
    assert best["type"] == "note" and best["source"] == "user"
    assert best["scores"]["dense"] > 1 and 0 < best["confidence"] <= 1
    assert (response["model"], response["degraded"], response["searched"]) == (MINILM, False, 3)
    assert (await found(hass, "who sleeps under the roof"))[0] == ROOM
    assert (await found(hass, "papper binn tuesdays", rerank=True))[0] == BINS


@pytest.mark.usefixtures("letters")
async def test_without_a_model_the_letters_find_it(hass: HomeAssistant) -> None:
    await add(hass, WIFI, ROOM, BINS)
    response = await act(hass, "search_knowledge", query="wifi pasword", rerank=True)
    assert response["results"][0]["text"] == WIFI
    assert (response["model"], response["degraded"]) == (None, True)
    assert response["results"][0]["scores"]["dense"] is None


@pytest.mark.usefixtures("letters")
async def test_filters_come_before_the_first_ten(hass: HomeAssistant) -> None:
    await add(hass, *(f"The lamp number {number} is in the cellar" for number in range(30)), metadata={"floor": -1})
    [attic] = await add(hass, "A lamp is in the attic", metadata={"floor": 2, "who": {"name": "Anna"}}, type="place")
    query = "the lamp in the cellar"
    for data in (
        {"types": "place"},
        {"metadata": {"floor": 2}},
        {"metadata": {"floor": {"gte": 1, "lt": 3}}},
        {"metadata": {"who.name": {"contains": "ann"}}},
        {"metadata": {"who": {"exists": True}}},
        {"metadata": {"floor": {"not_in": [-1]}}},
    ):
        response = await act(hass, "search_knowledge", query=query, **data)
        assert [result["id"] for result in response["results"]] == [attic], data
        assert response["searched"] == 1
    assert await found(hass, query, min_confidence=1) == []
    assert len(await found(hass, query, limit=3)) == 3


@pytest.mark.usefixtures("letters")
async def test_a_change_keeps_what_is_not_given(hass: HomeAssistant) -> None:
    [number] = await add(hass, WIFI, metadata={"who": "guests"}, language="en")
    await act(hass, "rate", id=number, outcome="success")
    changed = await act(hass, "update_knowledge", id=number, text="The wifi password is in the drawer")
    assert changed["id"] != number
    [row] = (await call(hass, "list"))["knowledge"]
    assert row["id"] == changed["id"] and row["text"] == "The wifi password is in the drawer"
    assert row["metadata"] == {"source": "user", "who": "guests", "language": "en"}
    assert row["success_score"] == pytest.approx(0.6)
    again = await act(hass, "update_knowledge", id=row["id"], metadata={"room": "hall"})
    assert again == {"id": row["id"]}
    [row] = (await call(hass, "list"))["knowledge"]
    assert row["metadata"] == {"source": "user", "language": "en", "room": "hall"}
    assert await found(hass, "fridge") == [row["text"]], "the only one there is"
    response = await act(hass, "search_knowledge", query="fridge")
    assert response["results"][0]["confidence"] < 0.2


@pytest.mark.usefixtures("letters")
async def test_judgements_move_the_rank_and_never_alone(hass: HomeAssistant) -> None:
    good, bad = await add(hass, "The bin is emptied on Monday", "The bin is emptied on Friday")
    for _ in range(3):
        await act(hass, "rate", id=good, outcome="success")
        await act(hass, "rate", id=bad, score=0)
    results = (await act(hass, "search_knowledge", query="when is the bin emptied"))["results"]
    assert [result["id"] for result in results] == [good, bad]
    assert results[0]["success_score"] == pytest.approx(5 / 7, abs=0.01)
    assert results[1]["success_score"] == pytest.approx(2 / 10, abs=0.01)
    assert results[0]["confidence"] / results[1]["confidence"] < 1.2
    [first, *_] = await found(hass, "the bin on friday")
    assert "Friday" in first, "what is said more exactly is ahead of what has served better"


async def test_a_confirmed_match_is_right_the_next_time(hass: HomeAssistant, letters: MockConfigEntry) -> None:
    assert await meant(hass) == []
    asked = await act(hass, "match_devices", query="turn on the bedroom lamp")
    assert asked["entity_ids"] == [BEDROOM]
    assert (await act(hass, "rate", result_id=asked["result_id"], outcome="success"))["success_score"] == 0.6
    assert [row["metadata"]["entity_ids"] for row in await learnt(hass)] == [[BEDROOM]]

    # A guess that was learnt, and turned out to be wrong.
    await import_rows(hass, {"text": LAMP, "metadata": {"entity_ids": [LIVING], "language": "en", "source": "user"}})
    assert await meant(hass) == [LIVING]
    answer = await act(hass, "clarify", query=LAMP)
    assert answer["entity_ids"] == [LIVING]
    rated = await act(hass, "rate", result_id=answer["result_id"], outcome="failure")
    assert rated["success_score"] < 0.5
    assert await meant(hass) == [], "it asks again"
    letters.runtime_data.results._results.clear()
    with pytest.raises(ServiceValidationError) as err:
        await act(hass, "rate", result_id=answer["result_id"], outcome="failure")
    assert problem(err) == "unknown_result"


@pytest.mark.usefixtures("letters")
async def test_a_garage_door_is_never_learnt(hass: HomeAssistant) -> None:
    answer = await act(hass, "match_devices", query="open the garage door")
    assert answer["entity_ids"] == ["cover.garage"]
    assert await act(hass, "rate", result_id=answer["result_id"], outcome="success") == {
        "id": None,
        "success_score": None,
    }
    assert await learnt(hass) == []


async def test_candidates_from_elsewhere_are_ranked(hass: HomeAssistant, minilm: MockConfigEntry) -> None:
    assert minilm.runtime_data.model == MINILM
    candidates = ["The lights go off at ten", {"id": 7, "text": "The heating is turned down every night"}, "Play jazz"]
    response = await act(hass, "rerank", query="make it colder while we sleep", candidates=candidates, limit=2)
    assert (response["model"], response["degraded"]) == (MINILM, False)
    assert next((result["id"], result["index"]) for result in response["results"]) == (7, 1)
    scores = [result["score"] for result in response["results"]]
    assert len(scores) == 2 and scores == sorted(scores, reverse=True)


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(
    ("action", "data", "key"),
    [
        ("add_knowledge", {"text": " "}, "empty_text"),
        ("add_knowledge", {"text": "x" * 4001}, "text_too_long"),
        ("add_knowledge", {"text": "x", "type": "t" * 65}, "text_too_long"),
        ("add_knowledge", {"text": "x", "metadata": {"a": "b" * 8000}}, "metadata_too_long"),
        ("add_knowledge", {"text": "x", "metadata": {"a": float("nan")}}, "metadata_not_json"),
        ("add_knowledge", {"text": "x", "metadata": {"a": {1, 2}}}, "metadata_not_json"),
        ("add_knowledge", {"text": "x", "metadata": {1: 2}}, "metadata_not_json"),
        ("add_knowledge", {"text": "x", "metadata": {"a": [HALF]}}, "metadata_not_json"),
        ("add_knowledge", {"text": "x", "metadata": {"a": 2**64}}, "metadata_not_json"),
        ("add_knowledge", {"text": "x", "metadata": {"a": DEEP}}, "metadata_not_json"),
        ("update_knowledge", {"id": "none"}, "unknown_knowledge"),
        ("rate", {"id": "none", "outcome": "success"}, "unknown_knowledge"),
        ("rate", {"result_id": "none", "outcome": "success"}, "unknown_result"),
        ("search_knowledge", {"query": ""}, "empty_text"),
        ("search_knowledge", {"query": "x", "metadata": {"a": {"like": 1}}}, "unknown_operator"),
        ("search_knowledge", {"query": "x", "generation": "building"}, "no_generation"),
        ("rerank", {"query": "x", "candidates": []}, "wrong_number_of_texts"),
        ("rerank", {"query": "x", "candidates": ["y"] * 201}, "wrong_number_of_texts"),
        ("rerank", {"query": "x", "candidates": [{"id": 1}]}, "bad_candidate"),
        ("rerank", {"query": "x", "candidates": [{"id": 2**64, "text": "y"}]}, "bad_candidate"),
        ("rerank", {"query": "x", "candidates": [HALF]}, "bad_candidate"),
    ],
)
async def test_bad_input_is_explained(hass: HomeAssistant, action: str, data: dict[str, Any], key: str) -> None:
    with pytest.raises(ServiceValidationError) as err:
        await act(hass, action, **data)
    assert problem(err) == key
    assert (await call(hass, "list"))["total"] == 0


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("add_knowledge", {"text": HALF}),
        ("add_knowledge", {"text": "x", "type": HALF}),
        ("add_knowledge", {"text": "x", "language": HALF}),
        ("add_knowledge", {"text": "x", "language": "l" * 65}),
        ("update_knowledge", {"id": HALF, "text": "x"}),
        ("rate", {"id": HALF, "outcome": "success"}),
        ("list_knowledge", {"types": [HALF]}),
        ("list_knowledge", {"source": HALF}),
        ("list_knowledge", {"offset": 2**63}),
        ("delete_knowledge", {"id": HALF}),
        ("search_knowledge", {"query": HALF}),
        ("find_patterns", {"query": HALF}),
        ("suggest_automations", {"goal": HALF}),
    ],
)
async def test_what_cannot_be_kept_is_refused_at_once(hass: HomeAssistant, action: str, data: dict[str, Any]) -> None:
    with pytest.raises(vol.Invalid):
        await act(hass, action, **data)
    assert (await call(hass, "list"))["total"] == 0


async def test_a_file_brings_nothing_that_cannot_be_shown(hass: HomeAssistant, letters: MockConfigEntry) -> None:
    rows = [{"text": str(number), "metadata": {"a": value}} for number, value in enumerate((2**64, HALF, DEEP, 1))]
    content = "".join(f"{json.dumps({'knowledge_type': 'note', **row})}\n" for row in rows)
    config_file(hass, "rows.jsonl", content)
    counts = await call(hass, "import", path="rows.jsonl")
    assert (counts["added"], counts["skipped"]) == (1, 3)
    json_bytes(await call(hass, "list"))


@pytest.mark.usefixtures("letters")
async def test_two_that_would_say_the_same(hass: HomeAssistant) -> None:
    first, second = await add(hass, WIFI, ROOM)
    with pytest.raises(ServiceValidationError) as err:
        await act(hass, "update_knowledge", id=second, text=WIFI)
    assert problem(err) == "known_already"
    assert {row["id"] for row in (await call(hass, "list"))["knowledge"]} == {first, second}


@pytest.mark.usefixtures("letters")
async def test_writing_is_for_administrators_and_reading_for_who_may_see(
    hass: HomeAssistant, hass_read_only_user: MockUser
) -> None:
    [lamp, number] = [
        *await add(hass, "The lamp is from Anna", metadata={"entity_id": BEDROOM}),
        *await add(hass, WIFI),
    ]
    guest = MockUser(groups=[Group("guests", {"entities": {"entity_ids": {LIVING: {"read": True}}}})]).add_to_hass(hass)
    for user in (hass_read_only_user, guest):
        context = Context(user_id=user.id)
        for action, data in (
            ("add_knowledge", {"text": "x"}),
            ("update_knowledge", {"id": number, "text": "x"}),
            ("rate", {"id": number, "outcome": "failure"}),
            ("rate", {"result_id": "any", "outcome": "failure"}),
        ):
            with pytest.raises(Unauthorized):
                await act(hass, action, context, **data)
    assert lamp != number
    assert await found(hass, "the lamp from Anna", Context(user_id=guest.id)) == [WIFI]
    assert len(await found(hass, "the lamp from Anna", Context(user_id=hass_read_only_user.id))) == 2


async def test_automations_are_found_and_keep_what_they_earned(hass: HomeAssistant, minilm: MockConfigEntry) -> None:
    away = {
        "alias": "Leave house",
        "triggers": [{"trigger": "state", "entity_id": "person.anna", "to": "not_home"}],
        "actions": [{"action": "climate.turn_off", "target": {"entity_id": "climate.heating"}}],
    }
    other = {"alias": "Doorbell", "triggers": [], "actions": [{"action": "light.toggle", "entity_id": "light.bedside"}]}
    assert await async_setup_component(hass, "automation", {"automation": [away, other]})
    await async_let_sync(hass, minilm)
    query = "do I already have something that turns the heating down when nobody is home?"
    response = await act(hass, "search_knowledge", query=query, types="automation")
    best = response["results"][0]
    assert best["metadata"]["entity_id"] == "automation.leave_house"
    assert best["source"] == "home"
    await act(hass, "rate", id=best["id"], outcome="success")
    await hass.services.async_call(DOMAIN, "rebuild_index", {}, blocking=True)
    await async_wait_complete(minilm)
    again = (await act(hass, "search_knowledge", query=query, types="automation"))["results"][0]
    assert (again["id"], again["success_score"]) == (best["id"], 0.6)


@pytest.mark.patterns
async def test_patterns_are_found_by_meaning_and_only_when_asked_for(
    hass: HomeAssistant, minilm: MockConfigEntry
) -> None:
    assert minilm.runtime_data.model == MINILM
    query = "make the house seem occupied during our vacation"
    first = (await act(hass, "find_patterns", query=query))["patterns"][0]
    assert first["id"] == "look_lived_in"
    [best] = (await act(hass, "search_knowledge", query=query, types="pattern", limit=1))["results"]
    assert (best["id"], best["source"]) == ("look_lived_in", "library")
    assert (await act(hass, "search_knowledge", query=query))["results"] == []
    await act(hass, "rate", id="look_lived_in", outcome="failure")
    rated = (await act(hass, "find_patterns", query=query))["patterns"]
    assert next(one["score"] for one in rated if one["id"] == "look_lived_in") < first["score"]


async def test_many_ask_and_write_at_once(hass: HomeAssistant, minilm: MockConfigEntry) -> None:
    notes = [f"{BINS} in street {number}" for number in range(20)]
    answers = await asyncio.gather(*(add(hass, note) for note in notes), *(found(hass, WIFI) for _ in range(20)))
    assert len({number for numbers in answers[:20] for number in numbers}) == 20
    await async_wait_complete(minilm)
    assert len(await found(hass, BINS, limit=50)) == 20
