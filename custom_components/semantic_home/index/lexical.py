"""Search by the weights of tokens: what BGE-M3 calls its sparse, or lexical, scores.

The score of two texts is the sum, over the tokens that both have, of the products of their weights (FlagEmbedding
1.4.2, `M3Embedder.compute_lexical_matching_score`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

type Weights = Mapping[int, float]


class LexicalIndex:
    """An inverted index of the documents of one kind, made anew when it is asked after a change."""

    def __init__(self) -> None:
        """Begin without documents."""
        self._texts: dict[str, Sequence[Weights]] = {}
        self._postings: _Postings | None = None

    def __contains__(self, source_id: str) -> bool:
        """Tell whether a document is there."""
        return source_id in self._texts

    def put(self, source_id: str, texts: Sequence[Weights]) -> None:
        """Keep the weights of a document's texts, one at least, in place of any it has."""
        self._texts[source_id] = texts
        self._postings = None

    def remove(self, source_id: str) -> None:
        """Forget a document; does nothing when it is not there."""
        if self._texts.pop(source_id, None) is not None:
            self._postings = None

    def search(self, query: Weights, source_ids: Sequence[str]) -> NDArray[np.float32]:
        """Score documents that are there, each by its best text: (n,); 0 where no token is shared."""
        if not source_ids:
            return np.zeros(0, np.float32)
        if self._postings is None:
            self._postings = _Postings.of(self._texts)
        rows = np.fromiter(map(self._postings.rows.__getitem__, source_ids), np.intp, len(source_ids))
        return self._postings.best(query)[rows]


class LexicalQueries:
    """Many queries that every document is held against."""

    def __init__(self, queries: Sequence[Weights]) -> None:
        """Take the queries' weights."""
        self._rows = {token: row for row, token in enumerate(dict.fromkeys(chain.from_iterable(queries)))}
        self._weights = np.zeros((len(self._rows), len(queries)), np.float32)
        for column, query in enumerate(queries):
            for token, weight in query.items():
                self._weights[self._rows[token], column] = weight

    def best(self, texts: Sequence[Weights]) -> NDArray[np.float32]:
        """Score a document's best text, of one at least, for each of the queries: (queries,)."""
        best: NDArray[np.float32] = np.max([self._score(text) for text in texts], axis=0)
        return best

    def _score(self, text: Weights) -> NDArray[np.float32]:
        shared = [(self._rows[token], weight) for token, weight in text.items() if token in self._rows]
        if not shared:
            return np.zeros(self._weights.shape[1], np.float32)
        rows, weights = zip(*shared, strict=True)
        scores: NDArray[np.float32] = np.array(weights, np.float32) @ self._weights[list(rows)]
        return scores


@dataclass(frozen=True, slots=True)
class _Postings:
    """Who has which token: by token in ascending order, the texts' numbers and weights."""

    rows: dict[str, int]  # by source id, the document's number
    starts: list[int]  # by document, the number of its first text
    count: int  # of the texts
    tokens: NDArray[np.int64]
    texts: NDArray[np.intp]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, documents: Mapping[str, Sequence[Weights]]) -> _Postings:
        texts = list(chain.from_iterable(documents.values()))
        starts = np.cumsum([0, *(len(some) for some in documents.values())])[:-1].tolist()
        tokens = np.fromiter(chain.from_iterable(texts), np.int64)
        weights = np.fromiter(chain.from_iterable(text.values() for text in texts), np.float32)
        order = np.argsort(tokens, kind="stable")
        owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
        rows = {source_id: row for row, source_id in enumerate(documents)}
        return cls(rows, starts, len(texts), tokens[order], owners[order], weights[order])

    def best(self, query: Weights) -> NDArray[np.float32]:
        scores = np.zeros(self.count, np.float32)
        wanted = np.fromiter(query, np.int64, len(query))
        ends = np.searchsorted(self.tokens, wanted, "right").tolist()
        begins = np.searchsorted(self.tokens, wanted, "left").tolist()
        for begin, end, weight in zip(begins, ends, query.values(), strict=True):
            # A text has a token once.
            scores[self.texts[begin:end]] += weight * self.weights[begin:end]
        best: NDArray[np.float32] = np.maximum.reduceat(scores, self.starts)
        return best
