"""What the other heads of a model like BGE-M3 say of a home: which words are the same, and which are near.

A score of each head is corrected like the dense one, by how near the background's sentences come to the same document.
Lexical scores cost next to nothing. Late interaction costs too much for a whole home, of whose thousand entities it
would compare 20 MB, hence only what the other heads find nearest is read again, token by token (what ColBERT calls
reranking: Khattab & Zaharia 2020, arXiv:2004.12832), from the database; it is corrected by the mean of a few of the
background's sentences.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from .index import LexicalIndex, LexicalQueries, late_interaction
from .matching import Background, hybrid

type Floats = NDArray[np.float64]
type ReadTokens = Callable[[Collection[str]], Mapping[str, NDArray[np.float32]]]
"""Gives the vectors a token (tokens, size) of those texts that have them."""

# So many documents of a kind are read token by token, and those that are no worse than the last of them.
_READ_AGAIN = 32
# Every such sentence of the background: of 114 they tell a document's mean to a fifth of a deviation.
_EVERY = 6
# In memory, 32 MB of BGE-M3's: about what the nearest of some dozen different questions have.
_TOKENS_KEPT = 8_000


class Tokens:
    """Texts token by token, as they are stored; those that were asked for last are kept, with their background."""

    def __init__(self, background: Sequence[NDArray[np.float32]], read: ReadTokens) -> None:
        """Take the background sentences' vectors a token, and what reads those of texts."""
        self._sentences = background[::_EVERY]
        self._read = read
        self._kept: OrderedDict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = OrderedDict()
        self._size = 0

    def scores(
        self, query: NDArray[np.float32], texts: Collection[str]
    ) -> dict[str, tuple[float, NDArray[np.float32]]]:
        """Score those texts that can be read: for the query (tokens, size), and for each of the background (n,)."""
        unknown = [text for text in texts if text not in self._kept]
        if unknown and (new := self._read(unknown)):
            rows = late_interaction(self._sentences, list(new.values()))
            self._kept |= {text: (some, row) for (text, some), row in zip(new.items(), rows, strict=True)}
            self._size += sum(map(len, new.values()))
        found = {text: self._kept[text] for text in texts if text in self._kept}
        if not found:
            return {}
        scores = late_interaction([query], [vectors for vectors, _ in found.values()])[:, 0].tolist()
        self._leave(found)
        return {text: (score, row) for score, (text, (_, row)) in zip(scores, found.items(), strict=True)}

    def _leave(self, used: Iterable[str]) -> None:
        """Let go of what was not used for longest, down to what is kept."""
        for text in used:
            self._kept.move_to_end(text)
        while self._size > _TOKENS_KEPT:
            self._size -= len(self._kept.popitem(last=False)[1][0])


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
        self,
        weights: Mapping[int, float],
        tokens: NDArray[np.float32] | None,
        source_ids: Sequence[str],
        dense: Floats,
    ) -> tuple[Floats, dict[str, Floats]]:
        """Put what all heads find of a query together: deviations by document (n,), and those of each head.

        The query's weights, its vectors (tokens, size) if they are to be compared, and what the dense head finds of
        these documents, which are all there, in the background's deviations. A head says nothing (NaN) of what it does
        not read.
        """
        heads = {"dense": dense}
        lexical = self._lexical.search(weights, source_ids)
        if lexical.any():
            # A head that recognises no word at all has nothing to say, also of who is usually near.
            heads["sparse"] = self._background_of(source_ids).corrected(source_ids, lexical)
        if tokens is not None:
            late = self._late(tokens, source_ids, _best(hybrid(heads)))
            if not np.isnan(late).all():
                heads["colbert"] = late
        return hybrid(heads), heads

    def _late(self, query: NDArray[np.float32], source_ids: Sequence[str], best: Sequence[int]) -> Floats:
        texts = set(chain.from_iterable(self._texts[source_ids[number]] for number in best))
        found = self._tokens.scores(query, texts)
        rows: dict[int, NDArray[np.float32]] = {}
        scores = []
        for number in best:
            if some := [found[text] for text in self._texts[source_ids[number]] if text in found]:
                scores.append(max(score for score, _ in some))
                rows[number] = np.max([row for _, row in some], axis=0)
        late = np.full(len(source_ids), np.nan)
        if rows:
            ids = [source_ids[number] for number in rows]
            background = Background(ids, np.array(list(rows.values()), np.float32))
            late[list(rows)] = background.corrected(ids, np.array(scores, np.float32))
        return late

    def _background_of(self, source_ids: Sequence[str]) -> Background:
        if len(source_ids) < len(self._rows):
            # The spread tells of the documents that it comes from: for who may not see all, it is another.
            return Background(source_ids, np.array([self._rows[one] for one in source_ids]))
        if self._background is None:
            self._background = Background(source_ids, np.array([self._rows[one] for one in source_ids]))
        return self._background


def _best(found: Floats) -> list[int]:
    """Give the numbers of the first ones; equal texts have equal scores, and none of them is left out."""
    if len(found) <= _READ_AGAIN:
        return list(range(len(found)))
    last = np.partition(found, -_READ_AGAIN)[-_READ_AGAIN]
    numbers: list[int] = np.flatnonzero(found >= last).tolist()
    return numbers
