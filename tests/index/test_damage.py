"""Damaged files: moved aside, never deleted, and what the household taught us is saved."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
import random

import numpy as np
import pytest

from custom_components.semantic_home.index import (
    Damage,
    Document,
    IndexStore,
    Knowledge,
    StoreError,
    database,
    integrity,
    salvage,
)

from .common import DESK, SOFA, STAMP, raw
from .old_file import make_0001

PAGE = 4096
COUNT = 400
MOMENT = datetime(2026, 5, 6, 7, 8, 9, 1011, tzinfo=UTC)
ROWS = {
    f"Known thing {number}": Knowledge(
        f"Known thing {number}", "query", MOMENT, MOMENT, {"padding": "x" * 500}, number / COUNT
    )
    for number in range(COUNT)
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "sound.db"
    store = IndexStore.open(path)
    store.import_knowledge(ROWS.values())
    store.upsert([SOFA, DESK, Document("knowledge", "untyped", ("Without a type",))])
    generation = store.prepare(STAMP)
    texts = store.missing_texts(generation.id, 1_000)
    store.put_vectors(generation.id, dict.fromkeys(texts, np.ones(3, np.float32)))
    store.close()
    return path.read_bytes()


def mended(path: Path) -> tuple[Damage, dict[str, Knowledge]]:
    """Open a damaged file; check that it lies unchanged elsewhere, and that the new one is sound."""
    before = path.read_bytes()
    store = IndexStore.open(path)
    assert store.damage is not None
    assert store.damage.moved_to.read_bytes() == before
    assert store.damage.moved_to.name.startswith(f"{path.name}.corrupt-2")
    assert store.generations() == []
    found = {row.text: row for row in store.knowledge()}
    assert len(found) == store.damage.salvaged == len(store.documents())
    for text, row in found.items():
        assert row == ROWS[text]
    damage = store.damage
    store.upsert([SOFA])
    store.close()
    store = IndexStore.open(path)
    assert store.damage is None
    assert len(store.documents()) == len(found) + 1
    store.close()
    with raw(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert {file.name for file in path.parent.iterdir()} == {path.name, damage.moved_to.name}
    return damage, found


def pages_of(path: Path, name: str) -> list[int]:
    with raw(path) as connection:
        rows = connection.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path", (name,))
        return [page for (page,) in rows]


def zero(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))


@pytest.mark.parametrize(
    ("name", "spoil", "all_saved"),
    [
        ("header", lambda data: b"\xff" * 100 + data[100:], True),
        ("magic", lambda data: b"X" + data[1:], True),
        ("first page", lambda data: bytes(PAGE) + data[PAGE:], True),
        ("truncated by a byte", lambda data: data[:-1], None),
        ("without the last pages", lambda data: data[: 95 * PAGE], None),
        ("three pages", lambda data: data[: 3 * PAGE], False),
        ("a few bytes", lambda data: data[:50], False),
        ("all zeros", lambda data: bytes(len(data)), False),
        ("text", lambda _: b"not a database\n" * 1_000, False),
        ("a word", lambda _: b"hello", False),
        ("noise", lambda data: bytes(hash((7, place)) % 256 for place in range(len(data))), False),
    ],
)
def test_spoiled_files(
    path: Path, sound: bytes, name: str, spoil: Callable[[bytes], bytes], *, all_saved: bool | None
) -> None:
    path.write_bytes(spoil(sound))
    damage, found = mended(path)
    if all_saved is not None:
        assert len(found) == (COUNT if all_saved else 0)
        assert damage.unreadable == 0
    else:
        assert found


@pytest.mark.parametrize("table", ["document", "view", "sqlite_autoindex_document_1", "generation", "alembic_version"])
@pytest.mark.parametrize("where", ["root", "middle", "last"])
def test_a_page_of_zeros(path: Path, sound: bytes, table: str, where: str) -> None:
    path.write_bytes(sound)
    pages = pages_of(path, table)
    page = {"root": pages[0], "middle": pages[len(pages) // 2], "last": pages[-1]}[where]
    zero(path, page)
    damage, found = mended(path)
    if table in {"generation", "alembic_version", "sqlite_autoindex_document_1"}:
        assert len(found) == COUNT
    elif where != "root":
        # One page of several: the others' documents are all there, and those lost are counted.
        assert COUNT / 2 < len(found) < COUNT
        # Of one without a type that is not known when its row is lost.
        assert len(found) + damage.unreadable in {COUNT, COUNT + 1}
    else:
        assert (len(found), damage.unreadable) == (0, COUNT + (table == "document"))


def test_damage_to_vectors_is_found_when_they_are_read(path: Path, sound: bytes) -> None:
    """Not at every opening, which would take seconds with many; but then the next opening finds it."""
    path.write_bytes(sound)
    for page in pages_of(path, "vector"):
        zero(path, page)
    store = IndexStore.open(path)
    assert store.damage is None
    with pytest.raises(StoreError):
        store.load(1)
    store.close()
    assert path.with_name(f"{path.name}.suspect").exists()
    assert len(mended(path)[1]) == COUNT


@pytest.mark.parametrize("seed", range(25))
def test_random_damage(path: Path, sound: bytes, seed: int) -> None:
    """Never an exception other than ours, never a document that is not what it was."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    spoiled = bytearray(sound)
    for _ in range(chance.choice((1, 3, 10))):
        start, length = chance.randrange(len(spoiled)), chance.choice((1, 16, 300, PAGE))
        spoiled[start : start + length] = chance.randbytes(len(spoiled[start : start + length]))
    path.write_bytes(spoiled)
    path.with_name(f"{path.name}.suspect").touch()
    before = path.read_bytes()
    store = IndexStore.open(path)
    if store.damage is not None:
        assert store.damage.moved_to.read_bytes() == before
        found = {row.text: row for row in store.knowledge()}
        for text in found.keys() & ROWS.keys():
            assert found[text].knowledge_type
        assert store.generations() == []
    store.close()


def write_log(path: Path, sound: bytes) -> None:
    """Leave a log behind with a document that is not in the file, as a power cut does."""
    path.write_bytes(sound)
    store = IndexStore.open(path)
    store.import_knowledge([Knowledge("Only in the log", "note", MOMENT, MOMENT)])
    log = path.with_name(f"{path.name}-wal")
    kept = path.read_bytes(), log.read_bytes()
    store.close()
    path.write_bytes(kept[0])
    log.write_bytes(kept[1])


def test_a_log_is_no_damage(path: Path, sound: bytes) -> None:
    write_log(path, sound)
    store = IndexStore.open(path)
    assert store.damage is None
    assert len(store.knowledge()) == COUNT + 1
    store.close()


def test_garbage_in_place_of_the_log(path: Path, sound: bytes) -> None:
    path.write_bytes(sound)
    log = path.with_name(f"{path.name}-wal")
    log.write_bytes(b"garbage" * 1_000)
    store = IndexStore.open(path)
    assert store.damage is not None
    assert store.damage.moved_to.read_bytes() == b"garbage" * 1_000
    assert store.damage.moved_to.name.endswith("-wal")
    assert len(store.knowledge()) == COUNT
    assert store.active() is not None
    store.close()
    assert {file.name for file in path.parent.iterdir()} == {path.name, store.damage.moved_to.name}


def test_garbage_in_the_log_ends_it(path: Path, sound: bytes) -> None:
    """The same as what a power cut leaves behind: what was committed last is missing, nothing else."""
    write_log(path, sound)
    log = path.with_name(f"{path.name}-wal")
    log.write_bytes(log.read_bytes()[:100] + b"garbage" * 1_000)
    store = IndexStore.open(path)
    assert store.damage is None
    assert len(store.knowledge()) == COUNT
    store.close()


def test_the_log_of_a_damaged_file_is_read_and_kept(path: Path, sound: bytes) -> None:
    write_log(path, sound)
    zero(path, 1)
    log = path.with_name(f"{path.name}-wal").read_bytes()
    page = pages_of_log_free(sound, path)
    zero(path, page)
    before = path.read_bytes()
    store = IndexStore.open(path)
    assert store.damage is not None
    assert store.damage.moved_to.read_bytes() == before
    assert store.damage.moved_to.with_name(f"{store.damage.moved_to.name}-wal").read_bytes() == log
    assert "Only in the log" in {row.text for row in store.knowledge()}
    store.close()


def pages_of_log_free(sound: bytes, path: Path) -> int:
    """Return a page of documents that the log says nothing of."""
    copy = path.with_name("copy.db")
    copy.write_bytes(sound)
    page = pages_of(copy, "document")[2]
    copy.unlink()
    return page


def test_empty_file_with_a_log(path: Path, sound: bytes) -> None:
    """SQLite would delete the log."""
    write_log(path, sound)
    path.write_bytes(b"")
    store = IndexStore.open(path)
    assert store.damage is not None
    assert store.damage.moved_to.with_name(f"{store.damage.moved_to.name}-wal").stat().st_size > 0
    store.close()


def test_an_old_revision_is_saved_from_too(path: Path) -> None:
    make_0001(path)
    with raw(path) as connection:
        connection.execute("UPDATE document SET kind = 'knowledge', knowledge_type = 'note' WHERE id > 1")
    zero(path, pages_of(path, "generation")[0])
    store = IndexStore.open(path)
    assert store.damage is not None
    assert (store.damage.salvaged, store.damage.unreadable) == (2, 0)
    assert {document.source_id for document in store.documents()} == {"light.2", "light.3"}
    store.close()


@pytest.mark.parametrize("moment", ["salvage", "put_aside", "rename"])
def test_a_power_cut_while_it_is_mended(path: Path, sound: bytes, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(sound)
    zero(path, pages_of(path, "generation")[0])

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "salvage":
            patch.setattr(database, "salvage", cut)
        elif moment == "put_aside":
            patch.setattr(integrity, "put_aside", cut)
        else:
            patch.setattr(Path, "rename", renamed_once(cut))
        with pytest.raises(KeyboardInterrupt):
            IndexStore.open(path)
    store = IndexStore.open(path)
    assert len(store.knowledge()) == COUNT
    store.close()
    names = [file.name for file in path.parent.iterdir()]
    assert len(names) == 2
    assert any(name.startswith(f"{path.name}.corrupt-") for name in names)


def renamed_once(cut: Callable[..., None]) -> Callable[[Path, Path], Path]:
    calls = []
    rename = Path.rename

    def once(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) > 1 and not self.name.endswith(("-wal", "-shm")):
            cut()
        return rename(self, target)

    return once


def test_salvage_leaves_the_file_alone(path: Path, sound: bytes) -> None:
    path.write_bytes(sound)
    with salvage.connect(path, busy_seconds=0) as connection:
        connection.execute("SELECT * FROM document").fetchall()
    connection.close()
    assert path.read_bytes() == sound
    assert [file.name for file in path.parent.iterdir()] == [path.name]
