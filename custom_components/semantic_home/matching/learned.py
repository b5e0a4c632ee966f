"""What requests meant in this home before: evidence of its own, beside the fitted weights.

Somebody was asked what a request means, and chose. A request that names the same is taken for the same, whatever is
to be done: "turn on the lamp" tells what "switch the lamp off" means, and nothing of "the lamp in the den".
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .answers import ORDINALS, Language, Meaning
from .heard import Heard, listen
from .home import Home
from .hypotheses import Hypotheses, Targets
from .questions import Thing
from .request_model import Reading, RequestModel
from .text import fold, tokens
from .types import Candidate, Learned, MatchRequest

WORTH = 4.5
"""What it adds to a reading's log-odds that this was meant before.

A question offers what is up to e^2.1 times less probable than the first: with this, it is ahead of two or three such,
and of dozens of equals.
"""

# From here on a word names something, and a name was said in full. So much of the probability that a kind of thing can
# be acted on has to be left.
_NAMES, _IN_FULL, _CAN_BE_DONE = 0.5, 0.999, 0.5
# Words that choose among things: who says them does not mean what is meant without them.
_CHOOSING = frozenset({*ORDINALS, Meaning.LAST, Meaning.BOTH, Meaning.ALL, Meaning.NONE, Meaning.OTHER, Meaning.NOT})
_KEPT = 2048


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
    if len(members) < len(learned.entity_ids) or any(_is_guarded(home.candidates[number]) for number in members):
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
    content = _content(learned.query)
    if _telling((word for word in differing if content.get(word, 0.0) >= _NAMES), language):
        return False
    return not Language.load(language).hear(" ".join(sorted(differing))).meanings & _CHOOSING


def _names_the_same(home: Home, reading: Reading, learned: Learned) -> bool:
    """Tell whether another request names nothing else here, and what it is about can be asked for like this."""
    other = RequestModel.load().read(fold(learned.query), home.named)
    naming = _naming(listen(home, MatchRequest(learned.query), other, None), other)
    if _telling(naming.difference(reading.words), learned.language):
        return False
    domains = {entity_id.partition(".")[0] for entity_id in learned.entity_ids}
    return all(reading.domains.get(one, 0.0) >= _CAN_BE_DONE * other.domains.get(one, 0.0) for one in domains)


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


def _is_guarded(one: Candidate) -> bool:
    return Thing(one.entity_id, one.names[0], device_class=one.device_class).guarded


@lru_cache(_KEPT)
def _folded(query: str) -> str:
    return fold(query)


@lru_cache(_KEPT)
def _words(query: str) -> frozenset[str]:
    return frozenset(tokens(fold(query)))


@lru_cache(_KEPT)
def _content(query: str) -> Mapping[str, float]:
    reading = RequestModel.load().read(fold(query))
    # A word that is said twice counts as where it counts more.
    return dict(sorted(zip(reading.words, reading.content.tolist(), strict=True), key=lambda one: one[1]))
