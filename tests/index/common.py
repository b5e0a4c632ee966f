"""What the tests of the index are made of."""

from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
import sqlite3

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.index import Document, Stamp, VectorIndex

STAMP = Stamp("bge-m3", "abc", "int8", "cls", "", "", template_version=1, dimension=3)
OTHER = replace(STAMP, revision="def")
THIRD = replace(STAMP, template_version=2)

SOFA = Document("entity", "light.sofa", ("Sofa lamp", "Lamp, living room"), {"domain": "light"}, language="en")
DESK = Document("entity", "light.desk", ("Desk lamp",), {"domain": "light", "labels": ["work"]})
KITCHEN = Document("area", "kitchen", ("Kitchen", "Küche"))


def scores_of(
    index: VectorIndex, query: NDArray[np.float32], kind: str, allowed: Collection[str] | None = None
) -> dict[str, float]:
    """Give what a search finds, in no order."""
    source_ids, scores = index.scores(query, kind, allowed)
    return dict(zip(source_ids, scores.tolist(), strict=True))


def vector(*components: float) -> NDArray[np.float32]:
    return np.array(components, np.float32)


@contextmanager
def raw(path: Path) -> Generator[sqlite3.Connection]:
    """Open the file past the store."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def dump(path: Path) -> list[str]:
    """Return everything in the file."""
    with raw(path) as connection:
        return list(connection.iterdump())
