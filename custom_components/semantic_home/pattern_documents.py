"""The patterns that ship, as documents of the index: found by meaning, and judged like all knowledge."""

from typing import Final

from .index import Document
from .knowledge import Pattern, load_library

KIND_PATTERN: Final = "pattern"
TYPE_PATTERN: Final = "pattern"
_SOURCE: Final = "library"
_LANGUAGE: Final = "en"


def pattern_documents() -> list[Document]:
    """Make the documents of all of them. Reads files: blocking."""
    return [document_of(pattern) for pattern in load_library().values()]


def document_of(pattern: Pattern) -> Document:
    """Make a pattern's document, of one text, which says what it is asked for by."""
    return Document(
        kind=KIND_PATTERN,
        source_id=pattern.id,
        views=(". ".join((pattern.name, *pattern.utterances, pattern.description)),),
        metadata={"name": pattern.name, "category": pattern.category.value, "source": _SOURCE},
        knowledge_type=TYPE_PATTERN,
        language=_LANGUAGE,
    )
