"""The words of a request that name the thing it is about: of "turn off the telly" that is "telly".

Home Assistant's own sentences say best what is no name: whatever fits where they leave room for one. Of a request that
none of them fits the words are taken that would not be said in just any home, if they stand together.
"""

from collections.abc import Mapping
from functools import lru_cache
from itertools import groupby
import re

from .answers import Language
from .grammar import Grammar
from .request_model import Reading, RequestModel
from .text import fold, is_unspaced, tokens
from .types import Candidate, Place

# A word that names something for sure, and one that may.
_SURELY, _PERHAPS = 0.5, 0.2
_KEPT = 1024
_TAG = re.compile(r"[A-Za-z]{2,3}([-_]\w{2,8})*")
# Who says more tells a story. A name may stand anywhere in it, and to try that takes long.
_LONGEST = 100
_AROUND = ' \t\n.,;:!?¡¿"„“”«»()'


def named_words(query: str, language: str, one: Candidate, places: tuple[Place, ...]) -> str | None:
    """Give the words by which a request in a language names a thing, as they were said; None if it cannot be told.

    Blocking: the sentences of a language are read when they are needed first.
    """
    return None if len(query) > _LONGEST else _named(query, language, one.domain, one.device_class, places)


@lru_cache(_KEPT)
def _named(query: str, language: str, domain: str, device_class: str | None, places: tuple[Place, ...]) -> str | None:
    reading = RequestModel.load().read(fold(query))
    # Who speaks a dialect speaks the language, too.
    for tag in dict.fromkeys((language, language.partition("-")[0])):
        # What was imported may call anything a language.
        grammar = Grammar.load(tag) if _TAG.fullmatch(tag) else None
        said = grammar.name_in(query, reading, domain, device_class, places) if grammar else None
        if said is not None:
            # A sentence that fits without a name is understood as it is.
            break
    else:
        said = _naming_run(query, language, reading)
    words = [word for word in (part.strip(_AROUND) for part in said.split()) if word] if said else []
    while words and _is_filler(words[0], language):
        del words[0]
    while words and _is_filler(words[-1], language):
        del words[-1]
    return " ".join(words) or None


def _naming_run(query: str, language: str, reading: Reading) -> str | None:
    """Give the words that name something, if they stand together, by themselves; None in scripts without blanks."""
    if any(map(is_unspaced, fold(query))):
        return None
    content = dict(zip(reading.words, reading.content.tolist(), strict=True))
    weighed = [(word, 0.0 if _is_filler(word, language) else _most(content, word)) for word in query.split()]
    runs = [list(run) for names, run in groupby(weighed, lambda one: one[1] >= _PERHAPS) if names]
    naming = [run for run in runs if any(found >= _SURELY for _, found in run)]
    if len(naming) != 1 or any(found < _SURELY for _, found in naming[0]):
        return None
    return " ".join(word for word, _ in naming[0])


def _most(content: Mapping[str, float], word: str) -> float:
    """Weigh a word that may be two when it is folded ("it's") as the one that names more."""
    return max((content.get(part, 0.0) for part in tokens(fold(word))), default=0.0)


def _is_filler(word: str, language: str) -> bool:
    said = Language.load(language).hear(word)
    return not said.meanings and not said.rest
