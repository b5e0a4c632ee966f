"""The patterns that ship, as documents of the index: found by meaning, and judged like all knowledge."""

from typing import Final

from .index import Document
from .knowledge import load_library
from .knowledge_index import SHIPPED

KIND_PATTERN: Final = "pattern"
TYPE_PATTERN: Final = "pattern"
_LANGUAGE: Final = "en"


def pattern_documents() -> list[Document]:
    """Make the documents, each of one text, which says what a pattern is asked for by. Reads files: blocking."""
    return [
        Document(
            kind=KIND_PATTERN,
            source_id=pattern.id,
            views=(". ".join((pattern.name, *pattern.utterances, pattern.description)),),
            metadata={"name": pattern.name, "category": pattern.category.value, "source": SHIPPED},
            knowledge_type=TYPE_PATTERN,
            language=_LANGUAGE,
        )
        for pattern in load_library().values()
    ]
