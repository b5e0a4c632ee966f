"""Whether words that people have for a thing would be a good alias of it: one that names it, and nothing else here.

An alias is heard by every assistant, and a bad one annoys all of them. So what is doubtful is no alias.
"""

from dataclasses import dataclass
from functools import cache
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .answers import Language
from .heard import Heard, listen
from .home import Home
from .request_model import RequestModel
from .text import fold, is_unspaced
from .types import MatchRequest
from .vocabulary import Vocabulary

MAX_LENGTH = 40
_SHORTEST, _SHORTEST_UNSPACED, _MOST_WORDS = 3, 2, 3
# So much of a name, or of what was said, is the same: a typing error apart, an ending, or another word for it.
_SAME = 0.85


def is_good_alias(words: str, entity_id: str, language: str, home: Home) -> bool:
    """Tell whether words, said in a language, would be a good alias of an entity of this home."""
    folded = fold(words)
    if not _has_a_names_form(words, folded) or not _names_a_single_thing(folded, language):
        return False
    reading = RequestModel.load().read(folded)
    heard = listen(home, MatchRequest(words), reading, None)
    others = np.array([other != entity_id for other in home.entity_ids], np.bool_)
    # What Home Assistant calls a kind of things is no name of one: "window cover".
    kinds = {fold(kind) for one in home.candidates for kind in (one.domain, one.device_class or "")}
    naming = np.array([word not in kinds for word in reading.words], np.bool_)
    return not (heard.named_places.any() or _is_a_name_already(heard) or _fits_another(heard, others, naming))


def _has_a_names_form(words: str, folded: str) -> bool:
    shortest = _SHORTEST_UNSPACED if any(map(is_unspaced, folded)) else _SHORTEST
    said = folded.split()
    if not shortest <= len(folded) or len(words) > MAX_LENGTH or len(said) > _MOST_WORDS:
        return False
    return not all(word.isnumeric() for word in said)


def _names_a_single_thing(folded: str, language: str) -> bool:
    """Tell whether words are more than pronouns, "the other one", "the big light" and their like."""
    said = Language.load(language).hear(folded)
    if said.meanings or not said.rest or folded in _poor_words().pronouns:
        return False
    vocabulary, poor, words = Vocabulary.load(), _poor_words(), folded.split()
    if not poor.pronouns.isdisjoint((words[0], words[-1])):
        return False
    known = [vocabulary.find(word) for word in words if word not in poor.pronouns]
    concepts = frozenset().union(*known, vocabulary.find(folded))
    if concepts & vocabulary.places:
        return False
    if not all(known):
        # A word that stands in no list: it is what this household says.
        return True
    return not concepts & poor.kinds and bool(concepts - poor.describing)


def _is_a_name_already(heard: Heard) -> bool:
    """Tell whether something is called like that, or nearly: then it is understood, or nothing but a slip."""
    return bool(max(heard.spelling.max(initial=0.0), heard.containment.max(initial=0.0)) >= _SAME)


def _fits_another(heard: Heard, others: NDArray[np.bool_], naming: NDArray[np.bool_]) -> bool:
    """Tell whether every word that names may as well be said of something else, by its names or what is around it."""
    if not naming.any():
        return True
    return bool(heard.explained[naming].min(axis=0)[others].max(initial=0.0) >= _SAME)


@dataclass(frozen=True, slots=True)
class _PoorWords:
    """Words that make no good alias; the pronouns of all languages, as people who live together speak several."""

    pronouns: frozenset[str]
    kinds: frozenset[str]
    describing: frozenset[str]


@cache
def _poor_words() -> _PoorWords:
    """Read them, once. Blocking."""
    data = json.loads(Path(__file__).with_name("aliases.json").read_text("utf-8"))
    pronouns = frozenset(fold(word) for words in data["pronouns"].values() for word in words)
    return _PoorWords(pronouns, frozenset(data["kinds"]), frozenset(data["describing"]))
