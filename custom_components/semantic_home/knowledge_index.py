"""What a household knows, found by meaning and by letters: filtered first, then ranked, then read again if asked.

What the model says of a text (its vector, and where the model has such heads its sparse weights) and what the letters
say are put together by a logistic function, fitted by scripts/evaluate_knowledge.py; how well a text has served moves
it by a tenth at most. Expansion is pseudo-relevance feedback (Rocchio 1971, for vectors; for words like Lavrenko &
Croft 2001, "Relevance-Based Language Models") and the home's other names for what is named.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .index import Document, Key, Rating
from .knowledge_filter import KnowledgeFilter
from .matching import Words
from .matching.text import fold, tokens, weighed_trigrams
from .text_index import TextIndex

type Floats = NDArray[np.float64]

WORTH_OF_SUCCESS = 0.1
"""What has always succeeded gains so much confidence, what has always failed loses as much."""

SHIPPED = "library"
"""The source of what comes with the integration."""

# The weights of the logistic function: constant, the model's deviations, the share of the query's letters; and what
# else counts when the first ones are read again: the share of the query's words that are in the text, errors forgiven.
_WITH_MODEL = (-5.6, 0.95, 5.0, 1.5)
_WITHOUT_MODEL = (-4.0, 0.0, 7.0, 2.0)
_MOST_DEVIATIONS = 8.0
_READ_AGAIN = 50
# So alike a word of a text is the one of the query.
_IS_THERE = 0.8
# For the expansion: the best texts are taken for what was meant, so many, and their words for so much.
_FEEDBACK, _FEEDBACK_WORDS, _WORTH_OF_FEEDBACK, _WORTH_OF_NAMES = 3, 8, 0.3, 0.7


class Said(Protocol):
    """What the model says of a query."""

    def near(self, names: Sequence[str], *, like: Sequence[str] = (), again: bool = False) -> Floats:
        """Give the deviations above all the others of these texts, NaN for those without a vector: (n,).

        `like`: the query is moved towards these; `again`: the nearest are compared token by token where that is known.
        """


@dataclass(frozen=True, slots=True)
class KnowledgeQuery:
    """What is looked for. `others`: the home's other names for what the text names, if it is to be expanded."""

    text: str
    limits: KnowledgeFilter = field(default_factory=KnowledgeFilter)
    limit: int = 10
    min_confidence: float = 0.0
    expand: bool = False
    rerank: bool = False


@dataclass(frozen=True, slots=True)
class FoundKnowledge:
    """A document that was found, how probably it is what was meant (0-1), and why.

    `dense`: the model's deviations, None without; `lexical`: the share of the query's letters; `success`: its score.
    """

    document: Document
    confidence: float
    dense: float | None
    lexical: float
    success: float


@dataclass(frozen=True, slots=True)
class KnowledgeFindings:
    """What was found, the best first; how many were admitted; and the words that the query was expanded by."""

    found: tuple[FoundKnowledge, ...]
    searched: int
    expanded: tuple[str, ...] = ()


class KnowledgeIndex:
    """All pieces of knowledge of a home, kept in step one by one."""

    def __init__(self, documents: Iterable[Document], ratings: Mapping[Key, Rating]) -> None:
        """Take what there is, and how well it has served."""
        self._documents: dict[str, Document] = {}
        # Known to the integration, not to the household.
        self._shipped: set[str] = set()
        # Of what was judged; most of what there is never was.
        self._ratings: dict[str, Rating] = {}
        for key, rating in ratings.items():
            self.rate(key, rating)
        self._texts = TextIndex()
        for document in documents:
            self.put(document)

    def put(self, document: Document) -> None:
        """Keep a document in place of what it was."""
        name = knowledge_name(document.key)
        self._documents[name] = document
        if document.metadata.get("source") == SHIPPED:
            self._shipped.add(name)
        self._texts.put(name, document.views)

    def remove(self, key: Key) -> None:
        """Forget a document; does nothing when it is not there."""
        name = knowledge_name(key)
        self._documents.pop(name, None)
        self._shipped.discard(name)
        self._ratings.pop(name, None)
        self._texts.remove(name)

    def rate(self, key: Key, rating: Rating) -> None:
        """Take notice of how well a document has served."""
        if rating.score == Rating().score:
            self._ratings.pop(knowledge_name(key), None)
        else:
            self._ratings[knowledge_name(key)] = rating

    def find(self, key: Key) -> Document | None:
        """Give a document, if it is there."""
        return self._documents.get(knowledge_name(key))

    def search(
        self, query: KnowledgeQuery, said: Said | None, now: datetime, names: Iterable[Sequence[str]] = ()
    ) -> KnowledgeFindings:
        """Look for what is admitted; `said` is None when no model answers, `names` are those of the home's things."""
        ids = self._admitted(query.limits)
        if not ids:
            return KnowledgeFindings((), 0)
        words, like = dict.fromkeys(tokens(fold(query.text)), 1.0), list[str]()
        dense, lexical = self._scores(words, ids, said, like, again=False)
        if query.expand:
            order = np.argsort(-_relevance(dense, lexical), kind="stable")
            like = [ids[number] for number in order[:_FEEDBACK].tolist()]
            words = self._expanded(words, query.text, like, names)
            dense, lexical = self._scores(words, ids, said, like, again=False)
        confidence = self._confidence(ids, _relevance(dense, lexical), now)
        order = np.argsort(-confidence, kind="stable")
        if query.rerank:
            order, dense, confidence = self._read_again(words, ids, order, said, like, (dense, lexical), now)
        found = []
        for number in order[: query.limit].tolist():
            if confidence[number] < query.min_confidence:
                break
            near = None if dense is None or np.isnan(dense[number]) else float(dense[number])
            document, success = self._documents[ids[number]], self._success(ids[number], now)
            found.append(FoundKnowledge(document, float(confidence[number]), near, float(lexical[number]), success))
        own = set(tokens(fold(query.text)))
        return KnowledgeFindings(tuple(found), len(ids), tuple(word for word in words if word not in own))

    def _admitted(self, limits: KnowledgeFilter) -> list[str]:
        """Give what may be answered; of what ships only what is asked for by its type."""
        if limits.admits_all:
            return [one for one in self._documents if one not in self._shipped]
        admitted = (one for one, document in self._documents.items() if limits.admits(document))
        return [one for one in admitted if limits.types or one not in self._shipped]

    def _scores(
        self, words: Mapping[str, float], ids: Sequence[str], said: Said | None, like: Sequence[str], *, again: bool
    ) -> tuple[Floats | None, Floats]:
        lexical = self._texts.scores(weighed_trigrams(" ".join(words), words), ids)
        return (None if said is None else said.near(ids, like=like, again=again)), lexical

    def _expanded(
        self, words: Mapping[str, float], text: str, like: Sequence[str], names: Iterable[Sequence[str]]
    ) -> dict[str, float]:
        """Add the other names of what is named, and the most telling words of the best texts."""
        found = dict(words)
        whole = f" {fold(text)} "
        for own in names:
            folded = [fold(name) for name in own]
            if any(name and f" {name} " in whole for name in folded):
                for word in (word for name in folded for word in tokens(name)):
                    found.setdefault(word, _WORTH_OF_NAMES)
        texts = " ".join(view for one in like for view in self._documents[one].views)
        telling = self._texts.telling(like[:1], dict.fromkeys(tokens(fold(texts))))
        best = sorted(telling, key=lambda word: (-telling[word], word))
        for word in [word for word in best if word not in found][:_FEEDBACK_WORDS]:
            found[word] = _WORTH_OF_FEEDBACK
        return found

    def _read_again(  # noqa: PLR0913, PLR0917 - all of them what the search has found so far
        self,
        words: Mapping[str, float],
        ids: Sequence[str],
        order: NDArray[np.intp],
        said: Said | None,
        like: Sequence[str],
        scores: tuple[Floats | None, Floats],
        now: datetime,
    ) -> tuple[NDArray[np.intp], Floats | None, Floats]:
        """Rank the first ones by how well each word is found in them, and by the model's closer look."""
        first, rest = order[:_READ_AGAIN], order[_READ_AGAIN:]
        dense, lexical = scores
        if said is not None:
            dense = said.near(ids, like=like, again=True)
        covered = np.zeros(len(ids))
        covered[first] = _covered(words, [self._documents[ids[number]].views for number in first.tolist()])
        confidence = self._confidence(ids, _relevance(dense, lexical, covered), now)
        again = first[np.argsort(-confidence[first], kind="stable")]
        return np.concatenate([again, rest]), dense, confidence

    def _confidence(self, ids: Sequence[str], relevance: Floats, now: datetime) -> Floats:
        rated = [number for number, one in enumerate(ids) if one in self._ratings]
        confidence = relevance.copy()
        success = np.array([self._success(ids[number], now) for number in rated])
        confidence[rated] += relevance[rated] * WORTH_OF_SUCCESS * (2 * success - 1)
        return np.minimum(confidence, 1.0)

    def _success(self, name: str, now: datetime) -> float:
        rating = self._ratings.get(name)
        return Rating().score if rating is None else rating.at(now).score


def knowledge_name(key: Key) -> str:
    """Give what a document is called among all knowledge."""
    return "/".join(key)


def _covered(words: Mapping[str, float], texts: Sequence[Sequence[str]]) -> Floats:
    """Tell how much of the words, those in few of the texts weighing more, is in each text, errors forgiven: (n,)."""
    known = Words()
    numbers = [[known.number(word) for view in views for word in _words(view)] for views in texts]
    likeness = known.likeness(list(words))
    best = np.array([likeness[:, own].max(axis=1, initial=0.0) for own in numbers]).reshape(len(texts), len(words))
    weights = np.array(list(words.values())) * np.log(1 + len(texts) / (1 + (best > _IS_THERE).sum(axis=0)))
    covered: Floats = best @ weights / max(weights.sum(), 1e-9)
    return covered


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(tokens(fold(text)))


def _relevance(dense: Floats | None, lexical: Floats, covered: Floats | None = None) -> Floats:
    weights = _WITHOUT_MODEL if dense is None else _WITH_MODEL
    score = weights[0] + weights[2] * lexical
    if dense is not None:
        # A text without a vector yet is judged as if the model had found nothing in it.
        score = score + weights[1] * np.clip(np.nan_to_num(dense), 0.0, _MOST_DEVIATIONS)
    if covered is not None:
        score = score + weights[3] * (covered - 0.5)
    return 1 / (1 + np.exp(-score))
