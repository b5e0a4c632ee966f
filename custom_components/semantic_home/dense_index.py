"""The vectors of one generation as they are searched: the entities' matrix, and what background sentences say of it."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from .describe import KIND_ENTITY
from .index import Document, Generation, VectorIndex
from .matching import Background


class DenseIndex:
    """One generation in memory."""

    def __init__(self, generation: Generation, vectors: VectorIndex, background: NDArray[np.float32]) -> None:
        """Take the vectors that are there, and those (sentences, dimension) of the background's sentences."""
        self.generation = generation
        self.background = background
        self._vectors = vectors
        # By registry id, an entity's cosines with the background sentences, so that one change costs one row.
        self._rows = vectors.best_cosines(KIND_ENTITY, background)
        self._evidence: Background | None = None

    def place(self, documents: Collection[Document], stored: dict[str, NDArray[np.float32]]) -> None:
        """Bring documents in step with the stored vectors of their texts."""
        for document in documents:
            rows = [stored[text] for text in document.views if text in stored]
            vectors = np.array(rows, np.float32).reshape(-1, self._vectors.dimension)
            self._vectors.put(document.kind, document.source_id, vectors)
        entities = {document.source_id for document in documents if document.kind == KIND_ENTITY}
        self._rows |= self._vectors.best_cosines(KIND_ENTITY, self.background, entities)
        self._evidence = None

    def remove(self, kind: str, source_id: str) -> None:
        """Forget a document."""
        self._vectors.remove(kind, source_id)
        self._rows.pop(source_id, None)
        self._evidence = None

    def evidence(self, query: NDArray[np.float32], visible: Collection[str] | None) -> dict[str, float] | None:
        """Hold a query's vector against the entities (all, or these): evidence by registry id; None without vectors."""
        if not self._rows:
            return None
        cosines = self._vectors.search(query, KIND_ENTITY, visible)
        if self._evidence is None:
            self._evidence = Background(list(self._rows), np.array(list(self._rows.values()), np.float32))
        return self._evidence.evidence(cosines)
