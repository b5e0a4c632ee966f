"""What things and places of a household are called in many languages, so that a Wohnzimmer is a living room."""

from collections import defaultdict
from functools import cache
import json
from pathlib import Path

from .text import fold

# Shorter words stand in too many others by chance, and a compound is one when this much of it is explained.
_SHORTEST, _EXPLAINED = 4, 0.6
_LONGEST_PHRASE = 4
# So many words that were taken apart are known still: texts share theirs.
_COMPOUNDS = 16_384


class Vocabulary:
    """Finds concepts ("kitchen", "ceiling_fan") in text of any of its languages. Immutable."""

    @staticmethod
    @cache
    def load() -> Vocabulary:
        """Read the committed vocabulary, once. Blocking."""
        return Vocabulary(json.loads(Path(__file__).with_name("vocabulary.json").read_text("utf-8")))

    def __init__(self, data: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        """Take the words of "places" and "things", by concept and language."""
        words: defaultdict[str, set[str]] = defaultdict(set)
        for concept, languages in (data["places"] | data["things"]).items():
            for said in languages.values():
                for word in said:
                    words[fold(word)].add(concept)
        self.places = frozenset(data["places"])
        self._concepts = {word: frozenset(concepts) for word, concepts in words.items() if word}
        # How many words there are in the phrases that begin with a word: most words begin none.
        self._lengths: defaultdict[str, set[int]] = defaultdict(set)
        for phrase in map(str.split, self._concepts):
            if len(phrase) <= _LONGEST_PHRASE:
                self._lengths[phrase[0]].add(len(phrase))
        # By their first letters, the longest first: a "Tischlampe" is no "Tisch".
        self._parts: defaultdict[str, list[str]] = defaultdict(list)
        for word in sorted(self._concepts, key=lambda word: (-len(word), word)):
            if len(word) >= _SHORTEST and " " not in word:
                self._parts[word[:3]].append(word)

        self._compounds: dict[str, frozenset[str]] = {}

    def find(self, folded: str) -> frozenset[str]:
        """Give the concepts that a folded text names, whole phrases before words and words before their parts."""
        words = folded.split()
        taken = [False] * len(words)
        found: set[str] = set()
        begun = [(-length, start) for start, word in enumerate(words) for length in self._lengths.get(word, ())]
        for start, end in ((start, start - length) for length, start in sorted(begun)):
            phrase = " ".join(words[start:end])
            if end <= len(words) and phrase in self._concepts and not any(taken[start:end]):
                found |= self._concepts[phrase]
                taken[start:end] = [True] * (end - start)
        for word, done in zip(words, taken, strict=True):
            if not done:
                found |= self._compound(word)
        return frozenset(found)

    def _compound(self, word: str) -> frozenset[str]:
        if (known := self._compounds.get(word)) is None:
            if len(self._compounds) >= _COMPOUNDS:
                self._compounds.clear()
            known = self._compounds[word] = self._taken_apart(word)
        return known

    def _taken_apart(self, word: str) -> frozenset[str]:
        """Take apart what is written as one word, or inflected; nothing when too much of it remains unknown."""
        parts, start = [], 0
        while start <= len(word) - _SHORTEST:
            part = next(
                (known for known in self._parts[word[start : start + 3]] if word.startswith(known, start)), None
            )
            if part:
                parts.append(part)
            start += len(part) if part else 1
        if sum(map(len, parts)) < _EXPLAINED * len(word):
            return frozenset()
        return frozenset(concept for part in parts for concept in self._concepts[part])
