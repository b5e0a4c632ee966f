"""What the home is made of and the vectors that stand for it: kept in SQLite, searched in memory."""

from .ancestor import read_ancestor
from .database import put_newer_aside
from .heads import TextHeads
from .jsonl import read_jsonl, write_jsonl
from .knowledge import ASKED_IN, DEFAULT_SCORE, KIND_KNOWLEDGE, BadRow, ImportCounts, Knowledge, knowledge_id
from .late_interaction import late_interaction
from .lexical import LexicalIndex, LexicalQueries
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
    JsonValue,
    Key,
    NewerSchemaError,
    NoKnowledgeTableError,
    NoPreviousGenerationError,
    Stamp,
    StoreError,
    UnknownGenerationError,
    canonical_json,
    check_json,
)
from .rating import Rating
from .search import VectorIndex
from .selection import KnownAlreadyError, Page, Selection, TooManySelectedError, UnknownKnowledgeError
from .store import IndexStore

__all__ = [
    "ASKED_IN",
    "DEFAULT_SCORE",
    "KIND_KNOWLEDGE",
    "BadRow",
    "Changes",
    "Counts",
    "Damage",
    "DamagedError",
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
    "KnownAlreadyError",
    "LexicalIndex",
    "LexicalQueries",
    "NewerSchemaError",
    "NoKnowledgeTableError",
    "NoPreviousGenerationError",
    "Page",
    "Rating",
    "Selection",
    "Stamp",
    "StoreError",
    "TextHeads",
    "TooManySelectedError",
    "UnknownGenerationError",
    "UnknownKnowledgeError",
    "VectorIndex",
    "canonical_json",
    "check_json",
    "knowledge_id",
    "late_interaction",
    "put_newer_aside",
    "read_ancestor",
    "read_jsonl",
    "write_jsonl",
]
