"""Longer texts, found by the letters that they share with a query."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping
import math

import numpy as np
from numpy.typing import NDArray

from .matching.text import fold, trigrams

# How much a long text loses, as b in BM25 (Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework").
_LENGTH = 0.3
# From so many rows of removed texts on, the rest is worth being written anew.
_FEW = 64


class TextIndex:
    """An inverted index of character trigrams, kept in step text by text.

    A text's score is the share of the query's trigrams, the rare ones weighing more (idf), that it has (0-1), a little
    less for texts that are longer than usual.
    """

    def __init__(self) -> None:
        """Begin without texts."""
        self._begin()

    def put(self, name: str, texts: Iterable[str]) -> None:
        """Keep texts under a name, in place of any that are there."""
        self.remove(name)
        self._append(name, frozenset().union(*(trigrams(fold(text)) for text in texts)))

    def remove(self, name: str) -> None:
        """Forget a name; does nothing when it is not there."""
        if (row := self._rows.pop(name, None)) is None:
            return
        # Its row goes on scoring, for nobody.
        self._grams[row] = frozenset()
        self._removed += 1
        if self._removed > max(len(self._rows), _FEW):
            self._write_anew()

    def scores(self, said: Mapping[str, float], names: Iterable[str]) -> NDArray[np.float64]:
        """Score names that are there for weighed trigrams: (n,)."""
        rows = np.fromiter(map(self._rows.__getitem__, names), np.intp)
        if not len(rows):
            return np.zeros(0)
        scores, most = np.zeros(len(self._grams)), 0.0
        # Sorted, because a sum of floats depends on its order and a set's order on the process.
        for gram in sorted(said):
            found = self._postings.get(gram)
            weight = said[gram] * math.log(1 + len(self._grams) / (1 + (len(found) if found else 0)))
            most += weight
            if found:
                scores[np.frombuffer(found, np.int64)] += weight
        lengths = np.frombuffer(self._lengths)[rows]
        usual = 1 - _LENGTH + _LENGTH * lengths / max(float(lengths.mean()), 1.0)
        shares: NDArray[np.float64] = scores[rows] / max(most, 1e-9) / np.sqrt(np.maximum(usual, 1.0))
        return np.minimum(shares, 1.0)

    def telling(self, names: Iterable[str], words: Iterable[str]) -> dict[str, float]:
        """Weigh words by how few texts have them (idf by their rarest trigram), of those that one of the names has."""
        grams = frozenset().union(*(self._grams[self._rows[name]] for name in names))
        found = {}
        for word in words:
            own = trigrams(word)
            if own and own <= grams:
                found[word] = max(
                    math.log(1 + len(self._grams) / (1 + len(self._postings.get(one, ())))) for one in own
                )
        return found

    def _begin(self) -> None:
        self._rows: dict[str, int] = {}
        self._grams: list[frozenset[str]] = []
        self._postings: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self._lengths = array("d")
        self._removed = 0

    def _append(self, name: str, grams: frozenset[str]) -> None:
        row = self._rows[name] = len(self._grams)
        self._grams.append(grams)
        self._lengths.append(len(grams))
        for gram in grams:
            self._postings[gram].append(row)

    def _write_anew(self) -> None:
        kept = [(name, self._grams[row]) for name, row in self._rows.items()]
        self._begin()
        for name, grams in kept:
            self._append(name, grams)
