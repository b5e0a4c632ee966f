"""Reads a generation's vectors from the file straight into the matrices that are searched."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from . import collector
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


# So many vectors are copied in one go: few enough that they are still in the processor's cache.
_AT_ONCE = 64


@dataclass(slots=True)
class _Places:
    """Where a kind's vectors belong in its matrix."""

    views: dict[str, int] = field(default_factory=dict)  # by source id, how many
    rows: dict[bytes, int] = field(default_factory=dict)  # by text hash, the first
    twins: list[tuple[int, int]] = field(default_factory=list)  # further rows of a text, each with the first
    count: int = 0

    def add(self, source_id: str, digest: bytes) -> None:
        first = self.rows.setdefault(digest, self.count)
        if first != self.count:
            self.twins.append((self.count, first))
        self.views[source_id] = self.views.get(source_id, 0) + 1
        self.count += 1


def load(connection: Connection, generation: Generation) -> VectorIndex:
    """Return the documents that have vectors, ready to be searched.

    100,000 x 1024 are read once and copied twice, into memory that has their size from the start.
    """
    with collector.paused():
        kinds = _places(connection, generation)
    dimension = generation.stamp.dimension
    matrices = {kind: np.empty((places.count, dimension), np.float32) for kind, places in kinds.items()}
    _fill(connection, generation, [(places, matrices[kind]) for kind, places in kinds.items()])
    index = VectorIndex(dimension)
    for kind, places in kinds.items():
        try:
            index.load(kind, list(places.views), list(places.views.values()), matrices[kind])
        except ValueError as err:
            raise StoreError(f"Generation {generation.id} is damaged: {err}") from err
    return index


def _places(connection: Connection, generation: Generation) -> dict[str, _Places]:
    known = {digest for rows in _rows(connection, _KNOWN, generation.id) for (digest,) in rows}
    kinds = defaultdict[str, _Places](_Places)
    for rows in _rows(connection, _VIEWS):
        for kind, source_id, digest in rows:
            if digest in known:
                kinds[kind].add(source_id, digest)
    return kinds


def _fill(connection: Connection, generation: Generation, targets: list[tuple[_Places, NDArray[np.float32]]]) -> None:
    dimension = generation.stamp.dimension
    size = dimension * np.dtype(np.float32).itemsize
    left = sum(len(places.rows) for places, _ in targets)
    for rows in _rows(connection, _VECTORS, generation.id):
        for places, matrix in targets:
            found = [(row, dense) for digest, dense in rows if (row := places.rows.get(digest)) is not None]
            if strange := next((dense for _, dense in found if len(dense) != size), None):
                raise StoreError(f"A vector of generation {generation.id} has {len(strange)} bytes")
            joined = np.frombuffer(b"".join([dense for _, dense in found]), "<f4")
            matrix[[row for row, _ in found]] = joined.reshape(-1, dimension)
            left -= len(found)
    if left:
        raise StoreError(f"{left} vectors of generation {generation.id} are not where the index says")
    for places, matrix in targets:
        for row, first in places.twins:
            matrix[row] = matrix[first]


def _rows(connection: Connection, statement: str, *parameters: int) -> Iterator[Sequence[Any]]:
    """Yield plain rows, many at a time: for 300,000, SQLAlchemy's own would take half a second longer."""
    cursor = connection.connection.cursor()
    cursor.execute(statement, parameters)
    while rows := cursor.fetchmany(_AT_ONCE):
        yield rows
