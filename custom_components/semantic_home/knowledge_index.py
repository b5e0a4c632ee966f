"""What a household knows, found by meaning, by letters and by what it names: filtered, ranked, and read again if asked.

What the model says of a text (its vector, and where the model has such heads its sparse weights), the share of the
query's letters, and that of the household's words in it, whatever their language, are put together by a logistic
function (knowledge_weights.py); how well a text has served moves it by a tenth at most. Expansion is pseudo-relevance
feedback (Rocchio 1971, for vectors; for words like Lavrenko & Croft 2001, "Relevance-Based Language Models"), which
counts beside the query itself and not in its place, and the home's other names for what is named.
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
from .knowledge_weights import probability
from .matching import Words
from .matching.text import fold, tokens
from .pattern_documents import KIND_PATTERN
from .text_index import TextIndex, concepts_of, words_of

type Floats = NDArray[np.float64]

WORTH_OF_SUCCESS = 0.1
"""What has always succeeded gains so much confidence, what has always failed loses as much."""
READ_AGAIN = 50
"""So many of the first ones are read again."""

# How the names of the patterns begin that ship: the integration knows them, not the household.
_SHIPPED = f"{KIND_PATTERN}/"
_MOST_DEVIATIONS = 8.0
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
    """What is looked for. `expand`: by more than its own words; `rerank`: the first ones are read again."""

    text: str
    limits: KnowledgeFilter = field(default_factory=KnowledgeFilter)
    limit: int = 10
    min_confidence: float = 0.0
    expand: bool = False
    rerank: bool = False


@dataclass(frozen=True, slots=True)
class FoundKnowledge:
    """A document that was found, how probably it is what was meant (0-1), and why.

    `found` says what was found about it: `dense`, the model's deviations; `lexical`, the share of the query's letters;
    `concepts`, that of the household's words. Where the query was expanded also `like_dense` and `like_lexical`, the
    same of it together with what was found first. Where it was read again `words`, the share of its words, errors
    forgiven.
    """

    document: Document
    confidence: float
    found: Mapping[str, float]
    success: float

    @property
    def dense(self) -> float | None:
        """The model's deviations above what is usual; None without a model."""
        return self.found.get("dense")

    @property
    def lexical(self) -> float:
        """The share of the query's letters."""
        return self.found["lexical"]


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
        # Of what was judged; most of what there is never was.
        self._ratings: dict[str, Rating] = {}
        for key, rating in ratings.items():
            self.rate(key, rating)
        self._letters, self._concepts = TextIndex(), TextIndex(concepts_of)
        for document in documents:
            self.put(document)

    def put(self, document: Document) -> None:
        """Keep a document in place of what it was."""
        name = knowledge_name(document.key)
        self._documents[name] = document
        self._letters.put(name, document.views)
        self._concepts.put(name, document.views)

    def remove(self, key: Key) -> None:
        """Forget a document; does nothing when it is not there."""
        name = knowledge_name(key)
        self._documents.pop(name, None)
        self._ratings.pop(name, None)
        self._letters.remove(name)
        self._concepts.remove(name)

    def rate(self, key: Key, rating: Rating) -> None:
        """Take notice of how well a document has served."""
        if rating.score == Rating().score:
            self._ratings.pop(knowledge_name(key), None)
        else:
            self._ratings[knowledge_name(key)] = rating

    def search(
        self, query: KnowledgeQuery, said: Said | None, now: datetime, names: Iterable[Sequence[str]] = ()
    ) -> KnowledgeFindings:
        """Look for what is admitted; `said` is None when no model answers, `names` are those of the home's things."""
        ids = self._admitted(query.limits)
        if not ids:
            return KnowledgeFindings((), 0)
        search = _Search(query.text, ids, said, self._documents, (self._letters, self._concepts))
        if query.expand:
            search.expand(names)
        findings = search.findings(again=query.rerank)
        confidence = self._rated(ids, probability(findings), now)
        order = _best(confidence, max(query.limit, READ_AGAIN))
        if query.rerank:
            first = order[:READ_AGAIN].copy()
            again = {name: values[first] for name, values in findings.items()} | {"words": search.words_in(first)}
            confidence[first] = self._rated([ids[row] for row in first], probability(again), now)
            order[:READ_AGAIN] = first[np.argsort(-confidence[first], kind="stable")]
            findings["words"] = np.full(len(ids), np.nan)
            findings["words"][first] = again["words"]
        found = [
            FoundKnowledge(
                self._documents[ids[row]],
                float(confidence[row]),
                {name: float(values[row]) for name, values in findings.items() if not np.isnan(values[row])},
                self._success(ids[row], now),
            )
            for row in order[: query.limit].tolist()
            if confidence[row] >= query.min_confidence
        ]
        return KnowledgeFindings(tuple(found), len(ids), search.added)

    def _admitted(self, limits: KnowledgeFilter) -> list[str]:
        """Give what may be answered; of what ships only what is asked for by its type."""
        names = limits.select(self._documents)
        return names if limits.types else [name for name in names if not name.startswith(_SHIPPED)]

    def _rated(self, names: Sequence[str], probable: Floats, now: datetime) -> Floats:
        """Let how well something has served count: at most a tenth of what else speaks for it."""
        rated = [row for row, name in enumerate(names) if name in self._ratings] if self._ratings else []
        success = np.array([self._success(names[row], now) for row in rated])
        probable[rated] += probable[rated] * WORTH_OF_SUCCESS * (2 * success - 1)
        return np.minimum(probable, 1.0)

    def _success(self, name: str, now: datetime) -> float:
        rating = self._ratings.get(name)
        return Rating().score if rating is None else rating.at(now).score


def knowledge_name(key: Key) -> str:
    """Give what a document is called among all knowledge."""
    return "/".join(key)


class _Search:
    """One search, as it goes on."""

    def __init__(
        self,
        text: str,
        ids: list[str],
        said: Said | None,
        documents: Mapping[str, Document],
        indexes: tuple[TextIndex, TextIndex],
    ) -> None:
        self._said = said
        self._documents = documents
        self._letters, self._concepts = indexes
        self.ids = ids
        self._whole = f" {fold(text)} "
        self._named = {frozenset({concept}): 1.0 for concept in sorted(concepts_of(text))}
        self._words = dict.fromkeys(self._whole.split(), 1.0)
        self._like: list[str] = []
        self._echo: dict[str, float] = {}
        self._own = frozenset(self._words)

    @property
    def added(self) -> tuple[str, ...]:
        """The words that the query was expanded by."""
        return tuple(word for word in (*self._words, *self._echo) if word not in self._own)

    def expand(self, names: Iterable[Sequence[str]]) -> None:
        """Look for the other names of what is named, too, and for what is like the first ones that are found then."""
        for own in names:
            folded = [fold(name) for name in own]
            if any(name and f" {name} " in self._whole for name in folded):
                for word in (word for name in folded for word in name.split()):
                    self._words.setdefault(word, _WORTH_OF_NAMES)
        self._like = [self.ids[row] for row in _best(probability(self.findings()), _FEEDBACK)]
        texts = " ".join(view for name in self._like for view in self._documents[name].views)
        telling = self._letters.telling(self._like[:1], dict.fromkeys(fold(texts).split()))
        best = sorted(telling.keys() - self._words.keys(), key=lambda word: (-telling[word], word))
        self._echo = dict.fromkeys(best[:_FEEDBACK_WORDS], _WORTH_OF_FEEDBACK)

    def findings(self, *, again: bool = False) -> dict[str, Floats]:
        """Say what is found about each; `again`: the model compares the nearest token by token, if it can."""
        found = {"lexical": self._shared(self._words), "concepts": self._concepts.scores(self._named, self.ids)}
        if self._said is not None:
            found["dense"] = _counted(self._said.near(self.ids, again=again))
        if self._like:
            found["like_lexical"] = self._shared(self._words | self._echo)
            if self._said is not None:
                found["like_dense"] = _counted(self._said.near(self.ids, like=self._like))
        return found

    def words_in(self, rows: NDArray[np.intp]) -> Floats:
        """Tell how much of the words, those in few of the texts weighing more, is in each text, errors forgiven."""
        known = Words()
        texts = [self._documents[self.ids[row]].views for row in rows.tolist()]
        numbers = [[known.number(word) for view in views for word in _split(view)] for views in texts]
        words = {token: weight for word, weight in self._words.items() for token in tokens(word)}
        likeness = known.likeness(list(words))
        best = np.array([likeness[:, own].max(axis=1, initial=0.0) for own in numbers]).reshape(len(texts), -1)
        rarity = np.log(1 + len(texts) / (1 + (best > _IS_THERE).sum(axis=0)))
        weights = np.array(list(words.values())) * rarity
        share: Floats = best @ weights / max(weights.sum(), 1e-9)
        return share

    def _shared(self, words: Mapping[str, float]) -> Floats:
        return self._letters.scores(words_of(words), self.ids)


def _best(values: Floats, count: int) -> NDArray[np.intp]:
    """Give the rows of the best ones, the best first; of equal ones the first."""
    if count < len(values):
        last = np.partition(values, -count)[-count]
        rows = np.flatnonzero(values >= last)
    else:
        rows = np.arange(len(values))
    return rows[np.argsort(-values[rows], kind="stable")][:count]


def _counted(deviations: Floats) -> Floats:
    # A text without a vector yet is judged as if the model had found nothing in it.
    return np.clip(np.nan_to_num(deviations), 0.0, _MOST_DEVIATIONS)


@lru_cache(maxsize=4096)
def _split(text: str) -> tuple[str, ...]:
    return tuple(tokens(fold(text)))
