"""What the home is made of and the vectors that stand for it: kept in SQLite, searched in memory."""

from .ancestor import read_ancestor
from .jsonl import read_jsonl, write_jsonl
from .knowledge import ASKED_IN, DEFAULT_SCORE, KIND_KNOWLEDGE, BadRow, ImportCounts, Knowledge, knowledge_id
from .model import (
    Changes,
    Counts,
    Damage,
    Document,
    Generation,
    GenerationState,
    HeldError,
    IncompleteGenerationError,
    JsonValue,
    Key,
    NewerSchemaError,
    NoKnowledgeTableError,
    NoPreviousGenerationError,
    Stamp,
    StoreError,
    UnknownGenerationError,
    canonical_json,
)
from .search import VectorIndex
from .selection import Page, Selection, TooManySelectedError
from .store import IndexStore

__all__ = [
    "ASKED_IN",
    "DEFAULT_SCORE",
    "KIND_KNOWLEDGE",
    "BadRow",
    "Changes",
    "Counts",
    "Damage",
    "Document",
    "Generation",
    "GenerationState",
    "HeldError",
    "ImportCounts",
    "IncompleteGenerationError",
    "IndexStore",
    "JsonValue",
    "Key",
    "Knowledge",
    "NewerSchemaError",
    "NoKnowledgeTableError",
    "NoPreviousGenerationError",
    "Page",
    "Selection",
    "Stamp",
    "StoreError",
    "TooManySelectedError",
    "UnknownGenerationError",
    "VectorIndex",
    "canonical_json",
    "knowledge_id",
    "read_ancestor",
    "read_jsonl",
    "write_jsonl",
]
