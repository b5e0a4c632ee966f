"""What people say when they are asked to choose: ordinals, "both", "never mind" and their like, by language.

Names, rooms and kinds are not looked for here: the matcher understands those.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
import json
from pathlib import Path
import re
from typing import Any
import unicodedata

from .text import fold, is_unspaced, tokens

_FALLBACK = "en"
# What Home Assistant, browsers and people call languages that have another name here.
_SAME_LANGUAGE = {"no": "nb", "nn": "nb", "zh": "zh-Hans", "zh-SG": "zh-Hans", "zh-TW": "zh-Hant", "zh-HK": "zh-Hant"}
_CLAUSES = re.compile(r"[,;:.!?、。]+")
_ANY_ENDING, _ALONE = "*", "="


class Meaning(StrEnum):
    """What a phrase of an answer can mean."""

    FIRST = "first"
    SECOND = "second"
    THIRD = "third"
    LAST = "last"
    BOTH = "both"
    ALL = "all"
    NONE = "none"
    CANCEL = "cancel"
    OTHER = "other"
    YES = "yes"
    NO = "no"
    NOT = "not"
    FILLER = "filler"


ORDINALS = (Meaning.FIRST, Meaning.SECOND, Meaning.THIRD)


@dataclass(frozen=True, slots=True)
class Said:
    """What the words of an answer mean. `rest`: the words that mean nothing here, names among them."""

    meanings: frozenset[Meaning]
    rest: tuple[str, ...]

    @property
    def rest_as_text(self) -> str:
        """Write the rest as it would be written, blanks only where the script has some."""
        apart = (
            f"{word}" if is_unspaced(word[0]) and is_unspaced(after[:1] or " ") else f"{word} "
            for word, after in zip(self.rest, [*self.rest[1:], ""], strict=True)
        )
        return unicodedata.normalize("NFC", "".join(apart)).strip()


@dataclass(frozen=True, slots=True)
class _Phrase:
    words: tuple[str, ...]
    any_ending: bool
    meanings: frozenset[Meaning]

    def begins(self, said: Sequence[str]) -> bool:
        """Tell whether words begin with this phrase."""
        count = len(self.words)
        if len(said) < count or tuple(said[: count - 1]) != self.words[:-1]:
            return False
        last = said[count - 1]
        return last == self.words[-1] or (self.any_ending and last.startswith(self.words[-1]))


class Language:
    """The questions of one language, and the words that answers are made of. Immutable."""

    @staticmethod
    def load(language: str) -> Language:
        """Give a language, or what comes nearest to it, or English. Blocking the first time."""
        known = _data()
        tag = language.replace("_", "-")
        main = tag.partition("-")[0]
        names = (tag, _SAME_LANGUAGE.get(tag), main, _SAME_LANGUAGE.get(main), _FALLBACK)
        return _language(next(name for name in names if name in known))

    def __init__(self, code: str, questions: Mapping[str, str], words: Mapping[str, Sequence[str]]) -> None:
        """Take a language of clarification.json."""
        self.code = code
        self.questions = questions
        self.time_stems = tuple(fold(stem.rstrip(_ANY_ENDING)) for stem in words["time"])
        meanings: dict[tuple[str, bool, bool], set[Meaning]] = {}
        for meaning in Meaning:
            for phrase in words[meaning]:
                key = fold(phrase), phrase.endswith(_ANY_ENDING), phrase.startswith(_ALONE)
                meanings.setdefault(key, set()).add(meaning)
        phrases = [
            (_Phrase(tuple(tokens(folded)), any_ending, frozenset(found)), alone)
            for (folded, any_ending, alone), found in meanings.items()
        ]
        phrases.sort(key=lambda one: (-len(one[0].words), one[0].any_ending, -len(one[0].words[-1])))
        self.no_is_not = any({Meaning.NO, Meaning.NOT} <= found for found in meanings.values())
        self._phrases = [phrase for phrase, alone in phrases if not alone]
        self._alone = {phrase.words: phrase.meanings for phrase, alone in phrases if alone}

    def join(self, labels: Sequence[str]) -> str:
        """Write a choice: "a, b or c"."""
        *before, last = labels
        return self.questions["or"].join([self.questions["comma"].join(before), last]) if before else last

    def hear(self, answer: str, claimed: Collection[str] = ()) -> Said:
        """Take an answer apart. `claimed` words are names that were offered, whatever else they mean."""
        clauses = [
            self._hear(tokens(fold(clause)), claimed)
            for clause in _CLAUSES.split(unicodedata.normalize("NFKC", answer))
        ]
        meanings = frozenset().union(*(clause.meanings for clause in clauses))
        rest = tuple(word for clause in clauses for word in clause.rest)
        if not meanings and (alone := self._alone.get(rest)):
            return Said(alone, ())
        if not meanings and len(rest) == 1 and rest[0].isdecimal() and 1 <= int(rest[0]) <= len(ORDINALS):
            return Said(frozenset([ORDINALS[int(rest[0]) - 1]]), ()) if rest[0] not in claimed else Said(meanings, rest)
        return Said(meanings, rest)

    def _hear(self, said: Sequence[str], claimed: Collection[str]) -> Said:
        found: set[Meaning] = set()
        rest, place = [], 0
        while place < len(said):
            phrase = next((one for one in self._phrases if one.begins(said[place:])), None)
            if phrase is None or all(word in claimed for word in said[place : place + len(phrase.words)]):
                rest.append(said[place])
                place += 1
                continue
            place += len(phrase.words)
            found |= phrase.meanings
        if {Meaning.NO, Meaning.NOT} <= found:
            # "No" in some languages is "not" as well, unless it stands alone.
            found -= {Meaning.NO} if rest or found - {Meaning.NO, Meaning.NOT, Meaning.FILLER} else {Meaning.NOT}
        return Said(frozenset(found - {Meaning.FILLER}), tuple(rest))


@cache
def _language(code: str) -> Language:
    known = _data()
    words = known[code].get("words") or known[code.partition("-")[0]]["words"]
    return Language(code, known[code]["questions"], words)


@cache
def _data() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(Path(__file__).with_name("clarification.json").read_text("utf-8"))
    languages: dict[str, Any] = raw["languages"]
    return languages


def languages() -> tuple[str, ...]:
    """Give the languages that answers are understood in. Blocking the first time."""
    return tuple(_data())
