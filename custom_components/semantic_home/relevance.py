"""How near texts are to what was said: by their letters, and by what a model says of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
import math

from .matching.text import fold, trigrams

# What has less in common shares letters by chance.
_LEAST = 0.35
# Deviations from which on a model means something, and at which it is sure; and what the letters count beside it.
# Chosen by scripts/evaluate_patterns.py with two models: what is about no automation lies 2.3 above the others (4.3
# once), the right pattern 3.0 and 3.6 in the middle.
_SOMETHING, _SURE = 0.3, 5.0
_WORTH_OF_LETTERS = 0.3


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


def together(by_letters: Mapping[str, float], by_model: Mapping[str, float]) -> dict[str, float]:
    """Put both findings together, as if each of them could be right alone; `by_model` are deviations above the others.

    The distant is left out. The letters alone count where there is no model, and else for less.
    """
    if not by_model:
        return dict(by_letters)
    found = {}
    for name in {*by_letters, *by_model}:
        meant = min(max((by_model.get(name, 0.0) - _SOMETHING) / (_SURE - _SOMETHING), 0.0), 1.0)
        found[name] = 1 - (1 - _WORTH_OF_LETTERS * by_letters.get(name, 0.0)) * (1 - meant)
    return {name: value for name, value in found.items() if value >= _LEAST}


def _weight(grams: frozenset[str], weights: Mapping[str, float], known: int) -> float:
    unheard = math.log(1 + known)
    return sum(weights.get(gram, unheard) for gram in grams)


@lru_cache(maxsize=4096)
def _grams(text: str) -> frozenset[str]:
    return trigrams(fold(text))
