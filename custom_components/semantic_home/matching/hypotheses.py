"""Everything that a request may mean in a home, each with the features that speak for and against it.

A request means one thing by its name, all things of a kind in a place, or nothing that is here. What it means are
hypotheses of one distribution: that the kitchen's fans are meant, of which there are none, competes with the kitchen's
lights, and wins as "none" when it is the better reading of what was said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from .grammar import Parse
from .home import Concepts, Home
from .lexicon import written_as_one
from .request_model import NOTHING, Reading
from .text import fold
from .types import Evidence, MatchRequest

type Floats = NDArray[np.float64]
type Targets = frozenset[int]

# A place counts as named when this much of its name is in the query: inflected forms keep about this much.
_PLACE_NAMED = 0.7
# What a place's concepts are worth beside its very name, and the words of a concept beside the same word.
_TRANSLATED = 0.9
# Deviations from which a model alone makes a place worth a reading.
_PLACE_FELT = 1.5
# Kinds below this probability are not read; of a domain's classes, those count together that come near the first.
_KIND_READ, _CLASSES_ALIKE = 0.02, 0.3
_DOMAINS_READ = 3
_WHOLE = 0.999
# To be one of several that are named, this much of a name must be said, and explain about one word more.
_SAID_WHOLLY, _WORTH_A_WORD, _MOST_TOGETHER = 0.9, 0.5, 6
_LEAST = 3e-4

# fmt: off
_OF_ONE = (
    "bias", "containment", "containment_cubed", "contained", "coverage", "spelling", "spelling_cubed",
    "spelling_only", "concepts", "concepts_only", "kind", "domain", "kind_by_name", "has_kind_by_name",
    "action", "form", "form_without_context", "without_context", "place", "other_place", "context",
    "place_concept", "other_place_concept", "no_place_concept", "unexplained", "grammar", "evidence_name",
    "evidence_name_only", "evidence_sentence",
)
_OF_ALL = (
    "bias", "kind", "action", "containment", "containment_cubed", "concepts", "nothing", "home", "home_form",
    "home_without_context", "home_form_without_context", "context", "context_form", "area", "area_form",
    "floor", "floor_form", "place", "other_place", "no_place", "unexplained", "single", "size", "empty",
    "grammar", "evidence", "evidence_empty", "evidence_place", "evidence_place_only", "evidence_no_place",
)
_OF_NONE = (
    "bias", "kind", "form", "containment", "containment_cubed", "coverage", "concepts", "spelling",
    "unexplained", "unexplained_best", "grammar", "evidence",
)
# fmt: on
FEATURES = (
    *(f"one.{name}" for name in _OF_ONE),
    *(f"all.{name}" for name in _OF_ALL),
    *(f"none.{name}" for name in _OF_NONE),
)
_COLUMN = {name: column for column, name in enumerate(FEATURES)}


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
    def in_place(self) -> bool:
        """Tell whether any place is named."""
        return bool(len(self.named_places)) and bool(self.named_places.max() > 0)


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Readings of a request: features (readings, FEATURES), and in the same order who is meant by candidates' numbers.

    The first are of one candidate each (`singles`), the others of a set each (`sets`).
    """

    features: Floats
    singles: NDArray[np.intp]
    sets: tuple[Targets, ...]
    heard: Heard

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.features)

    def targets(self, number: int) -> Targets:
        """Give who is meant by a reading."""
        if number < len(self.singles):
            return frozenset([int(self.singles[number])])
        return self.sets[number - len(self.singles)]


def listen(home: Home, request: MatchRequest, reading: Reading, evidence: Evidence | None) -> Heard:
    """Ask all channels about a request."""
    folded = fold(request.query)
    said = list(reading.words)
    concepts = home.vocabulary.find(folded)
    containment, coverage = home.names.find(folded)
    likeness = home.words.likeness([*said, *written_as_one(said)])
    explained, place_explained = _explained(home, reading, likeness[: len(said)])
    context = [number for number, place in enumerate(home.places) if place.id == request.context_place]
    return Heard(
        containment=containment,
        coverage=coverage,
        spelling=home.name_words.find(likeness.max(axis=0, initial=0.0)),
        concepts=_shares(home, concepts),
        explained=explained,
        place_explained=place_explained,
        content=reading.content,
        said_concepts=concepts,
        named_places=_named_places(home, folded, concepts),
        context=context[0] if context else None,
        evidence_name=_by_candidate(home, evidence.names) if evidence else None,
        evidence_sentence=_by_candidate(home, evidence.sentences) if evidence else None,
        evidence_place=np.array([evidence.places.get(place.id, 0.0) for place in home.places]) if evidence else None,
    )


def suppose(home: Home, heard: Heard, reading: Reading, allowed: NDArray[np.bool_], parse: Parse | None) -> Hypotheses:
    """Make every hypothesis about a request, with its features."""
    ones = np.flatnonzero(allowed)
    single = _of_one(home, heard, reading)[ones]
    sets = [*_of_all(home, heard, reading, allowed), *_of_several(heard, single, ones)]
    features = np.concatenate([single, *(row[None] for row, _ in sets), _row(_of_none(heard, reading))[None]])
    hypotheses = Hypotheses(features, ones, (*(members for _, members in sets), frozenset()), heard)
    if parse is not None:
        _agree(hypotheses, parse)
    return hypotheses


def _of_one(home: Home, heard: Heard, reading: Reading) -> Floats:
    """Give the features of each candidate, as what is meant by its name."""
    kind, domain = _kind_probabilities(home, reading)
    by_name = home.named_kinds.each(
        lambda kinds: max((reading.by_domain.get(kind, 0.0) for kind in kinds), default=0.0)
    )
    renamed = home.named_kinds.each(bool)
    near = heard.named_places[:, None] * home.within if len(home.places) else np.zeros((1, len(home)))
    here = near.max(axis=0)
    said_places = heard.said_concepts & home.vocabulary.places
    agrees = home.about(said_places).astype(np.float64)
    named = home.about(home.vocabulary.places).astype(np.float64) * float(bool(said_places))
    somewhere = float(heard.named_places.max(initial=0.0))
    without_context = float(heard.context is None)
    in_context = (
        home.within[heard.context] if heard.context is not None and not somewhere else np.zeros(len(home), bool)
    )
    columns: dict[str, Floats | float] = {
        "bias": 1.0,
        "containment": heard.containment,
        "containment_cubed": heard.containment**3,
        "contained": (heard.containment > _WHOLE).astype(np.float64),
        "coverage": heard.coverage,
        "spelling": heard.spelling,
        "spelling_cubed": heard.spelling**3,
        "spelling_only": heard.spelling * (1 - heard.containment),
        "concepts": heard.concepts,
        "concepts_only": heard.concepts * (1 - heard.containment),
        "kind": _logs(kind),
        "domain": _logs(domain),
        "kind_by_name": _logs(np.where(renamed > 0, by_name, kind)),
        "has_kind_by_name": renamed,
        "action": _logs(home.by_domain.each(lambda domain: reading.domains.get(domain, 0.0))),
        "form": _log(reading.forms["name"] + 0.5 * reading.forms["area"]),
        "form_without_context": without_context * _log(reading.forms["context"] + reading.forms["home"]),
        "without_context": without_context,
        "place": here,
        "other_place": np.maximum(somewhere - here, 0.0),
        "context": in_context.astype(np.float64),
        "place_concept": agrees,
        "other_place_concept": named * (1 - agrees),
        "no_place_concept": bool(said_places) * (1 - named),
        "unexplained": heard.unexplained,
    }
    if heard.evidence_name is not None and heard.evidence_sentence is not None:
        columns["evidence_name"] = heard.evidence_name
        columns["evidence_name_only"] = heard.evidence_name * (1 - heard.containment)
        columns["evidence_sentence"] = heard.evidence_sentence
    features = np.zeros((len(home), len(FEATURES)))
    for name, values in columns.items():
        features[:, _COLUMN[f"one.{name}"]] = values
    return features


def _of_all(home: Home, heard: Heard, reading: Reading, allowed: NDArray[np.bool_]) -> Iterator[tuple[Floats, Targets]]:
    """Give the features of all things of a kind in a place, for every kind and place that may be meant."""
    for probability, domain, members in _kinds(home, reading):
        common = {
            "bias": 1.0,
            "kind": _log(probability),
            "action": _log(reading.domains.get(domain, 0.0)),
            "containment": float(heard.containment.max(initial=0.0)),
            "containment_cubed": float(heard.containment.max(initial=0.0)) ** 3,
            "concepts": float(heard.concepts.max(initial=0.0)),
            "nothing": _log(reading.forms["none"]),
        }
        if heard.evidence_name is not None:
            common["evidence"] = float(heard.evidence_name.max(initial=0.0))
        for form, places in _spots(home, heard):
            here = members & allowed & (home.within[list(places)].any(axis=0) if places else True)
            row = common | _place_features(heard, reading, form, places)
            size = int(here.sum())
            row |= {"single": float(size == 1), "size": math.log(max(size, 1)), "empty": float(not size)}
            if not size and heard.evidence_name is not None:
                row["evidence_empty"] = common["evidence"]
            named = {f"all.{name}": value for name, value in row.items()}
            yield _row(named), frozenset(np.flatnonzero(here).tolist())


def _of_several(heard: Heard, single: Floats, ones: NDArray[np.intp]) -> Iterator[tuple[Floats, Targets]]:
    """Give the features of what is meant by several names in one sentence: those of one name, on the average."""
    together = _together(heard, heard.explained, heard.containment, ones.tolist())
    if len(together) > 1:
        row = single[np.isin(ones, together)].mean(axis=0)
        row[_COLUMN["one.unexplained"]] = heard.unexplained_by(heard.explained, together)
        yield row, frozenset(together)


def _place_features(heard: Heard, reading: Reading, form: str, places: tuple[int, ...]) -> dict[str, float]:
    row = {form: 1.0, f"{form}_form": _log(reading.forms[form])}
    named = list(places) if form != "context" else []
    somewhere = float(heard.named_places.max(initial=0.0))
    row["other_place"] = float(np.delete(heard.named_places, list(places)).max(initial=0.0))
    row["unexplained"] = heard.unexplained_by(heard.place_explained, named)
    if named:
        row["place"] = float(heard.named_places[named].min())
    else:
        row["no_place"] = somewhere
    if form == "home" and heard.context is None:
        row["home_without_context"] = 1.0
        row["home_form_without_context"] = _log(reading.forms["context"])
    if heard.evidence_place is not None and len(heard.evidence_place):
        if named:
            row["evidence_place"] = float(heard.evidence_place[named].min())
            row["evidence_place_only"] = row["evidence_place"] * (1 - row["place"])
        else:
            row["evidence_no_place"] = max(float(heard.evidence_place.max()), 0.0) * (1 - somewhere)
    return row


def _of_none(heard: Heard, reading: Reading) -> dict[str, float]:
    """Give the features of the hypothesis that no device is asked about."""
    row = {
        "bias": 1.0,
        "kind": _log(reading.kinds[NOTHING]),
        "form": _log(reading.forms["none"]),
        "containment": float(heard.containment.max(initial=0.0)),
        "containment_cubed": float(heard.containment.max(initial=0.0)) ** 3,
        "coverage": float(heard.coverage.max(initial=0.0)),
        "concepts": float(heard.concepts.max(initial=0.0)),
        "spelling": float(heard.spelling.max(initial=0.0)),
        "unexplained": heard.said,
        "unexplained_best": float(heard.unexplained.min(initial=heard.said)),
    }
    if heard.evidence_name is not None:
        row["evidence"] = float(heard.evidence_name.max(initial=0.0))
    return {f"none.{name}": value for name, value in row.items()}


def _agree(hypotheses: Hypotheses, parse: Parse) -> None:
    """Note which hypotheses are what Home Assistant's own sentences make of the request."""
    features, first_set = hypotheses.features, len(hypotheses.singles)
    if parse.nothing:
        features[-1, _COLUMN["none.grammar"]] = 1.0
        return
    if parse.by_name:
        named = [one for members in parse.options for one in members]
        features[np.flatnonzero(np.isin(hypotheses.singles, named)), _COLUMN["one.grammar"]] = 1.0
    for number, members in enumerate(hypotheses.sets[:-1], first_set):
        features[number, _COLUMN["all.grammar"]] = float(members in parse.options)


def _kinds(home: Home, reading: Reading) -> Iterator[tuple[float, str, NDArray[np.bool_]]]:
    """Give the kinds that may be meant: probability, domain, and which candidates are of it."""
    domains = [(probability, domain) for domain, probability in reading.by_domain.items() if domain != NOTHING]
    found = sorted(domains, key=lambda one: (-one[0], one[1]))
    for domain in [domain for probability, domain in found[:_DOMAINS_READ] if probability >= _KIND_READ]:
        yield reading.kinds.get(domain, 0.0), domain, home.domains == domain
        classes = {
            kind: probability
            for kind, probability in reading.kinds.items()
            if kind.startswith(f"{domain}.") and probability > _KIND_READ
        }
        for kind, probability in classes.items():
            yield probability, domain, home.kinds == kind
        alike = [kind for kind in classes if classes[kind] > _CLASSES_ALIKE * max(classes.values())]
        if len(alike) > 1:
            yield sum(classes[kind] for kind in alike), domain, np.isin(home.kinds, alike)


def _spots(home: Home, heard: Heard) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the places that may be meant: everywhere, each that is named or felt, several, and where it is said."""
    yield "home", ()
    for number, place in enumerate(home.places):
        felt = heard.evidence_place is not None and heard.evidence_place[number] > _PLACE_FELT
        if heard.named_places[number] > 0 or felt:
            yield place.form, (number,)
    for form in ("area", "floor"):
        named = [number for number, place in enumerate(home.places) if place.form == form]
        together = _together(heard, heard.place_explained, heard.named_places, named)
        if len(together) > 1:
            yield form, together
    if heard.context is not None:
        yield "context", (heard.context,)


def _together(heard: Heard, explained: Floats, said: Floats, among: Sequence[int]) -> tuple[int, ...]:
    """Choose several that are all named ("the desk lamp and the fan"): each explains words that the others do not."""
    chosen: list[int] = []
    left = heard.said
    for number in sorted((one for one in among if said[one] >= _SAID_WHOLLY), key=lambda one: (-said[one], one)):
        fewer = heard.unexplained_by(explained, [*chosen, number])
        if fewer <= left - _WORTH_A_WORD:
            chosen.append(number)
            left = fewer
    return tuple(sorted(chosen)) if len(chosen) <= _MOST_TOGETHER else ()


def _named_places(home: Home, folded: str, concepts: Concepts) -> Floats:
    shares, _ = home.place_names.find(folded)
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


def _shares(home: Home, said: Concepts) -> Floats:
    """Tell by candidate how much of the best of its names is among the concepts that were said."""
    shares = np.zeros(len(home))
    for number in np.flatnonzero(home.called(said)).tolist():
        shares[number] = max(home.rarity(own & said) / home.rarity(own) for own in home.name_concepts[number])
    return shares


def _kind_probabilities(home: Home, reading: Reading) -> tuple[Floats, Floats]:
    """Give by candidate the probability of its kind, and that of its domain with all classes."""
    return home.by_kind.each(reading.kind), home.by_domain.each(lambda domain: reading.by_domain.get(domain, 0.0))


def _by_candidate(home: Home, values: Mapping[str, float]) -> Floats:
    return np.array([values.get(one.entity_id, 0.0) for one in home.candidates], np.float64)


def _row(values: Mapping[str, float]) -> Floats:
    features = np.zeros(len(FEATURES))
    for name, value in values.items():
        features[_COLUMN[name]] = value
    return features


def _log(probability: float) -> float:
    return math.log(probability + _LEAST)


def _logs(probabilities: Floats) -> Floats:
    logarithms: Floats = np.log(probabilities + _LEAST)
    return logarithms
