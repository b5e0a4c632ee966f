"""Ranks texts that somebody else has found, by a closer look at each of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .engine import Encoded
from .index import late_interaction
from .matching.text import fold, tokens, weighed_trigrams
from .text_index import TextIndex

# What the model's similarity counts, and the letters the rest: late interaction reads words itself.
_BY_TOKENS, _BY_VECTOR = 0.9, 0.7


def rerank(query: str, texts: Sequence[str], said: Encoded | None, of_texts: Encoded | None) -> NDArray[np.float64]:
    """Score texts (n,), 0-1, for a query: by all their tokens' vectors where the model has them, else by one vector.

    `said` of the query, `of_texts` of the texts in their order; without them the letters alone decide.
    """
    index = TextIndex()
    names = [str(number) for number in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        index.put(name, [text])
    lexical = index.scores(weighed_trigrams(fold(query), dict.fromkeys(tokens(fold(query)), 1.0)), names)
    if said is None or of_texts is None:
        return lexical
    if said.multivector is not None and of_texts.multivector is not None:
        near = late_interaction([said.multivector[0]], of_texts.multivector)[:, 0]
        return _BY_TOKENS * np.clip(near, 0.0, 1.0) + (1 - _BY_TOKENS) * lexical
    near = np.vecdot(of_texts.dense, said.dense[0])
    scores: NDArray[np.float64] = _BY_VECTOR * np.clip(near, 0.0, 1.0) + (1 - _BY_VECTOR) * lexical
    return scores
