"""The blocking half of the runtime: documents, vectors and matcher of one home, used from one thread only."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .describe import KIND_AREA, KIND_ENTITY, KIND_FLOOR
from .index import Changes, Document, Generation, IndexStore, JsonValue, Key, Stamp, VectorIndex
from .matching import Background, Candidate, Matcher, MatchRequest, MatchResult, Weights


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """Which entities may be answered. An empty collection does not limit; `permits` is the caller's right to read."""

    area_ids: Collection[str] = ()
    floor_ids: Collection[str] = ()
    label_ids: Collection[str] = ()
    domains: Collection[str] = ()
    device_classes: Collection[str] = ()
    permits: Callable[[str], bool] | None = None

    def admits(self, document: Document) -> bool:
        """Hold an entity's document against the filter."""
        metadata = document.metadata
        return (
            _one_of(metadata.get("area_id"), self.area_ids)
            and _one_of(metadata.get("floor_id"), self.floor_ids)
            and _one_of(metadata.get("domain"), self.domains)
            and _one_of(metadata.get("device_class"), self.device_classes)
            and (not self.label_ids or not set(self.label_ids).isdisjoint(_strings(document, "labels")))
            and (self.permits is None or self.permits(_entity_id(document)))
        )


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How far the index is: vectors are missing while `vectors` is below `texts`."""

    documents: int
    texts: int
    vectors: int
    generation: int | None

    @property
    def complete(self) -> bool:
        """Tell whether every text has its vector."""
        return self.generation is not None and self.vectors >= self.texts


class HomeIndex:
    """One home's documents with everything that answers a query about them."""

    def __init__(self, store: IndexStore) -> None:
        """Take over an open store and read its documents."""
        self._store = store
        self._weights = Weights.load()
        self._documents: dict[Key, Document] = {document.key: document for document in store.documents()}
        self._generation: Generation | None = None
        self._vectors: VectorIndex | None = None
        self._background_vectors: NDArray[np.float32] | None = None
        # By registry id, an entity's cosines with the background sentences, so that one change costs one row.
        self._background_rows: dict[str, NDArray[np.float32]] = {}
        self._background: Background | None = None
        self._matcher: Matcher | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the database. Raises StoreError, NewerSchemaError."""
        return cls(IndexStore.open(path))

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def status(self) -> IndexStatus:
        """Count what there is."""
        if self._generation is None:
            return IndexStatus(len(self._documents), self._text_count(), 0, None)
        counts = self._store.counts(self._generation.id)
        return IndexStatus(counts.documents, counts.texts, counts.vectors, self._generation.id)

    def use(self, stamp: Stamp, background: NDArray[np.float32]) -> Generation:
        """Search with the generation of this stamp, and with the background's vectors (sentences, dimension) of it."""
        self._generation = self._store.ensure_active(stamp)
        self._vectors = VectorIndex(stamp.dimension)
        self._background_vectors = background
        self._background_rows.clear()
        self._place(self._documents)
        return self._generation

    def reconcile(self, kinds: Collection[str], documents: Sequence[Document]) -> bool:
        """Hold exactly these documents of these kinds; tell whether that changed anything."""
        return self._take_in(self._store.reconcile(kinds, documents), documents)

    def update(self, documents: Sequence[Document], removed_entities: Sequence[str]) -> bool:
        """Add or change documents and remove entities; tell whether that changed anything."""
        written = self._take_in(self._store.upsert(documents), documents)
        return self._take_in(self._store.remove(KIND_ENTITY, removed_entities), ()) or written

    def missing_texts(self, limit: int) -> list[str]:
        """Give texts that have no vector yet."""
        return self._store.missing_texts(self._generation.id, limit) if self._generation else []

    def add_vectors(self, generation_id: int, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep the vectors (texts, dimension) and search with them; those of another generation are dropped."""
        if self._generation is None or self._generation.id != generation_id:
            return
        self._store.put_vectors(generation_id, dict(zip(texts, vectors, strict=True)))
        known = set(texts)
        self._place([key for key, document in self._documents.items() if not known.isdisjoint(document.views)])

    def forget_vectors(self) -> None:
        """Drop all vectors of the generation, so that they are made anew; meanwhile names alone answer."""
        if self._generation is None or self._background_vectors is None:
            return
        self._store.clear_vectors(self._generation.id)
        self.use(self._generation.stamp, self._background_vectors)

    def prune(self) -> None:
        """Give up vectors of texts that nothing in the home uses any more."""
        self._store.prune()

    def match(self, request: MatchRequest, limits: EntityFilter, query: NDArray[np.float32] | None) -> MatchResult:
        """Match a query, with its vector (dimension,) where there is one, among the entities that the filter admits."""
        matcher, visible = self._current_matcher(), None
        if limits.permits is not None:
            # Rarity and spread tell of the names they come from: they must not come from what the caller may not see.
            seen = [document for document in self._of_kind(KIND_ENTITY) if limits.permits(_entity_id(document))]
            matcher, visible = self._new_matcher(seen), {document.source_id for document in seen}
        allowed = frozenset(_entity_id(document) for document in self._of_kind(KIND_ENTITY) if limits.admits(document))
        limited = replace(request, allowed=allowed)
        return matcher.match(limited, self._dense_evidence(query, visible))

    def _take_in(self, changes: Changes, documents: Iterable[Document]) -> bool:
        if not changes:
            return False
        self._matcher = None
        for kind, source_id in changes.removed:
            self._documents.pop((kind, source_id), None)
            self._background_rows.pop(source_id, None)
            if self._vectors is not None:
                self._vectors.remove(kind, source_id)
        self._background = None
        written = {*changes.added, *changes.updated}
        self._documents |= {document.key: document for document in documents if document.key in written}
        self._place(written)
        return True

    def _place(self, keys: Collection[Key]) -> None:
        """Bring the search matrix in step with the stored vectors of these documents."""
        if self._generation is None or self._vectors is None or self._background_vectors is None:
            return
        documents = [self._documents[key] for key in keys]
        stored = self._store.vectors(self._generation.id, {text for document in documents for text in document.views})
        for document in documents:
            rows = [stored[text] for text in document.views if text in stored]
            vectors = np.array(rows, np.float32).reshape(-1, self._vectors.dimension)
            self._vectors.put(document.kind, document.source_id, vectors)
            if document.kind == KIND_ENTITY and len(vectors):
                self._background_rows[document.source_id] = (vectors @ self._background_vectors.T).max(axis=0)
        self._background = None

    def _dense_evidence(
        self, query: NDArray[np.float32] | None, visible: Collection[str] | None
    ) -> dict[str, float] | None:
        # Without vectors yet, or without entities, there is nothing that the query could be compared with.
        if query is None or self._vectors is None or not self._background_rows:
            return None
        cosines = self._vectors.search(query, KIND_ENTITY, visible)
        if self._background is None:
            rows = np.array(list(self._background_rows.values()), np.float32)
            self._background = Background(list(self._background_rows), rows)
        evidence = self._background.evidence(cosines)
        return {_entity_id(self._documents[KIND_ENTITY, source_id]): value for source_id, value in evidence.items()}

    def _current_matcher(self) -> Matcher:
        if self._matcher is None:
            self._matcher = self._new_matcher(self._of_kind(KIND_ENTITY))
        return self._matcher

    def _new_matcher(self, entities: Iterable[Document]) -> Matcher:
        places = {
            kind: {document.source_id: _strings(document, "names") for document in self._of_kind(kind)}
            for kind in (KIND_AREA, KIND_FLOOR)
        }
        return Matcher([_candidate(document, places) for document in entities], self._weights)

    def _of_kind(self, kind: str) -> Iterator[Document]:
        return (document for document in self._documents.values() if document.kind == kind)

    def _text_count(self) -> int:
        return len({text for document in self._documents.values() for text in document.views})


def _entity_id(document: Document) -> str:
    return str(document.metadata["entity_id"])


def _candidate(document: Document, places: dict[str, dict[str, tuple[str, ...]]]) -> Candidate:
    metadata = document.metadata
    where = ((KIND_AREA, metadata.get("area_id")), (KIND_FLOOR, metadata.get("floor_id")))
    return Candidate(
        entity_id=_entity_id(document),
        names=_strings(document, "names") or (_entity_id(document),),
        area_id=_text(metadata.get("area_id")),
        area=_text(metadata.get("area")),
        places={f"{kind}:{place}": names for kind, place in where if (names := places[kind].get(str(place)))},
        kind_words=_strings(document, "kind_words"),
    )


def _strings(document: Document, field: str) -> tuple[str, ...]:
    values = document.metadata.get(field)
    return tuple(map(str, values)) if isinstance(values, list) else ()


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)


def _one_of(value: object, wanted: Collection[str]) -> bool:
    return not wanted or value in wanted
