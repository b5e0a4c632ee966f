"""The index database: documents, generations, vectors."""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
import sqlite3
import threading
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from . import (
    backup,
    collector,
    documents as document_rows,
    generations,
    integrity,
    knowledge,
    loading,
    rating_rows,
    selection as selections,
    space,
    vectors as vector_rows,
)
from .database import BEGIN, BUSY_SECONDS, open_again, open_database
from .heads import TextHeads
from .knowledge import ImportCounts, Knowledge
from .model import (
    Changes,
    Counts,
    Damage,
    DamagedError,
    Document,
    Generation,
    GenerationState,
    HeldError,
    IncompleteGenerationError,
    Key,
    Stamp,
    StoreError,
)
from .rating import Rating
from .search import VectorIndex
from .selection import Page, Selection


class IndexStore:
    """What is known of the home, and its vectors, in one SQLite file.

    Every method blocks, is one transaction, and must be called from the thread that opened the store, or raises
    RuntimeError. Any of them raises StoreError when the database fails, after rolling back. Those that take a
    generation's id raise UnknownGenerationError when it is gone.
    """

    def __init__(self, engine: Engine, path: Path, damage: Damage | None = None) -> None:
        """Take over an engine; see `open`."""
        self.damage = damage
        """What was wrong with the file that lay there, unless nothing was."""
        self._engine: Engine | None = engine
        self._path = path
        self._thread = threading.get_ident()
        self._lock: sqlite3.Connection | None = None
        self._lent = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, created or migrated as needed.

        A damaged one is moved aside and replaced, with the knowledge that could be read from it: see `damage`. Raises
        NewerSchemaError, with the file left untouched, when a newer version wrote it; StoreError when it cannot be
        opened.
        """
        engine, damage = open_database(path)
        return cls(engine, path, damage)

    @classmethod
    def open_again(cls, path: Path) -> Self:
        """Open a file that is open already, for this thread, while the other one's store has lent its writing."""
        return cls(open_again(path), path)

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it. Does nothing the second time."""
        if self._engine is None:
            return
        self._check_thread()
        self.release()
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
        with self._reading() as connection, collector.paused():
            return [row.document for row in document_rows.read_kinds(connection, kinds).values()]

    def find(self, keys: Iterable[Key]) -> list[Document]:
        """Return those of the documents that there are."""
        with self._reading() as connection:
            return [row.document for row in document_rows.read_keys(connection, keys).values()]

    def active(self) -> Generation | None:
        """Return the generation that answers queries, if there is one yet."""
        with self._reading() as connection:
            return generations.in_state(connection, GenerationState.ACTIVE)

    def generations(self) -> list[Generation]:
        """Return all generations, oldest first: at most one that is building, one active, one retired."""
        with self._reading() as connection:
            return generations.every(connection)

    def prepare(self, stamp: Stamp) -> Generation:
        """Return the generation of this stamp: active if it is so already or nothing is, otherwise building.

        The retired one is built on where it has the stamp: its vectors are there, but for what changed since. One that
        was building for another stamp goes.
        """
        with self._writing() as connection:
            return generations.prepare(connection, stamp)

    def swap(self, generation_id: int, refused: Collection[str] = ()) -> Generation:
        """Make the generation that is building the active one; return it.

        The active one is retired and the one that was retired goes; one of the same model goes itself instead. Nothing
        happens to one that is active already. Raises IncompleteGenerationError when a text other than those refused,
        which the model cannot embed, has no vector; ValueError when the generation is retired.
        """
        with self._writing() as connection:
            generation = generations.get(connection, generation_id)
            if generation.state is GenerationState.ACTIVE:
                return generation
            if generation.state is not GenerationState.BUILDING:
                raise ValueError(f"Generation {generation_id} is {generation.state}, not building")
            if vector_rows.missing_texts(connection, generation, 1, refused):
                raise IncompleteGenerationError(f"Generation {generation_id} has not all vectors yet")
            generations.promote(connection, generation)
            return generations.get(connection, generation_id)

    def rollback(self) -> Generation:
        """Let the retired generation answer again, and retire the active one; return it.

        Texts that came up since it was retired have no vector yet. Raises NoPreviousGenerationError.
        """
        with self._writing() as connection:
            return generations.roll_back(connection)

    def discard(self, generation_id: int) -> None:
        """Give up a generation that is building or retired; raises ValueError when it is the active one."""
        with self._writing() as connection:
            generation = generations.get(connection, generation_id)
            if generation.state is GenerationState.ACTIVE:
                raise ValueError(f"Generation {generation_id} answers queries")
            generations.remove(connection, generation)

    def reclaim(self, pages: int) -> bool:
        """Free the space of what is gone, about so many pages of 4 KB at once; tell whether there is more to do.

        Until then the vectors of generations that are gone stay in the file, out of reach. A thousand pages take 50 to
        200 ms.
        """
        if pages < 1:
            raise ValueError(f"Pages must be positive, not {pages}")
        with self._writing() as connection:
            return space.reclaim(connection, pages)

    def missing_texts(self, generation_id: int, limit: int, refused: Collection[str] = ()) -> list[str]:
        """Return at most `limit` distinct view texts that have no vector, always in the same order.

        Those refused, which the model cannot embed, are passed over.
        """
        if limit < 1:
            raise ValueError(f"A limit must be positive, not {limit}")
        with self._reading() as connection:
            return vector_rows.missing_texts(connection, generations.get(connection, generation_id), limit, refused)

    def put_vectors(
        self,
        generation_id: int,
        vectors: Mapping[str, NDArray[np.float32]],
        heads: Mapping[str, TextHeads] | None = None,
    ) -> None:
        """Store texts' vectors, each (dimension,) float32, and what other heads say, in place of any they have.

        Raises ValueError, and stores none of them, when one has another shape or is not finite.
        """
        with self._writing() as connection:
            generation = generations.get(connection, generation_id)
            of, said = vector_rows.Blobs.of, heads or {}
            dimension = generation.stamp.dimension
            blobs = {text: of(vector, said.get(text), dimension) for text, vector in vectors.items()}
            vector_rows.put(connection, generation, blobs)

    def take_over(self, generation_id: int, source_id: int, limit: int) -> list[str]:
        """Copy the vectors of at most `limit` texts that lack one from a generation that has it; return those texts.

        Raises ValueError when equal texts have other vectors there.
        """
        with self._writing() as connection:
            generation, source = (generations.get(connection, number) for number in (generation_id, source_id))
            if not generation.stamp.makes_vectors_of(source.stamp):
                raise ValueError(f"The vectors of generations {generation_id} and {source_id} are not made alike")
            return vector_rows.take_over(connection, generation, source, limit)

    def vectors(self, generation_id: int, texts: Collection[str] | None = None) -> dict[str, NDArray[np.float32]]:
        """Return vectors by text, read-only, each (dimension,) float32.

        Of these texts, those that have one; without texts, all that some view uses.
        """
        with self._reading() as connection:
            generation = generations.get(connection, generation_id)
            if texts is None:
                return vector_rows.read_used(connection, generation)
            return vector_rows.read(connection, generation, texts)

    def sparse(self, generation_id: int, texts: Collection[str] | None = None) -> dict[str, dict[int, float] | None]:
        """Return weights of tokens by text: of these texts that have a vector, or of all that some view uses.

        None for one that was stored without.
        """
        with self._reading() as connection:
            return vector_rows.read_sparse(connection, generations.get(connection, generation_id), texts)

    def multivectors(self, generation_id: int, texts: Collection[str]) -> dict[str, NDArray[np.float32]]:
        """Return the vectors a token, (tokens, size) float32, of those texts that have them."""
        with self._reading() as connection:
            return vector_rows.read_multivectors(connection, generations.get(connection, generation_id), texts)

    def load(self, generation_id: int) -> VectorIndex:
        """Return all documents that have vectors in the generation, ready to be searched."""
        with self._reading() as connection:
            return loading.load(connection, generations.get(connection, generation_id))

    def sample(self, generation_id: int, count: int, seed: int) -> dict[str, NDArray[np.float32]]:
        """Return so many texts in use with their vectors, or all there are; equal seeds choose equally."""
        with self._reading() as connection:
            return vector_rows.sample(connection, generations.get(connection, generation_id), count, seed)

    def put_background(
        self,
        generation_id: int,
        sentences: Sequence[str],
        vectors: NDArray[np.float32],
        heads: Sequence[TextHeads] | None = None,
    ) -> None:
        """Keep what the model says of the background sentences, in place of any there is.

        Vectors are (sentences, dimension) float32. Raises ValueError when the shape is another or a component is not
        finite.
        """
        with self._writing() as connection:
            generation = generations.get(connection, generation_id)
            vector_rows.put_background(connection, generation, sentences, vectors, heads)

    def background(
        self, generation_id: int, sentences: Sequence[str]
    ) -> tuple[NDArray[np.float32], list[TextHeads] | None] | None:
        """Return what is kept of exactly these sentences in this order; None when there is nothing.

        The vectors, read-only, and what other heads say of each sentence, None where the model had no others.
        """
        with self._reading() as connection:
            return vector_rows.read_background(connection, generations.get(connection, generation_id), sentences)

    def import_knowledge(self, rows: Iterable[Knowledge], *, dry_run: bool = False) -> ImportCounts:
        """Add all rows, or none when one of them cannot be had; a dry run adds none, and counts the same.

        Those of equal type, text and circumstances become one, with what is there already: the newest is right, the
        score is the newest that is not the default, and it is as old as the oldest.
        """
        with self._reading() if dry_run else self._writing() as connection:
            return knowledge.import_rows(connection, rows, dry_run=dry_run)

    def knowledge(self) -> list[Knowledge]:
        """Return all knowledge that has a type and a text, by source id."""
        with self._reading() as connection:
            return list(knowledge.stored_knowledge(connection))

    def knowledge_page(self, selection: Selection, limit: int, offset: int = 0) -> Page:
        """Return at most `limit` pieces of the selected knowledge after the first `offset`, the latest first."""
        with self._reading() as connection:
            return selections.page(connection, selection, limit, offset)

    def keep_knowledge(self, row: Knowledge, among: Selection, most: int) -> Changes:
        """Add or replace a piece of knowledge; of those selected, all but the `most` that are the latest go.

        It stays as old as it was and, if it says the same as before, as good.
        """
        with self._writing() as connection:
            return selections.keep(connection, row, among, most)

    def change_knowledge(self, source_id: str, changed: Callable[[Knowledge], Knowledge]) -> tuple[Knowledge, Changes]:
        """Put what is made of a piece of knowledge in its place, under another id if its type or text is another.

        Raises UnknownKnowledgeError; KnownAlreadyError when there is another such piece already.
        """
        with self._writing() as connection:
            return selections.change(connection, source_id, changed)

    def ratings(self, key: Key | None = None) -> dict[Key, Rating]:
        """Return how well documents have served that have a score: all of them, or one."""
        with self._reading() as connection:
            return rating_rows.read(connection, key)

    def judge(self, key: Key, outcome: float, now: datetime) -> Rating | None:
        """Add a judgement of a document, from 0 (failure) to 1 (success); None when there is no such document."""
        with self._writing() as connection:
            return rating_rows.judge(connection, key, outcome, now)

    def remove_knowledge(self, selection: Selection, most: int | None = None) -> Changes:
        """Remove the knowledge that is selected. Raises TooManySelectedError when that is more than `most`."""
        with self._writing() as connection:
            return selections.remove(connection, selection, most)

    def hold(self) -> None:
        """Complete the file and keep it still, so that it can be copied; does nothing the second time.

        Until `release`, other processes wait and methods that write raise HeldError at once: they would wait for a
        release that has to come from their own thread. Reading goes on. The hold ends with the process.
        """
        engine = self._opened()
        if self._lock is None:
            self._lock = backup.hold(engine, self._path, busy_seconds=BUSY_SECONDS)

    def lend(self) -> None:
        """Leave writing to another connection until `release`: methods that write raise HeldError, reading goes on."""
        self._check_thread()
        self._lent = True

    def release(self) -> None:
        """Let the file be written again; does nothing when it is not held or lent."""
        self._check_thread()
        self._lent = False
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def clear_vectors(self, generation_id: int) -> int:
        """Remove a generation's vectors and background, for a forced rebuild; return how many vectors there were."""
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
        if self._lock is not None or self._lent:
            raise HeldError("A backup or an import holds the database")
        # Deferred, a transaction that reads first and then writes would fail instead of wait for another writer.
        with self._transaction("IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, mode: str) -> Generator[Connection]:
        engine = self._opened()
        try:
            with engine.connect().execution_options(**{BEGIN: mode}) as connection, connection.begin():
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as err:
            if integrity.is_damage(getattr(err, "orig", err)):
                integrity.suspect(self._path)
                raise DamagedError(str(err)) from err
            raise StoreError(str(err)) from err

    def _opened(self) -> Engine:
        if self._engine is None:
            raise StoreError("The store is closed")
        self._check_thread()
        return self._engine

    def _check_thread(self) -> None:
        # SQLite would refuse, too, but SQLAlchemy would then throw away the connection of the thread that is right.
        if threading.get_ident() != self._thread:
            raise RuntimeError("The store belongs to the thread that opened it")
