"""Knowledge is looked at in pages, removed by what it is, and kept within bounds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from custom_components.semantic_home.index import (
    ImportCounts,
    IndexStore,
    Knowledge,
    Selection,
    TooManySelectedError,
)

from .common import SOFA

DAY = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES = Selection(types=["query"])


def knowledge(text: str, days: int = 0, knowledge_type: str = "query", **metadata: str | dict[str, str]) -> Knowledge:
    day = DAY + timedelta(days=days)
    return Knowledge(text, knowledge_type, day, day, {**metadata})


def texts(store: IndexStore, selection: Selection, limit: int = 100, offset: int = 0) -> list[str]:
    return [row.text for row in store.knowledge_page(selection, limit, offset).rows.values()]


@pytest.fixture
def three(store: IndexStore) -> IndexStore:
    store.upsert([SOFA])
    store.import_knowledge(
        [
            knowledge("a", 1, source="user"),
            knowledge("b", 3, source="home", entity_ids="x"),
            knowledge("c", 2, "note", source="user"),
        ]
    )
    return store


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ["b", "c", "a"]),
        (QUERIES, ["b", "a"]),
        (Selection(types=["query", "note"], source="user"), ["c", "a"]),
        (Selection(field="entity_ids"), ["b"]),
        (Selection(ids=[knowledge("a").key[1], "nothing"]), ["a"]),
        (Selection(types=["entity"]), []),
        (Selection(source="' OR 1=1 --"), []),
    ],
)
def test_what_is_selected_is_shown_and_removed(three: IndexStore, selection: Selection, expected: list[str]) -> None:
    assert texts(three, selection) == expected
    before = set(texts(three, Selection()))
    assert len(three.remove_knowledge(selection).removed) == len(expected)
    assert set(texts(three, Selection())) == before - {*expected}
    assert three.documents({"entity"}) == [SOFA]


def test_pages(three: IndexStore) -> None:
    assert [texts(three, Selection(), 2, offset) for offset in (0, 2, 4)] == [["b", "c"], ["a"], []]
    assert {three.knowledge_page(Selection(), 2, offset).total for offset in (0, 2, 4)} == {3}


def test_no_more_is_removed_than_may_be(three: IndexStore) -> None:
    with pytest.raises(TooManySelectedError) as raised:
        three.remove_knowledge(QUERIES, 1)
    assert raised.value.count == 2
    assert len(texts(three, QUERIES)) == 2
    assert len(three.remove_knowledge(QUERIES, 2).removed) == 2


def test_what_is_kept_again_stays_one(store: IndexStore) -> None:
    first = replace(knowledge("a", 1, answer="x"), score=0.9)
    assert store.keep_knowledge(first, QUERIES, 9).added == (first.key,)
    again = replace(knowledge("a", 2, answer="x"))
    assert store.keep_knowledge(again, QUERIES, 9).updated == (first.key,)
    assert store.knowledge() == [replace(first, updated=again.updated)], "as old as it was, and as good"
    other = knowledge("a", 3, answer="y")
    store.keep_knowledge(other, QUERIES, 9)
    assert store.knowledge() == [replace(other, created=first.created)], "nobody has judged this answer yet"


def test_circumstances_tell_apart(store: IndexStore, tmp_path: Path) -> None:
    rows = [knowledge("a"), knowledge("a", asked_in={"place": "hall"}), knowledge("a", asked_in={"place": "den"})]
    for row in rows:
        store.keep_knowledge(row, QUERIES, 9)
    assert len({row.key for row in rows}) == 3
    assert knowledge("a", asked_in={}).key == knowledge("a", asked_in="long ago").key == rows[0].key
    assert store.import_knowledge(rows) == ImportCounts(unchanged=3)
    again = IndexStore.open(tmp_path / "again.db")
    assert again.import_knowledge(store.knowledge()) == ImportCounts(added=3)
    assert again.knowledge() == store.knowledge()
    again.close()


def test_the_oldest_gives_way(store: IndexStore) -> None:
    store.import_knowledge([knowledge("note", -9, "note")])
    for day, text in enumerate("abca"):
        changes = store.keep_knowledge(knowledge(text, day), QUERIES, 2)
    assert texts(store, QUERIES) == ["a", "c"]
    assert (changes.added, changes.removed) == ((knowledge("a").key,), (knowledge("b").key,))
    assert texts(store, Selection(types=["note"])) == ["note"]


def test_what_is_kept_now_stays_whatever_the_clock_says(store: IndexStore) -> None:
    store.import_knowledge([knowledge(text, 9 + day) for day, text in enumerate("ab")])
    changes = store.keep_knowledge(knowledge("c", 1), QUERIES, 2)
    assert (changes.added, changes.removed) == ((knowledge("c").key,), (knowledge("a").key,))
    assert texts(store, QUERIES) == ["b", "c"]
