"""How well knowledge is found: every question asked in several ways, by the call that the action makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.describe import TEMPLATE_VERSION
from custom_components.semantic_home.engine import Encoded, Role
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import KIND_KNOWLEDGE, Document, Stamp
from custom_components.semantic_home.knowledge_index import FoundKnowledge, KnowledgeQuery
from custom_components.semantic_home.matching import Background

from .descriptions import Question
from .encoders import CachedEncoder

type Floats = NDArray[np.float64]

METRICS = ("recall@1", "recall@5", "MRR@10", "nDCG@10")
"""The share of questions with a right answer first, and among five; and the usual two about the first ten."""

_DEEP = 10
_SEED, _TIMES = 0, 10_000


@dataclass(frozen=True)
class Way:
    """A way of asking."""

    title: str
    model: bool = True
    expand: bool = False
    rerank: bool = False


LETTERS = (
    Way("letters", model=False),
    Way("letters, expanded", model=False, expand=True),
    Way("letters, read again", model=False, rerank=True),
    Way("letters, both", model=False, expand=True, rerank=True),
)
WITH_MODEL = (
    Way("fused"),
    Way("fused, expanded", expand=True),
    Way("fused, read again", rerank=True),
    Way("fused, both", expand=True, rerank=True),
)


class OpenKnowledge:
    """Documents in an index of their own, with a model or without."""

    def __init__(self, documents: Sequence[Document], encoder: CachedEncoder | None, folder: Path) -> None:
        """Put the documents into a new database in the folder, and embed them."""
        self._ids = [document.source_id for document in documents]
        self._encoder = encoder
        self._index = HomeIndex.open(folder / f"{encoder.name if encoder else 'letters'}.db")
        self._index.reconcile({KIND_KNOWLEDGE}, documents)
        self._vectors = np.zeros((len(documents), 0), np.float32)
        self._generation: int | None = None
        if encoder is not None:
            self._vectors = encoder.encode([document.views[0] for document in documents], Role.PASSAGE).dense
            self._generation = self._embed(encoder)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the database."""
        self._index.close()

    def ask(self, query: str, way: Way, limit: int = _DEEP) -> tuple[FoundKnowledge, ...]:
        """Search as the action does."""
        asked = KnowledgeQuery(query, limit=limit, expand=way.expand, rerank=way.rerank)
        said = self._said(query) if way.model else None
        return self._index.search_knowledge(asked, said, self._generation if way.model else None).found

    def nearest(self, query: str) -> list[str]:
        """Rank by the plain cosine of the model's vectors, which is what the rest is compared with."""
        said = self._said(query)
        assert said is not None  # noqa: S101 - asked of nobody else
        order = np.argsort(-(self._vectors @ said.dense[0]), kind="stable")
        return [self._ids[number] for number in order[:_DEEP].tolist()]

    def _said(self, query: str) -> Encoded | None:
        return None if self._encoder is None else self._encoder.encode([query], Role.QUERY)

    def _embed(self, encoder: CachedEncoder) -> int:
        sentences = Background.sentences()
        background = encoder.encode(sentences, Role.QUERY)
        stamp = Stamp(encoder.name, "", "", "", "", "", TEMPLATE_VERSION, background.dense.shape[1])
        generation = self._index.prepare(stamp)
        self._index.use(generation, sentences, background)
        while texts := self._index.missing_texts(generation.id, 256):
            self._index.add_vectors(generation.id, texts, encoder.encode(texts, Role.PASSAGE))
        return generation.id


def measures(ranked: Sequence[str], right: frozenset[str]) -> tuple[float, ...]:
    """Judge one ranking, in the order of METRICS."""
    places = [place for place, one in enumerate(ranked[:_DEEP]) if one in right]
    first = places[0] if places else _DEEP
    gain = sum(1 / np.log2(place + 2) for place in places)
    best = sum(1 / np.log2(place + 2) for place in range(min(len(right), _DEEP)))
    return float(first < 1), float(first < 5), 1 / (first + 1) if places else 0.0, float(gain / best)  # noqa: PLR2004


def rows(opened: OpenKnowledge, asked: Sequence[Question], *, has_model: bool) -> dict[str, Floats]:
    """Judge all ways of asking: (questions, METRICS) by the way's title, the one that they are compared with first."""
    judged = {}
    if has_model:
        judged["dense alone"] = np.array([measures(opened.nearest(one.query), one.right) for one in asked])
    for way in (*LETTERS, *WITH_MODEL) if has_model else LETTERS:
        found = [[each.document.source_id for each in opened.ask(one.query, way)] for one in asked]
        judged[way.title] = np.array([measures(ids, one.right) for ids, one in zip(found, asked, strict=True)])
    return judged


def table(judged: Mapping[str, Floats]) -> str:
    """Lay the rows out, each value in % with its 95 % bootstrap interval, and below it the difference to the first."""
    first = next(iter(judged))
    lines = [f"| % [95 % interval] | {' | '.join(METRICS)} |", "|---|" + "---|" * len(METRICS)]
    for title, values in judged.items():
        lines.append(f"| {title} | {' | '.join(_interval(column) for column in values.T)} |")
        if title != first:
            differences = (values - judged[first]).T
            lines.append(f"| less {first} | {' | '.join(f'{_interval(one, signed=True)}' for one in differences)} |")
    return "\n".join(lines)


def calibration(answers: Sequence[tuple[FoundKnowledge, bool]]) -> str:
    """Compare the confidences of first answers that were right with those of wrong ones."""
    sure = np.array([found.confidence for found, _ in answers])
    right = np.array([was_right for _, was_right in answers])
    means = [f"{sure[which].mean():.2f}" if which.any() else "-" for which in (right, ~right)]
    return (
        f"mean confidence of right first answers {means[0]}, of wrong ones {means[1]}; "
        f"of all {sure.mean():.2f}, of which {right.mean():.2f} were right"
    )


def _interval(values: Floats, *, signed: bool = False) -> str:
    rng = np.random.default_rng(_SEED)
    means = values[rng.integers(len(values), size=(_TIMES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5)) * 100
    sign = "+" if signed else ""
    return f"{values.mean() * 100:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"
