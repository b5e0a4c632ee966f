"""Reads a generation's vectors from the file straight into the matrices that are searched."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from .model import Generation, StoreError
from .search import VectorIndex

# The narrow index of the primary key answers this without a look at the vectors.
_KNOWN = "SELECT text_hash FROM vector WHERE generation_id = ?"
_VIEWS = (
    "SELECT document.kind, document.source_id, view.text_hash FROM view "
    "JOIN document ON document.id = view.document_id ORDER BY view.document_id, view.position"
)
# As they lie in the file: by the key's order every vector would be somewhere else.
_VECTORS = "SELECT text_hash, dense FROM vector NOT INDEXED WHERE generation_id = ?"


@dataclass(slots=True)
class _Places:
    """Where a kind's vectors belong in its matrix."""

    views: dict[str, int] = field(default_factory=dict)  # by source id, how many
    rows: dict[bytes, int | list[int]] = field(default_factory=dict)  # by text hash; few texts are shared
    count: int = 0

    def add(self, source_id: str, digest: bytes) -> None:
        known = self.rows.setdefault(digest, self.count)
        if known != self.count:
            self.rows[digest] = [*known, self.count] if isinstance(known, list) else [known, self.count]
        self.views[source_id] = self.views.get(source_id, 0) + 1
        self.count += 1


def load(connection: Connection, generation: Generation) -> VectorIndex:
    """Return the documents that have vectors, ready to be searched.

    100,000 x 1024 are read once and copied once, into memory that has their size from the start.
    """
    known = {digest for (digest,) in _rows(connection, _KNOWN, generation.id)}
    kinds = defaultdict[str, _Places](_Places)
    for kind, source_id, digest in _rows(connection, _VIEWS):
        if digest in known:
            kinds[kind].add(source_id, digest)
    dimension = generation.stamp.dimension
    matrices = {kind: np.empty((places.count, dimension), np.float32) for kind, places in kinds.items()}
    _fill(connection, generation, kinds, matrices)
    index = VectorIndex(dimension)
    for kind, places in kinds.items():
        try:
            index.load(kind, list(places.views), list(places.views.values()), matrices[kind])
        except ValueError as err:
            raise StoreError(f"Generation {generation.id} is damaged: {err}") from err
    return index


def _fill(
    connection: Connection,
    generation: Generation,
    kinds: dict[str, _Places],
    matrices: dict[str, NDArray[np.float32]],
) -> None:
    size = generation.stamp.dimension * np.dtype(np.float32).itemsize
    targets = [(places.rows, matrices[kind]) for kind, places in kinds.items()]
    left = sum(len(rows) for rows, _ in targets)
    for digest, dense in _rows(connection, _VECTORS, generation.id):
        for rows, matrix in targets:
            if (row := rows.get(digest)) is None:
                continue
            if len(dense) != size:
                raise StoreError(f"A vector of generation {generation.id} has {len(dense)} bytes")
            matrix[row] = np.frombuffer(dense, "<f4")
            left -= 1
    if left:
        raise StoreError(f"{left} vectors of generation {generation.id} are not where the index says")


def _rows(connection: Connection, statement: str, *parameters: int) -> Iterator[Any]:
    """Yield plain rows: for 300,000, SQLAlchemy's own would take half a second longer."""
    cursor = connection.connection.cursor()
    cursor.execute(statement, parameters)
    while rows := cursor.fetchmany(1_000):
        yield from rows
