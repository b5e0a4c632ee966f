"""Measures searching what a household knows, without encoding: made-up texts with random vectors."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
import random
import tempfile
import time
from typing import Any

import numpy as np

from custom_components.semantic_home.engine import Encoded
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import IndexStore, Knowledge, Stamp
from custom_components.semantic_home.knowledge_filter import Condition, KnowledgeFilter, Operator
from custom_components.semantic_home.knowledge_index import KnowledgeQuery
from custom_components.semantic_home.matching import Background

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "of one type": {"limits": KnowledgeFilter(types=("note",))},
    "of one room (metadata)": {"limits": KnowledgeFilter(conditions=(Condition("room", Operator.EQ, "room 3"),))},
    "expand": {"expand": True},
    "rerank": {"rerank": True},
    "expand and rerank": {"expand": True, "rerank": True},
}
_DIMENSION = 1_024
_WORDS = Path(__file__).parent.parent / "reference/corpus.txt"
_TEXT_WORDS, _QUERY_WORDS, _ROOMS = 20, 8, 20
_AT_ONCE = 2_000


def measure(pieces: int, rounds: int) -> Iterator[tuple[str, float, float]]:
    """Yield what was measured of so many pieces of knowledge, with its p50 and p95 in milliseconds."""
    rng, words = random.Random(1), _WORDS.read_text("utf-8").split()  # noqa: S311 - to be repeated, not to be secret
    vectors = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "knowledge.db")
        with closing(IndexStore.open(path)) as store:
            store.import_knowledge(_made_up(pieces, rng, words))
        index = HomeIndex.open(path)
        started = time.perf_counter()
        # As at every start, when the home is read.
        index.reconcile(set(), [])
        took_ms = (time.perf_counter() - started) * 1000
        yield "made at the start", took_ms, took_ms
        generation = _embed(index, vectors)
        for title, asked in WAYS.items():
            took = []
            for _ in range(rounds + 1):
                query = KnowledgeQuery(" ".join(rng.choices(words, k=_QUERY_WORDS)), **asked)
                said = _random(1, vectors)
                started = time.perf_counter()
                index.search_knowledge(query, said, generation)
                took.append((time.perf_counter() - started) * 1000)
            # The first one of each way loads what is loaded once.
            half, most = np.percentile(took[1:], (50, 95))
            yield title, float(half), float(most)
        index.close()


def _made_up(pieces: int, rng: random.Random, words: Sequence[str]) -> list[Knowledge]:
    now = datetime.now(UTC)
    return [
        Knowledge(
            f"{' '.join(rng.choices(words, k=_TEXT_WORDS))} {number}",
            "note" if number % 2 else "pattern",
            now,
            now,
            {"room": f"room {number % _ROOMS}"},
        )
        for number in range(pieces)
    ]


def _embed(index: HomeIndex, vectors: np.random.Generator) -> int:
    generation = index.prepare(Stamp("random", "", "", "", "", "", 1, _DIMENSION))
    sentences = Background.sentences()
    index.use(generation, sentences, _random(len(sentences), vectors))
    while texts := index.missing_texts(generation.id, _AT_ONCE):
        index.add_vectors(generation.id, texts, _random(len(texts), vectors))
    return generation.id


def _random(count: int, vectors: np.random.Generator) -> Encoded:
    rows = vectors.standard_normal((count, _DIMENSION), np.float32)
    return Encoded(rows / np.linalg.norm(rows, axis=1, keepdims=True))
