"""A process with one of our encoders in it, to be measured.

`python -m tests.benchmark.our_subject ENGINE FOLDER MODEL DIMENSION MAX_TOKENS [THREADS]`; see serving.py for the rest.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
import gc
from importlib import import_module, metadata
from pathlib import Path
import platform
import random
import sys
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .serving import memory, milliseconds, repeat, serve

if TYPE_CHECKING:
    from custom_components.semantic_home.engine import Encoder, EncoderWorker

_ENGINE = "custom_components.semantic_home.engine"
ENCODERS = {
    "openvino": (f"{_ENGINE}.openvino_encoder", "OpenVINOEncoder", ("openvino", "numpy", "tokenizers")),
    "numpy": (f"{_ENGINE}.numpy_encoder", "NumPyEncoder", ("numpy", "tokenizers")),
}
_IDLE_SECONDS = 6.0
_IDLE_QUERIES = 100
_TEXTS_A_ROUND = 100
_ALONE_SECONDS = 20.0
# A household's questions while the index grows come at any moment; seconds between an answer and the next one.
_PAUSE = (0.02, 0.2)


class OurSubject:
    """What can be asked of it, the same as of others; and `index`, since only we have a worker."""

    def __init__(self, make_encoder: Callable[[], Encoder], packages: Sequence[str]) -> None:
        self._make_encoder = make_encoder
        self._packages = packages
        self._encoder: Encoder | None = None
        self._engine = import_module(_ENGINE)

    def load(self) -> float:
        def make() -> None:
            self._encoder = self._make_encoder()

        return milliseconds(make)

    def encode(self, texts: list[str], tokens: int, seconds: float, least: int) -> list[float]:  # noqa: ARG002
        encoder = self._encoder
        assert encoder is not None
        return repeat(lambda: encoder.encode(texts, self._engine.Role.QUERY), seconds, least)

    def unload(self) -> None:
        if self._encoder is not None:
            self._encoder.close()
        self._encoder = None
        gc.collect()
        # As the worker does when its encoder is closed.
        import_module(f"{_ENGINE}.memory").return_freed()

    def index(self, texts: list[str], queries: list[str], views: list[str]) -> dict[str, Any]:
        """Ask while nothing else is done, and while texts are being indexed; times in milliseconds.

        In between, index the views while nobody asks, all of them or as many as some seconds allow.
        """
        return asyncio.run(self._index(texts, queries, views))

    async def _index(self, texts: list[str], queries: list[str], views: list[str]) -> dict[str, Any]:
        worker: EncoderWorker = self._engine.EncoderWorker(self._make_encoder, "benchmark")
        await worker.start()
        ask = _Asking(worker, queries, self._engine.Role.QUERY)
        await ask.once()
        idle = await ask.until(_Idle().over)
        alone = await self._index_alone(worker, views)
        begin = time.perf_counter()
        indexing = asyncio.create_task(self._index_all(worker, texts))
        busy = await ask.until(indexing.done)
        await indexing
        took = time.perf_counter() - begin
        await worker.stop()
        times = {"idle": idle, "while_indexing": busy, "indexing_seconds": round(took, 1)}
        return times | {"texts": len(texts), "alone": alone}

    async def _index_alone(self, worker: EncoderWorker, texts: list[str]) -> dict[str, float]:
        begin, done = time.perf_counter(), 0
        while done < len(texts) and time.perf_counter() < begin + _ALONE_SECONDS:
            some = texts[done : done + _TEXTS_A_ROUND]
            await worker.encode(some, self._engine.Role.PASSAGE, self._engine.Lane.BULK)
            done += len(some)
        return {"texts": done, "seconds": time.perf_counter() - begin}

    async def _index_all(self, worker: EncoderWorker, texts: list[str]) -> None:
        for start in range(0, len(texts), _TEXTS_A_ROUND):
            sys.stderr.write(f"\r  indexed {start} of {len(texts)} texts ")
            sys.stderr.flush()
            await worker.encode(
                texts[start : start + _TEXTS_A_ROUND], self._engine.Role.PASSAGE, self._engine.Lane.BULK
            )
        sys.stderr.write(f"\r  indexed {len(texts)} texts          \n")

    def versions(self) -> dict[str, str]:
        packages = self._packages
        return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}


class _Asking:
    """Somebody who asks one question after another, with pauses."""

    def __init__(self, worker: EncoderWorker, queries: list[str], role: Any) -> None:
        self._worker = worker
        self._queries = queries
        self._role = role
        self._random = random.Random(1)  # noqa: S311 - no secret

    async def once(self) -> float:
        begin = time.perf_counter()
        await self._worker.encode([self._random.choice(self._queries)], self._role)
        return (time.perf_counter() - begin) * 1e3

    async def until(self, over: Callable[[], bool]) -> list[float]:
        times: list[float] = []
        while not over():
            await asyncio.sleep(self._random.uniform(*_PAUSE))
            times.append(await self.once())
        return times


class _Idle:
    """Lasts for a number of questions, and not too long."""

    def __init__(self) -> None:
        self._end = time.perf_counter() + _IDLE_SECONDS
        self._asked = 0

    def over(self) -> bool:
        self._asked += 1
        return self._asked > _IDLE_QUERIES or time.perf_counter() > self._end


def without_home_assistant() -> None:
    """Let the engine be imported without its parent package, which would bring Home Assistant and its memory."""
    name = "custom_components.semantic_home"
    parent = ModuleType(name)
    parent.__path__ = [str(Path(__file__).parents[2] / name.replace(".", "/"))]
    sys.modules[name] = parent


def main() -> None:
    engine, folder, model, dimension, max_tokens, *threads = sys.argv[1:]
    without_home_assistant()
    catalog = import_module(f"{_ENGINE}.catalog").load_catalog()
    # As Home Assistant runs it; the others compute no other head either.
    spec = replace(catalog[model], dimension=int(dimension), max_tokens=int(max_tokens), heads=("dense",))
    module, name, packages = ENCODERS[engine]
    encoder = getattr(import_module(module), name)
    options = import_module(f"{_ENGINE}.compute").ComputeOptions(threads=int(threads[0]) if threads else None)
    subject = OurSubject(lambda: encoder(Path(folder), spec, options), packages)
    commands = (subject.load, subject.encode, subject.unload, subject.index, subject.versions, memory)
    serve({command.__name__: command for command in commands})


if __name__ == "__main__":
    main()
