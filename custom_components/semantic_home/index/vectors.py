"""Reads and writes vectors over a connection; transactions are the caller's."""

from collections.abc import Iterable, Mapping
from itertools import batched

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, delete, exists, func, select
from sqlalchemy.dialects.sqlite import insert

from .documents import CHUNK, text_hash
from .model import Counts, Generation, StoreError
from .schema import DocumentRow, VectorRow, ViewRow

_STORED = np.dtype("<f4")


def to_blob(vector: NDArray[np.float32], dimension: int) -> bytes:
    """Return the vector as it is stored; raises ValueError unless it is (dimension,) and finite."""
    stored = np.asarray(vector, dtype=_STORED)
    if stored.shape != (dimension,):
        raise ValueError(f"Expected a vector of {dimension} dimensions, got shape {stored.shape}")
    if not np.isfinite(stored).all():
        raise ValueError("A vector has components that are not finite")
    return stored.tobytes()


def missing_texts(connection: Connection, generation: Generation, limit: int) -> list[str]:
    """Return the first texts, in the order of their hashes, that have no vector yet."""
    rows = connection.execute(
        select(func.min(ViewRow.text))
        .where(~_has_vector(generation))
        .group_by(ViewRow.text_hash)
        .order_by(ViewRow.text_hash)
        .limit(limit)
    )
    return list(rows.scalars())


def put(connection: Connection, generation: Generation, blobs: Mapping[str, bytes]) -> None:
    """Store one blob per text, in place of any that is there."""
    if not blobs:
        return
    statement = insert(VectorRow)
    replaced = {name: statement.excluded[name] for name in ("dense", "sparse", "multivector")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["generation_id", "text_hash"], set_=replaced),
        [
            {
                "generation_id": generation.id,
                "text_hash": text_hash(text),
                "dense": blob,
                "sparse": None,
                "multivector": None,
            }
            for text, blob in blobs.items()
        ],
    )


def read_used(connection: Connection, generation: Generation) -> dict[str, NDArray[np.float32]]:
    """Return the vectors of all texts that some view uses."""
    # Distinct before the join, or SQLite would sort the vectors themselves.
    texts = select(ViewRow.text_hash, func.min(ViewRow.text).label("text")).group_by(ViewRow.text_hash).subquery()
    rows = connection.execute(
        select(texts.c.text, VectorRow.dense)
        .join(VectorRow, VectorRow.text_hash == texts.c.text_hash)
        .where(VectorRow.generation_id == generation.id)
    )
    return {text: _from_blob(dense, generation) for text, dense in rows}


def read(connection: Connection, generation: Generation, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Return the vectors of those texts that have one."""
    found: dict[str, NDArray[np.float32]] = {}
    for chunk in batched(dict.fromkeys(texts), CHUNK, strict=False):
        by_hash = {text_hash(text): text for text in chunk}
        rows = connection.execute(
            select(VectorRow.text_hash, VectorRow.dense).where(
                VectorRow.generation_id == generation.id, VectorRow.text_hash.in_(by_hash)
            )
        )
        found |= {by_hash[digest]: _from_blob(dense, generation) for digest, dense in rows}
    return found


def clear(connection: Connection, generation: Generation) -> int:
    """Remove a generation's vectors; return how many there were."""
    return connection.execute(delete(VectorRow).where(VectorRow.generation_id == generation.id)).rowcount


def prune(connection: Connection) -> int:
    """Remove, from every generation, the vectors of texts that no view uses; return how many there were."""
    used = exists().where(ViewRow.text_hash == VectorRow.text_hash)
    return connection.execute(delete(VectorRow).where(~used)).rowcount


def counts(connection: Connection, generation: Generation) -> Counts:
    """Count documents, their distinct texts, and those of the texts that have a vector."""
    texts = select(func.count(ViewRow.text_hash.distinct()))
    return Counts(
        documents=connection.execute(select(func.count()).select_from(DocumentRow)).scalar_one(),
        texts=connection.execute(texts).scalar_one(),
        vectors=connection.execute(texts.where(_has_vector(generation))).scalar_one(),
    )


def _has_vector(generation: Generation) -> ColumnElement[bool]:
    return exists().where(VectorRow.generation_id == generation.id, VectorRow.text_hash == ViewRow.text_hash)


def _from_blob(blob: bytes, generation: Generation) -> NDArray[np.float32]:
    if len(blob) != generation.stamp.dimension * _STORED.itemsize:
        raise StoreError(f"A vector of generation {generation.id} has {len(blob)} bytes")
    return np.frombuffer(blob, dtype=_STORED).astype(np.float32, copy=False)
