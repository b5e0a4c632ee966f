"""From the file into the matrix: the same as document by document, and one row for one change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from custom_components.semantic_home.index import Document, IndexStore, StoreError, VectorIndex

from .common import DESK, KITCHEN, OTHER, SOFA, STAMP, raw, scores_of, vector
from .test_documents import writes

TWIN = Document("area", "twin", ("Kitchen", "Sofa lamp"))


def fill(store: IndexStore) -> int:
    store.upsert([SOFA, DESK, KITCHEN, TWIN, Document("entity", "mute", ())])
    generation = store.prepare(STAMP)
    texts = [text for text in store.missing_texts(generation.id, 99) if text != "Küche"]
    store.put_vectors(generation.id, {text: vector(number, 1, 0) for number, text in enumerate(texts)})
    other = store.prepare(OTHER)
    store.put_vectors(other.id, {text: vector(9, 9, 9) for text in texts})
    return generation.id


def put_one_by_one(store: IndexStore, generation_id: int) -> VectorIndex:
    stored = store.vectors(generation_id)
    index = VectorIndex(3)
    for document in store.documents():
        rows = [stored[text] for text in document.views if text in stored]
        index.put(document.kind, document.source_id, np.array(rows, np.float32).reshape(-1, 3))
    return index


def test_the_same_as_one_by_one(store: IndexStore) -> None:
    generation_id = fill(store)
    loaded, put = store.load(generation_id), put_one_by_one(store, generation_id)
    assert len(loaded) == len(put) == 4
    for kind in ("entity", "area", "none"):
        for query in (vector(1, 0, 0), vector(0, 1, 0), vector(-1, 0, 0)):
            assert scores_of(loaded, query, kind) == scores_of(put, query, kind)


def test_changes_after_loading(store: IndexStore) -> None:
    generation_id = fill(store)
    loaded, put = store.load(generation_id), put_one_by_one(store, generation_id)
    for index in (loaded, put):
        index.remove("entity", "light.sofa")
        index.put("entity", "light.desk", np.array([[1, 0, 0], [0, 0, 1]], np.float32))
        for number in range(200):
            index.put("area", f"new {number}", np.array([[0, number, 1]], np.float32))
    for kind in ("entity", "area"):
        assert scores_of(loaded, vector(0.5, 1, 2), kind) == scores_of(put, vector(0.5, 1, 2), kind)


def test_nothing_to_load(store: IndexStore) -> None:
    assert len(store.load(store.prepare(STAMP).id)) == 0


@pytest.mark.parametrize("dense", [b"\0", np.full(3, np.nan, "<f4").tobytes()])
def test_damaged_vectors_are_noticed(store: IndexStore, path: Path, dense: bytes) -> None:
    generation_id = fill(store)
    with raw(path) as connection:
        connection.execute("UPDATE vector SET dense = ?", (dense,))
    with pytest.raises(StoreError):
        store.load(generation_id)


def test_load_refuses() -> None:
    rows = np.ones((3, 2), np.float32)
    for source_ids, views, matrix in (
        (["a"], [2], rows),
        (["a", "b"], [3], rows),
        (["a", "a"], [1, 2], rows),
        (["a", "b"], [3, 0], rows),
        (["a"], [3], rows.astype(np.float64)),
        (["a"], [3], np.ones((3, 4), np.float32)),
        (["a"], [3], rows * np.nan),
    ):
        with pytest.raises(ValueError, match=r"matrix|twice|finite"):
            VectorIndex(2).load("entity", source_ids, views, matrix)


def test_one_entity_is_one_row(store: IndexStore, path: Path) -> None:
    """Of 500 entities one gets another name: a document, its view, a vector, a row of the matrix; nothing else."""
    documents = [Document("entity", f"light.{number}", (f"Lamp {number}",)) for number in range(500)]
    store.upsert(documents)
    generation = store.prepare(STAMP)
    texts = store.missing_texts(generation.id, 500)
    store.put_vectors(generation.id, {text: vector(1, number, 0) for number, text in enumerate(texts)})
    index = store.load(generation.id)
    before = index._kinds["entity"]._matrix.copy()
    renamed = replace(documents[123], views=("Reading lamp",))
    with writes(path) as rows:
        changes = store.reconcile({"entity"}, [renamed if each.key == renamed.key else each for each in documents])
        assert changes.updated == (renamed.key,)
        store.put_vectors(generation.id, {"Reading lamp": vector(0, 0, 1)})
        index.put("entity", renamed.source_id, vector(0, 0, 1)[np.newaxis])
    assert [row[:2] for row in rows] == [
        ("UPDATE", "document"),
        ("DELETE", "view"),
        ("INSERT", "view"),
        ("INSERT", "vector"),
    ]
    after = index._kinds["entity"]._matrix
    assert (before != after).any(axis=1).sum() == 1
