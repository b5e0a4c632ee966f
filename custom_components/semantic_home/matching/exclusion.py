"""What a request takes out of what it names: "all lights except the desk lamp"."""

from functools import cache
import json
from pathlib import Path
import re

from .text import fold, is_unspaced

# In Arabic, and twice in East Asia.
_COMMA = re.compile("[\u060c\uff0c\u3001]")


class Exclusions:
    """Knows the words that exclude, in many languages. Immutable."""

    @staticmethod
    @cache
    def load() -> Exclusions:
        """Read the committed words, once. Blocking."""
        raw = json.loads(Path(__file__).with_name("exclusion.json").read_text("utf-8"))
        return Exclusions(*([word for words in raw[side].values() for word in words] for side in ("before", "after")))

    def __init__(self, before: list[str], after: list[str]) -> None:
        """Take words that stand before what is excluded, and words that stand after it."""
        self._before, self._after = _pattern(before), _pattern(after)

    def split(self, query: str) -> tuple[str, str] | None:
        """Part a query into what is meant and what of it is not; None when nothing is excluded.

        Where the word stands after what it excludes, that begins the sentence, as in Japanese or Turkish. Where the
        word itself begins it, a comma ends what it excludes, as in Chinese.
        """
        folded = fold(query)
        if found := self._before.search(folded):
            if not found.start():
                clause, _, rest = _COMMA.sub(",", query).partition(",")
                return _parts(fold(rest), fold(clause)[found.end() :])
            return _parts(folded[: found.start()], folded[found.end() :])
        if found := self._after.search(folded):
            return _parts(folded[found.end() :], folded[: found.start()])
        return None


def _parts(meant: str, excluded: str) -> tuple[str, str] | None:
    return (meant.strip(), excluded.strip()) if meant.strip() and excluded.strip() else None


def _pattern(words: list[str]) -> re.Pattern[str]:
    """Find any of the words, the longest first, whole where the script has spaces."""
    found = sorted({fold(word) for word in words}, key=lambda word: (-len(word), word))
    return re.compile(
        "|".join(re.escape(word) if is_unspaced(word[0]) else rf"\b{re.escape(word)}\b" for word in found)
    )
