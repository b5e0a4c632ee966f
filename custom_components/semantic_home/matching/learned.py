"""What requests meant in this home before: evidence of its own, beside the fitted weights.

Somebody was asked what a request means, and chose. A request that names the same is taken for the same, whatever is
to be done: "turn on the lamp" tells what "switch the lamp off" means, and nothing of "the lamp in the den".
"""

from collections.abc import Iterable
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .answers import ORDINALS, Language, Meaning, languages
from .heard import Heard, listen
from .home import Home
from .hypotheses import Hypotheses, Targets
from .request_model import Reading, RequestModel
from .text import fold, tokens
from .types import Learned, MatchRequest

WORTH = 4.5
"""What it adds to a reading's log-odds that this was meant before.

A question offers what is up to e^2.1 times less probable than the first: with this, it is ahead of two or three such,
and of dozens of equals.
"""

# From here on a word names something, and a name was said in full. So much of the probability that a kind of thing can
# be acted on has to be left.
_NAMES, _IN_FULL, _CAN_BE_DONE = 0.5, 0.999, 0.5
# Probabilities that differ by so much say another thing.
_ALIKE = 0.6
# Words that choose among things: who says them does not mean what is meant without them.
_CHOOSING = frozenset({*ORDINALS, Meaning.LAST, Meaning.BOTH, Meaning.ALL, Meaning.NONE, Meaning.OTHER, Meaning.NOT})
_KEPT = 2048
# The words that name something in a home, by learnt request.
_NAMING: WeakKeyDictionary[Home, dict[str, frozenset[str]]] = WeakKeyDictionary()


def recall(home: Home, request: MatchRequest, reading: Reading, hypotheses: Hypotheses) -> Targets:
    """Give what the latest of the learnt requests that name the same meant; nothing if that may not be answered."""
    if not request.learned or request.previous is not None:
        # What goes on from another request names only a part of what it means.
        return frozenset()
    naming, said = _naming(hypotheses.heard, reading), fold(request.query)
    for learned in request.learned:
        if said == _folded(learned.query) or (
            _may_name_the_same(reading, naming, learned) and _names_the_same(home, reading, learned)
        ):
            return _meant(home, hypotheses, learned)
    return frozenset()


def favour(hypotheses: Hypotheses, members: Targets) -> tuple[Hypotheses, NDArray[np.float64]]:
    """Say by reading what it is worth that these were meant before; several become a reading of their own."""
    if len(members) > 1:
        hypotheses = hypotheses.adding(members)
    meant = [hypotheses.targets(number) == members for number in range(len(hypotheses))] if members else []
    return hypotheses, np.where(meant, WORTH, 0.0) if members else np.zeros(len(hypotheses))


def _meant(home: Home, hypotheses: Hypotheses, learned: Learned) -> Targets:
    """Give who was meant, if all of them are here still, may be answered, and nothing else is the better answer now."""
    singles: list[int] = hypotheses.singles.tolist()
    members = [number for number in singles if home.candidates[number].entity_id in learned.entity_ids]
    in_full = hypotheses.heard.containment >= _IN_FULL
    if not in_full[members].all() and in_full[singles].any():
        return frozenset()
    if len(members) < len(learned.entity_ids) or any(home.candidates[number].guarded for number in members):
        return frozenset()
    return frozenset(members)


def _may_name_the_same(reading: Reading, naming: frozenset[str], learned: Learned) -> bool:
    """Tell whether, as far as can be told without the home, another request may name the same."""
    other, language = _words(learned.query), learned.language
    # First what rules most of many hundred out.
    if not naming & other or _telling(naming - other, language):
        return False
    differing = other.symmetric_difference(reading.words)
    if any(character.isnumeric() for word in differing for character in word):
        return False
    # A word more than there was may tell which one is meant ("the left lamp"), whatever it looks like.
    added, gone = differing - other, differing & other
    if sum(not _is_filler(word, language) for word in added) > sum(not _is_filler(word, language) for word in gone):
        return False
    content = _content(reading) | _content(_read(learned.query))
    if _telling((word for word in differing if content.get(word, 0.0) >= _NAMES), language):
        return False
    return not any(map(_chooses, differing)) and _counts_alike(reading, _read(learned.query))


def _counts_alike(one: Reading, other: Reading) -> bool:
    """Tell whether both ask for all of a kind, or which of them there are, or neither does."""
    return abs(one.every - other.every) < _ALIKE and abs(one.forms["home"] - other.forms["home"]) < _ALIKE


def _names_the_same(home: Home, reading: Reading, learned: Learned) -> bool:
    """Tell whether another request names nothing else here, and what it is about can be asked for like this."""
    other = _read(learned.query)
    domains = {entity_id.partition(".")[0] for entity_id in learned.entity_ids}
    if any(reading.domains.get(one, 0.0) < _CAN_BE_DONE * other.domains.get(one, 0.0) for one in domains):
        return False
    known = _NAMING.setdefault(home, {})
    if learned.query not in known:
        known[learned.query] = _naming(listen(home, MatchRequest(learned.query), other, None), other)
    return not _telling(known[learned.query].difference(reading.words), learned.language)


def _naming(heard: Heard, reading: Reading) -> frozenset[str]:
    """Give the words that name something: in any home, or because something is called like that in this one."""
    here = np.maximum(heard.explained.max(axis=1, initial=0.0), heard.place_explained.max(axis=1, initial=0.0))
    names = np.maximum(reading.content, here) >= _NAMES
    return frozenset(word for word, named in zip(reading.words, names.tolist(), strict=True) if named)


def _telling(words: Iterable[str], language: str) -> bool:
    """Tell whether any of these words is more than "please" and its like."""
    return not all(_is_filler(word, language) for word in words)


@lru_cache(_KEPT)
def _is_filler(word: str, language: str) -> bool:
    said = Language.load(language).hear(word)
    return not said.meanings and not said.rest


@lru_cache(_KEPT)
def _folded(query: str) -> str:
    return fold(query)


@lru_cache(_KEPT)
def _words(query: str) -> frozenset[str]:
    return frozenset(tokens(fold(query)))


@lru_cache(_KEPT)
def _read(query: str) -> Reading:
    return RequestModel.load().read(fold(query))


@lru_cache(_KEPT)
def _chooses(word: str) -> bool:
    """Tell whether a word chooses in any language: people who ask for one thing speak several."""
    return any(Language.load(language).hear(word).meanings & _CHOOSING for language in languages())


def _content(reading: Reading) -> dict[str, float]:
    # A word that is said twice counts as where it counts more.
    return dict(sorted(zip(reading.words, reading.content.tolist(), strict=True), key=lambda one: one[1]))
