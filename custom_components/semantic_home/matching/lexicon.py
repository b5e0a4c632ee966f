"""The names of a home, found in a query by their letters.

Two measures, neither of which needs to know the language. *Containment*: the share of a name's character trigrams,
weighted by their rarity in this home (idf), that the query contains; inflected and joined words keep most of theirs.
*Spelling*: how near each word of a name comes to some word of the query, or to two of them written as one, by the
letters and pairs of letters that they share; it forgives more typing errors, but knows no parts of words.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from .text import fold, is_unspaced, tokens, trigrams

type Floats = NDArray[np.float64]
type Names = Sequence[tuple[int, str]]
"""Names with their owners, who are numbered from 0."""

_LETTERS = 512
# Words this alike by chance have nothing in common; from `_SAME` on they are the same word with an error in it.
_STRANGE, _SAME = 0.45, 0.9


class Lexicon:
    """Finds the owners of names. Immutable; asking costs the query's trigrams, not the home's names."""

    def __init__(self, names: Names, owners: int) -> None:
        """Index names of so many owners; what has no letter or digit is left out."""
        folded = [(owner, trigrams(fold(name))) for owner, name in names]
        entries = [entry for entry in folded if entry[1]]
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for row, (_, grams) in enumerate(entries):
            for gram in grams:
                rows[gram].append(row)
        self.owners = owners
        self._owner = np.array([owner for owner, _ in entries], np.intp)
        self._rows = {gram: np.array(found, np.intp) for gram, found in rows.items()}
        self._idf = {gram: math.log(1 + len(entries) / len(found)) for gram, found in rows.items()}
        self._mass = np.array([math.fsum(self._idf[gram] for gram in grams) for _, grams in entries])

    def find(self, said: Mapping[str, float]) -> tuple[Floats, Floats]:
        """Hold a query's trigrams, each with its weight (0-1), against the names.

        Gives by owner the share of its best name that is said, and its coverage (0-1 both): how much of what the query
        shares with any name of the home stands in this one.
        """
        # Sorted, because a sum of floats depends on its order and a set's order on the process.
        known = sorted((gram, self._idf[gram] * weight) for gram, weight in said.items() if gram in self._rows)
        contained = np.zeros(len(self._owner))
        for gram, weight in known:
            contained[self._rows[gram]] += weight
        shared = max(math.fsum(weight for _, weight in known), 1e-9)
        shares = np.minimum(contained / self._mass, 1.0) if len(contained) else contained
        return self._best(shares), self._best(np.minimum(contained / shared, 1.0))

    def _best(self, values: Floats) -> Floats:
        best = np.zeros(self.owners)
        np.maximum.at(best, self._owner, values)
        return best


class Words:
    """The words of a home, each once, for telling how alike the words of a query are. Grows until it is asked first."""

    def __init__(self) -> None:
        """Start without any."""
        self._numbers: dict[str, int] = {}
        self._columns: NDArray[np.float32] | None = None

    def __contains__(self, word: object) -> bool:
        """Tell whether the home has a word, letter by letter."""
        return word in self._numbers

    def number(self, word: str) -> int:
        """Give a word's number, a new one if it has none."""
        self._columns = None
        return self._numbers.setdefault(word, len(self._numbers))

    def likeness(self, said: Sequence[str]) -> Floats:
        """Compare tokens with all words: (tokens, words), 0 for strange to 1 for the same."""
        if self._columns is None:
            rows = np.array([_letters(word) for word in self._numbers], np.float32).reshape(-1, _LETTERS)
            self._columns = np.ascontiguousarray(rows.T)
        cosines = np.zeros((len(said), len(self._numbers)))
        for number, token in enumerate(said):
            # A word has few of the groups: their columns alone are a twentieth of the work.
            vector = _letters(token)
            groups = np.flatnonzero(vector)
            cosines[number] = vector[groups] @ self._columns[groups]
        return np.clip((cosines - _STRANGE) / (_SAME - _STRANGE), 0.0, 1.0)


class Spelling:
    """Compares the words of names with those of a query, errors forgiven. Immutable."""

    def __init__(self, names: Names, owners: int, words: Words) -> None:
        """Index the words of the names of so many owners; the words are numbered by `words`."""
        self.owners = owners
        split = [(owner, tokens(fold(name))) for owner, name in names]
        split = [(owner, said) for owner, said in split if said]
        self._owner = np.array([owner for owner, _ in split], np.intp)
        ids = [[words.number(word) for word in said] for _, said in split]
        # A name of two words is often written as one; of more, hardly ever all.
        self._pairs = np.array([row for row, (_, said) in enumerate(split) if len(said) == 2], np.intp)  # noqa: PLR2004
        self._joined = np.array([words.number("".join(split[row][1])) for row in self._pairs.tolist()], np.intp)
        self._word = np.array([number for numbers in ids for number in numbers], np.intp)
        self._starts = np.cumsum([0, *map(len, ids)])[:-1].astype(np.intp)
        having: defaultdict[int, dict[int, None]] = defaultdict(dict)
        for (owner, _), numbers in zip(split, ids, strict=True):
            for number in numbers:
                having[number][owner] = None
        self._having = {number: np.array(list(owned), np.intp) for number, owned in having.items()}
        count = Counter(number for numbers in ids for number in set(numbers))
        self._idf = np.array([math.log(1 + len(split) / count[number]) for numbers in ids for number in numbers])
        self._mass = np.add.reduceat(self._idf, self._starts) if split else np.zeros(0)

    def find(self, near: Floats) -> Floats:
        """Give by owner how much of its best name, rare words counting more, is in a query (0-1).

        `near` says of every word of the home how near the query comes to it: the best likeness of what was said.
        """
        found = np.zeros(self.owners)
        if len(self._owner):
            shares = np.add.reduceat(self._idf * near[self._word], self._starts) / self._mass
            shares[self._pairs] = np.maximum(shares[self._pairs], near[self._joined])
            np.maximum.at(found, self._owner, shares)
        return found

    def explained(self, likeness: Floats) -> Floats:
        """Tell by token and owner how much of the token one of the owner's words explains: (tokens, owners), 0-1."""
        best = np.zeros((len(likeness), self.owners))
        # A token is like few words of the home, and those are asked who has them.
        for token, word in np.argwhere(likeness).tolist():
            if word in self._having:
                having = self._having[word]
                best[token, having] = np.maximum(best[token, having], likeness[token, word])
        return best


def written_as_one(said: Sequence[str]) -> list[str]:
    """Join each two neighbours, as if the blank between them were an error."""
    return [left + right for left, right in pairwise(said) if not (is_unspaced(left[0]) or is_unspaced(right[0]))]


@lru_cache(maxsize=8192)
def _letters(word: str) -> NDArray[np.float32]:
    """Count the letters of a word, its pairs and triples, and the pairs with one letter between: hashed, length 1."""
    padded = f"^{word}$"
    grams = [
        *word,
        *(padded[i : i + 2] for i in range(len(padded) - 1)),
        *(padded[i : i + 3] for i in range(len(padded) - 2)),
        *(f"{padded[i]}_{padded[i + 2]}" for i in range(len(padded) - 2)),
    ]
    counts = np.bincount([zlib.crc32(gram.encode()) % _LETTERS for gram in grams], minlength=_LETTERS)
    return (counts / np.linalg.norm(counts)).astype(np.float32)
