"""What the other heads of a model like BGE-M3 say of a home: which words are the same, and which are near.

A score of each head is corrected like the dense one, by how near the background's sentences come to the same document.
Lexical scores cost next to nothing. Late interaction costs too much for a whole home, 20 MB a thousand entities, hence
only what the other heads find nearest is read again, token by token (what ColBERT calls reranking: Khattab & Zaharia
2020, arXiv:2004.12832), from the database; it is corrected by the mean of a few of the background's sentences.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
import heapq
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from .index import LexicalIndex, LexicalQueries, late_interaction
from .matching import Background, hybrid

type ReadTokens = Callable[[Collection[str]], Mapping[str, NDArray[np.float32]]]
"""Gives the vectors a token (tokens, size) of those texts that have them."""

# So many documents of a kind are read token by token, and those that are no worse than the last of them.
_READ_AGAIN = 32
# Every such sentence of the background: of 114 they tell a document's mean to a fifth of a deviation.
_EVERY = 6


class Tokens:
    """Texts token by token, as they are stored; what the background makes of each is remembered."""

    def __init__(self, background: Sequence[NDArray[np.float32]], read: ReadTokens) -> None:
        """Take the background sentences' vectors a token, and what reads those of texts."""
        self._sentences = background[::_EVERY]
        self._read = read
        self._background: dict[str, NDArray[np.float32]] = {}

    def scores(
        self, query: NDArray[np.float32], texts: Collection[str]
    ) -> dict[str, tuple[float, NDArray[np.float32]]]:
        """Score those texts that can be read: for the query (tokens, size), and for each of the background (n,)."""
        vectors = self._read(texts)
        if not vectors:
            return {}
        if new := {text: some for text, some in vectors.items() if text not in self._background}:
            rows = late_interaction(self._sentences, list(new.values()))
            self._background |= dict(zip(new, rows, strict=True))
        scores = late_interaction([query], list(vectors.values()))[:, 0].tolist()
        return {text: (score, self._background[text]) for text, score in zip(vectors, scores, strict=True)}


class OtherHeads:
    """What they say of the documents of one channel."""

    def __init__(self, lexical: LexicalQueries, tokens: Tokens) -> None:
        """Take the background's sentences as the lexical head sees them, and what reads texts token by token."""
        self._queries = lexical
        self._tokens = tokens
        self._lexical = LexicalIndex()
        self._texts: dict[str, tuple[str, ...]] = {}
        # Of the lexical scores of the background's sentences, by document.
        self._rows: dict[str, NDArray[np.float32]] = {}
        self._background: Background | None = None

    def put(self, source_id: str, texts: Mapping[str, Mapping[int, float]]) -> None:
        """Keep a document's texts, with their weights, in place of any it has; without texts it is forgotten."""
        self.remove(source_id)
        if texts:
            weights = list(texts.values())
            self._texts[source_id] = tuple(texts)
            self._lexical.put(source_id, weights)
            self._rows[source_id] = self._queries.best(weights)
            self._background = None

    def remove(self, source_id: str) -> None:
        """Forget a document; does nothing when it is not there."""
        if self._texts.pop(source_id, None) is not None:
            self._lexical.remove(source_id)
            del self._rows[source_id]
            self._background = None

    def know(self, source_ids: Collection[str]) -> bool:
        """Tell whether all these documents are there: else some would be judged by other scores than the rest."""
        return self._texts.keys() >= set(source_ids)

    def join(
        self, weights: Mapping[int, float], tokens: NDArray[np.float32], dense: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Put what all heads find of a query together: deviations by document, and those of each head.

        The query's weights, its vectors (tokens, size), and what the dense head finds of these documents, which are all
        there, in the background's deviations.
        """
        heads = {"dense": dict(dense)}
        lexical = self._lexical.search(weights, dense)
        if any(lexical.values()):
            # A head that recognises no word at all has nothing to say, also of who is usually near.
            heads["sparse"] = self._background_of(dense).corrected(lexical)
        best = _best(hybrid(heads))
        if late := self._late(tokens, best):
            heads["colbert"] = late
        return hybrid(heads), heads

    def _late(self, query: NDArray[np.float32], source_ids: Collection[str]) -> dict[str, float]:
        texts = set(chain.from_iterable(self._texts[one] for one in source_ids))
        found = self._tokens.scores(query, texts)
        rows: dict[str, NDArray[np.float32]] = {}
        scores: dict[str, float] = {}
        for one in source_ids:
            if some := [found[text] for text in self._texts[one] if text in found]:
                scores[one] = max(score for score, _ in some)
                rows[one] = np.max([row for _, row in some], axis=0)
        return Background.of(rows).corrected(scores) if rows else {}

    def _background_of(self, source_ids: Collection[str]) -> Background:
        if len(source_ids) < len(self._rows):
            # The spread tells of the documents that it comes from: for who may not see all, it is another.
            return Background.of({one: self._rows[one] for one in source_ids})
        if self._background is None:
            self._background = Background.of(self._rows)
        return self._background


def _best(found: Mapping[str, float]) -> list[str]:
    """Give the first ones; equal texts have equal scores, and none of them is left out."""
    last = heapq.nlargest(_READ_AGAIN, found.values())[-1]
    return [one for one, score in found.items() if score >= last]
