"""How near texts are to what was said, by their letters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
import math

from .matching.text import fold, trigrams

# What has less in common shares letters by chance.
_LEAST = 0.35


def relevance(queries: Sequence[str], texts: Mapping[str, Sequence[str]]) -> list[dict[str, float]]:
    """Give for each query how near it is to each of what is told by one or more texts, 0 to 1; the distant is left out.

    The nearest of its texts counts: the cosine of their trigrams, of which the rare ones say more. Takes milliseconds a
    query: not on the event loop.
    """
    known = {name: [_grams(text) for text in told] for name, told in texts.items()}
    spread = Counter(gram for told in known.values() for gram in frozenset[str]().union(*told))
    weights = {gram: math.log(1 + len(known) / count) for gram, count in spread.items()}
    lengths = {text: _weight(text, weights, len(known)) for told in known.values() for text in told}

    def near(query: frozenset[str], text: frozenset[str]) -> float:
        common = _weight(query & text, weights, len(known))
        return common / math.sqrt(length * lengths[text]) if common else 0.0

    found = []
    for query in map(_grams, queries):
        length = _weight(query, weights, len(known))
        nearness = {name: max((near(query, text) for text in told), default=0.0) for name, told in known.items()}
        found.append({name: value for name, value in nearness.items() if value >= _LEAST})
    return found


def _weight(grams: frozenset[str], weights: Mapping[str, float], known: int) -> float:
    unheard = math.log(1 + known)
    return sum(weights.get(gram, unheard) for gram in grams)


@lru_cache(maxsize=4096)
def _grams(text: str) -> frozenset[str]:
    return trigrams(fold(text))
