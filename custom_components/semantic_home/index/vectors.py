"""Reads and writes vectors over a connection; transactions are the caller's."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
import json
from random import Random
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, delete, exists, func, literal, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import InstrumentedAttribute

from .documents import CHUNK, text_hash
from .heads import TextHeads, joined, multivector_blob, multivector_of, parted, sparse_blob, sparse_of
from .model import Counts, Generation, GenerationState, StoreError
from .schema import BackgroundRow, DocumentRow, GenerationRow, VectorRow, ViewRow

_STORED = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Blobs:
    """What is stored of one text."""

    dense: bytes
    sparse: bytes | None = None
    multivector: bytes | None = None

    @classmethod
    def of(cls, vector: NDArray[np.float32], heads: TextHeads | None, dimension: int) -> Self:
        """Take a vector, and what other heads say; raises ValueError unless it is (dimension,) and all are finite."""
        dense = to_blob(vector, dimension)
        if heads is None:
            return cls(dense)
        return cls(dense, sparse_blob(heads.sparse), multivector_blob(heads.multivector))


def to_blob(vector: NDArray[np.float32], dimension: int) -> bytes:
    """Return the vector as it is stored; raises ValueError unless it is (dimension,) and finite."""
    stored = np.asarray(vector, dtype=_STORED)
    if stored.shape != (dimension,):
        raise ValueError(f"Expected a vector of {dimension} dimensions, got shape {stored.shape}")
    if not np.isfinite(stored).all():
        raise ValueError("A vector has components that are not finite")
    return stored.tobytes()


def missing_texts(
    connection: Connection, generation: Generation, limit: int, refused: Collection[str] = ()
) -> list[str]:
    """Return the first texts, in the order of their hashes, that have no vector yet and are not refused."""
    rows = connection.execute(
        select(func.min(ViewRow.text))
        .where(~_has_vector(generation))
        .group_by(ViewRow.text_hash)
        .order_by(ViewRow.text_hash)
        # Few are ever refused, and SQLite bounds how many a statement may name.
        .limit(limit + len(refused))
    )
    return [text for text in rows.scalars() if text not in refused][:limit]


def put(connection: Connection, generation: Generation, blobs: Mapping[str, Blobs]) -> None:
    """Store each text's blobs, in place of any that are there."""
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
                "dense": made.dense,
                "sparse": made.sparse,
                "multivector": made.multivector,
            }
            for text, made in blobs.items()
        ],
    )


def take_over(connection: Connection, generation: Generation, source: Generation, limit: int) -> list[str]:
    """Copy the vectors of at most so many texts in use from a generation that has them; return the texts."""
    rows = connection.execute(
        select(ViewRow.text_hash, func.min(ViewRow.text))
        .where(~_has_vector(generation), _has_vector(source))
        .group_by(ViewRow.text_hash)
        .limit(limit)
    )
    texts = dict(rows.tuples().all())
    copied = ("text_hash", "dense", "sparse", "multivector")
    for chunk in batched(texts, CHUNK, strict=False):
        copies = select(literal(generation.id), *(getattr(VectorRow, name) for name in copied)).where(
            VectorRow.generation_id == source.id, VectorRow.text_hash.in_(chunk)
        )
        connection.execute(insert(VectorRow).from_select(["generation_id", *copied], copies))
    return list(texts.values())


def read_used(connection: Connection, generation: Generation) -> dict[str, NDArray[np.float32]]:
    """Return the vectors of all texts that some view uses."""
    return {text: _from_blob(dense, generation) for text, dense in _used(connection, generation, VectorRow.dense)}


def read(connection: Connection, generation: Generation, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Return the vectors of those texts that have one."""
    found = _of_texts(connection, generation, VectorRow.dense, texts)
    return {text: _from_blob(dense, generation) for text, dense in found}


def read_sparse(
    connection: Connection, generation: Generation, texts: Collection[str] | None
) -> dict[str, dict[int, float] | None]:
    """Return the weights of those texts, or of all that some view uses, that have a vector; None where it is alone."""
    column = VectorRow.sparse
    found = _used(connection, generation, column) if texts is None else _of_texts(connection, generation, column, texts)
    return {text: None if blob is None else sparse_of(blob) for text, blob in found}


def read_multivectors(
    connection: Connection, generation: Generation, texts: Iterable[str]
) -> dict[str, NDArray[np.float32]]:
    """Return the vectors a token of those texts that have them."""
    found = _of_texts(connection, generation, VectorRow.multivector, texts)
    return {text: multivector_of(blob) for text, blob in found if blob is not None}


def sample(connection: Connection, generation: Generation, count: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return so many of the vectors in use, or all if they are fewer; equal seeds choose equally."""
    hashes = connection.execute(
        select(ViewRow.text_hash).where(_has_vector(generation)).distinct().order_by(ViewRow.text_hash)
    ).scalars()
    known = list(hashes)
    # Not for secrets: a check has to be repeatable.
    chosen = Random(seed).sample(known, min(count, len(known)))  # noqa: S311
    found: dict[str, NDArray[np.float32]] = {}
    for chunk in batched(chosen, CHUNK, strict=False):
        rows = connection.execute(
            select(func.min(ViewRow.text), VectorRow.dense)
            .join(VectorRow, VectorRow.text_hash == ViewRow.text_hash)
            .where(VectorRow.generation_id == generation.id, VectorRow.text_hash.in_(chunk))
            .group_by(ViewRow.text_hash)
        )
        found |= {text: _from_blob(dense, generation) for text, dense in rows}
    return found


def put_background(
    connection: Connection,
    generation: Generation,
    sentences: Iterable[str],
    vectors: NDArray[np.float32],
    heads: Sequence[TextHeads] | None,
) -> None:
    """Keep what the model says of these sentences, in place of any background that is there."""
    wanted = tuple(sentences)
    stored = np.asarray(vectors, dtype=_STORED)
    if stored.shape != (len(wanted), generation.stamp.dimension):
        raise ValueError(f"Expected {len(wanted)} vectors of {generation.stamp.dimension}, got shape {stored.shape}")
    if not np.isfinite(stored).all():
        raise ValueError("A background vector has components that are not finite")
    values = {
        "sentences_hash": _sentences_hash(wanted),
        "vectors": stored.tobytes(),
        "sparse": None if heads is None else joined(sparse_blob(each.sparse) for each in heads),
        "multivector": None if heads is None else joined(multivector_blob(each.multivector) for each in heads),
    }
    connection.execute(
        insert(BackgroundRow)
        .values(generation_id=generation.id, **values)
        .on_conflict_do_update(index_elements=["generation_id"], set_=values)
    )


def read_background(
    connection: Connection, generation: Generation, sentences: Iterable[str]
) -> tuple[NDArray[np.float32], list[TextHeads] | None] | None:
    """Return the vectors (sentences, dimension) kept for exactly these sentences, and what other heads say of each."""
    wanted = tuple(sentences)
    row = connection.execute(
        select(BackgroundRow.vectors, BackgroundRow.sparse, BackgroundRow.multivector).where(
            BackgroundRow.generation_id == generation.id, BackgroundRow.sentences_hash == _sentences_hash(wanted)
        )
    ).one_or_none()
    if row is None:
        return None
    if len(row.vectors) != len(wanted) * generation.stamp.dimension * _STORED.itemsize:
        raise StoreError(f"The background of generation {generation.id} has {len(row.vectors)} bytes")
    rows = np.frombuffer(row.vectors, dtype=_STORED).astype(np.float32, copy=False)
    vectors = rows.reshape(len(wanted), generation.stamp.dimension)
    if row.sparse is None or row.multivector is None:
        return vectors, None
    parts = zip(parted(row.sparse, len(wanted)), parted(row.multivector, len(wanted)), strict=True)
    return vectors, [TextHeads(sparse_of(sparse), multivector_of(many) if many else None) for sparse, many in parts]


def clear(connection: Connection, generation: Generation) -> int:
    """Remove a generation's vectors and background; return how many vectors there were."""
    connection.execute(delete(BackgroundRow).where(BackgroundRow.generation_id == generation.id))
    return connection.execute(delete(VectorRow).where(VectorRow.generation_id == generation.id)).rowcount


def prune(connection: Connection) -> int:
    """Remove, from every generation, the vectors of texts that no view uses; return how many there were."""
    used = exists().where(ViewRow.text_hash == VectorRow.text_hash)
    # Those of removed ones go anyway, and were never promised to anybody.
    kept = select(GenerationRow.id).where(GenerationRow.state != GenerationState.REMOVED)
    return connection.execute(delete(VectorRow).where(~used, VectorRow.generation_id.in_(kept))).rowcount


def counts(connection: Connection, generation: Generation) -> Counts:
    """Count documents, their distinct texts, and those of the texts that have a vector."""
    texts = select(func.count(ViewRow.text_hash.distinct()))
    return Counts(
        documents=connection.execute(select(func.count()).select_from(DocumentRow)).scalar_one(),
        texts=connection.execute(texts).scalar_one(),
        vectors=connection.execute(texts.where(_has_vector(generation))).scalar_one(),
    )


def _used(
    connection: Connection, generation: Generation, column: InstrumentedAttribute[Any]
) -> Iterable[tuple[str, Any]]:
    """Give a column of all texts that some view uses, with the texts."""
    # Distinct before the join, or SQLite would sort the vectors themselves.
    texts = select(ViewRow.text_hash, func.min(ViewRow.text).label("text")).group_by(ViewRow.text_hash).subquery()
    return connection.execute(
        select(texts.c.text, column)
        .join(VectorRow, VectorRow.text_hash == texts.c.text_hash)
        .where(VectorRow.generation_id == generation.id)
    ).tuples()


def _of_texts(
    connection: Connection, generation: Generation, column: InstrumentedAttribute[Any], texts: Iterable[str]
) -> Iterator[tuple[str, Any]]:
    """Give a column of those texts that have a row, with the texts."""
    for chunk in batched(dict.fromkeys(texts), CHUNK, strict=False):
        by_hash = {text_hash(text): text for text in chunk}
        rows = connection.execute(
            select(VectorRow.text_hash, column).where(
                VectorRow.generation_id == generation.id, VectorRow.text_hash.in_(by_hash)
            )
        )
        for digest, blob in rows:
            yield by_hash[digest], blob


def _has_vector(generation: Generation) -> ColumnElement[bool]:
    return exists().where(VectorRow.generation_id == generation.id, VectorRow.text_hash == ViewRow.text_hash)


def _sentences_hash(sentences: tuple[str, ...]) -> bytes:
    # As JSON, or ("a", "b c") would be ("a b", "c").
    return text_hash(json.dumps(sentences))


def _from_blob(blob: bytes, generation: Generation) -> NDArray[np.float32]:
    if len(blob) != generation.stamp.dimension * _STORED.itemsize:
        raise StoreError(f"A vector of generation {generation.id} has {len(blob)} bytes")
    return np.frombuffer(blob, dtype=_STORED).astype(np.float32, copy=False)
