"""The names of a home, found in a query by their character trigrams.

A name's score is the share of its trigrams, weighted by their rarity in this home (idf), that the query contains
("containment"). It needs no language: inflected, misspelt and joined words keep most of their trigrams.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np

from .text import fold, trigrams


@dataclass(frozen=True, slots=True)
class Found:
    """A thing whose name a query contains at least in part.

    `share`: 0-1, how much of the name the query contains. `coverage`: 0-1, how much of what the query shares with any
    name of this home stands in this one. `name`: the name, the thing's best.
    """

    share: float
    coverage: float
    name: str


class Lexicon[Key: Hashable]:
    """Finds things by any of their names. Immutable; asking costs the query's trigrams, not the home's names."""

    def __init__(self, names: Mapping[Key, Sequence[str]]) -> None:
        """Index the names of every thing; names without a letter or digit are left out."""
        folded = [(key, name, trigrams(fold(name))) for key, owned in names.items() for name in owned]
        entries = [entry for entry in folded if entry[2]]
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for row, (_, _, grams) in enumerate(entries):
            for gram in grams:
                rows[gram].append(row)
        self._entries = [(key, name) for key, name, _ in entries]
        self._rows = {gram: np.array(found, np.intp) for gram, found in rows.items()}
        self._idf = {gram: math.log(1 + len(entries) / len(found)) for gram, found in rows.items()}
        self._mass = np.array([math.fsum(self._idf[gram] for gram in grams) for _, _, grams in entries])

    def find(self, query: str) -> dict[Key, Found]:
        """Give every thing that shares a trigram with the query, with its best name."""
        # Sorted, because a sum of floats depends on its order and a set's order on the process.
        known = sorted(gram for gram in trigrams(fold(query)) if gram in self._rows)
        contained = np.zeros(len(self._entries))
        for gram in known:
            contained[self._rows[gram]] += self._idf[gram]
        said = math.fsum(self._idf[gram] for gram in known)
        best: dict[Key, Found] = {}
        shares = np.minimum(contained / self._mass, 1.0)
        for row in np.flatnonzero(contained):
            key, name = self._entries[row]
            found = Found(float(shares[row]), min(1.0, float(contained[row]) / said), name)
            if key not in best or (found.share, found.coverage) > (best[key].share, best[key].coverage):
                best[key] = found
        return best
