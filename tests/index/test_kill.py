"""A process killed at any moment loses nothing that it had committed, mixes nothing, and the next one goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from custom_components.semantic_home.index import GenerationState, IndexStore, Knowledge, Stamp

from .common import raw
from .old_file import make_0001

SECONDS = 0.12
"""At the most, until the kill: a few hundred statements."""


class Killer:
    """Starts workers and kills them at moments that the seed chooses."""

    def __init__(self, process: subprocess.Popen[str], seed: int) -> None:
        self._process = process
        self._chance = random.Random(seed)  # noqa: S311 - repeatable
        self.killed = 0

    def run(self, job: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{job} {self._chance.getrandbits(32)}\n")
        self._process.stdin.flush()
        worker = int(self._answer())
        time.sleep(self._chance.uniform(0, SECONDS))
        # Workers never end by themselves, hence the id is still theirs; one that failed has ended the test.
        os.kill(worker, signal.SIGKILL)
        assert int(self._answer()) == signal.SIGKILL
        self.killed += 1

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@contextmanager
def killer(path: Path, seed: int) -> Iterator[Killer]:
    command = [sys.executable, Path(__file__).with_name("killed_process.py"), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Killer(process, seed)
        assert process.stdin
        process.stdin.close()
    assert process.returncode == 0


def committed(path: Path, what: str) -> set[str]:
    log = path.with_name(f"{path.name}.committed")
    lines = log.read_text().splitlines() if log.exists() else []
    return {line.split()[1] for line in lines if line.startswith(f"{what} ")}


def vector(generation_id: int, dimension: int) -> np.ndarray:
    return np.full(dimension, generation_id / 1_000, np.float32)


def check_file(path: Path) -> None:
    with raw(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        dimensions = dict(connection.execute("SELECT id, dimension FROM generation"))
        for table, column in (("vector", "dense"), ("background", "vectors")):
            for generation_id, blob in connection.execute(f"SELECT generation_id, {column} FROM {table}"):
                assert blob == vector(generation_id, dimensions[generation_id]).astype("<f4").tobytes()


def check_store(path: Path, store: IndexStore) -> None:
    assert store.damage is None
    states = [generation.state for generation in store.generations()]
    assert len(states) == len(set(states))
    assert (GenerationState.ACTIVE in states) or not states
    documents = {document.source_id: document for document in store.documents({"entity"})}
    for name in committed(path, "entity"):
        assert documents[name].views == (f"Lamp {name}", f"Light {name}")
    batches: dict[str, set[str]] = {}
    known: list[Knowledge] = []
    for row in store.knowledge():
        batch = row.text.split()[0]
        if batch == "known":
            known.append(row)
        else:
            batches.setdefault(batch, set()).add(row.text)
            assert row.metadata == {"batch": batch}
    # Never half an import, neither of new rows nor of those merged.
    assert all(len(texts) == 20 for texts in batches.values())
    assert committed(path, "knowledge") <= batches.keys()
    assert len(known) in {0, 20}
    assert len({row.updated for row in known}) <= 1


def finish(store: IndexStore) -> None:
    """Complete what the killed one began."""
    for generation in store.generations():
        while texts := store.missing_texts(generation.id, 100):
            store.put_vectors(generation.id, dict.fromkeys(texts, vector(generation.id, generation.stamp.dimension)))
        counts = store.counts(generation.id)
        assert counts.vectors == counts.texts
    for generation in store.generations():
        if generation.state is GenerationState.BUILDING:
            assert store.swap(generation.id).state is GenerationState.ACTIVE
    if active := store.active():
        assert len(store.load(active.id)) == store.counts(active.id).documents
    while store.reclaim(1_000):
        pass


@pytest.mark.parametrize(("job", "times"), [("build", 40), ("swap", 25), ("import", 25)])
def test_killed_at_work(path: Path, job: str, times: int) -> None:
    store = IndexStore.open(path)
    active = store.prepare(Stamp("first", "1", "int8", "cls", "", "", template_version=1, dimension=4))
    store.prepare(replace(active.stamp, revision="2"))
    store.close()
    with killer(path, seed=len(job)) as target:
        for number in range(times):
            target.run(job)
            store = IndexStore.open(path)
            check_store(path, store)
            if number % 5 == 4:
                finish(store)
                check_store(path, store)
            store.close()
            check_file(path)
    assert target.killed == times


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("old") / "old.db"
    make_0001(path, 50)
    return path.read_bytes()


def test_killed_while_migrating(path: Path, old: bytes) -> None:
    revisions = set()
    with killer(path, seed=3) as target:
        while target.killed < 30:
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink()
            path.write_bytes(old)
            target.run("migrate")
            with raw(path) as connection:
                revisions |= set(connection.execute("SELECT version_num FROM alembic_version"))
            store = IndexStore.open(path)
            check_store(path, store)
            assert len(store.documents()) == 50
            assert [(generation.id, str(generation.state)) for generation in store.generations()] == [
                (3, "retired"),
                (4, "active"),
            ]
            assert store.prepare(replace(store.generations()[0].stamp, revision="new")).id == 6
            finish(store)
            store.close()
            check_file(path)
    # Some were killed before the migration was done, some after.
    assert revisions == {("0001",), ("0004",)}
