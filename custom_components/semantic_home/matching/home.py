"""A home as the matcher holds it: its things and places, with everything about them that no request changes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
import math

import numpy as np
from numpy.typing import NDArray

from .lexicon import Lexicon, Spelling, Words
from .place_names import PlaceNames
from .text import fold
from .types import Candidate, Place
from .vocabulary import Vocabulary

type Concepts = frozenset[str]

# What a thing is called tells what it is, whatever switches it: a switch named "reading lamp" is asked for as a light.
_KINDS_OF_CONCEPTS = {
    "light": "light lamp ceiling_light floor_lamp table_lamp desk_lamp bedside_lamp night_light wall_light spotlight "
    "floodlight chandelier light_strip fairy_lights",
    "fan": "fan ceiling_fan ventilation extractor_hood",
    "media_player": "tv speaker soundbar radio stereo projector",
    "climate": "thermostat heating radiator air_conditioning heat_pump",
    "cover": "blind shutter curtain shade awning garage_door gate",
    "vacuum": "vacuum_cleaner",
    "lock": "lock",
}
KIND_OF_CONCEPT = {concept: kind for kind, concepts in _KINDS_OF_CONCEPTS.items() for concept in concepts.split()}


class Groups[Value: Hashable]:
    """Values that many candidates share, so that what depends on them alone is computed once for all of them."""

    def __init__(self, values: Sequence[Value]) -> None:
        """Take each candidate's value."""
        self._values = list(dict.fromkeys(values))
        row = {value: number for number, value in enumerate(self._values)}
        self._rows = np.array([row[value] for value in values], np.intp)

    def each(self, find: Callable[[Value], float]) -> NDArray[np.float64]:
        """Give by candidate what is found for its value."""
        return np.array([find(value) for value in self._values], np.float64)[self._rows]


class ConceptNames:
    """The names of a home by the concepts in them: which are said, whatever the words for them were."""

    def __init__(self, names: Sequence[Sequence[Concepts]], rarity: Mapping[str, float]) -> None:
        """Take the concepts of each candidate's names that have any, and how few names of the home have each (idf)."""
        entries = [(owner, concepts) for owner, own in enumerate(names) for concepts in own]
        self._count = len(names)
        self._owner = np.array([owner for owner, _ in entries], np.intp)
        # Sorted, because a sum of floats depends on its order and a set's order on the process.
        self._mass = np.array([math.fsum(rarity[one] for one in sorted(concepts)) for _, concepts in entries])
        self._rarity = rarity
        self._having = _by_concept([concepts for _, concepts in entries])

    def shares(self, said: Concepts) -> NDArray[np.float64]:
        """Tell by candidate how much of the best of its names, rare concepts counting more, is said (0-1)."""
        mass, best = np.zeros(len(self._owner)), np.zeros(self._count)
        for concept in sorted(said & self._having.keys()):
            mass[self._having[concept]] += self._rarity[concept]
        np.maximum.at(best, self._owner, np.minimum(mass / self._mass, 1.0))
        return best


class Home:
    """The candidates and places of a home, indexed. Immutable: a changed home gets a new one."""

    def __init__(self, candidates: Sequence[Candidate], places: Sequence[Place]) -> None:
        """Index names, words and concepts; some 0.1 s a thousand candidates."""
        self.candidates = tuple(candidates)
        self.entity_ids = tuple(one.entity_id for one in candidates)
        self.places = tuple(places)
        self.vocabulary = Vocabulary.load()
        count, place_count = len(candidates), len(places)
        names = [(number, name) for number, one in enumerate(candidates) for name in one.names]
        place_names = [(number, name) for number, place in enumerate(places) for name in place.names]
        self.words = Words()
        self.names, self.name_words = Lexicon(names, count), Spelling(names, count, self.words)
        self.place_names = Lexicon(place_names, place_count)
        self.named = PlaceNames((place.form, name) for place in places for name in place.names)
        self.place_words = Spelling(place_names, place_count, self.words)
        self.domains = np.array([one.domain for one in candidates], np.str_)
        self.classes = np.array([one.device_class or "" for one in candidates], np.str_)
        self.kinds = np.array([one.kind for one in candidates], np.str_)
        self.within = self._membership()
        self.places_of_form = {
            form: np.array([number for number, place in enumerate(self.places) if place.form == form], np.intp)
            for form in ("area", "floor")
        }
        self._names_of_places = {place.id: place.names for place in places}
        around = [(number, " ".join(self._surroundings(one))) for number, one in enumerate(candidates)]
        self.around_words = Spelling(around, count, self.words)
        self._about = _by_concept([self.vocabulary.find(fold(text)) for _, text in around])
        name_concepts = [tuple(self._concepts(one.names)) for one in candidates]
        self.place_concepts = [tuple(self._concepts(place.names)) for place in places]
        self.named_kinds = Groups([self._named_kinds(number, said) for number, said in enumerate(name_concepts)])
        self.by_domain = Groups([one.domain for one in candidates])
        self.by_kind = Groups([one.kind for one in candidates])
        self.concept_names = ConceptNames(name_concepts, _rarity(name_concepts))

    def __len__(self) -> int:
        """Count the candidates."""
        return len(self.candidates)

    def about(self, concepts: Concepts) -> NDArray[np.bool_]:
        """Tell which candidates have one of these concepts in a name, or in the names around them."""
        found = np.zeros(len(self), np.bool_)
        for concept in concepts & self._about.keys():
            found[self._about[concept]] = True
        return found

    def _membership(self) -> NDArray[np.bool_]:
        """Tell which candidates are in which places: (places, candidates)."""
        within = np.zeros((len(self.places), len(self.candidates)), np.bool_)
        row = {place.id: number for number, place in enumerate(self.places)}
        for column, one in enumerate(self.candidates):
            for place_id in one.places:
                if place_id in row:
                    within[row[place_id], column] = True
        return within

    def _surroundings(self, one: Candidate) -> list[str]:
        of_places = (name for place in one.places for name in self._names_of_places.get(place, ()))
        return [*one.names, *one.related, *of_places]

    def _concepts(self, names: Sequence[str]) -> list[Concepts]:
        return [concepts for name in names if (concepts := self.vocabulary.find(fold(name)))]

    def _named_kinds(self, number: int, said: Sequence[Concepts]) -> frozenset[str]:
        concepts = frozenset().union(*said)
        kinds = {KIND_OF_CONCEPT[concept] for concept in concepts if concept in KIND_OF_CONCEPT}
        return frozenset(kinds - {str(self.domains[number])})


def _rarity(names: Sequence[Sequence[Concepts]]) -> dict[str, float]:
    """Weigh concepts by how few candidates have them in a name (idf)."""
    count = Counter(concept for own in names for concept in frozenset().union(*own))
    return {concept: math.log(1 + len(names) / found) for concept, found in count.items()}


def _by_concept(concepts: Sequence[Concepts]) -> dict[str, NDArray[np.intp]]:
    index: defaultdict[str, list[int]] = defaultdict(list)
    for number, own in enumerate(concepts):
        for concept in own:
            index[concept].append(number)
    return {concept: np.array(numbers, np.intp) for concept, numbers in index.items()}
