"""Two requests in one sentence: "turn on the lamp and close the blinds"."""

from collections.abc import Iterator
from functools import cache
import json
from pathlib import Path
import re

from .text import is_unspaced

# With the commas of Latin, Arabic and East Asian scripts.
_BLANKS = " ,\u060c\uff0c\u3001"


def halves(query: str, language: str) -> Iterator[tuple[str, str]]:
    """Part a query at each word that may join two requests; whether they are two has to be found out. Blocking."""
    pattern = _patterns().get(language) or _patterns().get(language.partition("-")[0])
    for found in pattern.finditer(query) if pattern else ():
        before, after = query[: found.start()].strip(_BLANKS), query[found.end() :].strip(_BLANKS)
        if before and after:
            yield before, after


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    data = json.loads(Path(__file__).with_name("conjunction.json").read_text("utf-8"))
    return {language: _pattern(words) for language, words in data["words"].items()}


def _pattern(words: list[str]) -> re.Pattern[str]:
    # The longest first; whole where the script has spaces.
    found = sorted(words, key=lambda word: (-len(word), word))
    whole = (re.escape(word) if is_unspaced(word[0]) else rf"(?<!\w){re.escape(word)}(?!\w)" for word in found)
    return re.compile("|".join(whole), re.IGNORECASE)
