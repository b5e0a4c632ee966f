"""A database that was damaged is put aside, said to be so, and made anew."""

from datetime import UTC, datetime
from pathlib import Path

from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_translations

from custom_components.semantic_home.const import DOMAIN
from custom_components.semantic_home.index import Knowledge
from custom_components.semantic_home.index_damage import ISSUE_INDEX

from .house import async_wait_complete
from .index.common import raw
from .test_services import match

DAY = datetime(2026, 1, 1, tzinfo=UTC)
NOTES = [Knowledge(f"note {number}: the couch is by the window", "fact", DAY, DAY) for number in range(50)]


def garble(path: Path, table: str, *, leave: int = 0) -> None:
    """Overwrite the pages of a table, but for the last few."""
    with raw(path) as database:
        pages = [
            page
            for (page,) in database.execute(
                "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", (table,)
            )
        ]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    pages = pages[: len(pages) - leave]
    assert pages
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xa5" * size)


def reported(hass: HomeAssistant) -> ir.IssueEntry | None:
    return ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_INDEX)


async def restart_with(hass: HomeAssistant, entry: MockConfigEntry, content: bytes) -> None:
    Path(hass.config.path("semantic_home.db")).write_bytes(content)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    await async_wait_complete(entry)


async def test_a_garbled_file_is_made_anew(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    before = entry.runtime_data.status
    assert await hass.config_entries.async_unload(entry.entry_id)
    rubbish = b"\xa5" * 100_000
    await restart_with(hass, entry, rubbish)
    assert (await match(hass, "turn off the lamp next to the couch"))["entity_ids"] == ["light.sofa_lamp"]
    after = entry.runtime_data.status
    assert (after.documents, after.vectors) == (before.documents, before.vectors)
    issue = reported(hass)
    assert issue is not None
    assert (issue.severity, issue.is_fixable, issue.is_persistent) == (ir.IssueSeverity.WARNING, False, False)
    assert Path(issue.translation_placeholders["path"]).read_bytes() == rubbish
    texts = await async_get_translations(hass, "en", "issues", [DOMAIN])
    text = texts[f"component.{DOMAIN}.issues.{issue.translation_key}.description"]
    assert issue.translation_placeholders["path"] in text.format(**issue.translation_placeholders)


async def test_knowledge_is_kept_where_it_can_be_read(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await entry.runtime_data.knowledge.async_import(NOTES, dry_run=False)
    await async_wait_complete(entry)
    before = entry.runtime_data.status
    assert await hass.config_entries.async_unload(entry.entry_id)
    path = Path(hass.config.path("semantic_home.db"))
    # What lies in the table's last pages came last: a part of the knowledge, and nothing of the house.
    garble(path, "document", leave=2)
    await restart_with(hass, entry, path.read_bytes())
    issue = reported(hass)
    assert issue is not None
    kept = await entry.runtime_data.knowledge.async_all()
    salvaged, unreadable = (int(issue.translation_placeholders[name]) for name in ("salvaged", "unreadable"))
    assert salvaged == len(kept) > 0
    assert unreadable == len(NOTES) - len(kept) > 0
    assert {row.text for row in kept} < {row.text for row in NOTES}
    assert (await match(hass, "turn off the lamp next to the couch"))["entity_ids"] == ["light.sofa_lamp"]
    assert entry.runtime_data.status.documents == before.documents - unreadable, "all of the house is there again"


async def test_a_sound_file_is_not_reported(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert reported(hass) is None


async def test_the_report_stays_until_the_entry_is_removed(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_unload(entry.entry_id)
    await restart_with(hass, entry, b"rubbish" * 10_000)
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert reported(hass) is not None, "the user may not have read it yet"
    Path(hass.config.path("semantic_home.db.suspect")).touch()
    await hass.config_entries.async_remove(entry.entry_id)
    assert reported(hass) is None
    left = [file.name for file in Path(hass.config.config_dir).glob("semantic_home.db*")]
    assert left
    assert all(name.startswith("semantic_home.db.corrupt-") for name in left), "what was put aside is the user's"


async def test_a_damaged_log_costs_no_document(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await entry.runtime_data.knowledge.async_import(NOTES, dry_run=False)
    await async_wait_complete(entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    path = Path(hass.config.path("semantic_home.db"))
    path.with_name("semantic_home.db-wal").write_bytes(b"rubbish" * 1000)
    await restart_with(hass, entry, path.read_bytes())
    issue = reported(hass)
    assert issue is not None
    assert issue.translation_key == "index_log_damaged"
    assert len(await entry.runtime_data.knowledge.async_all()) == len(NOTES)
