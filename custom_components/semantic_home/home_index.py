"""The blocking half of the runtime: documents, vectors and matcher of one home, used from one thread only."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
import logging
import math
from pathlib import Path
import time
from typing import Self, override

import numpy as np
from numpy.typing import NDArray

from .candidates import candidate_of, entity_id_of, places_of, strings_of, thing_of
from .dense_index import DenseIndex
from .describe import KIND_AREA, KIND_ENTITY, KIND_FLOOR, OF_THE_HOUSE
from .engine import Encoded
from .index import (
    DEFAULT_SCORE,
    Changes,
    Document,
    IndexStore,
    JsonValue,
    Key,
    Knowledge,
    Page,
    Rating,
    Selection,
    UnknownGenerationError,
)
from .indexed_documents import IndexedDocuments
from .knowledge_index import KnowledgeFindings, KnowledgeIndex, KnowledgeQuery, knowledge_name
from .learned_requests import LEARNED, MAX_LEARNED, LearnedRequests, Lesson
from .matching import Evidence, Grammar, Home, Learned, Matcher, MatchRequest, MatchResult, Thing, languages

_LOGGER = logging.getLogger(__name__)

# For so many pieces of knowledge each is asked for by itself how it has served, for more all are.
_ASKED_ONE_BY_ONE = 64


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """Which entities may be answered. An empty collection does not limit; `permits` is the caller's right to read."""

    entity_ids: Collection[str] = ()
    area_ids: Collection[str] = ()
    floor_ids: Collection[str] = ()
    label_ids: Collection[str] = ()
    domains: Collection[str] = ()
    device_classes: Collection[str] = ()
    permits: Callable[[str], bool] | None = None

    @property
    def admits_all(self) -> bool:
        """Tell whether nothing is left out."""
        limits = (self.area_ids, self.floor_ids, self.label_ids, self.domains, self.device_classes)
        return not any((self.entity_ids, *limits)) and self.permits is None

    def admits(self, document: Document) -> bool:
        """Hold an entity's document against the filter."""
        metadata = document.metadata
        return (
            _one_of(entity_id_of(document), self.entity_ids)
            and _one_of(metadata.get("area_id"), self.area_ids)
            and _one_of(metadata.get("floor_id"), self.floor_ids)
            and _one_of(metadata.get("domain"), self.domains)
            and _one_of(metadata.get("device_class"), self.device_classes)
            and (not self.label_ids or not set(self.label_ids).isdisjoint(strings_of(document, "labels")))
            and (self.permits is None or self.permits(entity_id_of(document)))
        )

    def circumstances(self, context_place: str | None) -> dict[str, JsonValue]:
        """Say, for what is learnt, in which circumstances a request is made: within which limits, and where."""
        limits: dict[str, Collection[str]] = {
            "entity_id": self.entity_ids,
            "area_id": self.area_ids,
            "floor_id": self.floor_ids,
            "label_id": self.label_ids,
            "domain": self.domains,
            "device_class": self.device_classes,
        }
        asked_in: dict[str, JsonValue] = {name: [*sorted(values)] for name, values in limits.items() if values}
        return asked_in if context_place is None else {**asked_in, "context_place": context_place}


class HomeIndex(IndexedDocuments):
    """One home's documents with everything that answers a query about them."""

    def __init__(self, store: IndexStore, *, learns: bool = True) -> None:
        """Take over an open store and read its documents. `learns`: answers teach, and what they taught counts."""
        super().__init__(store)
        self._learns = learns
        # Each made when it is needed.
        self._learned: LearnedRequests | None = None
        self._known: KnowledgeIndex | None = None
        self._matcher: Matcher | None = None
        # Of the entities, by registry id.
        self._entity_ids: dict[str, str] | None = None

    @classmethod
    def open(cls, path: Path, *, learns: bool = True) -> Self:
        """Open or create the database. Raises StoreError, NewerSchemaError."""
        # Read now, where files may be read: questions are asked on the event loop.
        languages()
        return cls(IndexStore.open(path), learns=learns)

    @override
    def reconcile(self, kinds: Collection[str], documents: Sequence[Document]) -> bool:
        """Hold exactly these documents of these kinds; tell whether that changed anything."""
        changed = super().reconcile(kinds, documents)
        # Now, rather than when somebody waits for an answer: a language's sentences alone take half a second, and so do
        # 4,000 pieces of knowledge.
        self._current_matcher()
        self._current_knowledge()
        return changed

    def knowledge(self) -> list[Knowledge]:
        """Give all knowledge that there is."""
        return self._store.knowledge()

    def knowledge_page(self, selection: Selection, limit: int, offset: int) -> Page:
        """Give a part of the knowledge that is selected, the latest first."""
        return self._store.knowledge_page(selection, limit, offset)

    def add_knowledge(self, row: Knowledge, changed: Callable[[Knowledge], Knowledge]) -> tuple[str, bool]:
        """Add a piece of knowledge or change the one that is there; give its id, and whether it was unknown."""
        if row.key in self._documents:
            return self.change_knowledge(row.key[1], changed), False
        self._store.import_knowledge([row])
        self.read_again([row.key])
        return row.key[1], True

    def change_knowledge(self, source_id: str, changed: Callable[[Knowledge], Knowledge]) -> str:
        """Change a piece of knowledge and give its id from now on; raises as IndexStore.change_knowledge does."""
        row, changes = self._store.change_knowledge(source_id, changed)
        self._take_in(changes, self._store.find([row.key]))
        return row.key[1]

    def success_of(self, knowledge_type: str) -> dict[Key, float]:
        """Tell how well what there is of a type has served by now, as far as anybody has said so."""
        now, ratings = datetime.now(UTC), self._store.ratings()
        keys = (key for key, one in self._known_documents() if one.knowledge_type == knowledge_type)
        return {key: ratings[key].at(now).score for key in keys if key in ratings}

    def judge(self, source_id: str, outcome: float) -> Rating | None:
        """Say how well something served, from 0 (failure) to 1 (success); None when there is nothing of this id."""
        key = next((key for key, _ in self._known_documents() if key[1] == source_id), None)
        return None if key is None else self._judge(key, outcome)

    def judge_lesson(self, lesson: Lesson, outcome: float) -> tuple[str, Rating] | None:
        """Say how right an answer was, and learn it if it was; give the id of what is known of it, if anything is."""
        if outcome > DEFAULT_SCORE and not self.learn(lesson):
            return None
        row = lesson.knowledge(datetime.now(UTC))
        known = self._documents.get(row.key)
        if known is None or known.metadata.get("entity_ids") != row.metadata["entity_ids"]:
            return None
        rating = self._judge(row.key, outcome)
        return None if rating is None else (row.key[1], rating)

    def search_knowledge(
        self, query: KnowledgeQuery, encoded: Encoded | None, generation_id: int | None = None
    ) -> KnowledgeFindings:
        """Look for what the household knows; with what the model says of the query where there is one.

        Raises UnknownGenerationError when that generation is not searched any more.
        """
        dense = self._searched(generation_id)
        said = None if dense is None or encoded is None else dense.said_of(encoded)
        names = (strings_of(one, "names") for one in self._of_the_house(query.limits.permits)) if query.expand else ()
        return self._current_knowledge().search(query, said, datetime.now(UTC), names)

    def near_knowledge(
        self, queries: Sequence[Encoded], generation_id: int | None, knowledge_type: str, like: str
    ) -> tuple[list[dict[Key, float]], dict[str, dict[Key, float]]]:
        """Tell how near queries, each encoded alone, are to all knowledge of a type; and so of all entities of a kind.

        In deviations above the others of the type, by key; for the documents `like` it by their entity id. Empty while
        the generation is not searched; what has no vector yet is left out.
        """
        keys = [key for key, one in self._known_documents() if one.knowledge_type == knowledge_type]
        dense = None if generation_id is None else self._dense.get(generation_id)
        if dense is None or not keys:
            return [{} for _ in queries], {}
        by_name = {knowledge_name(key): key for key in keys}

        def by_key(names: Sequence[str], found: NDArray[np.float64]) -> dict[Key, float]:
            near = zip(names, found.tolist(), strict=True)
            return {by_name[name]: value for name, value in near if not math.isnan(value)}

        names = list(by_name)
        near = [by_key(names, dense.said_of(query).near(names)) for query in queries]
        others = {entity_id_of(one): key for key, one in self._known_documents() if key[0] == like}
        vectors = {other: vector for other, key in others.items() if (vector := dense.vector_of(key)) is not None}
        there, found = dense.near_vectors(list(vectors.values()), names)
        return near, {other: by_key(there, one) for other, one in zip(vectors, found, strict=True)}

    def remove_knowledge(self, selection: Selection, most: int | None) -> int:
        """Remove what is selected, and tell how much; raises TooManySelectedError when that is more than `most`."""
        changes = self._store.remove_knowledge(selection, most)
        self._take_in(changes, ())
        return len(changes.removed)

    def learn(self, lesson: Lesson) -> bool:
        """Keep what an answer taught, unless it is never acted on by a guess; tell whether it is kept."""
        if not self._learns or any(thing.guarded for thing in self.things(lesson.entity_ids).values()):
            return False
        row = lesson.knowledge(datetime.now(UTC))
        changes = self._store.keep_knowledge(row, LEARNED, MAX_LEARNED)
        self._take_in(changes, self._store.find([row.key]))
        return True

    def learnt_here(self) -> tuple[Home, dict[str, Knowledge]]:
        """Give the home and the requests that were learnt in it, by id, the latest first."""
        rows = self._store.knowledge_page(LEARNED, MAX_LEARNED).rows if self._learns else {}
        return self._current_matcher().home, rows

    def match(
        self,
        request: MatchRequest,
        limits: EntityFilter,
        query: Encoded | None,
        generation_id: int | None = None,
    ) -> MatchResult:
        """Match a query among the entities that the filter admits.

        With what the model says of it alone where there is one, which is of this generation and compared with no other.
        Raises UnknownGenerationError when that is not searched any more.
        """
        begin = time.perf_counter()
        matcher, asked, evidence = self.prepare_match(request, limits, query, generation_id)
        found = time.perf_counter()
        result = matcher.match(asked, evidence)
        searched, weighed = 1000 * (found - begin), 1000 * (time.perf_counter() - found)
        _LOGGER.debug("Searched in %.1f ms, weighed in %.1f ms", searched, weighed)
        return result

    def things(self, entity_ids: Collection[str]) -> dict[str, Thing]:
        """Give what a question calls these entities, as far as they are known, by entity id."""
        floors = {document.source_id: document.views[0] for document in self._of_kind(KIND_FLOOR)}
        documents = (document for document in self._of_kind(KIND_ENTITY) if entity_id_of(document) in entity_ids)
        return {entity_id_of(document): thing_of(document, floors) for document in documents}

    def prepare_match(
        self,
        request: MatchRequest,
        limits: EntityFilter,
        query: Encoded | None,
        generation_id: int | None = None,
    ) -> tuple[Matcher, MatchRequest, Evidence | None]:
        """Say who is to be matched by whom, and what the model says of it. Raises as `match` does."""
        dense = self._searched(generation_id)
        if request.recalls:
            request = replace(request, learned=self._learned_in(limits.circumstances(request.context_place)))
        matcher, visible = self._current_matcher(), None
        entities = list(self._of_kind(KIND_ENTITY))
        seen = [one for one in entities if limits.permits is None or limits.permits(entity_id_of(one))]
        if len(seen) < len(entities):
            # Rarity and spread tell of the names they come from: they must not come from what the caller may not see.
            matcher, visible = self._new_matcher(seen), {document.source_id for document in seen}
        if not limits.admits_all:
            allowed = frozenset(entity_id_of(document) for document in entities if limits.admits(document))
            request = replace(request, allowed=allowed)
        if dense is None or query is None:
            return matcher, request, None
        if self._entity_ids is None:
            self._entity_ids = {document.source_id: entity_id_of(document) for document in self._of_kind(KIND_ENTITY)}
        return matcher, request, dense.evidence(query, self._entity_ids, visible)

    def _searched(self, generation_id: int | None) -> DenseIndex | None:
        if generation_id is None:
            return None
        if generation_id not in self._dense:
            raise UnknownGenerationError(f"Generation {generation_id} is not searched")
        return self._dense[generation_id]

    def _learned_in(self, asked_in: Mapping[str, JsonValue]) -> tuple[Learned, ...]:
        if not self._learns:
            return ()
        if self._learned is None:
            self._learned = LearnedRequests.read(self._store)
        return self._learned.made_in(asked_in)

    def _current_matcher(self) -> Matcher:
        if self._matcher is None:
            self._matcher = self._new_matcher(self._of_kind(KIND_ENTITY))
        return self._matcher

    def _new_matcher(self, entities: Iterable[Document]) -> Matcher:
        documents = list(entities)
        places = places_of([*self._of_kind(KIND_AREA), *self._of_kind(KIND_FLOOR)], documents)
        language = next((document.language for document in documents if document.language), None)
        grammar = Grammar.load(language) if language else None
        return Matcher([candidate_of(document) for document in documents], places, grammar)

    def _judge(self, key: Key, outcome: float) -> Rating | None:
        rating = self._store.judge(key, outcome, datetime.now(UTC))
        if rating is not None:
            self._learned = None
            if self._known is not None:
                self._known.rate(key, rating)
        return rating

    def _know(self, keys: Collection[Key]) -> None:
        """Let what was written be found."""
        if self._known is None:
            return
        written = [key for key in keys if key[0] not in OF_THE_HOUSE]
        ratings = self._store.ratings() if len(written) > _ASKED_ONE_BY_ONE else None
        for key in written:
            self._known.put(self._documents[key])
            of_key = self._store.ratings(key) if ratings is None else ratings
            if key in of_key:
                self._known.rate(key, of_key[key])

    def _current_knowledge(self) -> KnowledgeIndex:
        if self._known is None:
            documents = (document for _, document in self._known_documents())
            self._known = KnowledgeIndex(documents, self._store.ratings())
        return self._known

    def _known_documents(self) -> Iterator[tuple[Key, Document]]:
        """Give what is no part of the house."""
        return ((key, document) for key, document in self._documents.items() if key[0] not in OF_THE_HOUSE)

    def _of_the_house(self, permits: Callable[[str], bool] | None) -> Iterator[Document]:
        """Give what things and places there are, as far as the caller may know of them."""
        for kind in (KIND_ENTITY, KIND_AREA, KIND_FLOOR):
            for document in self._of_kind(kind):
                if permits is None or kind != KIND_ENTITY or permits(entity_id_of(document)):
                    yield document

    @override
    def _changed(self, changes: Changes) -> None:
        self._learned = None
        if any(kind in OF_THE_HOUSE for kind, _ in (*changes.added, *changes.updated, *changes.removed)):
            self._matcher = self._entity_ids = None
        if self._known is not None:
            for key in changes.removed:
                self._known.remove(key)
        self._know([*changes.added, *changes.updated])


def _one_of(value: object, wanted: Collection[str]) -> bool:
    return not wanted or value in wanted
