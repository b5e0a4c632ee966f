"""Two models are asked the same: the one that answers, and the one that is to come or the one that was before."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
import json
from pathlib import Path
import shutil
from typing import Any, Self
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser, async_fire_time_changed

from homeassistant.auth.const import GROUP_ID_ADMIN
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from custom_components.semantic_home import previous_model
from custom_components.semantic_home.asked_generation import GenerationChoice, GenerationSilentError
from custom_components.semantic_home.const import (
    CONF_ACTIVE,
    CONF_MODEL,
    CONF_PREVIOUS,
    CONF_REMEMBER_QUERIES,
    CONF_SPEC,
    DOMAIN,
    MAX_COMPARED,
)
from custom_components.semantic_home.embedding import EmbeddingLine
from custom_components.semantic_home.engine import Encoded, OpenVINOEncoder, Role, Server
from custom_components.semantic_home.home_index import EntityFilter, HomeIndex
from custom_components.semantic_home.index import UnknownGenerationError
from custom_components.semantic_home.matching import MatchRequest
from custom_components.semantic_home.model_choice import Engine, ModelChoice, own_settings, own_spec

from .conftest import MINILM
from .embedding_server import EmbeddingServer
from .house import Home, async_set_up, async_wait_complete
from .test_generations import data, swapped
from .test_init import our_threads
from .test_services import VARYING, match

COUCH = "turn off the lamp next to the couch"
GERMAN = "Mach die Lampe neben dem Sofa aus"
# What words and names tell, any model finds; about the others two models may think differently.
QUERIES = [
    *(COUCH, GERMAN, "öffne das Garagentor", "ich möchte fernsehen", "what is the capital of France?"),
    *("too dark to read on the settee", "something to watch tonight", "let the car in", "it is stuffy in here"),
    *("where we cook", "show me the football", "is anybody at the entrance"),
]
ALONE = [f"{DOMAIN}-encoder", f"{DOMAIN}-index_0"]
embed, encode = EmbeddingLine._embed, OpenVINOEncoder.encode


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home, model_folder: str) -> MockConfigEntry:
    return await set_up(hass, data(model_folder))


async def set_up(hass: HomeAssistant, data: dict[str, Any], **options: Any) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, data=data, options=options)
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    await hass.async_block_till_done()
    return entry


@pytest.fixture
async def changed(hass: HomeAssistant, entry: MockConfigEntry, portable_folder: str) -> MockConfigEntry:
    """The same entry after a change of model, of which nothing is in memory any more but the new one."""
    await wish(hass, entry, data(portable_folder))
    await swapped(entry, 1)
    await former_left(hass, entry)
    await pass_a_minute(hass)
    return entry


def other(folder: str) -> dict[str, Any]:
    """Describe another model: the same files, of which the first token's vector is taken, and not the mean of all."""
    return {**data(folder), CONF_MODEL: "first-token", CONF_SPEC: own_settings(own_spec("first-token", 384, "cls"))}


def served(server: EmbeddingServer) -> dict[str, Any]:
    """Describe the server's model, as the dialog does."""
    address = Server(f"{server.url}/embeddings", server.QUERY_MODEL, passage_model=server.PASSAGE_MODEL)
    spec = own_spec(server.QUERY_MODEL, server.DIMENSION, "remote")
    return ModelChoice(Engine.SERVER, spec, server=address).to_data({})


async def wish(hass: HomeAssistant, entry: MockConfigEntry, data: dict[str, Any]) -> None:
    known = {key: entry.data[key] for key in (CONF_ACTIVE, CONF_PREVIOUS) if key in entry.data}
    hass.config_entries.async_update_entry(entry, data={**data, **known})
    await hass.config_entries.async_reload(entry.entry_id)


async def former_left(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Wait until the former model has stopped after a change, and its vectors are about to leave memory."""
    async with asyncio.timeout(60):
        while entry.runtime_data._previous._end_idle is None:
            await hass.async_block_till_done()


async def pass_a_minute(hass: HomeAssistant) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await hass.async_block_till_done()


async def compare(hass: HomeAssistant, context: Context | None = None, **data: Any) -> dict[str, Any]:
    response = await hass.services.async_call(
        DOMAIN, "compare_models", data, blocking=True, return_response=True, context=context
    )
    assert response is not None
    return response


def in_memory(entry: MockConfigEntry) -> set[int]:
    """Give the generations whose vectors are held for searching."""
    return set(entry.runtime_data.index._opened._dense)


class Pause:
    """Stops the building of a new generation after its first texts, and leaves its model free."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._rounds = 0

    async def embed(self, line: EmbeddingLine, generation: int, texts: list[str]) -> bool:
        if line.begins:
            self._rounds += 1
            if self._rounds > 1:
                self.reached.set()
                await self.opened.wait()
        return await embed(line, generation, texts)

    def __enter__(self) -> Self:
        self._patches = [
            patch.object(EmbeddingLine, "_embed", autospec=True, side_effect=self.embed),
            patch("custom_components.semantic_home.embedding._TEXTS_A_ROUND", 20),
        ]
        for each in self._patches:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._patches:
            each.stop()

    async def wait(self, entry: MockConfigEntry) -> None:
        """Wait until the new one is half made, and the old one answers."""
        async with asyncio.timeout(60):
            await self.reached.wait()
        await async_wait_complete(entry)


async def test_each_generation_answers_with_its_own_model(
    hass: HomeAssistant, entry: MockConfigEntry, model_folder: str
) -> None:
    before = await match(hass, COUCH)
    with Pause() as pause:
        await wish(hass, entry, other(model_folder))
        await pause.wait(entry)
        active = await match(hass, COUCH, generation="active")
        building = await match(hass, COUCH, generation="building")
        assert (active["model"], active["generation"], active["degraded"]) == (MINILM, before["generation"], False)
        assert (building["model"], building["degraded"]) == ("first-token", True)
        assert building["generation"] == entry.runtime_data.status.building
        pause.opened.set()
        await swapped(entry, before["generation"])
    after, previous = await match(hass, COUCH), await match(hass, COUCH, generation="previous")
    assert (after["model"], after["generation"]) == ("first-token", building["generation"])
    assert previous | VARYING == before | VARYING, "to the last digit what it answered when it was active"
    with pytest.raises(ServiceValidationError) as refused:
        await match(hass, COUCH, generation="building")
    assert refused.value.translation_key == "no_generation"


async def test_the_previous_model_is_loaded_only_while_it_is_asked(
    hass: HomeAssistant, changed: MockConfigEntry
) -> None:
    assert (sorted(our_threads()), in_memory(changed)) == (ALONE, {2})
    home = changed.runtime_data
    async with home.async_asked(GenerationChoice.PREVIOUS) as asked:
        await pass_a_minute(hass)
        assert (await asked.async_query(COUCH)).generation == 1
        assert (len(our_threads()), in_memory(changed)) == (3, {1, 2})
    assert (await match(hass, COUCH))["generation"] == 2, "the active one is not touched"
    assert (await match(hass, COUCH, generation="previous"))["generation"] == 1
    await pass_a_minute(hass)
    assert (sorted(our_threads()), in_memory(changed)) == (ALONE, {2})
    assert (await match(hass, COUCH, generation="previous"))["entity_ids"] == ["light.sofa_lamp"]
    assert await hass.config_entries.async_unload(changed.entry_id)
    assert our_threads() == []


async def test_who_asks_at_once_shares_it(hass: HomeAssistant, changed: MockConfigEntry) -> None:
    with patch.object(previous_model, "async_load", side_effect=previous_model.async_load) as load:
        answers = await asyncio.gather(*(match(hass, query, generation="previous") for query in QUERIES))
    assert load.call_count == 1
    assert {answer["generation"] for answer in answers} == {1}


async def test_what_the_previous_generation_lacks_is_said(
    hass: HomeAssistant, home: Home, changed: MockConfigEntry
) -> None:
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
    await hass.async_block_till_done()
    await async_wait_complete(changed)
    answer = await match(hass, "Aquarium pump", generation="previous")
    assert (answer["entity_ids"], answer["degraded"]) == (["switch.aquarium"], True)


def lose(folder: Path) -> None:
    shutil.rmtree(folder)


def replace(folder: Path) -> None:
    """Put other files in the place of those that made the vectors."""
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8") + "\n", "utf-8")


@pytest.mark.parametrize("spoil", [lose, replace])
async def test_a_previous_model_that_has_gone_is_reported_to_who_asks(
    hass: HomeAssistant, changed: MockConfigEntry, model_folder: str, spoil: Callable[[Path], None]
) -> None:
    folder = Path(hass.config.path(model_folder))
    await hass.async_add_executor_job(shutil.copytree, folder, folder.with_name("kept"))
    await hass.async_add_executor_job(spoil, folder)
    for action in (match(hass, COUCH, generation="previous"), compare(hass, queries=[COUCH])):
        with pytest.raises(HomeAssistantError) as failed:
            await action
        assert not isinstance(failed.value, ServiceValidationError)
        assert failed.value.translation_key == "generation_silent"
        assert "previous" in str(failed.value), "the message was not found in the translations"
    assert ir.async_get(hass).issues == {}
    assert sorted(our_threads()) == ALONE
    assert (await match(hass, COUCH))["degraded"] is False
    await hass.async_add_executor_job(shutil.rmtree, folder, True)
    await hass.async_add_executor_job(folder.with_name("kept").rename, folder)
    assert (await match(hass, COUCH, generation="previous"))["model"] == MINILM


@pytest.mark.usefixtures("socket_enabled")
async def test_a_previous_server_that_is_off(hass: HomeAssistant, home: Home, model_folder: str) -> None:
    for state in hass.states.async_all():
        # The server takes its time.
        if state.entity_id != "light.sofa_lamp":
            hass.states.async_remove(state.entity_id)
    with EmbeddingServer() as server:
        entry = await set_up(hass, served(server))
        await wish(hass, entry, data(model_folder))
        await swapped(entry, 1)
        assert (await match(hass, GERMAN, generation="previous"))["model"] == "e5-query"
    for _ in range(2):
        # Loaded still, and then to be loaded.
        with pytest.raises(HomeAssistantError, match="server cannot be reached") as failed:
            await match(hass, COUCH, generation="previous")
        assert failed.value.translation_key == "generation_silent"
        await pass_a_minute(hass)
    assert hass.config_entries.flow.async_progress() == []
    assert (await match(hass, "sofa lamp"))["entity_ids"] == ["light.sofa_lamp"]


async def test_without_a_second_generation(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    for choice in ("previous", "building"):
        with pytest.raises(ServiceValidationError) as refused:
            await match(hass, COUCH, generation=choice)
        assert refused.value.translation_key == "no_generation"
        assert choice in str(refused.value)
    for fields, key in (
        ({"queries": [COUCH]}, "no_generation"),
        ({"queries": [COUCH], "second": "active"}, "same_generation"),
        ({"queries": []}, "wrong_number_of_texts"),
        ({"queries": ["a"] * (MAX_COMPARED + 1)}, "wrong_number_of_texts"),
        ({"queries": ["x" * 501]}, "text_too_long"),
        ({"queries": [" "]}, "empty_text"),
        ({}, "no_queries"),
    ):
        with pytest.raises(ServiceValidationError) as refused:
            await compare(hass, **fields)
        assert refused.value.translation_key == key


async def test_compare_the_new_one_before_and_the_old_one_after(
    hass: HomeAssistant, entry: MockConfigEntry, model_folder: str
) -> None:
    with Pause() as pause:
        await wish(hass, entry, other(model_folder))
        await pause.wait(entry)
        meanwhile = await compare(hass, queries=QUERIES)
        assert (meanwhile["first"]["choice"], meanwhile["second"]["choice"]) == ("active", "building")
        assert (meanwhile["first"]["degraded"], meanwhile["second"]["degraded"]) == (False, True)
        pause.opened.set()
        await swapped(entry, 1)
    response = await compare(hass, queries=QUERIES)
    json.dumps(response)
    sides = {
        side: (response[side]["choice"], response[side]["generation"], response[side]["model"])
        for side in ("first", "second")
    }
    assert sides == {"first": ("active", 2, "first-token"), "second": ("previous", 1, MINILM)}
    assert all(0 < response[side]["p50_ms"] <= response[side]["p95_ms"] for side in ("first", "second"))
    assert response["queries"] == len(QUERIES)
    answers = {
        query: [await match(hass, query, generation=choice) for choice in ("active", "previous")] for query in QUERIES
    }
    different = [
        query
        for query, (one, other) in answers.items()
        if (one["decision"], set(one["entity_ids"])) != (other["decision"], set(other["entity_ids"]))
    ]
    assert 0 < len(different) < len(QUERIES)
    assert [change["query"] for change in response["changed"]] == different
    for change in response["changed"]:
        for side, answer in zip(("first", "second"), answers[change["query"]], strict=True):
            assert change[side] == {key: answer[key] for key in ("decision", "confidence", "entity_ids")}
    same_first = [
        one["candidates"][0]["entity_id"] == other["candidates"][0]["entity_id"] for one, other in answers.values()
    ]
    assert response["same_decision"] == round(1 - len(different) / len(QUERIES), 3)
    assert response["same_first"] == round(sum(same_first) / len(QUERIES), 3)
    back = await compare(hass, queries=QUERIES, first="previous", second="active")
    assert (back["first"]["generation"], back["second"]["generation"]) == (1, 2)


async def test_a_comparison_shows_what_its_caller_may_read(
    hass: HomeAssistant, entry: MockConfigEntry, model_folder: str
) -> None:
    await wish(hass, entry, other(model_folder))
    await swapped(entry, 1)
    user = MockUser(groups=[await hass.auth.async_get_group(GROUP_ID_ADMIN)]).add_to_hass(hass)
    permitted = {entity for entity in hass.states.async_entity_ids() if entity != "light.sofa_lamp"}
    user.mock_policy({"entities": {"entity_ids": {entity: {"read": True} for entity in permitted}}})
    response = await compare(hass, Context(user_id=user.id), queries=QUERIES)
    assert response["changed"]
    shown = {
        entity_id
        for change in response["changed"]
        for side in ("first", "second")
        for entity_id in change[side]["entity_ids"]
    }
    assert shown and shown <= permitted


@pytest.mark.usefixtures("entry")
async def test_only_administrators_compare(hass: HomeAssistant, hass_read_only_user: MockUser) -> None:
    with pytest.raises(Unauthorized):
        await compare(hass, Context(user_id=hass_read_only_user.id), queries=[COUCH])


async def test_recent_queries_are_remembered_only_when_the_user_says_so(
    hass: HomeAssistant, home: Home, model_folder: str, portable_folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    entry = await set_up(hass, data(model_folder))
    await match(hass, COUCH)
    assert len(entry.runtime_data.recent_queries) == 0
    await wish(hass, entry, data(portable_folder))
    await swapped(entry, 1)
    hass.config_entries.async_update_entry(entry, options={CONF_REMEMBER_QUERIES: True})
    await hass.config_entries.async_reload(entry.entry_id)
    await async_wait_complete(entry)
    for query in (COUCH, "kettle", f" {COUCH} "):
        await match(hass, query)
    await hass.services.async_call(
        DOMAIN, "generate_embeddings", {"texts": ["a passage"]}, blocking=True, return_response=True
    )
    await compare(hass, queries=["something else"])
    assert entry.runtime_data.recent_queries.all() == ["kettle", COUCH]
    assert (await compare(hass))["queries"] == 2
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("custom_components")]
    assert not any(query in message for query in (COUCH, "kettle") for message in ours)
    await hass.config_entries.async_reload(entry.entry_id)
    assert len(entry.runtime_data.recent_queries) == 0


async def test_without_a_model_there_is_nothing_to_compare(hass: HomeAssistant, home: Home) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    with pytest.raises(ServiceValidationError) as refused:
        await compare(hass, queries=[COUCH])
    assert refused.value.translation_key == "no_generation"


class Recorder:
    """Notes what is encoded, and says when a text is."""

    def __init__(self, text: str) -> None:
        self.texts: list[str] = []
        self.seen = asyncio.Event()
        self._text, self._loop = text, asyncio.get_running_loop()

    def __call__(self, encoder: OpenVINOEncoder, texts: Sequence[str], role: Role) -> Encoded:
        self.texts.extend(texts)
        if self._text in texts:
            self._loop.call_soon_threadsafe(self.seen.set)
        return encode(encoder, texts, role)

    def patch(self) -> Any:
        return patch.object(OpenVINOEncoder, "encode", autospec=True, side_effect=self)


async def test_other_queries_go_on_meanwhile(hass: HomeAssistant, changed: MockConfigEntry) -> None:
    queries = [f"lamp {number}" for number in range(MAX_COMPARED)]
    recorder = Recorder("lamp 1")
    with recorder.patch():
        comparing = hass.async_create_task(compare(hass, queries=queries))
        await recorder.seen.wait()
        assert (await match(hass, COUCH))["entity_ids"] == ["light.sofa_lamp"]
        assert (await comparing)["queries"] == MAX_COMPARED
    assert recorder.texts.index(COUCH) < recorder.texts.index(queries[-1])


async def cancel(hass: HomeAssistant, reached: asyncio.Event) -> None:
    """Begin a comparison, and cancel it as soon as something is reached."""
    comparing = asyncio.create_task(compare(hass, queries=[f"lamp {number}" for number in range(MAX_COMPARED)]))
    async with asyncio.timeout(60):
        await reached.wait()
    comparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await comparing


async def test_a_comparison_can_be_cancelled(hass: HomeAssistant, changed: MockConfigEntry) -> None:
    loading, recorder = asyncio.Event(), Recorder("lamp 1")
    load = previous_model.async_load

    async def note_and_load(*args: Any) -> Any:
        loading.set()
        return await load(*args)

    with patch.object(previous_model, "async_load", side_effect=note_and_load):
        await cancel(hass, loading)
    with recorder.patch():
        await cancel(hass, recorder.seen)
    assert (await match(hass, COUCH))["entity_ids"] == ["light.sofa_lamp"]
    await pass_a_minute(hass)
    assert (sorted(our_threads()), in_memory(changed)) == (ALONE, {2})
    assert (await compare(hass, queries=[COUCH]))["second"]["generation"] == 1


async def test_unloading_ends_a_comparison(hass: HomeAssistant, changed: MockConfigEntry) -> None:
    recorder = Recorder("lamp 1")
    with recorder.patch():
        comparing = asyncio.create_task(compare(hass, queries=[f"lamp {number}" for number in range(MAX_COMPARED)]))
        await recorder.seen.wait()
        assert await hass.config_entries.async_unload(changed.entry_id)
        with pytest.raises(HomeAssistantError) as failed:
            await comparing
    assert failed.value.translation_key in {"generation_gone", "generation_silent", "failed"}
    assert our_threads() == []


async def test_a_model_that_gives_way_is_not_taken_for_the_next(
    hass: HomeAssistant, entry: MockConfigEntry, portable_folder: str
) -> None:
    with Pause() as pause:
        await wish(hass, entry, data(portable_folder))
        await pause.wait(entry)
        home = entry.runtime_data
        former, asking = home._lines[1], home.async_asked(GenerationChoice.ACTIVE)
        asked = await asking.__aenter__()
        query = await asked.async_query(COUCH)
        pause.opened.set()
        await swapped(entry, 1)
        await former.async_stop()
        with pytest.raises(GenerationSilentError) as silent:
            await asked.async_query(COUCH)
        with pytest.raises(UnknownGenerationError):
            await asking.__aexit__(GenerationSilentError, silent.value, None)
    await home._match(MatchRequest(COUCH), EntityFilter(), query)
    await former_left(hass, entry)
    await pass_a_minute(hass)
    with pytest.raises(UnknownGenerationError):
        await home._match(MatchRequest(COUCH), EntityFilter(), query)


async def test_a_query_is_asked_again_when_its_generation_gives_way(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    find, gone = HomeIndex.match, [UnknownGenerationError("it is not searched")]

    def gone_once(*args: Any) -> Any:
        if gone:
            raise gone.pop()
        return find(*args)

    with patch.object(HomeIndex, "match", autospec=True, side_effect=gone_once) as asked:
        answer = await match(hass, COUCH)
    assert (answer["entity_ids"], answer["degraded"], asked.call_count) == (["light.sofa_lamp"], False, 2)


async def test_the_previous_model_makes_room_for_a_trial(hass: HomeAssistant, changed: MockConfigEntry) -> None:
    home = changed.runtime_data
    await match(hass, COUCH, generation="previous")
    async with home.async_lend_memory():
        assert (sorted(our_threads()), in_memory(changed)) == (ALONE, {2})
        with pytest.raises(GenerationSilentError):
            async with home.async_asked(GenerationChoice.PREVIOUS):
                pass
    assert (await match(hass, COUCH, generation="previous"))["generation"] == 1
