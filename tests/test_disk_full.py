"""The disk has no room: Home Assistant goes on, queries are answered, and what could not be written, is later."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
import json
from pathlib import Path
import sqlite3
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from custom_components.semantic_home import backup
from custom_components.semantic_home.const import DOMAIN
from custom_components.semantic_home.home_index import HomeIndex

from .full_disk import full_disk
from .house import Home, async_let_sync, async_wait_complete
from .index.old_file import make_0001
from .test_generations import change, swapped
from .test_services import match

COUCH = "turn off the lamp next to the couch"


def sound(hass: HomeAssistant) -> bool:
    with sqlite3.connect(hass.config.path("semantic_home.db"), timeout=10) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def full_once(method: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    """Let the disk be full when the method is called first."""
    calls: list[int] = []

    def call(*arguments: Any) -> Any:
        calls.append(len(calls))
        if len(calls) > 1:
            return method(*arguments)
        with full_disk():
            return method(*arguments)

    return call, calls


async def test_what_is_new_in_the_home_is_taken_in_later(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    reconcile, calls = full_once(HomeIndex.update)
    with patch.object(HomeIndex, "update", reconcile):
        await async_let_sync(hass, entry)
    assert calls
    assert "could not take in the home's changes, and will be asked again" in caplog.text
    assert (await match(hass, COUCH))["entity_ids"] == ["light.sofa_lamp"]
    await async_let_sync(hass, entry, 120)
    assert (await match(hass, "switch on the aquarium pump"))["entity_ids"] == ["switch.aquarium"]
    assert sound(hass)


async def test_vectors_are_kept_later(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    add_vectors, calls = full_once(HomeIndex.add_vectors)
    with (
        patch("custom_components.semantic_home.embedding.RETRY_SECONDS", 0),
        patch.object(HomeIndex, "add_vectors", add_vectors),
    ):
        home.add("switch", "aquarium", "Aquarium pump", "bedroom")
        await async_let_sync(hass, entry)
    assert len(calls) > 1
    assert "The index could not be written, which is tried again" in caplog.text
    assert (await match(hass, "switch on the fish tank's pump"))["candidates"][0]["entity_id"] == "switch.aquarium"
    assert sound(hass)


async def test_another_model_answers_later(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, portable_folder: str
) -> None:
    old = entry.runtime_data.status.generation
    swap, calls = full_once(HomeIndex.swap)
    with (
        patch("custom_components.semantic_home.embedding.RETRY_SECONDS", 0),
        patch.object(HomeIndex, "swap", swap),
    ):
        await change(hass, entry, portable_folder)
        await swapped(entry, old)
    assert len(calls) == 2
    assert (await match(hass, COUCH))["entity_ids"] == ["light.sofa_lamp"]
    assert sound(hass)


async def test_an_import_says_so_and_brings_nothing(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    rows = [json.dumps({"text": f"note {number}", "knowledge_type": "fact"}) for number in range(300)]
    Path(hass.config.path("notes.jsonl")).write_text("\n".join(rows), encoding="utf-8")
    data = {"path": "notes.jsonl"}
    with full_disk(), pytest.raises(HomeAssistantError) as failure:
        await hass.services.async_call(DOMAIN, "import_knowledge", data, blocking=True)
    assert failure.value.translation_key == "failed"
    assert (failure.value.translation_placeholders or {})["detail"]
    assert await entry.runtime_data.knowledge.async_all() == []
    assert (await match(hass, COUCH))["entity_ids"] == ["light.sofa_lamp"]
    await hass.services.async_call(DOMAIN, "import_knowledge", data, blocking=True)
    assert len(await entry.runtime_data.knowledge.async_all()) == 300
    await async_wait_complete(entry)
    assert sound(hass)


async def test_a_backup_is_made_without_holding_the_index(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    with full_disk():
        await backup.async_pre_backup(hass)
    assert "could not be kept still for the backup" in caplog.text
    await backup.async_post_backup(hass)
    await entry.runtime_data.async_rebuild()
    await async_wait_complete(entry)
    assert sound(hass)


async def test_a_migration_is_tried_again_by_home_assistant(
    hass: HomeAssistant, home: Home, model_folder: str, entry: MockConfigEntry
) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    path = Path(hass.config.path("semantic_home.db"))
    path.unlink()
    make_0001(path, 200)
    with full_disk():
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "database_unavailable"
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert database.execute("SELECT count(*) FROM document").fetchone() == (200,)
    loaded = asyncio.Event()
    entry.async_on_state_change(lambda: loaded.set() if entry.state is ConfigEntryState.LOADED else None)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=5))
    async with asyncio.timeout(60):
        await loaded.wait()
    await async_wait_complete(entry)
    assert sound(hass)
