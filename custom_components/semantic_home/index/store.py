"""The index database: documents, generations, vectors."""

from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
import sqlite3
import threading
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from . import documents as document_rows, generations, vectors as vector_rows
from .database import BEGIN, open_database
from .model import Changes, Counts, Document, Generation, Stamp, StoreError


class IndexStore:
    """What is known of the home, and its vectors, in one SQLite file.

    Every method blocks, is one transaction, and must be called from the thread that opened the store, or raises
    RuntimeError. Any of them raises StoreError when the database fails, after rolling back. Those that take a
    generation's id raise UnknownGenerationError when it is gone.
    """

    def __init__(self, engine: Engine) -> None:
        """Take over an engine; see `open`."""
        self._engine: Engine | None = engine
        self._thread = threading.get_ident()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, created or migrated as needed.

        Raises NewerSchemaError, with the file left untouched, when a newer version wrote it; StoreError when it
        cannot be opened.
        """
        return cls(open_database(path))

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it. Does nothing the second time."""
        if self._engine is None:
            return
        self._check_thread()
        engine, self._engine = self._engine, None
        try:
            with closing(engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except (SQLAlchemyError, sqlite3.Error) as err:
            raise StoreError(str(err)) from err
        finally:
            engine.dispose()

    def reconcile(self, kinds: Collection[str], documents: Iterable[Document]) -> Changes:
        """Make these kinds hold exactly these documents; other kinds are left alone.

        Raises ValueError when a document is of another kind, or two that differ have the same key.
        """
        wanted = document_rows.by_key(documents)
        if strangers := {kind for kind, _ in wanted}.difference(kinds):
            raise ValueError(f"Asked to reconcile {sorted(kinds)}, got documents of {sorted(strangers)}")
        with self._writing() as connection:
            stored = document_rows.read_kinds(connection, kinds)
            gone = [key for key in stored if key not in wanted]
            document_rows.delete_rows(connection, [stored[key] for key in gone])
            changes = document_rows.write(connection, stored, wanted)
        return Changes(changes.added, changes.updated, tuple(gone), changes.unchanged)

    def upsert(self, documents: Iterable[Document]) -> Changes:
        """Add or update these documents. Raises ValueError when two that differ have the same key."""
        wanted = document_rows.by_key(documents)
        with self._writing() as connection:
            return document_rows.write(connection, document_rows.read_keys(connection, wanted), wanted)

    def remove(self, kind: str, source_ids: Iterable[str]) -> Changes:
        """Remove these documents; those that are not there are passed over. Vectors stay until `prune`."""
        with self._writing() as connection:
            stored = document_rows.read_keys(connection, [(kind, source_id) for source_id in source_ids])
            document_rows.delete_rows(connection, stored.values())
        return Changes(removed=tuple(stored))

    def documents(self, kinds: Collection[str] | None = None) -> list[Document]:
        """Return the documents of these kinds, or all, ordered by kind and source id."""
        with self._reading() as connection:
            return [row.document for row in document_rows.read_kinds(connection, kinds).values()]

    def ensure_active(self, stamp: Stamp) -> Generation:
        """Return the active generation, which has this stamp afterwards.

        The one that was active until then is kept, retired, for a way back; an older one goes with its vectors.
        """
        with self._writing() as connection:
            return generations.activate(connection, stamp)

    def active(self) -> Generation | None:
        """Return the generation that answers queries, if there is one yet."""
        with self._reading() as connection:
            return generations.active(connection)

    def missing_texts(self, generation_id: int, limit: int) -> list[str]:
        """Return at most `limit` distinct view texts that have no vector, always in the same order."""
        if limit < 1:
            raise ValueError(f"A limit must be positive, not {limit}")
        with self._reading() as connection:
            return vector_rows.missing_texts(connection, generations.get(connection, generation_id), limit)

    def put_vectors(self, generation_id: int, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Store texts' vectors, each (dimension,) float32, in place of any they have.

        Raises ValueError, and stores none of them, when one has another shape or is not finite.
        """
        with self._writing() as connection:
            generation = generations.get(connection, generation_id)
            dimension = generation.stamp.dimension
            blobs = {text: vector_rows.to_blob(vector, dimension) for text, vector in vectors.items()}
            vector_rows.put(connection, generation, blobs)

    def vectors(self, generation_id: int, texts: Collection[str] | None = None) -> dict[str, NDArray[np.float32]]:
        """Return vectors by text, read-only, each (dimension,) float32.

        Of these texts, those that have one; without texts, all that some view uses.
        """
        with self._reading() as connection:
            generation = generations.get(connection, generation_id)
            if texts is None:
                return vector_rows.read_used(connection, generation)
            return vector_rows.read(connection, generation, texts)

    def clear_vectors(self, generation_id: int) -> int:
        """Remove a generation's vectors, for a forced rebuild; return how many there were."""
        with self._writing() as connection:
            return vector_rows.clear(connection, generations.get(connection, generation_id))

    def prune(self) -> int:
        """Remove the vectors, of every generation, of texts that no view uses any more; return how many."""
        with self._writing() as connection:
            return vector_rows.prune(connection)

    def counts(self, generation_id: int) -> Counts:
        """Count the documents, their distinct texts, and those of the texts that have a vector."""
        with self._reading() as connection:
            return vector_rows.counts(connection, generations.get(connection, generation_id))

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        with self._transaction("DEFERRED") as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        # Deferred, a transaction that reads first and then writes would fail instead of wait for another writer.
        with self._transaction("IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, mode: str) -> Generator[Connection]:
        if self._engine is None:
            raise StoreError("The store is closed")
        self._check_thread()
        try:
            with self._engine.connect().execution_options(**{BEGIN: mode}) as connection, connection.begin():
                yield connection
        except SQLAlchemyError as err:
            raise StoreError(str(err)) from err

    def _check_thread(self) -> None:
        # SQLite would refuse, too, but SQLAlchemy would then throw away the connection of the thread that is right.
        if threading.get_ident() != self._thread:
            raise RuntimeError("The store belongs to the thread that opened it")
