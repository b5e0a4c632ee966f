"""Measures what the heads of BGE-M3 cost in matching: random vectors of its sizes, in made-up homes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
import tempfile
import time

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.engine import Encoded
from custom_components.semantic_home.home_index import EntityFilter, HomeIndex
from custom_components.semantic_home.index import Document, JsonValue, Stamp
from custom_components.semantic_home.matching import Background, MatchRequest

from .matching import QUERIES, made_up_home

_DIMENSION, _VOCABULARY = 1024, 2_000
_ROUNDS = 20
# Tokens a word, about, as XLM-R's tokenizer cuts them; and the end of the text, which has a vector, too.
_A_WORD = 1.5
_AT_ONCE = 256


def measure(sizes: Sequence[int]) -> list[dict[str, float]]:
    """Ask homes of these sizes with the dense head alone and with all; times in milliseconds."""
    return [_measure(size) for size in sizes]


def _measure(size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "home.db")
        home = HomeIndex.open(path)
        home.reconcile({"entity", "area"}, list(_documents(size)))
        model, generation = _Model(), home.prepare(Stamp("random", "", "", "", "", "", 1, _DIMENSION))
        sentences = Background.sentences()
        background = model.encode(sentences)
        home.use(generation, sentences, background)
        while texts := home.missing_texts(generation.id, _AT_ONCE):
            home.add_vectors(generation.id, texts, model.encode(texts))
        queries = [(query, model.encode([query])) for query in QUERIES]
        all_heads = _times(home, generation.id, queries)
        started = time.perf_counter()
        home.use(generation, sentences, background)
        loaded = time.perf_counter() - started
        dense = _times(home, generation.id, [(query, Encoded(encoded.dense)) for query, encoded in queries])
        result = {"entities": size, "load_ms": loaded * 1000, "megabytes": path.stat().st_size / 1e6}
        home.close()
    return result | {f"dense_{name}": value for name, value in dense.items()} | all_heads


def _times(home: HomeIndex, generation: int, queries: Sequence[tuple[str, Encoded]]) -> dict[str, float]:
    """Ask every query some times; the first time shows what is read or remembered once."""
    took = []
    for _ in range(_ROUNDS):
        for query, encoded in queries:
            started = time.perf_counter()
            home.match(MatchRequest(query), EntityFilter(), encoded, generation)
            took.append((time.perf_counter() - started) * 1000)
    half, most = np.percentile(took[len(queries) :], (50, 95))
    return {"first_ms": max(took[1 : len(queries)]), "p50_ms": float(half), "p95_ms": float(most)}


def _documents(size: int) -> Iterable[Document]:
    candidates, places = made_up_home(size)
    for place in places:
        yield Document("area", place.id, place.names, {"names": list(place.names)})
    for one in candidates:
        name = one.names[0]
        metadata: dict[str, JsonValue] = {
            "entity_id": one.entity_id,
            "domain": one.domain,
            "names": [name],
            "area": one.area,
        }
        yield Document(
            "entity", one.entity_id, (name, f"{name}, {one.device_class or one.domain}, {one.area}"), metadata
        )


class _Model:
    """Says at random what a model of BGE-M3's sizes might say; of equal words the same."""

    def encode(self, texts: Sequence[str]) -> Encoded:
        rng = np.random.default_rng(len(texts))
        lengths = [int(len(text.split()) * _A_WORD) + 1 for text in texts]
        sparse = tuple({sum(map(ord, word)) % _VOCABULARY: 0.2 for word in text.casefold().split()} for text in texts)
        return Encoded(_unit(rng, len(texts)), sparse, tuple(_unit(rng, length) for length in lengths))


def _unit(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    rows = rng.standard_normal((count, _DIMENSION), np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
