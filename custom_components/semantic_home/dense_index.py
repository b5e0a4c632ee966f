"""The vectors of one generation as they are searched: what is near a query, compared with what is near anything."""

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from .describe import KIND_AREA, KIND_ENTITY, KIND_FLOOR, OF_THE_HOUSE, place_id
from .engine import Encoded
from .hybrid import OtherHeads, ReadTokens, Tokens
from .index import Document, Generation, IndexStore, Key, LexicalQueries, VectorIndex
from .knowledge_index import knowledge_name
from .matching import Background, Evidence, compared

type Floats = NDArray[np.float64]

# The sentences around entities' names, kept beside the names: how near a query comes to either are two findings.
_KIND_SENTENCE = "entity sentence"
# Everything that is no part of the house: found among one another, whatever it is.
_KNOWN = "known"
# So much of what was found first is added to a query that is moved towards it (Rocchio's beta).
_TOWARDS = 0.4
# Of what is usual for a piece of knowledge, so much is taken off: texts that somebody wrote are hubs less than names,
# and of none to all this was best on the fitting half of scripts/evaluate_knowledge.py's questions, with two models.
CORRECTED = 0.5


class DenseIndex:
    """One generation in memory; with other heads of its model, where the background has them."""

    def __init__(
        self, store: IndexStore, generation: Generation, background: Encoded, documents: Iterable[Document]
    ) -> None:
        """Load the vectors of documents that are stored; `background` is what the model says of its sentences."""
        self.background = background
        self._store = store
        self._generation = generation.id
        self._vectors = vectors = store.load(generation.id)
        # Texts that have a vector and nothing of the other heads, by channel and document.
        self._lacking: dict[tuple[str, str], list[str]] = {}
        vectors.gather(vectors.kinds - OF_THE_HOUSE, _KNOWN)
        vectors.part(KIND_ENTITY, _KIND_SENTENCE)
        make_heads = _maker_of_heads(background, partial(store.multivectors, generation.id))
        self._channels = {
            kind: _Channel(vectors, background.dense, kind, make_heads())
            for kind in (KIND_ENTITY, _KIND_SENTENCE, KIND_AREA, KIND_FLOOR, _KNOWN)
        }
        self._names, self._sentences, self._areas, self._floors, self._known = self._channels.values()
        if background.has_heads:
            self._place_heads(documents, store.sparse(generation.id))

    def place(self, documents: Collection[Document]) -> None:
        """Bring documents in step with what is stored of their texts."""
        texts = {text for document in documents for text in document.views}
        stored = self._store.vectors(self._generation, texts)
        for document in documents:
            for kind, known in _parted(document, stored):
                vectors = np.array([stored[text] for text in known], np.float32)
                self._vectors.put(kind, _named(document.key), vectors.reshape(-1, self._vectors.dimension))
        for channel in self._channels.values():
            channel.renew({_named(document.key) for document in documents if channel.holds(document.kind)})
        if self.background.has_heads:
            self._place_heads(documents, self._store.sparse(self._generation, texts))

    def missing_heads(self, limit: int, refused: Collection[str]) -> list[str]:
        """Give texts that have a vector and nothing of the other heads, but for those that the model refuses."""
        lacking = dict.fromkeys(chain.from_iterable(self._lacking.values()))
        return list(islice((text for text in lacking if text not in refused), limit))

    def remove(self, kind: str, source_id: str) -> None:
        """Forget a document."""
        name = _named((kind, source_id))
        for channel in self._channels.values():
            if channel.holds(kind):
                channel.forget(name)
                self._vectors.remove(channel.kind, name)
                self._lacking.pop((channel.kind, name), None)

    def evidence(self, query: Encoded, entities: Mapping[str, str], visible: Collection[str] | None) -> Evidence | None:
        """Hold a query, encoded alone, against the entities (all, or these registry ids) and places.

        `entities` are entity ids by registry id. None without vectors.
        """
        if not self._names:
            return None
        areas, floors = self._areas.find(query, None), self._floors.find(query, None)
        sentences = self._sentences.find(query, visible)
        return Evidence(
            names=self._names.find(query, visible).by(entities.__getitem__),
            sentences=sentences.by(entities.__getitem__),
            places=areas.by(partial(place_id, KIND_AREA)) | floors.by(partial(place_id, KIND_FLOOR)),
            heads=sentences.heads_by(entities.__getitem__),
        )

    def said_of(self, query: Encoded) -> SaidOfKnowledge:
        """Hold a query, encoded alone, against what the household knows."""
        return SaidOfKnowledge(query, self._known, self._vectors)

    def vector_of(self, key: Key) -> NDArray[np.float32] | None:
        """Give the direction of all that is said of something (dimension,); None while it has no vector."""
        mean = self._vectors.mean(_KNOWN, [_named(key)])
        length = np.linalg.norm(mean)
        return mean / length if length else None

    def near_vectors(self, vectors: Sequence[NDArray[np.float32]], names: Sequence[str]) -> tuple[list[str], Floats]:
        """Tell how near directions are to pieces of knowledge, by the vectors alone: which have any, and (vectors, n).

        In deviations above the others of those named, as SaidOfKnowledge.near has them.
        """
        return self._known.find_near(np.array(vectors, np.float32).reshape(-1, self._vectors.dimension), names)

    def _place_heads(self, documents: Iterable[Document], sparse: Mapping[str, Mapping[int, float] | None]) -> None:
        """Bring documents in step with the weights of those of their texts that have a vector, None where it is alone.

        A document has the other heads once all its texts in a channel have them, and a channel once all documents do.
        """
        for document in documents:
            for kind, texts in _parted(document, sparse):
                channel = self._channels[kind]
                if channel.heads is None:
                    continue
                weights = {text: found for text in texts if (found := sparse[text]) is not None}
                lacking = [text for text in texts if text not in weights]
                channel.heads.put(_named(document.key), {} if lacking else weights)
                self._lacking[kind, _named(document.key)] = lacking


class SaidOfKnowledge:
    """What a model says of a query, held against what the household knows, which it is told by "kind/id"."""

    def __init__(self, query: Encoded, known: _Channel, vectors: VectorIndex) -> None:
        """Take the query, encoded alone, and what it is held against."""
        self._query = query
        self._known = known
        self._vectors = vectors

    def near(self, names: Sequence[str], *, like: Sequence[str] = (), again: bool = False) -> Floats:
        """Give the deviations above all the others of these texts, NaN for those without a vector: (n,).

        `like`: the query is moved towards these; `again`: the nearest are compared token by token where that is known.
        """
        query = replace(self._query, multivector=self._query.multivector if again else None)
        if like:
            moved = query.dense[0] + _TOWARDS * self._vectors.mean(_KNOWN, like)
            query = replace(query, dense=(moved / np.linalg.norm(moved))[None])
        return self._known.find_among_all(query, names)


@dataclass(frozen=True, slots=True)
class _Found:
    """Deviations by source id; and the background's, which they are made of, of each head where there are several."""

    source_ids: Sequence[str] = ()
    values: Floats = field(default_factory=lambda: np.zeros(0))
    heads: Mapping[str, Floats] = field(default_factory=dict)

    def by(self, name: Callable[[str], str]) -> dict[str, float]:
        """Give the deviations by other names."""
        return dict(zip(map(name, self.source_ids), self.values.tolist(), strict=True))

    def heads_by(self, name: Callable[[str], str]) -> dict[str, dict[str, float]]:
        """Give each head's deviations above all the others, by other names; only of what it has read."""
        named = list(map(name, self.source_ids)) if self.heads else []
        found = {}
        for head, deviations in self.heads.items():
            read = np.flatnonzero(~np.isnan(deviations))
            values = compared(deviations[read]).tolist()
            found[head] = {named[number]: value for number, value in zip(read.tolist(), values, strict=True)}
        return found


class _Channel:
    """The vectors of one kind, with their cosines with the background, so that one change costs one row."""

    def __init__(
        self, vectors: VectorIndex, background: NDArray[np.float32], kind: str, heads: OtherHeads | None
    ) -> None:
        self.kind = kind
        self.heads = heads
        self._vectors = vectors
        self._sentences = background
        self._rows = vectors.best_cosines(kind, background)
        self._background: Background | None = None
        self._asked: tuple[Sequence[str], Sequence[str]] = [], []
        self._answered = np.zeros(0, np.intp)

    def __len__(self) -> int:
        return len(self._rows)

    def holds(self, kind: str) -> bool:
        """Tell whether something of documents of this kind is here."""
        if self.kind == _KNOWN:
            return kind not in OF_THE_HOUSE
        return kind == (KIND_ENTITY if self.kind == _KIND_SENTENCE else self.kind)

    def renew(self, source_ids: Collection[str]) -> None:
        if source_ids:
            for one in source_ids:
                self._rows.pop(one, None)
            self._rows |= self._vectors.best_cosines(self.kind, self._sentences, source_ids)
            self._background = None

    def forget(self, source_id: str) -> None:
        if self.heads is not None:
            self.heads.remove(source_id)
        if self._rows.pop(source_id, None) is not None:
            self._background = None

    def find(self, query: Encoded, visible: Collection[str] | None) -> _Found:
        """Find all, or what is visible, which alone tells what is usual here."""
        if not self._rows or (visible is not None and self._rows.keys().isdisjoint(visible)):
            return _Found()
        source_ids, cosines = self._vectors.scores(query.dense[0], self.kind, visible)
        return self._found(query, source_ids, self._of(source_ids).corrected(source_ids, cosines))

    def find_among_all(self, query: Encoded, names: Sequence[str]) -> Floats:
        """Find these; what is usual is told by all. Gives their deviations, NaN where there is no vector: (n,)."""
        if not self._rows:
            return np.full(len(names), np.nan)
        source_ids, cosines = self._vectors.scores(query.dense[0], self.kind)
        corrected = self._of(source_ids).corrected(source_ids, cosines, CORRECTED)
        rows = self._rows_of(names, source_ids)
        there = np.flatnonzero(rows >= 0)
        known = [names[number] for number in there.tolist()] if query.sparse is not None else ()
        near = np.full(len(names), np.nan)
        near[there] = self._found(query, known, corrected[rows[there]]).values
        return near

    def find_near(self, queries: NDArray[np.float32], names: Sequence[str]) -> tuple[list[str], Floats]:
        """Find these for many vectors at once: which of them are here, and each vector's deviations, (queries, n)."""
        cosines = self._vectors.best_cosines(self.kind, queries, names) if len(queries) else {}
        if not cosines:
            return [], np.zeros((len(queries), 0))
        there, usual = list(cosines), self._of(list(self._rows))
        rows = np.array(list(cosines.values())).T
        return there, np.array([compared(usual.corrected(there, row, CORRECTED)) for row in rows])

    def _found(self, query: Encoded, source_ids: Sequence[str], corrected: Floats) -> _Found:
        if self.heads is None or query.sparse is None or not self.heads.know(source_ids):
            return _Found(source_ids, compared(corrected))
        many = None if query.multivector is None else query.multivector[0]
        together, heads = self.heads.join(query.sparse[0], many, source_ids, corrected)
        return _Found(source_ids, compared(together), heads)

    def _rows_of(self, names: Sequence[str], source_ids: Sequence[str]) -> NDArray[np.intp]:
        """Tell which of the source ids each name is, -1 for none; what was asked for last is known still."""
        if self._asked != (names, source_ids):
            rows = {name: row for row, name in enumerate(source_ids)}
            self._asked = list(names), list(source_ids)
            self._answered = np.fromiter((rows.get(name, -1) for name in names), np.intp, len(names))
        return self._answered

    def _of(self, source_ids: Sequence[str]) -> Background:
        if len(source_ids) < len(self._rows):
            # The spread tells of the vectors that it comes from: for who may not see all, it is another.
            return self._made_of(source_ids)
        if self._background is None:
            self._background = self._made_of(source_ids)
        return self._background

    def _made_of(self, source_ids: Sequence[str]) -> Background:
        return Background(source_ids, np.array([self._rows[one] for one in source_ids]))


def _maker_of_heads(background: Encoded, read: ReadTokens) -> Callable[[], OtherHeads | None]:
    """Return what makes a channel's heads; they share what the background makes of a text."""
    if background.sparse is None or background.multivector is None:
        return lambda: None
    return partial(OtherHeads, LexicalQueries(background.sparse), Tokens(background.multivector, read))


def _parted(document: Document, known: Container[str]) -> Iterator[tuple[str, list[str]]]:
    """Give a document's texts, of those known, by the channel that they belong to: an entity's last is its sentence."""
    texts = [text for text in document.views if text in known]
    if document.kind not in OF_THE_HOUSE:
        yield _KNOWN, texts
        return
    if document.kind == KIND_ENTITY:
        yield _KIND_SENTENCE, texts[-1:]
        texts = texts[:-1] if len(texts) > 1 else texts
    yield document.kind, texts


def _named(key: Key) -> str:
    """Give what a document is called in its channel."""
    return key[1] if key[0] in OF_THE_HOUSE else knowledge_name(key)
