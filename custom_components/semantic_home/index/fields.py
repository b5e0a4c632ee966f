"""Makes knowledge of what stands in somebody else's file, where every value may be anything."""

from datetime import UTC, datetime
import json
from typing import Any

from .knowledge import DEFAULT_SCORE, Knowledge
from .model import JsonValue, check_json

MAX_TEXT, MAX_TYPE = 16_384, 64
"""In characters. The ancestor took 4,000; models read no more than 8,192 tokens."""


def knowledge_from(  # noqa: PLR0913, PLR0917 - one row's columns
    text: object,
    knowledge_type: object,
    metadata: object,
    score: object,
    times: tuple[object, object],
    known: datetime,
) -> Knowledge:
    """Return the knowledge; raises ValueError or TypeError, whose text says what is wrong with which value.

    Missing are allowed the metadata (none), the score (not judged) and the times when it was created and updated: one
    stands for the other, and for both `known`, when the row was there at the latest.
    """
    if not isinstance(text, str):
        raise TypeError("the text is missing or no text")
    if not isinstance(knowledge_type, str):
        raise TypeError("the type is missing or no text")
    if len(text) > MAX_TEXT:
        raise ValueError(f"the text has {len(text)} characters, more than {MAX_TEXT}")
    if len(knowledge_type) > MAX_TYPE:
        raise ValueError(f"the type has {len(knowledge_type)} characters, more than {MAX_TYPE}")
    first, last = (_time(value) for value in times)
    return Knowledge(
        text=text,
        knowledge_type=knowledge_type,
        created=first or last or known,
        updated=last or first or known,
        metadata=_metadata(metadata),
        score=_score(score),
    )


def _metadata(value: Any) -> dict[str, JsonValue]:
    if isinstance(value, str):
        # Some writers encoded twice.
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as err:
            raise ValueError("the metadata is not JSON") from err
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError("the metadata is no JSON object")
    check_json(value)
    return value


def _score(value: object) -> float:
    if value is None:
        return DEFAULT_SCORE
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("the score is not a number")
    return float(value)


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("a time is no text")
    try:
        time = datetime.fromisoformat(value)
        # SQLite has no time zones, and SQLAlchemy's defaults are in UTC.
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as err:
        raise ValueError("a time is not in ISO 8601") from err
