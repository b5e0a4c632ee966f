"""What is killed: run with a database's path, it forks a worker per line of input and says how each one ended.

A fork takes milliseconds, where a new Python would take a second to import SQLAlchemy. A line is the name of a job and
the worker's seed; the answers are the worker's process id and, once it has ended, its wait status.

Vectors are recognisable: all components of a generation's are its id, over a thousand. What a worker has committed it
writes, a line each, to a file beside the database.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import os
from pathlib import Path
import random
import signal
import sys
from typing import NoReturn

import numpy as np

# By itself, without Home Assistant: the room's name is then that of its folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "custom_components/semantic_home"))
from index import Document, GenerationState, IndexStore, Knowledge, NoPreviousGenerationError, Stamp

DIMENSIONS = (8, 16)
MODELS = tuple(
    Stamp(f"model-{number}", "1", "int8", "cls", "", "", template_version=1, dimension=DIMENSIONS[number % 2])
    for number in range(4)
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def vector(generation_id: int, dimension: int) -> np.ndarray:
    return np.full(dimension, generation_id / 1_000, np.float32)


def embed(store: IndexStore, generation_id: int, dimension: int) -> None:
    while texts := store.missing_texts(generation_id, 4):
        store.put_vectors(generation_id, dict.fromkeys(texts, vector(generation_id, dimension)))
    sentences = ("background",)
    store.put_background(generation_id, sentences, vector(generation_id, dimension)[np.newaxis])


def entity(name: str) -> Document:
    return Document("entity", name, (f"Lamp {name}", f"Light {name}"))


def build(store: IndexStore, chance: random.Random, committed: Callable[[str], None]) -> None:
    """Change documents and the model, now and then before the one before it was complete."""
    name = f"{chance.getrandbits(32):08x}"
    store.upsert([entity(name)])
    committed(f"entity {name}")
    generation = store.prepare(chance.choice(MODELS))
    if chance.random() < 0.8:
        embed(store, generation.id, generation.stamp.dimension)
        swap(store, chance, committed)
    if chance.random() < 0.5:
        store.reclaim(chance.choice((1, 10)))


def swap(store: IndexStore, chance: random.Random, committed: Callable[[str], None]) -> None:
    """Swap what is building, and go back now and then."""
    for generation in store.generations():
        if generation.state is GenerationState.BUILDING:
            embed(store, generation.id, generation.stamp.dimension)
            store.swap(generation.id)
            committed(f"active {generation.id}")
    if chance.random() < 0.5:
        try:
            store.rollback()
        except NoPreviousGenerationError:
            store.prepare(replace(MODELS[0], revision=str(chance.random())))


def bring_in(store: IndexStore, chance: random.Random, committed: Callable[[str], None]) -> None:
    """Import rows, half of them again and again."""
    batch = f"{chance.getrandbits(32):08x}"
    texts = [f"{batch} {number}" for number in range(20)] + [f"known {number}" for number in range(20)]
    moment = START + timedelta(seconds=chance.randrange(1_000_000))
    store.import_knowledge([Knowledge(text, "query", moment, moment, {"batch": batch}) for text in texts])
    committed(f"knowledge {batch}")


JOBS = {"build": build, "swap": swap, "import": bring_in}


def work(path: Path, job: str, seed: int) -> NoReturn:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    log = os.open(f"{path}.committed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def committed(line: str) -> None:
        # One write, which either happened or did not.
        os.write(log, f"{line}\n".encode())

    while True:
        # Opening migrates, when the file is of revision 0001.
        store = IndexStore.open(path)
        committed("opened")
        for _ in range(5):
            if job != "migrate":
                JOBS[job](store, chance, committed)
        store.close()
        if job == "migrate":
            # To be killed it must still be there.
            signal.pause()


def main() -> None:
    path = Path(sys.argv[1])
    # What a worker needs, Alembic's modules not least, is imported before the first is forked.
    IndexStore.open(path.with_name("first.db")).close()
    for line in sys.stdin:
        job, seed = line.split()
        child = os.fork()
        if child == 0:
            work(path, job, int(seed))
        print(child, flush=True)  # noqa: T201 - the answer
        print(os.waitpid(child, 0)[1], flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
