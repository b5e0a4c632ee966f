"""What models say of texts beside their vectors: scores as FlagEmbedding computes them, and how they are stored."""

import json
from pathlib import Path

from hypothesis import given, strategies as st
import numpy as np
import pytest

from custom_components.semantic_home.index import (
    IndexStore,
    LexicalIndex,
    LexicalQueries,
    StoreError,
    TextHeads,
    late_interaction,
)
from custom_components.semantic_home.index.heads import multivector_blob, multivector_of, sparse_blob, sparse_of

from .common import DESK, KITCHEN, OTHER, SOFA, STAMP, THIRD, raw, vector

_GOLDEN = json.loads((Path(__file__).parents[1] / "engine/golden/tiny-xlmr.json").read_text("utf-8"))["texts"]
_WEIGHTS = [{int(token): weight for token, weight in row["sparse"].items()} for row in _GOLDEN]
_TOKENS = {
    number: np.array(row["multivector"], np.float32)
    for number, row in enumerate(_GOLDEN)
    if len(row["multivector"]) == row["multivector_length"]
}

weights = st.dictionaries(st.integers(0, 9), st.floats(0.015625, 1, width=16), max_size=5)
documents = st.dictionaries(st.sampled_from("abcd"), st.lists(weights, min_size=1, max_size=3))


def tokens(count: int, size: int = 8, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def score(left: dict[int, float], right: dict[int, float]) -> float:
    return sum(weight * right[token] for token, weight in left.items() if token in right)


def heads(number: int = 0) -> TextHeads:
    return TextHeads({7: 0.5, 250_001: 0.25 + number}, tokens(3, seed=number))


def test_lexical_scores_are_flagembeddings() -> None:
    index = LexicalIndex()
    for number, row in enumerate(_WEIGHTS):
        index.put(str(number), [row])
    expected = [row["sparse_score"] for row in _GOLDEN]
    numbers = list(range(len(_GOLDEN)))
    assert index.search(_WEIGHTS[0], list(map(str, numbers))) == pytest.approx(expected, abs=1e-5)
    assert index.search(_WEIGHTS[0], ["3", "0"]) == pytest.approx([expected[3], expected[0]], abs=1e-5)
    assert sum(score > 0 for score in expected) >= 3
    queries = LexicalQueries(_WEIGHTS[:1])
    assert [float(queries.best([row])[0]) for row in _WEIGHTS] == pytest.approx(expected, abs=1e-5)


def test_late_interaction_is_flagembeddings() -> None:
    found = late_interaction([_TOKENS[0], _TOKENS[3]], list(_TOKENS.values()))
    assert found.shape == (len(_TOKENS), 2)
    np.testing.assert_allclose(found[:, 0], [_GOLDEN[number]["colbert_score"] for number in _TOKENS], atol=1e-5)
    stored = [multivector_of(multivector_blob(some)) for some in _TOKENS.values()]
    np.testing.assert_allclose(late_interaction([_TOKENS[0]], stored)[:, 0], found[:, 0], atol=2e-3)


@given(documents, weights, st.sets(st.sampled_from("abcd")))
def test_the_inverted_index_finds_what_comparing_all_does(
    texts: dict[str, list[dict[int, float]]], query: dict[int, float], allowed: set[str]
) -> None:
    index = LexicalIndex()
    for source_id, some in texts.items():
        index.put(source_id, [{1: 1.0}])
        index.search(query, [source_id])
        index.put(source_id, some)
    index.put("gone", [query])
    index.remove("gone")
    index.remove("never there")
    asked = sorted(texts.keys() & allowed)
    expected = [max(score(query, text) for text in texts[one]) for one in asked]
    assert index.search(query, asked).tolist() == pytest.approx(expected, abs=1e-5)
    for some in texts.values():
        assert LexicalQueries([query, {}]).best(some) == pytest.approx(
            [max(score(query, text) for text in some), 0], abs=1e-5
        )


def test_rounding_is_less_than_half_a_percent() -> None:
    vectors = tokens(64, 1024)
    found = multivector_of(multivector_blob(vectors))
    assert np.abs(found - vectors).max() < 0.005 * np.abs(vectors).max()
    np.testing.assert_allclose((found * vectors).sum(axis=1), 1, atol=1e-3)
    np.testing.assert_array_equal(multivector_of(multivector_blob(np.zeros((2, 4), np.float32))), np.zeros((2, 4)))


def test_what_is_too_long_for_a_name_is_not_kept_token_by_token() -> None:
    assert multivector_blob(tokens(65)) is None
    assert multivector_blob(None) is None
    assert multivector_blob(tokens(0)) is None


@pytest.mark.parametrize("blob", [b"", b"\0\0\0\0", b"\2\0\0\0" + bytes(8), b"\2\0\0\0" + bytes(11), b"\xff" * 9])
def test_what_was_never_stored_is_an_error(blob: bytes) -> None:
    with pytest.raises(StoreError, match="tokens"):
        multivector_of(blob)
    with pytest.raises(StoreError, match="tokens"):
        sparse_of(b"123")
    for bad in (np.full((1, 3), np.nan, np.float32), np.ones(3, np.float32)):
        with pytest.raises(ValueError, match="finite"):
            multivector_blob(bad)
    with pytest.raises(ValueError, match="finite"):
        sparse_blob({1: float("nan")})


def test_they_are_kept_with_the_vector(store: IndexStore, path: Path) -> None:
    store.upsert([SOFA, DESK, KITCHEN])
    generation = store.prepare(STAMP)
    texts = store.missing_texts(generation.id, 10)
    said = {text: heads(number) for number, text in enumerate(texts) if text != "Desk lamp"}
    said["Küche"] = TextHeads({}, tokens(65))
    store.put_vectors(generation.id, dict.fromkeys((*texts, "unused"), vector(1, 0, 0)), said)
    store.close()
    again = IndexStore.open(path)
    sparse = again.sparse(generation.id)
    assert sparse.keys() == set(texts)
    assert sparse["Desk lamp"] is None and sparse["Küche"] == {}
    assert sparse["Kitchen"] == pytest.approx(said["Kitchen"].sparse)
    assert again.sparse(generation.id, ["Kitchen", "unused", "unknown"]).keys() == {"Kitchen", "unused"}
    found = again.multivectors(generation.id, [*texts, "unknown"])
    assert found.keys() == set(texts) - {"Desk lamp", "Küche"}
    np.testing.assert_allclose(found["Kitchen"], said["Kitchen"].multivector, atol=5e-3)
    # Made anew by a model that has no such heads.
    again.put_vectors(generation.id, {"Kitchen": vector(0, 1, 0)})
    assert again.sparse(generation.id, ["Kitchen"]) == {"Kitchen": None}
    assert again.multivectors(generation.id, ["Kitchen"]) == {}
    again.close()


def test_they_go_with_the_vector_into_the_next_generation(store: IndexStore) -> None:
    store.upsert([DESK])
    first = store.prepare(STAMP)
    store.put_vectors(first.id, {"Desk lamp": vector(1, 0, 0)}, {"Desk lamp": heads()})
    described_anew, other = store.prepare(THIRD), OTHER
    assert store.take_over(described_anew.id, first.id, 10) == ["Desk lamp"]
    store.swap(described_anew.id)
    assert store.sparse(described_anew.id)["Desk lamp"] == pytest.approx(heads().sparse)
    assert store.multivectors(described_anew.id, ["Desk lamp"]).keys() == {"Desk lamp"}
    assert store.sparse(store.prepare(other).id) == {}


def test_the_background_has_them_too(store: IndexStore, path: Path) -> None:
    generation, sentences = store.prepare(STAMP), ("one", "two words")
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    store.put_background(generation.id, sentences, rows)
    store.put_background(generation.id, sentences, rows, [heads(1), TextHeads({}, None)])
    found = store.background(generation.id, sentences)
    assert found is not None and found[1] is not None
    np.testing.assert_array_equal(found[0], rows)
    first, second = found[1]
    assert first.sparse == pytest.approx(heads(1).sparse)
    np.testing.assert_allclose(first.multivector, heads(1).multivector, atol=5e-3)
    assert (second.sparse, second.multivector) == ({}, None)
    with raw(path) as connection:
        connection.execute("UPDATE background SET sparse = CAST(sparse || x'00' AS BLOB)")
    with pytest.raises(StoreError, match="blobs"):
        store.background(generation.id, sentences)
    store.put_background(generation.id, sentences, rows)
    found = store.background(generation.id, sentences)
    assert found is not None and found[1] is None
