"""Measures the index at a given size."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
import time

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.index import Document, IndexStore, JsonValue, Stamp

KIND = "entity"
BATCH = 1_000
REPEATS = 25


def run(count: int, dimension: int) -> Iterator[str]:
    """Yield the measurements, a line each, as they are made."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index.db"
        stamp = Stamp("benchmark", "1", "int8", "cls", "", "", template_version=1, dimension=dimension)
        yield _time("made", _timed(lambda: _make(path, stamp, count)))
        yield _size("file", path.stat().st_size / 1e6)
        _drop_from_memory(path)
        yield from _measure_opening("open, cold", path, stamp)
        yield from _measure_opening("open, warm", path, stamp)
        yield from _measure_searching(path, stamp)
        yield from _measure_changes(path, stamp, count)
        yield from _measure_shrinking(path, stamp)


def _make(path: Path, stamp: Stamp, count: int) -> None:
    store = IndexStore.open(path)
    store.upsert([_document(number) for number in range(count)])
    _embed(store, store.prepare(stamp).id, stamp.dimension)
    store.close()


def _document(number: int) -> Document:
    metadata: dict[str, JsonValue] = {
        "entity_id": f"light.number_{number}",
        "domain": "light",
        "names": [f"Lamp {number}"],
    }
    return Document(KIND, f"id{number:08}", (f"Lamp {number}, room {number % 50}, light",), metadata)


def _embed(store: IndexStore, generation_id: int, dimension: int) -> None:
    random = np.random.default_rng(0)
    while texts := store.missing_texts(generation_id, BATCH):
        vectors = random.standard_normal((len(texts), dimension), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.put_vectors(generation_id, dict(zip(texts, vectors, strict=True)))


def _measure_opening(name: str, path: Path, stamp: Stamp) -> Iterator[str]:
    before = _resident()
    start = time.perf_counter()
    store = IndexStore.open(path)
    opened = time.perf_counter()
    documents = store.documents()
    read = time.perf_counter()
    index = store.load(store.prepare(stamp).id)
    end = time.perf_counter()
    yield _time(name, end - start)
    yield _time("  the file", opened - start)
    yield _time(f"  {len(documents):,} documents", read - opened)
    yield _time(f"  {len(index):,} into the matrix", end - read)
    yield _size("  memory it took", _resident() - before)
    store.close()


def _measure_searching(path: Path, stamp: Stamp) -> Iterator[str]:
    store = IndexStore.open(path)
    index = store.load(store.prepare(stamp).id)
    query = _unit(stamp.dimension)
    yield _time("search all, p50", _p50(lambda: index.scores(query, KIND)))
    store.close()


def _measure_changes(path: Path, stamp: Stamp, count: int) -> Iterator[str]:
    store = IndexStore.open(path)
    generation_id = store.prepare(stamp).id
    index = store.load(generation_id)
    vector, numbers = _unit(stamp.dimension), iter(range(count))

    def rename() -> None:
        old = _document(next(numbers))
        new = replace(old, views=(f"{old.views[0]} renamed",))
        store.upsert([new])
        store.put_vectors(generation_id, {new.views[0]: vector})
        index.put(new.kind, new.source_id, vector[np.newaxis])

    yield _time("rename one entity, p50", _p50(rename))
    yield _time("count what is missing", _timed(lambda: store.counts(generation_id)))
    store.close()


def _measure_shrinking(path: Path, stamp: Stamp) -> Iterator[str]:
    store = IndexStore.open(path)
    second = store.prepare(replace(stamp, revision="2"))
    yield _time("a second generation", _timed(lambda: _embed(store, second.id, stamp.dimension)))
    yield _time("swap", _timed(lambda: store.swap(second.id)))
    retired = store.generations()[0].id
    yield _time("discard the first", _timed(lambda: store.discard(retired)))
    steps = []
    more = True
    while more:
        start = time.perf_counter()
        more = store.reclaim(BATCH)
        steps.append(time.perf_counter() - start)
    yield _time(f"reclaim, {len(steps)} steps of {BATCH:,} pages", sum(steps))
    yield _time("  the median step", median(steps))
    yield _time("  the longest step", max(steps))
    store.close()
    yield _size("file", path.stat().st_size / 1e6)


def _unit(dimension: int) -> NDArray[np.float32]:
    vector = np.random.default_rng(1).standard_normal(dimension, np.float32)
    return vector / np.linalg.norm(vector)


def _drop_from_memory(path: Path) -> None:
    with path.open("rb") as file, suppress(OSError, AttributeError):
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _resident() -> float:
    """Return this process's memory in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _p50(call: Callable[[], object]) -> float:
    return median(_timed(call) for _ in range(REPEATS))


def _time(name: str, seconds: float) -> str:
    return f"{name:<44}{seconds * 1e3:12,.1f} ms"


def _size(name: str, megabytes: float) -> str:
    return f"{name:<44}{megabytes:12,.0f} MB"
