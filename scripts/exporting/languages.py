"""The most frequent words of languages, so that a vocabulary keeps their pieces (vocabulary.py).

The words come from wordfreq (Robyn Speer; Apache-2.0, its lists CC BY-SA 4.0), whose lists are part of the package.
They are in lower case and without numbers of several digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# These are 91 % (Finnish, Russian) to 98 % (English, French, Dutch) of the words in wordfreq's own texts; what follows
# occurs about once in a million words. Some lists are shorter, the shortest with 10,622 words (Vietnamese).
WORDS = 50_000
# Of langcodes: dialects and close relatives are nearer (de-AT 4, hr to sh 9), other languages farther (eu to es 20).
NEAR = 10
# A device is a TV, an LED or a NAS; longer words are hardly written in capitals only.
ABBREVIATION = 4
# What homes are told: degrees, percents, minutes. The signs are part of some pieces, as in "0%".
NUMBERS = range(101)
SIGNS = ("", "%", "°", "°C", "°F")


class LanguageError(Exception):
    """A language that there is no list of words for."""


def word_lists(codes: Iterable[str]) -> dict[str, str]:
    """Find wordfreq's list for every code, as in {"pt-BR": "pt"}. Raises LanguageError where none fits."""
    import wordfreq  # noqa: PLC0415 - of the environment

    available = sorted(wordfreq.available_languages())
    found = {code: _nearest(code, available) for code in codes}
    unknown = [code for code, near in found.items() if near is None]
    if unknown or not found:
        missing = ", ".join(code or "(none)" for code in unknown) or "(none)"
        raise LanguageError(f"there is no list of words for the language {missing}; there are {', '.join(available)}")
    return {code: near for code, near in found.items() if near}


def words(lists: Iterable[str]) -> Iterator[str]:
    """Give the words of these lists one by one, as written and with a capital, short ones in capitals too, and numbers.

    The word with a capital is not needed for itself, but vocabulary.prune keeps a piece that is given alone also for
    the middle of words: as "Sensor" in "RGB-Sensor".
    """
    import wordfreq  # noqa: PLC0415 - of the environment

    yield from (f"{number}{sign}" for number in NUMBERS for sign in SIGNS)
    for name in dict.fromkeys(lists):
        for word in wordfreq.top_n_list(name, WORDS):
            yield word
            yield word[:1].upper() + word[1:]
            if len(word) <= ABBREVIATION:
                yield word.upper()


def _nearest(code: str, available: list[str]) -> str | None:
    """Find the list in the same script: Serbian in Cyrillic shares no piece with Serbian in Latin letters."""
    import langcodes  # noqa: PLC0415 - of the environment

    try:
        near, _ = langcodes.closest_match(code, available, max_distance=NEAR)
    except ValueError:  # not the form of a code
        return None
    return near if near != "und" and _script(code) == _script(near) else None


def _script(code: str) -> str | None:
    import langcodes  # noqa: PLC0415 - of the environment

    return langcodes.Language.get(code).maximize().script
