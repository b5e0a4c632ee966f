"""Knowledge comes in from files and goes out again, through the actions, on a real index."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
import json
from pathlib import Path
import sqlite3
import threading
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized

from custom_components.semantic_home import knowledge_files
from custom_components.semantic_home.const import CONF_MODEL, DOMAIN
from custom_components.semantic_home.index import IndexStore, Knowledge, documents, write_jsonl

from .house import Home, async_set_up, async_wait_complete
from .test_services import match

DAY = datetime(2025, 3, 30, 1, 30, 0, 123456, tzinfo=UTC)
NOTES = [
    Knowledge("Das Küchenlicht heißt „Insel“\n\u2028🛋", "fact", DAY, DAY, {"who": ["Ann", None, 1.5]}, 1.0),
    Knowledge("movie night needs a dark room", "pattern", DAY, DAY.replace(year=2026), {}, 0.1),
    Knowledge("movie night needs a dark room", "query", DAY, DAY),
]
LINE = json.dumps({"text": "the couch is in the living room", "knowledge_type": "fact"})
TABLE = (
    "id INTEGER PRIMARY KEY, text TEXT, embedding TEXT, knowledge_type TEXT, metadata TEXT, success_score REAL, "
    "created_at TEXT, updated_at TEXT"
)


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    """Set up without a model: what comes in and goes out does not depend on one."""
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    return entry


async def call(hass: HomeAssistant, action: str, context: Context | None = None, **data: Any) -> dict[str, Any]:
    response = await hass.services.async_call(
        DOMAIN, f"{action}_knowledge", data, blocking=True, return_response=True, context=context
    )
    assert response is not None
    return response


async def stored(entry: MockConfigEntry) -> set[str]:
    return {row.text for row in await entry.runtime_data.knowledge.async_all()}


def config_file(hass: HomeAssistant, name: str, content: bytes | str) -> Path:
    file = Path(hass.config.path(name))
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def ancestor(file: Path, **tables: list[tuple[object, ...]]) -> Path:
    with closing(sqlite3.connect(file)) as database, database:
        for table, rows in tables.items():
            database.execute(f"CREATE TABLE {table} ({TABLE})")
            database.executemany(
                f"INSERT INTO {table} (text, embedding, knowledge_type, metadata, success_score, created_at, "
                "updated_at) VALUES (?, '[0.1, 0.2]', ?, ?, ?, '2024-01-01 10:00:00', '2024-01-02 10:00:00')",
                rows,
            )
    return file


async def test_export_and_import_lose_nothing(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await entry.runtime_data.knowledge.async_import(NOTES, dry_run=False)
    before = await entry.runtime_data.knowledge.async_all()
    exported = await call(hass, "export", path="saved/deep/knowledge.jsonl")
    assert exported == {"count": 3, "path": hass.config.path("saved/deep/knowledge.jsonl")}

    await hass.config_entries.async_remove(entry.entry_id)
    again = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, again)
    assert await again.runtime_data.knowledge.async_all() == []
    response = await call(hass, "import", path=exported["path"])
    assert response == {
        "added": 3, "merged": 0, "unchanged": 0, "skipped": 0, "errors": [], "dry_run": False
    }  # fmt: skip
    assert await again.runtime_data.knowledge.async_all() == before
    assert sorted(before, key=lambda row: row.knowledge_type) == NOTES

    assert (await call(hass, "import", path=exported["path"]))["unchanged"] == 3


async def test_an_empty_index_is_exported_and_imported(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert (await call(hass, "export", path="none.jsonl"))["count"] == 0
    assert (await call(hass, "import", path="none.jsonl"))["added"] == 0


async def test_the_ancestors_database(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    file = ancestor(
        Path(hass.config.path("old.db")),
        semantic_knowledge=[
            ("the couch is in the living room", "fact", '{"room": "living"}', 0.9),
            ("the couch is in the living room", "fact", "{}", 0.5),
            ("", "fact", "{}", 0.5),
            ("too good", "fact", "{}", 1.5),
        ],
        rag_knowledge=[("the robot cleans at ten", "pattern", "{}", 0.5)],
    )
    before = file.read_bytes()
    response = await call(hass, "import", path="old.db")
    assert (response["added"], response["merged"], response["unchanged"], response["skipped"]) == (2, 1, 0, 2)
    assert response["errors"] == [
        {"row": 3, "reason": "the text is empty"},
        {"row": 4, "reason": "the score is 1.5, not between 0 and 1"},
    ]
    assert file.read_bytes() == before
    rows = {row.text: row for row in await entry.runtime_data.knowledge.async_all()}
    assert rows["the couch is in the living room"].score == 0.9
    assert rows["the robot cleans at ten"].created == datetime(2024, 1, 1, 10, tzinfo=UTC)


async def test_a_dry_run_says_what_would_happen(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await entry.runtime_data.knowledge.async_import(NOTES[:1], dry_run=False)
    changed = json.dumps({"text": NOTES[0].text, "knowledge_type": "fact", "updated": "2026-01-01", "metadata": {}})
    config_file(hass, "new.jsonl", f"{LINE}\n{changed}\nrubbish\n")
    database = Path(hass.config.path("semantic_home.db"))
    files = [file for file in (database, database.with_name("semantic_home.db-wal")) if file.exists()]
    before = [file.read_bytes() for file in files]
    status = entry.runtime_data.status

    dry = await call(hass, "import", path="new.jsonl", dry_run=True)
    assert (dry["added"], dry["merged"], dry["skipped"], dry["dry_run"]) == (1, 1, 1, True)
    assert [file.read_bytes() for file in files] == before, "a dry run writes nothing"
    assert entry.runtime_data.status == status
    assert await call(hass, "import", path="new.jsonl") == dry | {"dry_run": False}
    assert await stored(entry) == {NOTES[0].text, "the couch is in the living room"}


@pytest.mark.usefixtures("entry")
async def test_no_more_than_fifty_errors_are_told(hass: HomeAssistant) -> None:
    config_file(hass, "bad.jsonl", f"{LINE}\n" + "{}\n" * 70)
    response = await call(hass, "import", path="bad.jsonl")
    assert (response["added"], response["skipped"], len(response["errors"])) == (1, 70, 50)
    assert response["errors"][0] == {"row": 2, "reason": "the text is missing or no text"}


async def test_what_is_imported_gets_vectors(
    hass: HomeAssistant, home: Home, model_folder: str, hass_config_dir: str
) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: "all-minilm-l6-v2", "folder": model_folder})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    before = entry.runtime_data.status
    config_file(hass, "new.jsonl", f"{LINE}\n")
    await call(hass, "import", path="new.jsonl")
    assert entry.runtime_data.degraded, "a vector is missing"
    await async_wait_complete(entry)
    after = entry.runtime_data.status
    assert (after.documents, after.vectors) == (before.documents + 1, before.vectors + 1)


def _fifo(path: Path) -> None:
    import os  # noqa: PLC0415 - only here

    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "make", "key"),
    [
        ("absent.jsonl", lambda _: None, "import_file_missing"),
        ("folder", Path.mkdir, "import_not_a_file"),
        ("pipe", _fifo, "import_not_a_file"),
        ("/etc/hostname", lambda _: None, "import_path_not_allowed"),
        ("../outside.jsonl", lambda path: path.resolve().write_text(LINE), "import_path_not_allowed"),
        ("link.jsonl", lambda path: path.symlink_to("/etc/hostname"), "import_path_not_allowed"),
        ("picture.jsonl", lambda path: path.write_bytes(bytes(range(256))), "import_unknown_kind"),
        ("notes.txt", lambda path: path.write_text("the couch\nthe lamp\n"), "import_unknown_kind"),
        ("other.db", lambda path: ancestor(path, other=[]), "import_no_table"),
        ("nul\x00.jsonl", lambda _: None, "path_unusable"),
    ],
)
async def test_files_that_cannot_be_imported(
    hass: HomeAssistant, entry: MockConfigEntry, name: str, make: Callable[[Path], object], key: str
) -> None:
    make(Path(hass.config.config_dir, name))
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "import", path=name)
    assert (raised.value.translation_domain, raised.value.translation_key) == (DOMAIN, key)
    assert str(raised.value) != key, "the message was not found in the translations"
    assert await stored(entry) == set()


async def test_a_damaged_database_is_a_failure(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    config_file(hass, "old.db", b"SQLite format 3\x00" + b"rubbish" * 2000)
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, "import", path="old.db")
    assert raised.value.translation_key == "import_file_unreadable"
    assert not isinstance(raised.value, ServiceValidationError)


async def test_an_allowed_directory_may_be_read_but_not_written(
    hass: HomeAssistant, entry: MockConfigEntry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside").resolve()
    write_jsonl(outside / "new.jsonl", NOTES)
    hass.config.allowlist_external_dirs = {str(outside)}
    assert (await call(hass, "import", path=str(outside / "new.jsonl")))["added"] == 3
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "export", path=str(outside / "out.jsonl"))
    assert raised.value.translation_key == "export_path_not_allowed"
    assert [file.name for file in outside.iterdir()] == ["new.jsonl"]


@pytest.mark.parametrize("limit", [("MAX_ROWS", 2), ("MAX_MEGABYTES", 0)])
async def test_too_much_is_not_imported_by_half(
    hass: HomeAssistant, entry: MockConfigEntry, limit: tuple[str, int]
) -> None:
    for name in ("new.jsonl", "old.db"):
        if name == "old.db":
            ancestor(Path(hass.config.path(name)), rag_knowledge=[(f"row {i}", "fact", "{}", 0.5) for i in range(3)])
        else:
            write_jsonl(Path(hass.config.path(name)), NOTES)
        with patch.object(knowledge_files, *limit), pytest.raises(ServiceValidationError) as raised:
            await call(hass, "import", path=name)
        assert raised.value.translation_key == "import_too_large"
    assert await stored(entry) == set()


async def test_a_failure_imports_nothing(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    write_jsonl(Path(hass.config.path("new.jsonl")), NOTES)
    with closing(sqlite3.connect(hass.config.path("semantic_home.db"))) as database:
        # Fails in the middle: the second of the three rows.
        database.execute(
            "CREATE TRIGGER fail BEFORE INSERT ON document WHEN NEW.knowledge_type = 'pattern' "
            "BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, "import", path="new.jsonl")
    assert raised.value.translation_key == "failed"
    assert await stored(entry) == set()


@pytest.mark.usefixtures("entry")
async def test_an_export_overwrites_only_when_asked_to(hass: HomeAssistant) -> None:
    file = config_file(hass, "kept.jsonl", "mine\n")
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "export", path="kept.jsonl")
    assert raised.value.translation_key == "export_file_exists"
    assert file.read_text() == "mine\n"
    await call(hass, "export", path="kept.jsonl", overwrite=True)
    assert file.read_text() == ""
    assert not list(file.parent.glob("*.part"))


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("../out.jsonl", "export_path_not_allowed"),
        ("/srv/out.jsonl", "export_path_not_allowed"),
        ("configuration.yaml", "export_not_jsonl"),
        ("semantic_home.db", "export_not_jsonl"),
        ("folder.jsonl", "export_file_exists"),
        ("semantic_home.db/out.jsonl", "export_failed"),
        ("link.jsonl", "export_path_not_allowed"),
    ],
)
async def test_where_nothing_is_exported(hass: HomeAssistant, path: str, key: str) -> None:
    Path(hass.config.path("folder.jsonl")).mkdir()
    Path(hass.config.path("link.jsonl")).symlink_to("/srv/elsewhere.jsonl")
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, "export", path=path, overwrite=True)
    assert raised.value.translation_key == key
    assert isinstance(raised.value, ServiceValidationError) is (key != "export_failed")


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize("action", ["import", "export"])
async def test_only_admins(hass: HomeAssistant, hass_read_only_user: MockUser, action: str) -> None:
    with pytest.raises(Unauthorized):
        await call(hass, action, Context(user_id=hass_read_only_user.id), path="new.jsonl")
    assert not Path(hass.config.path("new.jsonl")).exists()


async def test_knowledge_stays_when_the_home_is_read_again(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    write_jsonl(Path(hass.config.path("new.jsonl")), NOTES)
    await call(hass, "import", path="new.jsonl")
    await hass.services.async_call(DOMAIN, "rebuild_index", {}, blocking=True)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert len(await entry.runtime_data.knowledge.async_all()) == 3
    assert await hass.config_entries.async_unload(entry.entry_id)
    store = IndexStore.open(Path(hass.config.path("semantic_home.db")))
    assert sorted(store.knowledge(), key=lambda row: row.knowledge_type) == NOTES
    store.close()


async def test_queries_are_answered_during_an_import(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    """Held after half of what it writes: nothing of it is seen, nothing waits but writing, then all of it is there."""
    reached, opened = threading.Event(), threading.Event()

    def hold(*arguments: Any) -> None:
        reached.set()
        assert opened.wait(60)
        insert_views(*arguments)

    rows = [json.dumps({"text": f"note {number}", "knowledge_type": "fact"}) for number in range(1_200)]
    config_file(hass, "many.jsonl", "\n".join(rows))
    insert_views = documents._insert_views
    with patch.object(documents, "_insert_views", hold):
        importing = hass.async_create_task(call(hass, "import", path="many.jsonl"))
        assert await hass.async_add_executor_job(reached.wait, 60)
        found = await match(hass, "Schalte die Stehlampe aus")
        assert found["entity_ids"] == ["light.sofa_lamp"]
        assert await stored(entry) == set()
        rebuilding = hass.async_create_task(entry.runtime_data.async_rebuild())
        held = hass.async_create_task(entry.runtime_data.index.async_hold())
        assert (await match(hass, "Schalte die Stehlampe ein"))["entity_ids"] == ["light.sofa_lamp"]
        assert not importing.done()
        assert not rebuilding.done()
        assert not held.done()
        opened.set()
        assert (await importing)["added"] == 1_200
    await held
    await entry.runtime_data.index.async_release()
    await rebuilding
    assert len(await stored(entry)) == 1_200
    assert entry.runtime_data.status.texts > 1_200


async def test_an_import_that_nobody_waits_for_is_done_before_the_index_closes(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry
) -> None:
    reached, opened = threading.Event(), threading.Event()

    def hold(*arguments: Any) -> None:
        reached.set()
        assert opened.wait(60)
        insert_views(*arguments)

    config_file(hass, "one.jsonl", LINE)
    insert_views = documents._insert_views
    with patch.object(documents, "_insert_views", hold):
        importing = hass.async_create_task(call(hass, "import", path="one.jsonl"))
        assert await hass.async_add_executor_job(reached.wait, 60)
        importing.cancel()
        unloading = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
        opened.set()
        assert await unloading
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await stored(entry) == {"the couch is in the living room"}


async def test_knowledge_is_listed_in_pages(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await entry.runtime_data.knowledge.async_import(NOTES, dry_run=False)
    pages = [await call(hass, "list", limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [len(page["knowledge"]) for page in pages] == [2, 1, 0]
    assert [page["total"] for page in pages] == [3, 3, 3]
    listed = [row for page in pages for row in page["knowledge"]]
    assert listed[0] == {
        "id": NOTES[1].key[1],
        "text": NOTES[1].text,
        "type": "pattern",
        "metadata": {},
        "success_score": 0.1,
        "created": NOTES[1].created.isoformat(),
        "updated": NOTES[1].updated.isoformat(),
    }
    found = await call(hass, "list", types=["query", "pattern"])
    assert {row["type"] for row in found["knowledge"]} == {"query", "pattern"}
    assert (await call(hass, "list", source="user"))["total"] == 0


async def test_knowledge_is_deleted(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await entry.runtime_data.knowledge.async_import(NOTES, dry_run=False)
    documents = entry.runtime_data.status.documents
    assert await call(hass, "delete", types="fact") == {"count": 1}
    assert entry.runtime_data.status.documents == documents - 1
    ids = [row.key[1] for row in NOTES]
    assert await call(hass, "delete", id=ids, confirm=True) == {"count": 2}
    assert await stored(entry) == set()
    assert await call(hass, "delete", types="fact") == {"count": 0}


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({}, "nothing_selected"),
        ({"confirm": True}, "nothing_selected"),
        ({"id": [], "types": "fact", "confirm": True}, "empty_list"),
        ({"types": [], "source": "user", "confirm": True}, "empty_list"),
        ({"id": "gone"}, "unknown_knowledge"),
        ({"types": ["fact", "pattern"]}, "confirmation_needed"),
    ],
)
async def test_a_deletion_has_to_say_what(
    hass: HomeAssistant, entry: MockConfigEntry, data: dict[str, Any], key: str
) -> None:
    await entry.runtime_data.knowledge.async_import(NOTES, dry_run=False)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "delete", **data)
    assert raised.value.translation_key == key
    assert str(raised.value) != key, "the message was not found in the translations"
    assert len(await stored(entry)) == 2
