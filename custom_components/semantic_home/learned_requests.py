"""What answers have taught: requests with what was chosen for them, kept as knowledge of the type "query"."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from .const import MAX_QUERY_LENGTH
from .index import ASKED_IN, DEFAULT_SCORE, IndexStore, JsonValue, Knowledge, Selection, canonical_json
from .matching import Learned

MAX_LEARNED = 500
"""So many requests are kept; the one that was learnt or confirmed longest ago gives way."""
TYPE_QUERY = "query"
SOURCE_USER = "user"
LEARNED = Selection(types=(TYPE_QUERY,), source=SOURCE_USER, field="entity_ids")
"""What of the knowledge was learnt from answers; it may have been imported again, but other imports are left alone."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What somebody chose who was asked in a language what a request means, and the circumstances of the request."""

    query: str
    language: str
    entity_ids: tuple[str, ...]
    asked_in: Mapping[str, JsonValue]

    def knowledge(self, now: datetime) -> Knowledge:
        """Write it down."""
        metadata: dict[str, JsonValue] = {
            "entity_ids": [*self.entity_ids],
            "language": self.language,
            "source": SOURCE_USER,
        }
        if self.asked_in:
            metadata[ASKED_IN] = dict(self.asked_in)
        return Knowledge(self.query, TYPE_QUERY, now, now, metadata)


class LearnedRequests:
    """What there is of them, by their circumstances, the latest first. Immutable."""

    def __init__(self, rows: Iterable[Knowledge]) -> None:
        """Take them, the latest first; what has failed, or cannot be read, is left out."""
        self._rows: defaultdict[str, list[Learned]] = defaultdict(list)
        for row in rows:
            if row.score >= DEFAULT_SCORE and (learned := read_learned(row)) is not None:
                self._rows[_circumstances(row.metadata.get(ASKED_IN))].append(learned)

    @classmethod
    def read(cls, store: IndexStore) -> LearnedRequests:
        """Read them; raises StoreError."""
        return cls(store.knowledge_page(LEARNED, MAX_LEARNED).rows.values())

    def made_in(self, asked_in: Mapping[str, JsonValue]) -> tuple[Learned, ...]:
        """Give those that were made in exactly these circumstances."""
        return tuple(self._rows.get(_circumstances(asked_in), ()))


def read_learned(row: Knowledge) -> Learned | None:
    """Read what a piece of knowledge says that a request means; None if it says nothing of the kind."""
    # It may have been imported, and hold anything.
    entity_ids, language = row.metadata.get("entity_ids"), row.metadata.get("language")
    if not isinstance(entity_ids, list) or not entity_ids or len(row.text) > MAX_QUERY_LENGTH:
        return None
    return Learned(row.text, frozenset(map(str, entity_ids)), str(language or ""))


def _circumstances(asked_in: object) -> str:
    return canonical_json(asked_in) if isinstance(asked_in, Mapping) else canonical_json({})
