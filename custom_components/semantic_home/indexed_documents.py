"""The documents of one home with their vectors, in the database and in memory, always in step. From one thread only."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
import secrets

import numpy as np
from numpy.typing import NDArray

from . import stored_texts
from .dense_index import DenseIndex
from .describe import KIND_ENTITY
from .engine import Encoded
from .index import (
    Changes,
    Counts,
    Damage,
    Document,
    Generation,
    GenerationState,
    IndexStore,
    Key,
    Stamp,
)

# So much space is given back at once: 25 ms here, which a query may have to wait for.
_PAGES_AT_ONCE = 1000
# So many vectors are copied at once, in which a query may have to wait, too.
_TEXTS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How far the index is: vectors are missing while `vectors` is below `texts`.

    `generation` answers; `building` is the one that will, once it has as many vectors (`built`) as there are texts.
    The stamps say how their vectors are made.
    """

    documents: int
    texts: int
    vectors: int
    generation: int | None
    building: int | None = None
    built: int = 0
    stamp: Stamp | None = None
    building_stamp: Stamp | None = None

    @property
    def complete(self) -> bool:
        """Tell whether every text has its vector."""
        return self.generation is not None and self.vectors >= self.texts


class IndexedDocuments(ABC):
    """Documents and the generations of their vectors that are searched."""

    def __init__(self, store: IndexStore) -> None:
        """Take over an open store and read its documents."""
        self._store = store
        self._documents: dict[Key, Document] = {document.key: document for document in store.documents()}
        # The generations that are searched, by id: the active one, and those that are compared with it.
        self._dense: dict[int, DenseIndex] = {}

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def hold(self) -> None:
        """Complete the file and keep it still until `release`; what writes raises HeldError. Raises StoreError."""
        self._store.hold()

    def lend(self) -> None:
        """Leave writing to another connection until `release`; what writes raises HeldError."""
        self._store.lend()

    def release(self) -> None:
        """Let the file be written again."""
        self._store.release()

    @property
    def damage(self) -> Damage | None:
        """What was wrong with the database when it was opened, unless nothing was."""
        return self._store.damage

    def status(self) -> IndexStatus:
        """Count what there is, and how far the active generation is, and the one that is being built."""
        generations = {generation.state: generation for generation in self._store.generations()}
        active, building = (generations.get(state) for state in (GenerationState.ACTIVE, GenerationState.BUILDING))
        if active is None:
            texts = {text for document in self._documents.values() for text in document.views}
            counts = Counts(len(self._documents), len(texts), 0)
        else:
            counts = self._store.counts(active.id)
        return IndexStatus(
            counts.documents,
            counts.texts,
            counts.vectors,
            generation=active.id if active else None,
            building=building.id if building else None,
            built=self._store.counts(building.id).vectors if building else 0,
            stamp=active.stamp if active else None,
            building_stamp=building.stamp if building else None,
        )

    def kinds(self) -> dict[str, int]:
        """Count the documents of each kind."""
        return dict(Counter(kind for kind, _ in self._documents))

    def generations(self) -> list[tuple[Generation, Counts]]:
        """Give the generations that there are, the oldest first, and how far each is."""
        return [(generation, self._store.counts(generation.id)) for generation in self._store.generations()]

    def active(self) -> Generation | None:
        """Return the generation that answers, if there is one yet."""
        return self._store.active()

    def retired(self) -> Generation | None:
        """Return the generation that answered before, if it is there still."""
        kept = self._store.generations()
        return next((generation for generation in kept if generation.state is GenerationState.RETIRED), None)

    def forget_retired(self) -> None:
        """Give up the memory of the generation that answered before; it stays in the database."""
        if (retired := self.retired()) is not None:
            self._dense.pop(retired.id, None)

    def active_of(self, stamp: Stamp) -> Generation | None:
        """Return the generation that answers if its vectors are made like those of this stamp."""
        active = self._store.active()
        return active if active is not None and active.stamp.makes_vectors_of(stamp) else None

    def prepare(self, stamp: Stamp) -> Generation:
        """Return the generation of this stamp: the active one, or one that is built beside it until it is complete."""
        return self._store.prepare(stamp)

    def give_up(self, generation_id: int) -> None:
        """Remove a generation that is not the one that answers."""
        self._store.discard(generation_id)
        self._forget_removed()

    def background(self, generation_id: int, sentences: Sequence[str]) -> Encoded | None:
        """Return what was kept of these sentences."""
        return stored_texts.background(self._store, generation_id, sentences)

    def use(self, generation: Generation, sentences: Sequence[str], background: Encoded) -> None:
        """Search a generation by all that its model says of background sentences, which is kept."""
        stored_texts.put_background(self._store, generation.id, sentences, background)
        self._search(generation, background)

    def sample(self, generation_id: int, count: int) -> dict[str, NDArray[np.float32]]:
        """Return some texts of a generation with their vectors (dimension,), others each time."""
        return self._store.sample(generation_id, count, secrets.randbits(32))

    def swap(self, generation_id: int, refused: Collection[str]) -> Generation:
        """Let a generation answer that is complete but for these texts; raises IncompleteGenerationError."""
        generation = self._store.swap(generation_id, refused)
        self._forget_removed()
        return generation

    def rollback(self) -> Generation:
        """Let the former generation answer again; raises NoPreviousGenerationError."""
        return self._store.rollback()

    def update(self, documents: Sequence[Document], removed_entities: Sequence[str]) -> bool:
        """Add or change documents and remove entities; tell whether that changed anything."""
        written = self._take_in(self._store.upsert(documents), documents)
        return self._take_in(self._store.remove(KIND_ENTITY, removed_entities), ()) or written

    def read_again(self, keys: Iterable[Key]) -> None:
        """Take in documents that were written, maybe by another connection, with the vectors that their texts have."""
        written = {document.key: document for document in self._store.find(keys)}
        self._documents |= written
        self._changed(Changes(updated=tuple(written)))
        self._place(written, list(self._dense))

    def missing_texts(self, generation_id: int, limit: int, refused: Collection[str] = ()) -> list[str]:
        """Give texts that have no vector in a generation yet, but for those that its model refuses."""
        return self._store.missing_texts(generation_id, limit, refused)

    def missing_heads(self, generation_id: int, limit: int, refused: Collection[str] = ()) -> list[str]:
        """Give texts that have a vector alone though the generation's model says more; see missing_texts."""
        return self._dense[generation_id].missing_heads(limit, refused) if generation_id in self._dense else []

    def add_vectors(self, generation_id: int, texts: Sequence[str], vectors: Encoded) -> None:
        """Keep what the model says of texts and search with it; for a generation that has gone it is dropped."""
        if generation_id not in self._dense:
            return
        stored_texts.put_texts(self._store, generation_id, texts, vectors)
        self._place_texts(texts, generation_id)

    def take_over(self, generation_id: int, source_id: int) -> bool:
        """Give a generation some of the vectors that another has of the same model; tell whether there may be more."""
        if generation_id not in self._dense:
            return False
        texts = self._store.take_over(generation_id, source_id, _TEXTS_AT_ONCE)
        self._place_texts(texts, generation_id)
        return bool(texts)

    def forget_vectors(self) -> None:
        """Drop all vectors of the active generation, so that they are made anew; meanwhile names alone answer."""
        active = self._store.active()
        if active is None or (dense := self._dense.get(active.id)) is None:
            return
        self._store.clear_vectors(active.id)
        self._search(active, dense.background)

    def reclaim(self) -> bool:
        """Give some of the space back that is not needed any more; tell whether there is more."""
        return self._store.reclaim(_PAGES_AT_ONCE)

    def prune(self) -> None:
        """Give up vectors of texts that nothing in the home uses any more."""
        self._store.prune()

    def _take_in(self, changes: Changes, documents: Iterable[Document]) -> bool:
        if not changes:
            return False
        for kind, source_id in changes.removed:
            self._documents.pop((kind, source_id), None)
            for dense in self._dense.values():
                dense.remove(kind, source_id)
        written = {*changes.added, *changes.updated}
        self._documents |= {document.key: document for document in documents if document.key in written}
        self._changed(changes)
        self._place(written, list(self._dense))
        return True

    def _place(self, keys: Collection[Key], generation_ids: Iterable[int]) -> None:
        """Bring the search matrices in step with the stored vectors of these documents."""
        documents = [self._documents[key] for key in keys]
        for generation_id in generation_ids:
            self._dense[generation_id].place(documents)

    def _place_texts(self, texts: Iterable[str], generation_id: int) -> None:
        """Bring a search matrix in step with the stored vectors of all that uses one of these texts."""
        known = set(texts)
        changed = [key for key, document in self._documents.items() if not known.isdisjoint(document.views)]
        self._place(changed, [generation_id])

    def _forget_removed(self) -> None:
        """Give up the memory of generations that are gone."""
        there = {generation.id for generation in self._store.generations()}
        self._dense = {number: dense for number, dense in self._dense.items() if number in there}

    def _search(self, generation: Generation, background: Encoded) -> None:
        self._dense[generation.id] = DenseIndex(self._store, generation, background, self._documents.values())

    def _of_kind(self, kind: str) -> Iterator[Document]:
        return (document for document in self._documents.values() if document.kind == kind)

    def reconcile(self, kinds: Collection[str], documents: Sequence[Document]) -> bool:
        """Hold exactly these documents of these kinds; tell whether that changed anything."""
        return self._take_in(self._store.reconcile(kinds, documents), documents)

    @abstractmethod
    def _changed(self, changes: Changes) -> None:
        """Take notice of other documents, which are there already, before anything is asked."""
