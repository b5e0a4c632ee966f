"""Whether a request says that something is not to be done: no sentence, and no model of words, minds a "not"."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
import json
from pathlib import Path
import re
import unicodedata

from .text import is_unspaced

_ANY = "*"
# What stands around words. Not whatever is no letter: signs of vowels are none, but belong to their word.
_EDGE = r"""\s.,;:!?"“”„()¡¿…،؟"""
_MAIN = re.compile("[-_]")


def negates(query: str, language: str, names: Iterable[str] = ()) -> bool:
    """Tell whether a request denies, apart from what it excludes: "all lights but not ...". Blocking the first time.

    `names`: what the things are called that it is about; a word of a name denies nothing. Languages whose words are
    not known deny nothing, either.
    """
    known = _words()
    denying = known.get(language) or known.get(_MAIN.split(language)[0])
    if denying is None:
        return False
    return not denying.said_in(query) <= {word for name in names for word in denying.said_in(name)}


@dataclass(frozen=True, slots=True)
class _Denying:
    """The words of one language. `pattern` finds `excluding` first, which is left out."""

    pattern: re.Pattern[str]
    excluding: frozenset[str]

    def said_in(self, text: str) -> frozenset[str]:
        return frozenset(self.pattern.findall(_plain(text))) - self.excluding


def _plain(text: str) -> str:
    """Drop case, but no accents: in Vietnamese they tell "do not" from "stop"."""
    return unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")


@cache
def _words() -> dict[str, _Denying]:
    data = json.loads(Path(__file__).with_name("negation.json").read_text("utf-8"))
    found = {}
    for language, words in data["words"].items():
        excluding = data["excluding"].get(language, [])
        found[language] = _Denying(re.compile("|".join(map(_pattern, [*excluding, *words]))), frozenset(excluding))
    return found


def _pattern(word: str) -> str:
    """Find a word, whole where the script has spaces."""
    if is_unspaced(word[0]):
        return re.escape(word)
    letters = re.escape(_plain(word)).replace(re.escape(_ANY), f"[^{_EDGE}]*")
    return f"(?<![^{_EDGE}]){letters}(?![^{_EDGE}])"
