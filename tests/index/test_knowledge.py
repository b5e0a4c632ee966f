"""Knowledge comes in whole or not at all, in any order, any number of times."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.semantic_home.index import ImportCounts, IndexStore, Knowledge, knowledge_id

from .common import dump

DAY = datetime(2026, 1, 1, tzinfo=UTC)
NOTE = Knowledge("The lamp by the couch is Sofa lamp", "query", DAY, DAY, {"entity_id": "light.sofa"}, 0.75)

moments = st.integers(0, 3).map(lambda days: DAY + timedelta(days=days))
rows = st.builds(
    Knowledge,
    text=st.sampled_from(["a", "b", "ä"]),
    knowledge_type=st.sampled_from(["query", "note"]),
    created=moments,
    updated=moments,
    metadata=st.sampled_from([{}, {"x": 1}, {"x": True}]),
    score=st.sampled_from([0.0, 0.5, 1.0]),
)
row_lists = st.lists(rows, max_size=8)


def test_what_comes_in_goes_out(store: IndexStore) -> None:
    other = Knowledge("Küche", "note", DAY, DAY + timedelta(hours=1))
    assert store.import_knowledge(iter([NOTE, other])) == ImportCounts(added=2)
    assert sorted(store.knowledge(), key=lambda row: row.text) == [other, NOTE]
    documents = {document.source_id: document for document in store.documents({"knowledge"})}
    document = documents[knowledge_id("query", NOTE.text)]
    assert document.views == (NOTE.text,)
    assert (document.knowledge_type, document.success_score) == ("query", 0.75)


@given(row_lists, row_lists)
@settings(deadline=None, max_examples=50)
def test_a_dry_run_counts_the_same_and_writes_nothing(known: list[Knowledge], more: list[Knowledge]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index.db"
        store = IndexStore.open(path)
        store.import_knowledge(known)
        before = dump(path)
        dry = store.import_knowledge(more, dry_run=True)
        assert dump(path) == before
        assert store.import_knowledge(more) == dry
        store.close()


def test_a_dry_run_needs_no_lock(store: IndexStore) -> None:
    store.hold()
    assert store.import_knowledge([NOTE], dry_run=True) == ImportCounts(added=1)
    store.release()
    assert store.knowledge() == []


def test_equal_texts_of_different_types_are_two(store: IndexStore) -> None:
    assert store.import_knowledge([NOTE, replace(NOTE, knowledge_type="pattern")]).added == 2


@pytest.mark.parametrize("separately", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_newest_is_right(store: IndexStore, *, separately: bool, backwards: bool) -> None:
    newer = replace(NOTE, created=DAY + timedelta(1), updated=DAY + timedelta(2), metadata={"new": True}, score=0.25)
    given_rows = [newer, NOTE] if backwards else [NOTE, newer]
    for part in [[row] for row in given_rows] if separately else [given_rows]:
        counts = store.import_knowledge(part)
    assert store.knowledge() == [replace(newer, created=DAY)]
    # Backwards, the older row still tells since when this is known.
    assert counts == (ImportCounts(merged=1) if separately else ImportCounts(added=1, merged=1))


def test_a_default_score_does_not_undo_what_was_learned(store: IndexStore) -> None:
    stored_again = replace(NOTE, updated=DAY + timedelta(1), score=0.5)
    store.import_knowledge([NOTE])
    assert store.import_knowledge([stored_again]) == ImportCounts(merged=1)
    assert store.knowledge() == [replace(stored_again, score=0.75)]


def test_a_stored_language_stays(store: IndexStore) -> None:
    store.upsert([replace(NOTE.document(), language="en")])
    store.import_knowledge([replace(NOTE, updated=datetime.now(UTC) + timedelta(1))])
    assert store.documents()[0].language == "en"


@given(given_rows=row_lists, data=st.data())
@settings(deadline=None, max_examples=60)
def test_order_and_repetition_do_not_matter(given_rows: list[Knowledge], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        stores = [IndexStore.open(Path(folder) / name) for name in ("a.db", "b.db")]
        first = stores[0].import_knowledge(given_rows)
        stores[1].import_knowledge(data.draw(st.permutations(given_rows)))
        assert stores[0].knowledge() == stores[1].knowledge()
        keys = {row.key for row in given_rows}
        assert first == ImportCounts(len(keys), len(given_rows) - len(keys), 0)
        before = dump(stores[0]._path)
        assert stores[0].import_knowledge(given_rows * 2) == ImportCounts(0, 0, 2 * len(given_rows))
        assert dump(stores[0]._path) == before
        for store in stores:
            store.close()


def test_odd_documents_do_not_stop_the_export(store: IndexStore) -> None:
    document = NOTE.document()
    store.upsert(
        [
            replace(document, source_id="good", success_score=7.0),
            replace(document, source_id="untyped", knowledge_type=None),
            replace(document, source_id="mute", views=()),
            replace(document, source_id="blank", views=(" ",)),
            replace(document, source_id="long", views=("x" * 99_999,), success_score=None),
        ]
    )
    assert [(len(row.text), row.score) for row in store.knowledge()] == [(len(NOTE.text), 1.0), (99_999, 0.5)]


def test_half_an_import_is_none(store: IndexStore) -> None:
    def failing() -> Iterator[Knowledge]:
        yield NOTE
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="disk"):
        store.import_knowledge(failing())
    assert store.knowledge() == []


def test_many(store: IndexStore) -> None:
    many = [replace(NOTE, text=f"text {number}", score=number / 1_500) for number in range(1_500)]
    assert store.import_knowledge(many).added == 1_500
    assert sorted(store.knowledge(), key=lambda row: row.score) == many
    assert store.import_knowledge(many).unchanged == 1_500


def test_times_are_kept_in_utc() -> None:
    cardiff = replace(NOTE, created=datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=1))))
    assert (cardiff.created.hour, cardiff.created.tzinfo) == (11, UTC)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"text": ""}, ValueError),
        ({"text": " \n"}, ValueError),
        ({"text": "\ud800"}, ValueError),
        ({"knowledge_type": ""}, ValueError),
        ({"score": -0.1}, ValueError),
        ({"score": 1.1}, ValueError),
        ({"score": float("nan")}, ValueError),
        ({"metadata": {"x": float("inf")}}, ValueError),
        ({"metadata": {"x": {1}}}, TypeError),
    ],
)
def test_knowledge_refuses(changes: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        replace(NOTE, **changes)
