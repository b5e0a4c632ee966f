"""What is reported when it has lasted, or cannot mend itself; each report goes with its cause, and its repair helps."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
import shutil
import sqlite3
import threading
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import CONF_FOLDER, CONF_MODEL, DOMAIN
from custom_components.semantic_home.engine import (
    Encoded,
    EncoderUnavailableError,
    EncoderWorker,
    OpenVINOEncoder,
    Role,
)
from custom_components.semantic_home.health import DISK_INTERVAL, ISSUE_DEGRADED, ISSUE_DISK, MEGABYTE, PATIENCE
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index_damage import ISSUE_INDEX, ISSUE_UNREADABLE
from custom_components.semantic_home.model_runner import ISSUE_MODEL, RETRY_SECONDS
from custom_components.semantic_home.newer_index import ISSUE_NEWER

from .fix import Fix
from .house import Home, async_set_up, async_wait_complete
from .test_damage import NOTES, garble
from .test_init import wait_for_issue
from .test_services import match

COUCH = "turn off the lamp next to the couch"
SECOND = timedelta(seconds=1)
encode = OpenVINOEncoder.encode


class Turnstile:
    """Lets as many texts of the home through as it is told to."""

    def __init__(self) -> None:
        self._passes = threading.Semaphore(0)
        self.reached = threading.Event()

    def __call__(self, encoder: OpenVINOEncoder, texts: Sequence[str], role: Role) -> Encoded:
        if role is Role.PASSAGE:
            self.reached.set()
            assert self._passes.acquire(timeout=60)
        return encode(encoder, texts, role)

    def let(self, texts: int) -> None:
        self._passes.release(texts)


def issue(hass: HomeAssistant, issue_id: str) -> ir.IssueEntry | None:
    return ir.async_get(hass).async_get_issue(DOMAIN, issue_id)


def pass_time(hass: HomeAssistant, time: timedelta) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + time)


async def settle(hass: HomeAssistant) -> None:
    """Wait for what has begun, the look at the disk included."""
    tasks = [task for task in hass._background_tasks if isinstance(task, asyncio.Task)]
    await asyncio.gather(*(task for task in tasks if task.get_name() == f"{DOMAIN} disk"))
    await hass.async_block_till_done()


async def test_a_whole_home_has_nothing_reported(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    pass_time(hass, 2 * PATIENCE)
    await settle(hass)
    assert [found for found in ir.async_get(hass).issues.values() if found.domain == DOMAIN] == []


async def test_a_model_that_stays_silent_is_reported_until_it_answers(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    with patch.object(EncoderWorker, "encode", side_effect=EncoderUnavailableError("too late")):
        assert (await match(hass, COUCH))["degraded"] is True
        pass_time(hass, PATIENCE - 5 * SECOND)
        await hass.async_block_till_done()
        assert issue(hass, ISSUE_DEGRADED) is None
        pass_time(hass, PATIENCE + 5 * SECOND)
        await hass.async_block_till_done()
        found = issue(hass, ISSUE_DEGRADED)
        assert found is not None
        assert (found.translation_key, found.is_fixable) == ("degraded_silent", True)
        assert issue(hass, ISSUE_MODEL) is None, "no server failed"
    # Nobody asks a question: it is asked whether it is there.
    answers = asyncio.Event()
    entry.runtime_data.async_listen(lambda: answers.set() if not entry.runtime_data.degraded else None)
    pass_time(hass, PATIENCE + timedelta(seconds=2 * RETRY_SECONDS))
    async with asyncio.timeout(60):
        await answers.wait()
    assert issue(hass, ISSUE_DEGRADED) is None


async def test_what_was_reported_before_a_restart_is_reported_again(
    hass: HomeAssistant, home: Home, model_folder: str
) -> None:
    # What the registry loads of an issue that was open when Home Assistant ended.
    ir.async_create_issue(
        hass,
        DOMAIN,
        ISSUE_DEGRADED,
        is_fixable=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key="degraded_silent",
    )
    registry = ir.async_get(hass)
    remnant = replace(registry.issues[DOMAIN, ISSUE_DEGRADED], active=False)
    registry.issues[DOMAIN, ISSUE_DEGRADED] = remnant
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: "all-minilm-l6-v2", CONF_FOLDER: model_folder})
    with patch.object(OpenVINOEncoder, "encode", side_effect=EncoderUnavailableError("too late")):
        await async_set_up(hass, entry)
        assert (entry.runtime_data.degraded, entry.runtime_data.status.vectors) == (True, 0)
        pass_time(hass, PATIENCE + 5 * SECOND)
        await hass.async_block_till_done()
        found = issue(hass, ISSUE_DEGRADED)
        assert found is not None
        assert found.active


async def test_an_index_that_gets_no_further_is_reported_but_not_one_that_does(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: Any
) -> None:
    home, turnstile = entry.runtime_data, Turnstile()
    made = asyncio.Event()
    home.async_listen(lambda: made.set() if home.status.vectors else None)
    with (
        patch.object(OpenVINOEncoder, "encode", autospec=True, side_effect=turnstile),
        patch("custom_components.semantic_home.embedding._TEXTS_A_ROUND", 1),
    ):
        await home.async_rebuild()
        assert await hass.async_add_executor_job(turnstile.reached.wait, 60)
        assert home.status.vectors == 0
        made.clear()
        freezer.tick(PATIENCE / 2)
        async_fire_time_changed(hass)
        turnstile.let(1)
        async with asyncio.timeout(60):
            await made.wait()
        freezer.tick(PATIENCE / 2 + 10 * SECOND)
        async_fire_time_changed(hass)
        assert issue(hass, ISSUE_DEGRADED) is None, "half an hour ago it got further"
        freezer.tick(PATIENCE / 2)
        async_fire_time_changed(hass)
        found = issue(hass, ISSUE_DEGRADED)
        assert found is not None
        texts = home.status.texts
        assert found.translation_key == "degraded_unfinished"
        assert found.translation_placeholders == {"missing": str(texts - 1), "texts": str(texts)}
        turnstile.let(texts)
        await async_wait_complete(entry)
    assert issue(hass, ISSUE_DEGRADED) is None


async def test_names_alone_are_not_reported_where_they_are_wished(hass: HomeAssistant, home: Home) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    pass_time(hass, 2 * PATIENCE)
    await settle(hass)
    assert issue(hass, ISSUE_DEGRADED) is None


async def test_unloading_takes_back_what_is_reported_of_a_loaded_entry(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    folder = Path(hass.config.path(entry.data[CONF_FOLDER]))
    shutil.move(folder, folder.with_name("away"))
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_for_issue(hass, entry)
    pass_time(hass, PATIENCE + 5 * SECOND)
    await settle(hass)
    assert issue(hass, ISSUE_DEGRADED) is not None
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert (issue(hass, ISSUE_DEGRADED), issue(hass, ISSUE_MODEL)) == (None, None)


async def test_the_repair_leads_to_the_choice_of_another_model(
    hass: HomeAssistant, entry: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    folder = Path(hass.config.path(entry.data[CONF_FOLDER]))
    shutil.move(folder, folder.with_name("away"))
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_for_issue(hass, entry)
    fix = await Fix.begin(hass, hass_client, ISSUE_MODEL)
    assert "no such folder" in fix.shown["description_placeholders"]["detail"]
    shown = await fix.go_on(next_step_id="reconfigure")
    assert (shown["type"], shown["reason"]) == ("abort", "reconfigure")
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert shown["next_flow"] == ["config_flow", flow["flow_id"]]
    assert flow["context"]["source"] == SOURCE_RECONFIGURE
    assert (flow["context"]["entry_id"], flow["step_id"]) == (entry.entry_id, "user")
    assert issue(hass, ISSUE_MODEL) is not None, "nothing is mended yet"


def disk(free: int) -> Any:
    return patch("custom_components.semantic_home.health.shutil.disk_usage", return_value=SimpleNamespace(free=free))


async def test_a_disk_that_fills_up_is_reported_until_there_is_room(
    hass: HomeAssistant, entry: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    with disk(499 * MEGABYTE):
        pass_time(hass, DISK_INTERVAL + SECOND)
        await settle(hass)
        found = issue(hass, ISSUE_DISK)
        assert found is not None
        placeholders = {"free": "499", "needed": "500", "path": str(Path(hass.config.config_dir))}
        assert found.translation_placeholders == placeholders
        fix = await Fix.begin(hass, hass_client, ISSUE_DISK)
        assert fix.shown["step_id"] == "confirm"
        shown = await fix.go_on()
        assert (shown["type"], shown["reason"]) == ("abort", "still_full")
        assert shown["description_placeholders"] == {"free": "499", "needed": "500"}
        assert issue(hass, ISSUE_DISK) is not None
    fix = await Fix.begin(hass, hass_client, ISSUE_DISK)
    with disk(500 * MEGABYTE):
        assert (await fix.go_on())["type"] == "create_entry"
    assert issue(hass, ISSUE_DISK) is None


async def test_a_disk_without_room_for_a_rebuild_is_found_at_a_start_and_again_each_hour(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    size = Path(hass.config.path("semantic_home.db")).stat().st_size
    assert await hass.config_entries.async_unload(entry.entry_id)
    with patch("custom_components.semantic_home.health.LEAST_FREE", 0):
        with disk(size // 2):
            assert await hass.config_entries.async_setup(entry.entry_id)
            await settle(hass)
            assert issue(hass, ISSUE_DISK) is not None
        with disk(100 * MEGABYTE):
            pass_time(hass, DISK_INTERVAL + SECOND)
            await settle(hass)
        assert issue(hass, ISSUE_DISK) is None


async def test_an_index_of_a_newer_version_is_kept_beside_a_new_one(
    hass: HomeAssistant, entry: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    content = await becomes_newer(hass, entry)
    found = issue(hass, ISSUE_NEWER)
    assert found is not None
    path = Path(hass.config.path("semantic_home.db"))
    assert found.translation_placeholders == {"path": str(path)}
    fix = await Fix.begin(hass, hass_client, ISSUE_NEWER)
    assert path.read_bytes() == content, "nothing happens before the yes"
    assert (await fix.go_on())["type"] == "create_entry"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    await async_wait_complete(entry)
    [kept] = path.parent.glob("semantic_home.db.newer-*")
    assert kept.read_bytes() == content
    assert (await match(hass, COUCH))["entity_ids"] == ["light.sofa_lamp"]
    assert issue(hass, ISSUE_NEWER) is None
    await hass.config_entries.async_remove(entry.entry_id)
    assert kept.read_bytes() == content, "it may be the only copy of what was learnt"


async def test_the_version_that_wrote_it_ends_the_report(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await becomes_newer(hass, entry)
    stamp(hass, "9999", to=entry.title)
    assert not await hass.config_entries.async_reload(entry.entry_id)
    assert issue(hass, ISSUE_NEWER) is not None
    stamp(hass, "9999", to=None)
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert issue(hass, ISSUE_NEWER) is None


async def test_what_is_not_newer_any_more_stays_where_it_is(
    hass: HomeAssistant, entry: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    await becomes_newer(hass, entry)
    fix = await Fix.begin(hass, hass_client, ISSUE_NEWER)
    stamp(hass, "9999", to=None)
    assert (await fix.go_on())["type"] == "create_entry"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert list(Path(hass.config.config_dir).glob("semantic_home.db.newer-*")) == []


async def test_an_index_that_cannot_be_moved_says_so(
    hass: HomeAssistant, entry: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    content = await becomes_newer(hass, entry)
    fix = await Fix.begin(hass, hass_client, ISSUE_NEWER)
    with patch.object(Path, "rename", side_effect=PermissionError("read-only")):
        shown = await fix.go_on()
    assert (shown["type"], shown["reason"]) == ("abort", "not_moved")
    assert "read-only" in shown["description_placeholders"]["detail"]
    assert Path(hass.config.path("semantic_home.db")).read_bytes() == content
    assert issue(hass, ISSUE_NEWER) is not None


_REVISIONS: dict[str, str] = {}


def stamp(hass: HomeAssistant, known: str, *, to: str | None) -> None:
    """Have the database say that it is of another schema; with None, of its own again."""
    database = sqlite3.connect(hass.config.path("semantic_home.db"))
    [(current,)] = database.execute("SELECT version_num FROM alembic_version")
    _REVISIONS.setdefault(known, current)
    database.execute("UPDATE alembic_version SET version_num = ?", (to or _REVISIONS[known],))
    database.commit()
    database.close()


async def becomes_newer(hass: HomeAssistant, entry: MockConfigEntry) -> bytes:
    """Have the entry meet an index that a newer version wrote; return what is in the file."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    stamp(hass, "9999", to="9999")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    return Path(hass.config.path("semantic_home.db")).read_bytes()


async def test_damage_that_is_met_in_use_is_mended_by_the_repair(
    hass: HomeAssistant, entry: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    home = entry.runtime_data
    await home.knowledge.async_import(NOTES, dry_run=False)
    await async_wait_complete(entry)
    await home.index.async_ask(_forget_pages)
    garble(Path(hass.config.path("semantic_home.db")), "document", leave=2)
    with pytest.raises(HomeAssistantError) as failure:
        await hass.services.async_call(DOMAIN, "list_knowledge", {}, blocking=True, return_response=True)
    assert failure.value.translation_key == "failed"
    assert issue(hass, ISSUE_UNREADABLE) is not None
    fix = await Fix.begin(hass, hass_client, ISSUE_UNREADABLE)
    assert (await fix.go_on())["type"] == "create_entry"
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert (issue(hass, ISSUE_UNREADABLE), issue(hass, ISSUE_INDEX) is not None) == (None, True)
    assert (await match(hass, COUCH))["entity_ids"] == ["light.sofa_lamp"]


def _forget_pages(index: HomeIndex) -> None:
    """Have everything in the file, and nothing of it in SQLite's memory."""
    assert index._store._engine
    cursor = index._store._engine.raw_connection().cursor()
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    cursor.execute("PRAGMA shrink_memory")
