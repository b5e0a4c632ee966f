"""What is heard of a request in a home: every channel is asked, and nothing is weighed yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from .home import Concepts, Home
from .lexicon import written_as_one
from .request_model import Reading
from .text import fold, weighed_trigrams
from .types import Evidence, MatchRequest

type Floats = NDArray[np.float64]

# A place counts as named when this much of its name is in the query: inflected forms keep about this much.
_PLACE_NAMED = 0.7
# What a place's concepts are worth beside its very name, and the words of a concept beside the same word.
_TRANSLATED = 0.9
# A word of less content is said in any home; of what it shares with a name so much counts.
_SAID_ANYWHERE, _WORTH_ANYWHERE = 0.1, 0.3


@dataclass(frozen=True, slots=True)
class Heard:
    """What the channels find of a request in a home, by candidate unless it is said otherwise (0-1).

    `explained`, `place_explained`: how much of each word the candidate, the place explain: (words, candidates), (words,
    places). `content`: how much each word names something. `named_places`, `evidence_place` by place.
    """

    containment: Floats
    coverage: Floats
    spelling: Floats
    concepts: Floats
    explained: Floats
    place_explained: Floats
    content: Floats
    said_concepts: Concepts
    named_places: Floats
    context: int | None
    evidence_name: Floats | None
    evidence_sentence: Floats | None
    evidence_place: Floats | None

    @property
    def said(self) -> float:
        """Count the words that name something."""
        return float(self.content.sum())

    @property
    def unexplained(self) -> Floats:
        """Count by candidate the words that name something and that it does not explain."""
        left: Floats = self.content @ (1 - self.explained)
        return left

    def unexplained_by(self, explained: Floats, members: Sequence[int]) -> float:
        """Count the words that name something and that none of several explains (`explained`: by one each)."""
        return float(self.content @ (1 - explained[:, list(members)].max(axis=1, initial=0.0)))

    @property
    def said_places(self) -> list[tuple[int, float]]:
        """Give the places that are named, with how much of each."""
        named = np.flatnonzero(self.named_places)
        return list(zip(named.tolist(), self.named_places[named].tolist(), strict=True))

    @property
    def somewhere(self) -> float:
        """Tell how much of any place is named."""
        return float(self.named_places.max(initial=0.0))


def listen(home: Home, request: MatchRequest, reading: Reading, evidence: Evidence | None) -> Heard:
    """Ask all channels about a request."""
    folded = fold(request.query)
    said = list(reading.words)
    concepts = home.vocabulary.find(folded)
    worth = _worth(home, reading)
    grams = weighed_trigrams(folded, worth)
    containment, coverage = home.names.find(grams)
    likeness = home.words.likeness([*said, *written_as_one(said)])
    weights = np.array([*(worth[word] for word in said), *(1.0 for _ in likeness[len(said) :])])
    explained, place_explained = _explained(home, reading, likeness[: len(said)])
    context = [number for number, place in enumerate(home.places) if place.id == request.context_place]
    return Heard(
        containment=containment,
        coverage=coverage,
        spelling=home.name_words.find((likeness * weights[:, None]).max(axis=0, initial=0.0)),
        concepts=home.concept_names.shares(concepts),
        explained=explained,
        place_explained=place_explained,
        content=reading.content,
        said_concepts=concepts,
        named_places=_named_places(home, grams, concepts),
        context=context[0] if context else None,
        evidence_name=_by_candidate(home, evidence.names) if evidence else None,
        evidence_sentence=_by_candidate(home, evidence.sentences) if evidence else None,
        evidence_place=np.array([evidence.places.get(place.id, 0.0) for place in home.places]) if evidence else None,
    )


def _worth(home: Home, reading: Reading) -> dict[str, float]:
    """Weigh the words of a request: what would be said in any home ("beside") is no "bedside" with an error in it."""
    return {
        word: 1.0 if word in home.words or content > _SAID_ANYWHERE else _WORTH_ANYWHERE
        for word, content in zip(reading.words, reading.content, strict=True)
    }


def _named_places(home: Home, said: Mapping[str, float], concepts: Concepts) -> Floats:
    shares, _ = home.place_names.find(said)
    translated = [any(names <= concepts for names in own) for own in home.place_concepts]
    spelled = np.where(shares >= _PLACE_NAMED, shares, 0.0)
    named: Floats = np.maximum(spelled, np.where(translated, _TRANSLATED, 0.0))
    return named


def _explained(home: Home, reading: Reading, likeness: Floats) -> tuple[Floats, Floats]:
    """Tell how much of each word a candidate, a place explain, by their own words or by the same concept."""
    by_candidate, by_place = home.around_words.explained(likeness), home.place_words.explained(likeness)
    for number, word in enumerate(reading.words):
        if concepts := home.vocabulary.find(word):
            by_candidate[number] = np.maximum(by_candidate[number], _TRANSLATED * home.about(concepts))
            there = np.array([any(concepts & names for names in own) for own in home.place_concepts], np.float64)
            by_place[number] = np.maximum(by_place[number], _TRANSLATED * there)
    return by_candidate, by_place


def _by_candidate(home: Home, values: Mapping[str, float]) -> Floats:
    return np.fromiter(map(values.get, home.entity_ids, repeat(0.0)), np.float64, len(home))
