"""Words without what writers vary: folding, and the letter groups that survive inflection and typing errors."""

from collections.abc import Iterator
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


def _grams(folded: str) -> Iterator[str]:
    for word in folded.split():
        if any(unicodedata.name(char, "").startswith(_UNSPACED) for char in word):
            yield from (word[i : i + 2] for i in range(max(1, len(word) - 1)))
        else:
            padded = f" {word} "
            yield from (padded[i : i + 3] for i in range(len(padded) - 2))
