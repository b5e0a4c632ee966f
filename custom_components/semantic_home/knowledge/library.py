"""The patterns that ship, and those that users have added to their knowledge."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
import json
from pathlib import Path
from typing import Any

from .pattern import Category, Pattern, PatternError
from .reading import read_pattern

USER_PREFIX = "user:"
_FOLDER = Path(__file__).parent / "patterns"
_LONGEST_NAME, _LONGEST_TEXT = 100, 500


@lru_cache(maxsize=1)
def load_library() -> Mapping[str, Pattern]:
    """Give the patterns that ship, by id. Reads files: not on the event loop. Raises PatternError."""
    library: dict[str, Pattern] = {}
    for file in sorted(_FOLDER.glob("*.json")):
        for pattern_id, data in json.loads(file.read_text("utf-8")).items():
            try:
                pattern = read_pattern(pattern_id, {"category": file.stem, **data})
            except PatternError as err:
                raise PatternError(f"{file.name}, {pattern_id}: {err}") from err
            if pattern_id in library:
                raise PatternError(f"{file.name}, {pattern_id}: there are two of it")
            library[pattern_id] = pattern
    return library


@dataclass(frozen=True, slots=True)
class UserPatterns:
    """The patterns of users, and why others of theirs are none, both by id."""

    patterns: Mapping[str, Pattern]
    skipped: Mapping[str, str]


def read_user_patterns(rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> UserPatterns:
    """Read patterns from pieces of knowledge: each with its id, its text and its metadata.

    The text says what the pattern does, wherever the metadata do not say it better.
    """
    patterns: dict[str, Pattern] = {}
    skipped: dict[str, str] = {}
    for row_id, text, metadata in rows:
        try:
            patterns[USER_PREFIX + row_id] = read_pattern(USER_PREFIX + row_id, {**_told(text), **metadata})
        except PatternError as err:
            skipped[row_id] = str(err)
    return UserPatterns(patterns, skipped)


def _told(text: str) -> dict[str, Any]:
    """Say what a user need not say in the metadata."""
    name = text.strip().partition("\n")[0][:_LONGEST_NAME]
    return {
        "name": name,
        "description": text.strip()[:_LONGEST_TEXT],
        # A dollar sign in what somebody wrote is no role.
        "why": f"It was described so: {name.replace('$', '')}",
        "category": Category.USER.value,
        "priority": 0.5,
        "utterances": [name],
    }
