"""Exact search over vectors in memory."""

from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate, chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

_FIRST_ROWS = 64
# Copied in double precision, 8 MB at 1,024 dimensions.
_ROWS_AT_ONCE = 1_024


class VectorIndex:
    """One float32 matrix per kind, a row per view; a document scores as its best view does.

    Not locked: all calls come from one thread. The runtime gives it the database's own, because a search of 100,000
    views would hold up the event loop.
    """

    def __init__(self, dimension: int) -> None:
        """Start empty; raises ValueError unless the dimension is positive."""
        if dimension < 1:
            raise ValueError(f"A dimension must be positive, not {dimension}")
        self.dimension = dimension
        self._kinds: dict[str, _Kind] = {}

    def __len__(self) -> int:
        """Count the documents."""
        return sum(len(rows.source_ids) for rows in self._kinds.values())

    def documents(self, kind: str) -> frozenset[str]:
        """Return the source ids of a kind."""
        rows = self._kinds.get(kind)
        return frozenset() if rows is None else frozenset(rows.source_ids)

    def put(self, kind: str, source_id: str, vectors: NDArray[np.float32]) -> None:
        """Copy a document's vectors, (views, dimension) and L2-normalised, in place of any it has.

        A document without views cannot be found, hence is removed. Raises ValueError when the shape is another or
        a component is not finite.
        """
        rows = np.asarray(vectors, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:  # noqa: PLR2004
            raise ValueError(f"Expected vectors of shape (views, {self.dimension}), got {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError(f"A vector of {source_id} has components that are not finite")
        if not len(rows):
            self.remove(kind, source_id)
            return
        if kind not in self._kinds:
            self._kinds[kind] = _Kind(self.dimension)
        self._kinds[kind].put(source_id, rows)

    def load(self, kind: str, source_ids: Sequence[str], views: Sequence[int], matrix: NDArray[np.float32]) -> None:
        """Take over a matrix as all documents of a kind, in place of any there are.

        Its rows are float32, L2-normalised and in the order of the documents, of which each has so many views, one at
        least. Nothing is copied: the caller must not write to it any more. Raises ValueError as `put` does, or when
        the documents are not distinct.
        """
        if matrix.shape != (sum(views), self.dimension) or matrix.dtype != np.float32 or len(views) != len(source_ids):
            raise ValueError(f"Expected a float32 matrix of shape {(sum(views), self.dimension)}, got {matrix.shape}")
        if len(set(source_ids)) != len(source_ids) or min(views, default=1) < 1:
            raise ValueError("A document is there twice, or without views")
        # In pieces, for the answer takes a byte for every component.
        if not all(np.isfinite(matrix[start : start + 4096]).all() for start in range(0, len(matrix), 4096)):
            raise ValueError("A vector has components that are not finite")
        self._kinds[kind] = _Kind.of(source_ids, views, matrix)

    def part(self, kind: str, rest: str) -> None:
        """Put the last view of every document of a kind under another kind; one that has no other keeps it, too."""
        if (rows := self._kinds.get(kind)) is None:
            return
        self._kinds[rest], self._kinds[kind] = rows.parted()

    def gather(self, kinds: Collection[str], into: str) -> None:
        """Put the documents of several kinds under another one, each called by its kind and id: "kind/id"."""
        found = [(kind, rows) for kind in sorted(kinds) if (rows := self._kinds.pop(kind, None)) is not None]
        if found:
            self._kinds[into] = _Kind.joined(found)

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kinds of which there are documents."""
        return frozenset(self._kinds)

    def mean(self, kind: str, source_ids: Collection[str]) -> NDArray[np.float32]:
        """Return the mean of all vectors of those of these documents that are here: (dimension,); zero without any."""
        rows = self._kinds.get(kind)
        vectors = np.zeros((0, self.dimension), np.float32) if rows is None else rows.vectors_of(source_ids)
        mean: NDArray[np.float32] = vectors.sum(axis=0) / max(len(vectors), 1)
        return mean

    def remove(self, kind: str, source_id: str) -> None:
        """Forget a document; does nothing when it is not there."""
        if kind in self._kinds:
            self._kinds[kind].remove(source_id)

    def scores(
        self, query: NDArray[np.float32], kind: str, allowed: Collection[str] | None = None
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Score the documents of a kind, or those allowed of them: source ids, and the best cosine of each (n,).

        The query is (dimension,) float32, L2-normalised; raises ValueError when its shape is another or a
        component is not finite. Only documents that have vectors appear: all in the same order until one comes or goes,
        those allowed in theirs.
        """
        vector = self._query(query)
        if kind not in self._kinds:
            return [], np.zeros(0, np.float32)
        rows = self._kinds[kind]
        best = rows.best(rows.cosines(vector))
        if allowed is None:
            return rows.source_ids, best
        slots = rows.slots_of(allowed)
        return [rows.source_ids[slot] for slot in slots.tolist()], best[slots]

    def best_cosines(
        self, kind: str, queries: NDArray[np.float32], allowed: Collection[str] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Score the documents of a kind, or those allowed, for many queries (n, dimension): (n,) by source id."""
        if (rows := self._kinds.get(kind)) is None:
            return {}
        slots = np.arange(len(rows.source_ids)) if allowed is None else rows.slots_of(allowed)
        return dict(zip([rows.source_ids[slot] for slot in slots], rows.best_for(slots, queries), strict=True))

    def _query(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        vector = np.asarray(query, dtype=np.float32)
        if vector.shape != (self.dimension,):
            raise ValueError(f"Expected a query of {self.dimension} dimensions, got shape {vector.shape}")
        if not np.isfinite(vector).all():
            raise ValueError("The query has components that are not finite")
        return vector


class _Kind:
    """A matrix without gaps: what is removed gives its place to the last.

    A row holds a view, a slot stands for a document.
    """

    def __init__(self, dimension: int) -> None:
        self.source_ids: list[str] = []
        self._slots: dict[str, int] = {}
        self.rows: list[list[int]] = []  # by slot, in the order of the views
        self._used = 0
        self._matrix = np.empty((_FIRST_ROWS, dimension), np.float32)
        self._owners = np.empty(_FIRST_ROWS, np.intp)  # by row, its slot

    @classmethod
    def of(cls, source_ids: Sequence[str], views: Sequence[int], matrix: NDArray[np.float32]) -> Self:
        kind = cls(matrix.shape[1])
        kind.source_ids = list(source_ids)
        kind._slots = {source_id: slot for slot, source_id in enumerate(source_ids)}
        ends = list(accumulate(views))
        kind.rows = [list(range(end - count, end)) for count, end in zip(views, ends, strict=True)]
        kind._used = len(matrix)
        if len(matrix):
            kind._matrix = matrix
            kind._owners = np.repeat(np.arange(len(source_ids)), views)
        return kind

    def parted(self) -> tuple[Self, Self]:
        last = [rows[-1] for rows in self.rows]
        others = [rows[:-1] or rows for rows in self.rows]
        kept = [row for rows in others for row in rows]
        of = type(self).of
        return (
            of(self.source_ids, [1] * len(last), self._matrix[last]),
            of(self.source_ids, [len(rows) for rows in others], self._matrix[kept]),
        )

    @classmethod
    def joined(cls, several: Sequence[tuple[str, Self]]) -> Self:
        source_ids = [f"{name}/{one}" for name, kind in several for one in kind.source_ids]
        views = [len(rows) for _, kind in several for rows in kind.rows]
        return cls.of(source_ids, views, np.concatenate([kind.vectors_of(kind.source_ids) for _, kind in several]))

    def vectors_of(self, source_ids: Iterable[str]) -> NDArray[np.float32]:
        rows = chain.from_iterable(self.rows[self._slots[one]] for one in source_ids if one in self._slots)
        return self._matrix[list(rows)]

    def put(self, source_id: str, vectors: NDArray[np.float32]) -> None:
        slot = self._slots.setdefault(source_id, len(self.source_ids))
        if slot == len(self.source_ids):
            self.source_ids.append(source_id)
            self.rows.append([])
        rows = self.rows[slot]
        while len(rows) > len(vectors):
            self._free_row(rows.pop())
        while len(rows) < len(vectors):
            rows.append(self._new_row(slot))
        self._matrix[rows] = vectors

    def remove(self, source_id: str) -> None:
        slot = self._slots.pop(source_id, None)
        if slot is None:
            return
        rows = self.rows[slot]
        while rows:
            self._free_row(rows.pop())
        last_id, last_rows = self.source_ids.pop(), self.rows.pop()
        if last_id != source_id:
            self.source_ids[slot], self.rows[slot] = last_id, last_rows
            self._slots[last_id] = slot
            self._owners[last_rows] = slot

    def cosines(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return every row's product with the query.

        Row by row, where BLAS's matrix product rounds a row by its place in a block: equal vectors must score
        equal, or chance would break ties. It costs twice the time, on one core instead of all.
        """
        products: NDArray[np.float32] = np.vecdot(self._matrix[: self._used], query)
        return products

    def best(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return each slot's best row's score."""
        best = np.full(len(self.source_ids), -np.inf, np.float32)
        np.maximum.at(best, self._owners[: self._used], cosines)
        return best

    def best_for(self, slots: NDArray[np.intp], queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the slots' best rows' products with each of the queries, (slots, queries).

        As matrix products, hence in double precision: rounded to single, equal vectors score equal wherever they are.
        """
        if not len(slots):
            return np.empty((0, len(queries)), np.float32)
        views = [self.rows[slot] for slot in slots]
        rows = list(chain.from_iterable(views))
        others = queries.T.astype(np.float64)
        products = np.empty((len(rows), len(queries)), np.float32)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            block = self._matrix[rows[start : start + _ROWS_AT_ONCE]]
            products[start : start + _ROWS_AT_ONCE] = block.astype(np.float64) @ others
        starts = [0, *accumulate(len(of_slot) for of_slot in views[:-1])]
        best: NDArray[np.float32] = np.maximum.reduceat(products, starts, axis=0)
        return best

    def slots_of(self, source_ids: Collection[str]) -> NDArray[np.intp]:
        """Return the slots of those of the documents that are here, in their order."""
        return np.fromiter((self._slots[source_id] for source_id in source_ids if source_id in self._slots), np.intp)

    def _new_row(self, slot: int) -> int:
        if self._used == len(self._owners):
            # By half, not to double: at 100,000 views the matrix is 400 MB.
            capacity = self._used + max(self._used // 2, _FIRST_ROWS)
            self._matrix = _grown(self._matrix, capacity)
            self._owners = _grown(self._owners, capacity)
        row = self._used
        self._used += 1
        self._owners[row] = slot
        return row

    def _free_row(self, row: int) -> None:
        """Fill the row with the last one; it is no longer among its slot's rows."""
        self._used -= 1
        last = self._used
        if row == last:
            return
        owner = int(self._owners[last])
        self._matrix[row] = self._matrix[last]
        self._owners[row] = owner
        rows = self.rows[owner]
        rows[rows.index(last)] = row


def _grown[Scalar: np.generic](array: NDArray[Scalar], capacity: int) -> NDArray[Scalar]:
    larger = np.empty((capacity, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
