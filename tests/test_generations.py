"""The model changes under a running home: the old one answers until the new one's vectors are complete."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
import shutil
import sqlite3
import threading
from typing import Any
from unittest.mock import AsyncMock, patch

import numpy as np
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import ServiceValidationError

from custom_components.semantic_home.const import CONF_ENGINE, CONF_FOLDER, CONF_MODEL, DOMAIN
from custom_components.semantic_home.describe import TEMPLATE_VERSION
from custom_components.semantic_home.embedding import EmbeddingLine
from custom_components.semantic_home.engine import Encoded, OpenVINOEncoder, Role
from custom_components.semantic_home.model_loading import async_load

from .conftest import MINILM
from .house import Home, async_let_sync, async_set_up, async_wait_complete, worker_of
from .test_services import match

COUCH = "turn off the lamp next to the couch"
encode = OpenVINOEncoder.encode


class Gate:
    """Holds back what the new model is to embed: of the texts that a home is made of, not of queries."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.reached, self.opened = threading.Event(), threading.Event()
        self.embedded: list[str] = []

    def __call__(self, encoder: OpenVINOEncoder, texts: Sequence[str], role: Role) -> Encoded:
        if role is Role.PASSAGE and encoder._files.graph.parent.name == self._folder:
            self.reached.set()
            assert self.opened.wait(60)
            self.embedded.extend(texts)
        return encode(encoder, texts, role)

    def patch(self) -> Any:
        return patch.object(OpenVINOEncoder, "encode", autospec=True, side_effect=self)

    async def wait(self, hass: HomeAssistant) -> None:
        assert await hass.async_add_executor_job(self.reached.wait, 60)


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home, model_folder: str) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, data=data(model_folder))
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    await hass.async_block_till_done()
    return entry


def data(folder: str) -> dict[str, str]:
    return {CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_FOLDER: folder}


async def change(hass: HomeAssistant, entry: MockConfigEntry, folder: str) -> None:
    """Wish another model, as the dialog does."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, **data(folder)})
    await hass.config_entries.async_reload(entry.entry_id)


async def swapped(entry: MockConfigEntry, generation: int) -> None:
    """Wait until another generation answers, and is complete."""
    done = asyncio.Event()

    def check() -> None:
        home = entry.runtime_data
        if home.status.generation not in (None, generation) and not home.degraded:
            done.set()

    unsubscribe = entry.runtime_data.async_listen(check)
    check()
    async with asyncio.timeout(60):
        await done.wait()
    unsubscribe()


def embedding_tasks() -> int:
    return sum(task.get_name() == f"{DOMAIN} embedding" for task in asyncio.all_tasks())


def rows(hass: HomeAssistant, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(hass.config.path("semantic_home.db"), timeout=10) as database:
        return database.execute(query).fetchall()


def no_mixture(hass: HomeAssistant) -> bool:
    """Tell whether every vector is as long as its generation's are."""
    strangers = rows(
        hass,
        "SELECT count(*) FROM vector JOIN generation ON generation.id = generation_id"
        " WHERE length(dense) != 4 * dimension",
    )
    return strangers == [(0,)]


async def test_the_old_model_answers_until_the_new_ones_vectors_are_complete(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str
) -> None:
    before = await match(hass, COUCH)
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        await async_wait_complete(entry)
        meanwhile = await match(hass, "switch off the light beside the sofa")
        assert meanwhile["candidates"][0]["entity_id"] == "light.sofa_lamp"
        assert (meanwhile["generation"], meanwhile["degraded"]) == (before["generation"], False)
        assert entry.runtime_data.status.building not in (None, before["generation"])
        gate.opened.set()
        await swapped(entry, before["generation"])
    after = await match(hass, COUCH)
    assert after["entity_ids"] == ["light.sofa_lamp"]
    assert after["generation"] != before["generation"]
    assert entry.runtime_data.status.building is None
    states = rows(hass, "SELECT state FROM generation WHERE state != 'removed' ORDER BY id")
    assert states == [("retired",), ("active",)], "the former one is kept"
    assert no_mixture(hass)


async def test_what_is_new_meanwhile_goes_to_both(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        await async_wait_complete(entry)
        home.add("switch", "aquarium", "Aquarium pump", "bedroom")
        await async_let_sync(hass, entry)
        found = await match(hass, "switch on the fish tank's pump")
        assert (found["candidates"][0]["entity_id"], found["generation"]) == ("switch.aquarium", old)
        gate.opened.set()
        await swapped(entry, old)
    found = await match(hass, "switch on the fish tank's pump")
    assert found["candidates"][0]["entity_id"] == "switch.aquarium"
    assert no_mixture(hass)


async def test_a_restart_goes_on_where_the_build_was(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    total = entry.runtime_data.status.texts
    first = Gate(Path(portable_folder).name)
    first.opened.set()
    stored = threading.Event()

    def stop_after_some(*args: Any, **kwargs: Any) -> Encoded:
        encoded = first(*args, **kwargs)
        if len(first.embedded) > total // 3:
            stored.set()
            first.opened.clear()
        return encoded

    with (
        patch("custom_components.semantic_home.embedding._TEXTS_A_ROUND", 4),
        patch.object(OpenVINOEncoder, "encode", autospec=True, side_effect=stop_after_some),
    ):
        await change(hass, entry, portable_folder)
        assert await hass.async_add_executor_job(stored.wait, 60)
        unloading = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
        first.opened.set()
        assert await unloading
    [(kept,)] = rows(hass, f"SELECT count(*) FROM vector WHERE generation_id > {old}")
    assert 0 < kept < total
    second = Gate(Path(portable_folder).name)
    with second.patch():
        assert await hass.config_entries.async_setup(entry.entry_id)
        await second.wait(hass)
        await async_wait_complete(entry)
        assert (await match(hass, COUCH))["generation"] == old
        second.opened.set()
        await swapped(entry, old)
    # Beside the rest, a few are made again to see whether they are right.
    assert len(set(second.embedded)) <= total - kept + 8


async def test_without_the_old_model_names_answer_until_the_new_one_is_ready(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str, model_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_add_executor_job(shutil.rmtree, hass.config.path(model_folder))
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        found = await match(hass, "Schalte die Stehlampe aus")
        assert (found["entity_ids"], found["degraded"], found["model"]) == (["light.sofa_lamp"], True, None)
        gate.opened.set()
        await swapped(entry, old)
    await hass.async_block_till_done()
    assert (await match(hass, COUCH))["degraded"] is False
    assert embedding_tasks() == 1, "the old model is not tried any more"


async def test_back_again_during_the_build_costs_nothing(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str, model_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        changing = hass.async_create_task(change(hass, entry, model_folder))
        gate.opened.set()
        await changing
    await async_wait_complete(entry)
    assert entry.runtime_data.status.generation == old
    assert entry.runtime_data.status.building is None
    assert rows(hass, "SELECT count(*) FROM generation WHERE state != 'removed'") == [(1,)]


async def test_vectors_that_are_not_the_models_do_not_answer(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    old = entry.runtime_data.status.generation
    noticed = asyncio.Event()
    with (
        patch("custom_components.semantic_home.home_index.IndexStore.sample") as sample,
        patch("custom_components.semantic_home.embedding.asyncio.sleep", side_effect=lambda _: noticed.set()),
    ):
        sample.return_value = {"Sofa lamp": np.eye(1, 384, dtype=np.float32)[0]}
        await change(hass, entry, portable_folder)
        async with asyncio.timeout(60):
            await noticed.wait()
        assert entry.runtime_data.status.generation == old
    assert "are not those that its model gives" in caplog.text


async def test_rollback_returns_to_the_former_model_at_once(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str, model_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    await change(hass, entry, portable_folder)
    await swapped(entry, old)
    await hass.async_block_till_done()
    embedded: list[str] = []

    def record(encoder: OpenVINOEncoder, texts: Sequence[str], role: Role) -> Encoded:
        if role is Role.PASSAGE:
            embedded.extend(texts)
        return encode(encoder, texts, role)

    with patch.object(OpenVINOEncoder, "encode", autospec=True, side_effect=record):
        await hass.services.async_call(DOMAIN, "rollback_model", blocking=True)
        await hass.async_block_till_done()
        await async_wait_complete(entry)
    assert entry.runtime_data.status.generation == old
    assert entry.data[CONF_FOLDER] == model_folder
    assert embedded == [], "its vectors are still there"
    assert worker_of(entry).loaded
    await entry.runtime_data.async_rollback()
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert entry.data[CONF_FOLDER] == portable_folder, "and back again"


async def test_there_is_nothing_to_return_to_at_first(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(DOMAIN, "rollback_model", blocking=True)
    assert refused.value.translation_key == "no_former_model"


@pytest.fixture
def embedded() -> Iterator[list[str]]:
    """Record what is embedded for the index."""
    texts: list[str] = []

    def record(encoder: OpenVINOEncoder, given: Sequence[str], role: Role) -> Encoded:
        if role is Role.PASSAGE:
            texts.extend(given)
        return encode(encoder, given, role)

    with patch.object(OpenVINOEncoder, "encode", autospec=True, side_effect=record):
        yield texts


class Halt:
    """Holds back a method of the line, whose model goes on answering."""

    def __init__(self, method: str) -> None:
        self._method, self._original = method, getattr(EmbeddingLine, method)
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def hold(self, line: EmbeddingLine, *arguments: Any) -> Any:
        self.reached.set()
        await self.opened.wait()
        return await self._original(line, *arguments)

    def patch(self) -> Any:
        return patch.object(EmbeddingLine, self._method, autospec=True, side_effect=self.hold)


def sentence(name: str, context: Iterable[str | None]) -> str:
    return f"the {name} of " + " and ".join(part for part in context if part)


@pytest.fixture
def other_template() -> Iterator[None]:
    """Describe homes in another way, as a later version does."""
    with (
        patch("custom_components.semantic_home.embedding.TEMPLATE_VERSION", TEMPLATE_VERSION + 1),
        patch("custom_components.semantic_home.describe._sentence", sentence),
    ):
        yield


async def test_other_descriptions_of_a_home_are_embedded_beside_those_that_answer(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, embedded: list[str], request: pytest.FixtureRequest
) -> None:
    old = entry.runtime_data.status.generation
    unchanged = {text for (text,) in rows(hass, "SELECT text FROM view")}
    await hass.config_entries.async_unload(entry.entry_id)
    request.getfixturevalue("other_template")
    making, testing = Halt("_embed"), Halt("async_stands_the_test")
    loading = AsyncMock(side_effect=async_load)
    with making.patch(), testing.patch(), patch("custom_components.semantic_home.model_runner.async_load", loading):
        assert await hass.config_entries.async_setup(entry.entry_id)
        async with asyncio.timeout(60):
            await making.reached.wait()
        meanwhile = await match(hass, COUCH)
        assert meanwhile["candidates"][0]["entity_id"] == "light.sofa_lamp"
        assert (meanwhile["generation"], meanwhile["model"]) == (old, MINILM)
        assert entry.runtime_data.status.building not in (None, old)
        making.opened.set()
        async with asyncio.timeout(60):
            await testing.reached.wait()
        complete = await match(hass, "switch off the light beside the sofa")
        assert (complete["generation"], complete["model"], complete["degraded"]) == (old, MINILM, False)
        testing.opened.set()
        await swapped(entry, old)
        assert (await match(hass, "light up the couch"))["generation"] != old
    assert loading.await_count == 1
    changed = {text for (text,) in rows(hass, "SELECT text FROM view")} - unchanged
    assert changed
    # Once each, and a few again to see whether the generation is right.
    assert changed <= set(embedded)
    assert len(embedded) <= len(changed) + 8
    assert len(unchanged) > 20
    copies = rows(hass, "SELECT count(DISTINCT dense) FROM vector GROUP BY text_hash")
    assert set(copies) == {(1,)}, "equal texts have equal vectors in both"
    assert no_mixture(hass)


async def test_other_descriptions_leave_the_way_back_to_the_former_model(
    hass: HomeAssistant,
    home: Home,
    entry: MockConfigEntry,
    portable_folder: str,
    model_folder: str,
    request: pytest.FixtureRequest,
) -> None:
    await change(hass, entry, portable_folder)
    await swapped(entry, 1)
    await hass.config_entries.async_unload(entry.entry_id)
    request.getfixturevalue("other_template")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await swapped(entry, 2)
    kept = "SELECT id, state FROM generation WHERE state != 'removed' ORDER BY id"
    assert rows(hass, kept) == [(1, "retired"), (3, "active")]
    await hass.services.async_call(DOMAIN, "rollback_model", blocking=True)
    await hass.async_block_till_done()
    assert entry.data[CONF_FOLDER] == model_folder
    # It answers at once, and what is described in another way by now is embedded beside that.
    await swapped(entry, 1)
    assert rows(hass, kept) == [(3, "retired"), (4, "active")]
    assert (await match(hass, COUCH))["entity_ids"] == ["light.sofa_lamp"]
    await hass.services.async_call(DOMAIN, "rollback_model", blocking=True)
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert entry.data[CONF_FOLDER] == portable_folder
    assert entry.runtime_data.status.generation == 3


async def test_other_descriptions_wait_for_the_home_to_be_read(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, other_template: None
) -> None:
    old = entry.runtime_data.status.generation
    await hass.config_entries.async_unload(entry.entry_id)
    hass.set_state(CoreState.starting)
    completed = asyncio.Event()
    reclaim = EmbeddingLine._reclaim

    async def note(line: EmbeddingLine) -> None:
        await reclaim(line)
        completed.set()

    with patch.object(EmbeddingLine, "_reclaim", autospec=True, side_effect=note):
        assert await hass.config_entries.async_setup(entry.entry_id)
        async with asyncio.timeout(60):
            await completed.wait()
    await hass.async_block_till_done()
    assert (await match(hass, COUCH))["generation"] == old
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await swapped(entry, old)
    assert any(text.startswith("the Sofa lamp of") for (text,) in rows(hass, "SELECT text FROM view"))


async def test_no_query_fails_while_the_model_changes(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    answers: list[dict[str, Any]] = []
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            answers.append(await match(hass, f"turn off the lamp next to the couch {len(answers)}"))

    asking = hass.async_create_task(ask())
    await change(hass, entry, portable_folder)
    await swapped(entry, old)
    over.set()
    await asking
    assert len(answers) > 1
    # Until the old model is loaded again, names answer, as after every start.
    answers = [answer for answer in answers if not answer["degraded"]]
    assert {answer["candidates"][0]["entity_id"] for answer in answers} == {"light.sofa_lamp"}
    assert [answer["generation"] for answer in answers] == sorted(answer["generation"] for answer in answers)
