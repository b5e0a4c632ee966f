"""Longer texts, found by the terms that they share with a query: their letters, or what they name."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
import math

import numpy as np
from numpy.typing import NDArray

from .matching import Vocabulary
from .matching.text import fold, is_unspaced, trigrams

type Terms = frozenset[str]

# How much a long text loses, as b in BM25 (Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework").
_LENGTH = 0.3
# So much of a word's letters is in a text by chance.
_BY_CHANCE = 0.4
# From so many rows of removed texts on, the rest is worth being written anew.
_FEW = 64


def letters_of(text: str) -> Terms:
    """Give the character trigrams of a text."""
    return frozenset().union(*map(_letters_of_word, text.split()))


def words_of(words: Mapping[str, float]) -> dict[Terms, float]:
    """Give the letters of folded words with their weights; of what is written without spaces each two letters."""
    found: dict[Terms, float] = {}
    for word, weight in words.items():
        letters = trigrams(word)
        whole = (
            [letters] if letters and not any(map(is_unspaced, word)) else [frozenset({one}) for one in sorted(letters)]
        )
        for terms in whole:
            found[terms] = max(found.get(terms, 0.0), weight)
    return found


def concepts_of(text: str) -> Terms:
    """Give what a text names of a household, in any language: of a "garage door" also the garage and the door."""
    return frozenset().union(*map(_with_parts, Vocabulary.load().find(" ".join(map(_folded, text.split())))))


class TextIndex:
    """An inverted index, kept in step text by text.

    A text's score is the share of the query's words, the rare ones weighing more (idf), that it has (0-1), a little
    less for texts that are longer than usual. It has a word as far as it has more of its terms than come by chance.
    """

    def __init__(self, terms_of: Callable[[str], Terms] = letters_of) -> None:
        """Begin without texts; `terms_of` takes them apart."""
        self._terms_of = terms_of
        self._asked: list[str] | None = None
        self._answered = np.zeros(0, np.intp)
        self._begin()

    def put(self, name: str, texts: Iterable[str]) -> None:
        """Keep texts under a name, in place of any that are there; it is now the last one."""
        self.remove(name)
        self._append(name, frozenset().union(*map(self._terms_of, texts)))

    def remove(self, name: str) -> None:
        """Forget a name; does nothing when it is not there."""
        if (row := self._rows.pop(name, None)) is None:
            return
        # Its row goes on scoring, for nobody.
        self._terms[row] = frozenset()
        self._removed += 1
        self._asked = None
        if self._removed > max(len(self._rows), _FEW):
            self._write_anew()

    def scores(self, said: Mapping[Terms, float], names: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Score names that are there, or all in the order in which they were put, for weighed words: (n,).

        A word is the set of its terms.
        """
        rows = self._rows_of(list(self._rows) if names is None else names)
        scores, most = np.zeros(len(rows)), 0.0
        for terms, weight in said.items():
            there = np.maximum(self._shares(terms)[rows] - _BY_CHANCE, 0.0) / (1 - _BY_CHANCE)
            worth = weight * math.log(1 + len(rows) / (1 + there.sum()))
            scores += worth * there
            most += worth
        if not most:
            return scores
        lengths = np.frombuffer(self._lengths)[rows]
        usual = 1 - _LENGTH + _LENGTH * lengths / max(float(lengths.mean()), 1.0)
        scores /= most * np.sqrt(np.maximum(usual, 1.0))
        return scores

    def telling(self, names: Iterable[str], words: Iterable[str]) -> dict[str, float]:
        """Weigh words by how few texts have them (idf by their rarest trigram), of those that one of the names has."""
        terms = frozenset().union(*(self._terms[self._rows[name]] for name in names))
        found = {}
        for word in words:
            own = trigrams(word)
            if own and own <= terms:
                found[word] = max(map(self._rarity, own))
        return found

    def _shares(self, terms: Terms) -> NDArray[np.float64]:
        """Tell what share of a word's terms is in each row."""
        found = np.zeros(len(self._terms))
        for term in terms:
            if rows := self._postings.get(term):
                found[np.frombuffer(rows, np.int64)] += 1
        return found / len(terms)

    def _rarity(self, term: str) -> float:
        return math.log(1 + len(self._terms) / (1 + len(self._postings.get(term, ()))))

    def _rows_of(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Give the rows of these names; those that were asked for last are known still."""
        if self._asked != names:
            self._asked = list(names)
            self._answered = np.fromiter(map(self._rows.__getitem__, names), np.intp, len(names))
        return self._answered

    def _begin(self) -> None:
        self._rows: dict[str, int] = {}
        self._terms: list[Terms] = []
        self._postings: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self._lengths = array("d")
        self._removed = 0
        self._asked = None

    def _append(self, name: str, terms: Terms) -> None:
        row = self._rows[name] = len(self._terms)
        self._terms.append(terms)
        self._lengths.append(len(terms))
        self._asked = None
        for term in terms:
            self._postings[term].append(row)

    def _write_anew(self) -> None:
        kept = [(name, self._terms[row]) for name, row in self._rows.items()]
        self._begin()
        for name, terms in kept:
            self._append(name, terms)


# Texts share their words, and to take one apart costs much more than to look it up.
@lru_cache(maxsize=16_384)
def _folded(word: str) -> str:
    return fold(word)


@lru_cache(maxsize=16_384)
def _letters_of_word(word: str) -> Terms:
    return trigrams(fold(word))


@lru_cache(maxsize=1_024)
def _with_parts(concept: str) -> Terms:
    """Take a concept's name apart where its parts are concepts, too."""
    return frozenset({concept}).union(*(Vocabulary.load().find(part) for part in concept.split("_")))
