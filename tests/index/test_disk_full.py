"""A disk without room: an error, nothing lost and nothing by halves, and all is well when there is room again."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from custom_components.semantic_home.index import Document, IndexStore, Knowledge, StoreError
from tests.full_disk import full_disk

from .common import STAMP, dump, raw
from .old_file import make_0001
from .test_migrations import contents

WIDE = replace(STAMP, dimension=1024)
DAY = datetime(2026, 1, 1, tzinfo=UTC)
ROOMS = tuple(range(0, 400_000, 80_000))


@contextmanager
def no_more_pages(store: IndexStore) -> Iterator[None]:
    """Let the database not grow, which SQLite reports as it does a full disk."""
    assert store._engine
    with closing(store._engine.raw_connection()) as connection:
        cursor = connection.cursor()
        before = cursor.execute("PRAGMA max_page_count").fetchone()[0]
        cursor.execute("PRAGMA max_page_count = 1")
        yield
        cursor.execute(f"PRAGMA max_page_count = {before}")


def sound(path: Path) -> bool:
    with raw(path) as connection:
        checks = [connection.execute(f"PRAGMA {name}").fetchall() for name in ("integrity_check", "foreign_key_check")]
    return checks == [[("ok",)], []]


def build(store: IndexStore) -> None:
    generation = store.prepare(WIDE)
    texts = store.missing_texts(generation.id, 100)
    store.put_vectors(generation.id, dict.fromkeys(texts, np.ones(1024, np.float32)))


def swap(store: IndexStore) -> None:
    store.swap(store.generations()[-1].id)


def bring_in(store: IndexStore) -> None:
    store.import_knowledge(Knowledge(f"note {number} " * 50, "fact", DAY, DAY) for number in range(300))


def take_over(store: IndexStore) -> None:
    first = store.generations()[0]
    second = store.prepare(replace(first.stamp, template_version=7))
    store.take_over(second.id, first.id, 100)


def fill(path: Path) -> None:
    with closing(IndexStore.open(path)) as store:
        store.upsert([Document("entity", f"light.{number}", (f"Lamp {number}",)) for number in range(100)])
        first = store.prepare(replace(WIDE, revision="first"))
        store.put_vectors(first.id, dict.fromkeys(store.missing_texts(first.id, 100), np.ones(1024, np.float32)))


@pytest.mark.parametrize("work", [build, bring_in, take_over])
def test_no_room_in_the_database(path: Path, work: Callable[[IndexStore], None]) -> None:
    fill(path)
    with closing(IndexStore.open(path)) as store:
        with no_more_pages(store), pytest.raises(StoreError, match="full"):
            work(store)
        assert len(store.load(store.generations()[0].id)) == 100
        assert store.knowledge() == []
        assert sound(path)
        work(store)
    assert sound(path)


@pytest.mark.parametrize("work", [build, swap, bring_in, take_over])
def test_no_room_on_the_disk(tmp_path: Path, work: Callable[[IndexStore], None]) -> None:
    """Less room, and more, so that writing fails at another place each time; what is left over is of no harm."""
    failed = 0
    for room in ROOMS:
        path = tmp_path / f"{room}.db"
        fill(path)
        with closing(IndexStore.open(path)) as store:
            if work is swap:
                build(store)
            store.hold()
            store.release()
            before = dump(path)
            try:
                with full_disk(room):
                    work(store)
            except StoreError:
                failed += 1
                assert store.active() == store.generations()[0]
                assert len(store.documents()) == 100
                assert sound(path)
                if work in {swap, bring_in}:
                    assert dump(path) == before, "one transaction, which did not happen"
                work(store)
            done = dump(path)
        assert sound(path)
        with closing(IndexStore.open(path)) as store:
            assert store.damage is None
        assert sorted(dump(path)) == sorted(done)
    assert failed


def test_no_room_for_a_migration(path: Path) -> None:
    make_0001(path, 300)
    before, old = contents(path), path.read_bytes()
    failed = 0
    for room in ROOMS:
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        path.write_bytes(old)
        try:
            with full_disk(room):
                IndexStore.open(path).close()
        except StoreError:
            failed += 1
        assert contents(path) == before
        with closing(IndexStore.open(path)) as store:
            assert store.damage is None
            assert len(store.documents()) == 300
        assert contents(path) == before
        assert sound(path)
    assert failed


def test_no_room_for_a_backup(path: Path) -> None:
    with closing(IndexStore.open(path)) as store:
        build(store)
        bring_in(store)
        # The log has to be folded into the file, which has to grow for it.
        with full_disk(), pytest.raises(StoreError):
            store.hold()
        assert len(store.knowledge()) == 300
        assert store.upsert([Document("entity", "light.new", ("New",))]), "nothing is held"
        store.hold()
        copy = path.with_name("copy.db")
        copy.write_bytes(path.read_bytes())
        store.release()
    assert sound(copy)
    with closing(IndexStore.open(copy)) as store:
        assert len(store.knowledge()) == 300
