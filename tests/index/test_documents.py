"""Documents: what is kept, what is written, what is refused."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from custom_components.semantic_home.index import Changes, Document, IndexStore, StoreError

from .common import DESK, KITCHEN, SOFA, dump, raw


@contextmanager
def writes(path: Path) -> Generator[list[tuple[str, str, str]]]:
    """Collect (operation, table, old or new key) of every row that is written meanwhile."""
    rows: list[tuple[str, str, str]] = []
    with raw(path) as connection:
        connection.execute("CREATE TABLE log (operation, name, row)")
        for name, key in (("document", "source_id"), ("view", "text"), ("vector", "text_hash")):
            for operation, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
                connection.execute(
                    f"CREATE TRIGGER log_{operation}_{name} AFTER {operation} ON {name} "
                    f"BEGIN INSERT INTO log VALUES ('{operation}', '{name}', {side}.{key}); END"
                )
        yield rows
        rows += connection.execute("SELECT * FROM log")


def test_empty(store: IndexStore) -> None:
    assert store.documents() == []
    assert not store.reconcile({"entity"}, [])
    assert not store.upsert([])
    assert not store.remove("entity", [])
    assert store.documents(kinds=()) == []


def test_round_trip(store: IndexStore) -> None:
    nested = {"a": [1, 2.5, None, True, {"b": "ü"}], "": ""}
    document = Document("knowledge", "k1", ("one", "two"), nested, "query", 0.75, "cy")
    assert store.upsert([document]) == Changes(added=(("knowledge", "k1"),))
    assert store.documents() == [document]


def test_views_are_deduplicated_in_order() -> None:
    assert Document("entity", "x", ("b", "a", "b", "a", "c")).views == ("b", "a", "c")


def test_reconcile(store: IndexStore) -> None:
    store.upsert([SOFA, DESK, KITCHEN])
    renamed = replace(SOFA, views=("Couch lamp",))
    fan = Document("entity", "fan.attic", ("Fan",))
    gone = Document("entity", "light.gone", ("Gone",))
    store.upsert([gone])

    changes = store.reconcile({"entity"}, iter([renamed, DESK, fan]))

    assert changes == Changes(added=(fan.key,), updated=(SOFA.key,), removed=(gone.key,), unchanged=(DESK.key,))
    assert changes
    assert store.documents() == [KITCHEN, fan, DESK, renamed]
    assert store.documents({"area"}) == [KITCHEN]


def test_reconcile_with_nothing_clears_only_its_kinds(store: IndexStore) -> None:
    store.upsert([SOFA, KITCHEN])
    assert store.reconcile({"entity", "floor"}, []).removed == (SOFA.key,)
    assert store.documents() == [KITCHEN]


def test_unchanged_writes_nothing(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA, DESK, KITCHEN])
    with raw(path) as watcher:
        before = watcher.execute("PRAGMA data_version").fetchone()
        changes = store.reconcile({"entity", "area"}, [SOFA, DESK, KITCHEN])
        assert not changes
        assert changes.unchanged == (SOFA.key, DESK.key, KITCHEN.key)
        assert not store.upsert([DESK])
        assert watcher.execute("PRAGMA data_version").fetchone() == before


def test_rename_touches_one_document(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA, DESK, KITCHEN])
    with writes(path) as rows:
        store.reconcile({"entity"}, [replace(SOFA, views=("Couch lamp",)), DESK])
    assert rows == [
        ("UPDATE", "document", "light.sofa"),
        ("DELETE", "view", "Sofa lamp"),
        ("DELETE", "view", "Lamp, living room"),
        ("INSERT", "view", "Couch lamp"),
    ]


def test_metadata_alone_leaves_views(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA])
    with writes(path) as rows:
        assert store.upsert([replace(SOFA, metadata={"domain": "switch"})]).updated == (SOFA.key,)
    assert rows == [("UPDATE", "document", "light.sofa")]


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.0), (None, "null"), ([], {})])
def test_equal_in_python_is_not_equal_in_json(store: IndexStore, old: object, new: object) -> None:
    store.upsert([Document("entity", "x", (), {"value": old})])
    assert store.upsert([Document("entity", "x", (), {"value": new})]).updated
    value = store.documents()[0].metadata["value"]
    assert (value, type(value)) == (new, type(new))


def test_order_of_metadata_is_no_change(store: IndexStore) -> None:
    store.upsert([Document("entity", "x", (), {"a": 1, "b": 2})])
    assert not store.upsert([Document("entity", "x", (), {"b": 2, "a": 1})])


def test_order_of_views_is_a_change(store: IndexStore) -> None:
    store.upsert([Document("entity", "x", ("a", "b"))])
    assert store.upsert([Document("entity", "x", ("b", "a"))])
    assert store.documents()[0].views == ("b", "a")


def test_remove(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA, DESK, KITCHEN])
    changes = store.remove("entity", ["light.sofa", "light.none", "kitchen"])
    assert changes == Changes(removed=(SOFA.key,))
    assert store.documents() == [KITCHEN, DESK]
    with raw(path) as connection:
        assert connection.execute("SELECT count(*) FROM view").fetchone() == (3,)


def test_same_id_in_two_kinds(store: IndexStore) -> None:
    both = [Document("area", "attic", ("a",)), Document("floor", "attic", ("f",))]
    store.upsert(both)
    assert store.documents() == both
    store.remove("area", ["attic"])
    assert store.documents() == both[1:]


def test_more_than_one_statement_can_name(store: IndexStore) -> None:
    many = [Document("entity", f"light.{number:05}", (f"Lamp {number}",)) for number in range(1_501)]
    assert len(store.upsert(many).added) == len(many)
    assert store.upsert(many).unchanged == tuple(document.key for document in many)
    assert store.documents() == many
    changed = [replace(document, views=(*document.views, "light")) for document in many]
    assert len(store.reconcile({"entity"}, changed).updated) == len(many)
    assert store.documents() == changed
    assert len(store.remove("entity", [document.source_id for document in many]).removed) == len(many)


@pytest.mark.parametrize(
    "text",
    [
        "Küche",
        "Ku\u0308che",
        "غرفة المعيشة",
        "客厅的灯",
        "👩\u200d👩\u200d👧 lamp",
        "a\0b",
        "",
        " ",
        "'; DROP TABLE view; --",
        "%s ? :x",
    ],
)
def test_unicode(path: Path, text: str) -> None:
    document = Document("entity", text, (text, text + "!"), {text: text}, text, None, text)
    store = IndexStore.open(path)
    store.upsert([document])
    store.close()
    store = IndexStore.open(path)
    assert store.documents() == [document]
    assert not store.upsert([document])
    assert store.remove("entity", [text]).removed == (document.key,)
    store.close()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"views": ("\ud800",)}, ValueError),
        ({"source_id": "\ud800"}, ValueError),
        ({"success_score": float("nan")}, ValueError),
        ({"metadata": {"x": float("inf")}}, ValueError),
        ({"metadata": {"x": {1, 2}}}, TypeError),
    ],
)
def test_document_refuses_what_cannot_be_stored(arguments: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        replace(DESK, **arguments)


def test_conflicting_documents_are_refused(store: IndexStore) -> None:
    store.upsert([KITCHEN])
    for write in (store.upsert, lambda documents: store.reconcile({"entity"}, documents)):
        with pytest.raises(ValueError, match=r"light\.sofa"):
            write([SOFA, DESK, replace(SOFA, language="de")])
    with pytest.raises(ValueError, match="area"):
        store.reconcile({"entity"}, [SOFA, KITCHEN])
    assert store.documents() == [KITCHEN]
    assert store.upsert([SOFA, replace(SOFA)]).added == (SOFA.key,)


def test_failing_source_leaves_the_database_as_it_was(store: IndexStore, path: Path) -> None:
    def failing() -> Generator[Document]:
        yield DESK
        raise RuntimeError("registry went away")

    store.upsert([SOFA])
    before = dump(path)
    with pytest.raises(RuntimeError):
        store.reconcile({"entity"}, failing())
    assert dump(path) == before
    assert store.reconcile({"entity"}, [DESK])


def test_failing_write_leaves_the_database_as_it_was(store: IndexStore, path: Path) -> None:
    """The last row to be written fails, after rows were deleted, inserted and updated."""
    store.upsert([SOFA, Document("entity", "light.gone", ("Gone",))])
    with raw(path) as connection:
        connection.execute(
            "CREATE TRIGGER fail BEFORE INSERT ON view WHEN NEW.text = 'Couch lamp' "
            "BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"
        )
    before = dump(path)
    with pytest.raises(StoreError, match="disk on fire") as caught:
        store.reconcile({"entity"}, [DESK, replace(SOFA, views=("Couch lamp",))])
    assert "Couch" not in str(caught.value)
    assert dump(path) == before
    assert store.reconcile({"entity"}, [DESK])


def test_reading_does_not_wait_for_another_writer(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA])
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM document")
        assert store.documents() == [SOFA]
        other.execute("COMMIT")
    assert store.documents() == []


def test_closed_store(path: Path) -> None:
    store = IndexStore.open(path)
    store.upsert([SOFA])
    store.close()
    store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with pytest.raises(StoreError):
        store.documents()
    with raw(path) as connection:
        assert connection.execute("SELECT count(*) FROM document").fetchone() == (1,)


def test_another_thread_is_refused_and_does_no_harm(store: IndexStore) -> None:
    with ThreadPoolExecutor(1) as executor:
        for call in (store.documents, lambda: store.upsert([SOFA]), store.close):
            with pytest.raises(RuntimeError):
                executor.submit(call).result()
    assert store.upsert([SOFA])
    assert store.documents() == [SOFA]
