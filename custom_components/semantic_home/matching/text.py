"""Words without what writers vary: folding, and the letter groups that survive inflection and typing errors."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
import unicodedata

# Scripts written without spaces: a single character there is worth a syllable or a word.
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
# Letters that Unicode does not decompose but people type without their stroke.
_STROKES = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"})


def fold(text: str) -> str:
    """Drop case, accents and punctuation; words separated by single blanks."""
    # Decomposed before the case is folded as well as after: "№" is the capital N of "No" in disguise.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_STROKES)
    kept = (
        char if char.isalnum() or unicodedata.category(char) == "Mc" else " "
        for char in decomposed
        if unicodedata.category(char) != "Mn"
    )
    return " ".join("".join(kept).split())


def trigrams(folded: str) -> frozenset[str]:
    """Character trigrams of folded text, words padded by blanks; bigrams where the script has no spaces."""
    return frozenset(_grams(folded))


def weighed_trigrams(folded: str, weights: Mapping[str, float]) -> dict[str, float]:
    """Give the trigrams of folded text, each with the weight of the weightiest word that it is in.

    A word that has no weight, as what is written without spaces is no single word, counts wholly.
    """
    found: dict[str, float] = {}
    for word in folded.split():
        for gram in _grams(word):
            found[gram] = max(found.get(gram, 0.0), weights.get(word, 1.0))
    return found


def tokens(folded: str) -> list[str]:
    """Split folded text into words, and into characters where the script has no spaces."""
    found = []
    for word in folded.split():
        start = 0
        for place, char in enumerate(word):
            if is_unspaced(char):
                found += [piece for piece in (word[start:place], char) if piece]
                start = place + 1
        if start < len(word):
            found.append(word[start:])
    return found


@lru_cache(maxsize=4096)
def is_unspaced(char: str) -> bool:
    """Tell whether a character belongs to a script that is written without spaces."""
    return unicodedata.name(char, "").startswith(_UNSPACED)


def _grams(folded: str) -> Iterator[str]:
    for word in folded.split():
        if any(map(is_unspaced, word)):
            yield from (word[i : i + 2] for i in range(max(1, len(word) - 1)))
        else:
            padded = f" {word} "
            yield from (padded[i : i + 3] for i in range(len(padded) - 2))
