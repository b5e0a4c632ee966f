"""A backup's copy of the index is whole, and what changes meanwhile arrives afterwards."""

import asyncio
from datetime import timedelta
from pathlib import Path
import shutil
import threading
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from homeassistant.components.backup.const import DATA_MANAGER
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.semantic_home import backup
from custom_components.semantic_home.const import DOMAIN
from custom_components.semantic_home.embedding import EmbeddingLine
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import HeldError, IndexStore, StoreError
from custom_components.semantic_home.index_thread import _HOLD_SECONDS

from .house import Home, async_wait_complete
from .index.common import dump
from .test_knowledge_services import LINE, call, config_file
from .test_services import match


def database(hass: HomeAssistant) -> Path:
    return Path(hass.config.path("semantic_home.db"))


def problems(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if DOMAIN in record.name and record.levelname != "DEBUG"]


async def write_attempted(hass: HomeAssistant) -> None:
    """Let the synchronisation run, and wait until the database has refused its change."""
    refused = asyncio.Event()
    update = HomeIndex.update

    def watched(*args: object) -> bool:
        try:
            return update(*args)
        except HeldError:
            hass.loop.call_soon_threadsafe(refused.set)
            raise

    with patch.object(HomeIndex, "update", watched):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
        async with asyncio.timeout(30):
            await refused.wait()


async def test_the_copy_is_whole(hass: HomeAssistant, home: Home, entry: MockConfigEntry, tmp_path: Path) -> None:
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    await entry.runtime_data.async_rebuild()
    await async_wait_complete(entry)
    status = entry.runtime_data.status
    copied = tmp_path / "copy.db"

    await backup.async_pre_backup(hass)
    await hass.async_add_executor_job(shutil.copyfile, database(hass), copied)
    assert (await match(hass, "turn off the lamp next to the couch"))["entity_ids"] == ["light.sofa_lamp"]
    assert dump(database(hass)) == dump(copied), "nothing is in the log alone"
    await backup.async_post_backup(hass)

    store = IndexStore.open(copied)
    assert store.damage is None
    assert len(store.documents()) == status.documents
    assert "Aquarium pump" in {text for document in store.documents() for text in document.views}
    generation = store.active()
    assert generation is not None
    assert store.counts(generation.id).vectors == status.vectors
    store.close()


async def test_a_change_during_a_backup_arrives_after_it(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    before = entry.runtime_data.status
    await backup.async_pre_backup(hass)
    frozen = database(hass).read_bytes()
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    await write_attempted(hass)
    assert database(hass).read_bytes() == frozen
    assert entry.runtime_data.status == before

    await backup.async_post_backup(hass)
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert entry.runtime_data.status.documents == before.documents + 1
    assert (await match(hass, "switch on the aquarium pump"))["entity_ids"] == ["switch.aquarium"]
    assert problems(caplog) == []


async def test_embedding_goes_on_after_a_backup(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """The vectors of what came just before the backup wait for its end."""
    add_vectors, refused = HomeIndex.add_vectors, asyncio.Event()
    reached, go_on = threading.Event(), threading.Event()

    def late(*args: object) -> None:
        reached.set()
        try:
            add_vectors(*args)
        except HeldError:
            hass.loop.call_soon_threadsafe(refused.set)
            raise

    encode = EmbeddingLine._embed

    async def embed(self: EmbeddingLine, generation: int, texts: list[str]) -> bool:
        # The model has begun when the backup begins.
        await hass.async_add_executor_job(go_on.wait, 30)
        return await encode(self, generation, texts)

    with patch.object(HomeIndex, "add_vectors", late), patch.object(EmbeddingLine, "_embed", embed):
        config_file(hass, "new.jsonl", f"{LINE}\n")
        await call(hass, "import", path="new.jsonl")
        await backup.async_pre_backup(hass)
        go_on.set()
        async with asyncio.timeout(60):
            await refused.wait()
        assert entry.runtime_data.degraded
        await backup.async_post_backup(hass)
        await async_wait_complete(entry)
    assert reached.is_set()
    assert problems(caplog) == []


@pytest.mark.usefixtures("entry")
async def test_what_a_user_asks_for_during_a_backup_is_refused_at_once(hass: HomeAssistant) -> None:
    config_file(hass, "new.jsonl", f"{LINE}\n")
    await backup.async_pre_backup(hass)
    assert (await call(hass, "import", path="new.jsonl", dry_run=True))["added"] == 1
    for action, data in (("import_knowledge", {"path": "new.jsonl"}), ("rebuild_index", {})):
        with pytest.raises(HomeAssistantError) as raised:
            await hass.services.async_call(DOMAIN, action, data, blocking=True)
        assert raised.value.translation_key == "backup_running"
    assert (await call(hass, "export", path="out.jsonl"))["count"] == 0
    await backup.async_post_backup(hass)
    assert (await call(hass, "import", path="new.jsonl"))["added"] == 1


async def test_a_backup_that_never_ends_does_not_hold_the_index_for_ever(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry
) -> None:
    before = entry.runtime_data.status
    await backup.async_pre_backup(hass)
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    await write_attempted(hass)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=_HOLD_SECONDS + 1))
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert entry.runtime_data.status.documents == before.documents + 1
    await backup.async_post_backup(hass)


async def test_a_backup_goes_on_whatever_happens_to_the_index(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    for failure in (StoreError("others are using it"), ValueError("unthought of")):
        with patch.object(HomeIndex, "hold", side_effect=failure):
            await backup.async_pre_backup(hass)
        assert str(failure) in caplog.text
        # What was not held is let go in the background.
        await entry.runtime_data.index._released.wait()
    with patch.object(HomeIndex, "release", side_effect=ValueError("unthought of, too")):
        await backup.async_pre_backup(hass)
        await backup.async_post_backup(hass)
    assert "unthought of, too" in caplog.text
    await backup.async_post_backup(hass)
    await entry.runtime_data.async_rebuild()
    await async_wait_complete(entry)


async def test_a_busy_index_is_not_waited_for(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    hold, go_on, patience = HomeIndex.hold, threading.Event(), asyncio.timeout(None)

    def slow(index: HomeIndex) -> None:
        hass.loop.call_soon_threadsafe(patience.reschedule, 0)
        go_on.wait(30)
        hold(index)

    with (
        patch.object(HomeIndex, "hold", slow),
        patch.object(backup, "asyncio", SimpleNamespace(timeout=lambda _: patience)),
    ):
        await backup.async_pre_backup(hass)
    assert patience.expired()
    go_on.set()
    # It came to hold the database after all, when nobody wanted that any more.
    async with asyncio.timeout(30):
        await entry.runtime_data.index._released.wait()
    await entry.runtime_data.async_rebuild()
    await async_wait_complete(entry)


async def test_unload_during_a_backup(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    await backup.async_pre_backup(hass)
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    await write_attempted(hass)
    async with asyncio.timeout(30):
        assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    await backup.async_post_backup(hass)
    await backup.async_pre_backup(hass)
    await backup.async_post_backup(hass)


async def test_space_is_given_back(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    rows = "".join(
        f'{{"text": "note {number} {"x" * 1000}", "knowledge_type": "fact", "metadata": {{"pad": "{"y" * 9000}"}}}}\n'
        for number in range(100)
    )
    config_file(hass, "many.jsonl", rows)
    await call(hass, "import", path="many.jsonl")
    await async_wait_complete(entry)
    index = entry.runtime_data.index
    keys = [row.key[1] for row in await entry.runtime_data.knowledge.async_all()]
    await index.async_ask(lambda home_index: home_index._store.remove("knowledge", keys))
    reclaimed = asyncio.Event()
    reclaim, steps = HomeIndex.reclaim, []

    def watched(index: HomeIndex) -> bool:
        more = reclaim(index)
        steps.append(more)
        if not more:
            hass.loop.call_soon_threadsafe(reclaimed.set)
        return more

    with (
        patch.object(HomeIndex, "reclaim", watched),
        patch("custom_components.semantic_home.indexed_documents._PAGES_AT_ONCE", 10),
    ):
        home.add("switch", "aquarium", "Aquarium pump", "bedroom")
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
        async with asyncio.timeout(60):
            await reclaimed.wait()
    assert len(steps) > 5, "in small steps"
    await backup.async_pre_backup(hass)
    assert database(hass).stat().st_size < 600_000
    await backup.async_post_backup(hass)


async def test_home_assistants_own_backup_calls_the_platform(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await async_setup_component(hass, "backup", {})
    await hass.async_block_till_done()
    manager = hass.data[DATA_MANAGER]
    await manager.async_pre_backup_actions()
    with pytest.raises(HeldError):
        await entry.runtime_data.async_rebuild()
    await manager.async_post_backup_actions()
    await entry.runtime_data.async_rebuild()
    await async_wait_complete(entry)
