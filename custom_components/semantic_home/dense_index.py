"""The vectors of one generation as they are searched: what is near a query, compared with what is near anything."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from .describe import KIND_AREA, KIND_ENTITY, KIND_FLOOR, place_id
from .index import Document, Generation, VectorIndex
from .matching import Background, Evidence

# The sentences around entities' names, kept beside the names: how near a query comes to either are two findings.
_KIND_SENTENCE = "entity sentence"


class DenseIndex:
    """One generation in memory."""

    def __init__(self, generation: Generation, vectors: VectorIndex, background: NDArray[np.float32]) -> None:
        """Take the vectors that are there, and those (sentences, dimension) of the background's sentences."""
        self.generation = generation
        self.background = background
        self._vectors = vectors
        vectors.part(KIND_ENTITY, _KIND_SENTENCE)
        self._names = _Channel(vectors, background, KIND_ENTITY)
        self._sentences = _Channel(vectors, background, _KIND_SENTENCE, KIND_ENTITY)
        self._areas = _Channel(vectors, background, KIND_AREA)
        self._floors = _Channel(vectors, background, KIND_FLOOR)

    def place(self, documents: Collection[Document], stored: dict[str, NDArray[np.float32]]) -> None:
        """Bring documents in step with the stored vectors of their texts."""
        for document in documents:
            rows = [stored[text] for text in document.views if text in stored]
            vectors = np.array(rows, np.float32).reshape(-1, self._vectors.dimension)
            if document.kind == KIND_ENTITY:
                self._vectors.put(_KIND_SENTENCE, document.source_id, vectors[-1:])
                vectors = vectors[:-1] if len(vectors) > 1 else vectors
            self._vectors.put(document.kind, document.source_id, vectors)
        for channel in (self._names, self._sentences, self._areas, self._floors):
            channel.renew({document.source_id for document in documents if document.kind == channel.of})

    def remove(self, kind: str, source_id: str) -> None:
        """Forget a document."""
        for channel in (self._names, self._sentences, self._areas, self._floors):
            if kind == channel.of:
                channel.forget(source_id)
                self._vectors.remove(channel.kind, source_id)
        self._vectors.remove(kind, source_id)

    def evidence(
        self, query: NDArray[np.float32], entities: Mapping[str, str], visible: Collection[str] | None
    ) -> Evidence | None:
        """Hold a query's vector against the entities (all, or these registry ids) and places; None without vectors.

        `entities` are entity ids by registry id.
        """
        if not self._names:
            return None
        places = {place_id(KIND_AREA, one): found for one, found in self._areas.find(query, None).items()}
        places |= {place_id(KIND_FLOOR, one): found for one, found in self._floors.find(query, None).items()}
        return Evidence(
            names={entities[one]: found for one, found in self._names.find(query, visible).items() if one in entities},
            sentences={
                entities[one]: found for one, found in self._sentences.find(query, visible).items() if one in entities
            },
            places=places,
        )


class _Channel:
    """The vectors of one kind, with their cosines with the background, so that one change costs one row."""

    def __init__(self, vectors: VectorIndex, background: NDArray[np.float32], kind: str, of: str | None = None) -> None:
        self.kind = kind
        self.of = of or kind
        self._vectors = vectors
        self._sentences = background
        self._rows = vectors.best_cosines(kind, background)
        self._background: Background | None = None

    def __bool__(self) -> bool:
        return bool(self._rows)

    def renew(self, source_ids: Collection[str]) -> None:
        if source_ids:
            self._rows |= self._vectors.best_cosines(self.kind, self._sentences, source_ids)
            self._background = None

    def forget(self, source_id: str) -> None:
        if self._rows.pop(source_id, None) is not None:
            self._background = None

    def find(self, query: NDArray[np.float32], visible: Collection[str] | None) -> dict[str, float]:
        if not self._rows or (visible is not None and self._rows.keys().isdisjoint(visible)):
            return {}
        return self._of(visible).evidence(self._vectors.search(query, self.kind, visible))

    def _of(self, visible: Collection[str] | None) -> Background:
        if visible is not None:
            # The spread tells of the vectors that it comes from: for who may not see all, it is another.
            return _background({one: row for one, row in self._rows.items() if one in visible})
        if self._background is None:
            self._background = _background(self._rows)
        return self._background


def _background(rows: Mapping[str, NDArray[np.float32]]) -> Background:
    return Background(list(rows), np.array(list(rows.values()), np.float32))
