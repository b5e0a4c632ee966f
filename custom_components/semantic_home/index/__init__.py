"""What the home is made of and the vectors that stand for it: kept in SQLite, searched in memory."""

from .model import (
    Changes,
    Counts,
    Document,
    Generation,
    GenerationState,
    JsonValue,
    Key,
    NewerSchemaError,
    Stamp,
    StoreError,
    UnknownGenerationError,
)
from .search import Hit, VectorIndex
from .store import IndexStore

__all__ = [
    "Changes",
    "Counts",
    "Document",
    "Generation",
    "GenerationState",
    "Hit",
    "IndexStore",
    "JsonValue",
    "Key",
    "NewerSchemaError",
    "Stamp",
    "StoreError",
    "UnknownGenerationError",
    "VectorIndex",
]
