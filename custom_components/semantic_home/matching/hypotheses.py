"""Everything that a request may mean in a home, each with the features that speak for and against it.

A request means one thing by its name, all things of a kind in a place, or nothing that is here. What it means are
hypotheses of one distribution: that the kitchen's fans are meant, of which there are none, competes with the kitchen's
lights, and wins as "none" when it is the better reading of what was said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
import math

import numpy as np
from numpy.typing import NDArray

from .grammar import Parse
from .heard import Heard
from .home import Home
from .request_model import NOTHING, Reading

type Floats = NDArray[np.float64]
type Numbers = NDArray[np.intp]
type Targets = frozenset[int]

# Deviations from which a model alone makes a place worth a reading.
_PLACE_FELT = 1.5
# Kinds below this probability are not read; of a domain's classes, those count together that come near the first.
_KIND_READ, _CLASSES_ALIKE = 0.02, 0.3
_DOMAINS_READ = 3
_WHOLE = 0.999
# To be one of several that are named, this much of a name must be said, and explain about one word more.
_SAID_WHOLLY, _WORTH_A_WORD, _MOST_TOGETHER = 0.9, 0.5, 6
_LEAST = 3e-4
_DIGITS = 9

# fmt: off
_OF_ONE = (
    "bias", "containment", "containment_cubed", "contained", "coverage", "spelling", "spelling_cubed",
    "spelling_only", "concepts", "concepts_only", "kind", "domain", "kind_by_name", "has_kind_by_name",
    "action", "every", "form", "form_without_context", "without_context", "place", "other_place", "context",
    "place_concept", "other_place_concept", "no_place_concept", "unexplained", "grammar",
    "evidence_name", "evidence_name_only", "evidence_sentence",
)
_OF_ALL = (
    "bias", "kind", "action", "every", "containment", "containment_cubed", "concepts", "nothing", "home", "home_form",
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
_ROW = {name: row for row, name in enumerate(_OF_ONE)}


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Readings of a request: first of one candidate each (`singles`), then of a set each (`sets`), by their numbers.

    `of_one`: the features of the first, (those of one, singles); `of_sets`: of the others, (sets, FEATURES).
    """

    of_one: Floats
    of_sets: Floats
    singles: Numbers
    sets: tuple[Numbers, ...]
    heard: Heard

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.singles) + len(self.sets)

    @property
    def features(self) -> Floats:
        """Give all features of every reading: (readings, FEATURES)."""
        ones = np.zeros((len(self.singles), len(FEATURES)))
        ones[:, : len(_OF_ONE)] = self.of_one.T
        return np.concatenate([ones, self.of_sets])

    def scores(self, weights: Floats) -> Floats:
        """Weigh every reading: (readings,) of weights (FEATURES,)."""
        scores = np.concatenate([weights[: len(_OF_ONE)] @ self.of_one, self.of_sets @ weights])
        # A product of matrices adds up equal columns in different orders: equals must stay equals.
        rounded: Floats = np.round(scores, _DIGITS)
        return rounded

    def adding(self, members: Targets) -> Hypotheses:
        """Add the reading that these are meant together."""
        row = _named_together(self.of_one[:, np.isin(self.singles, list(members))])
        sets = (*self.sets, np.array(sorted(members), np.intp))
        return replace(self, of_sets=np.concatenate([self.of_sets, row[None]]), sets=sets)

    def targets(self, number: int) -> Targets:
        """Give who is meant by a reading."""
        if number < len(self.singles):
            return frozenset([int(self.singles[number])])
        return frozenset(self.sets[number - len(self.singles)].tolist())


def suppose(home: Home, heard: Heard, reading: Reading, allowed: NDArray[np.bool_], parse: Parse | None) -> Hypotheses:
    """Make every hypothesis about a request, with its features."""
    ones = np.flatnonzero(allowed)
    of_one = _of_one(home, heard, reading)
    if len(ones) < len(home):
        of_one = of_one[:, ones]
    sets = [*_of_all(home, heard, reading, allowed), *_of_several(heard, of_one, ones)]
    sets.append((_row(_of_none(heard, reading)), np.array([], np.intp)))
    of_sets = np.array([row for row, _ in sets])
    hypotheses = Hypotheses(of_one, of_sets, ones, tuple(members for _, members in sets), heard)
    if parse is not None:
        _agree(hypotheses, parse)
    return hypotheses


def _of_one(home: Home, heard: Heard, reading: Reading) -> Floats:
    """Give the features of each candidate, as what is meant by its name: (those of one, candidates)."""
    kind, domain = _kind_probabilities(home, reading)
    by_name = home.named_kinds.each(
        lambda kinds: max((reading.by_domain.get(kind, 0.0) for kind in kinds), default=0.0)
    )
    renamed = home.named_kinds.each(bool)
    places = np.flatnonzero(heard.named_places)
    here = (heard.named_places[places, None] * home.within[places]).max(axis=0, initial=0.0)
    said_places = heard.said_concepts & home.vocabulary.places
    agrees = home.about(said_places).astype(np.float64)
    named = home.about(home.vocabulary.places).astype(np.float64) * float(bool(said_places))
    somewhere = heard.somewhere
    without_context = float(heard.context is None)
    in_context = (
        home.within[heard.context] if heard.context is not None and not somewhere else np.zeros(len(home), bool)
    )
    found: dict[str, Floats | float] = {
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
        "every": reading.every,
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
        found["evidence_name"] = heard.evidence_name
        found["evidence_name_only"] = heard.evidence_name * (1 - heard.containment)
        found["evidence_sentence"] = heard.evidence_sentence
    features = np.zeros((len(_OF_ONE), len(home)))
    for name, values in found.items():
        features[_ROW[name]] = values
    return features


def _of_all(home: Home, heard: Heard, reading: Reading, allowed: NDArray[np.bool_]) -> Iterator[tuple[Floats, Numbers]]:
    """Give the features of all things of a kind in a place, for every kind and place that may be meant."""
    said = {
        "bias": 1.0,
        "every": reading.every,
        "containment": float(heard.containment.max(initial=0.0)),
        "containment_cubed": float(heard.containment.max(initial=0.0)) ** 3,
        "concepts": float(heard.concepts.max(initial=0.0)),
        "nothing": _log(reading.forms["none"]),
    }
    if heard.evidence_name is not None:
        said["evidence"] = float(heard.evidence_name.max(initial=0.0))
    spots = [
        (
            _of_sets(said | _place_features(heard, reading, form, places)),
            allowed & home.within[list(places)].any(axis=0) if places else allowed,
        )
        for form, places in _spots(home, heard)
    ]
    for probability, domain, members in _kinds(home, reading):
        kind = _of_sets({"kind": _log(probability), "action": _log(reading.domains.get(domain, 0.0))})
        for spot, there in spots:
            here = np.flatnonzero(members & there)
            size = len(here)
            found = {"single": float(size == 1), "size": math.log(max(size, 1)), "empty": float(not size)}
            if not size and heard.evidence_name is not None:
                found["evidence_empty"] = said["evidence"]
            yield spot + kind + _of_sets(found), here


def _of_several(heard: Heard, of_one: Floats, ones: Numbers) -> Iterator[tuple[Floats, Numbers]]:
    """Give the features of what is meant by several names in one sentence."""
    together = _together(heard, heard.explained, heard.containment, ones)
    if len(together) > 1:
        row = _named_together(of_one[:, np.isin(ones, together)])
        row[_COLUMN["one.unexplained"]] = heard.unexplained_by(heard.explained, together)
        yield row, np.array(together, np.intp)


def _named_together(of_one: Floats) -> Floats:
    """Give the features of several of one's features (those of one, several): those of one name, on the average.

    What kind is asked for is told of one of them: "the lamp and the fan" asks for no kind that is both.
    """
    row = np.zeros(len(FEATURES))
    row[: len(_OF_ONE)] = of_one.mean(axis=1)
    for name in ("kind", "domain", "kind_by_name", "action"):
        row[_ROW[name]] = of_one[_ROW[name]].max()
    return row


def _place_features(heard: Heard, reading: Reading, form: str, places: tuple[int, ...]) -> dict[str, float]:
    row = {form: 1.0, f"{form}_form": _log(reading.forms[form])}
    named = list(places) if form != "context" else []
    somewhere = heard.somewhere
    row["other_place"] = max((said for place, said in heard.said_places if place not in places), default=0.0)
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
    if parse.nothing:
        hypotheses.of_sets[-1, _COLUMN["none.grammar"]] = 1.0
        return
    if parse.by_name:
        named = [one for members in parse.options for one in members]
        hypotheses.of_one[_ROW["grammar"], np.isin(hypotheses.singles, named)] = 1.0
    sizes = {len(members) for members in parse.options}
    for number, members in enumerate(hypotheses.sets[:-1]):
        agreed = len(members) in sizes and frozenset(members.tolist()) in parse.options
        hypotheses.of_sets[number, _COLUMN["all.grammar"]] = float(agreed)


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
    noticed = heard.named_places > 0
    if heard.evidence_place is not None:
        noticed |= heard.evidence_place > _PLACE_FELT
    for number in np.flatnonzero(noticed).tolist():
        yield home.places[number].form, (number,)
    for form, named in home.places_of_form.items():
        together = _together(heard, heard.place_explained, heard.named_places, named)
        if len(together) > 1:
            yield form, together
    if heard.context is not None:
        yield "context", (heard.context,)


def _together(heard: Heard, explained: Floats, said: Floats, among: Numbers) -> tuple[int, ...]:
    """Choose several that are all named ("the desk lamp and the fan"): each explains words that the others do not."""
    chosen: list[int] = []
    left = heard.said
    wholly = among[said[among] >= _SAID_WHOLLY]
    for number in wholly[np.argsort(-said[wholly], kind="stable")].tolist():
        fewer = heard.unexplained_by(explained, [*chosen, number])
        if fewer <= left - _WORTH_A_WORD:
            chosen.append(number)
            left = fewer
    return tuple(sorted(chosen)) if len(chosen) <= _MOST_TOGETHER else ()


def _kind_probabilities(home: Home, reading: Reading) -> tuple[Floats, Floats]:
    """Give by candidate the probability of its kind, and that of its domain with all classes."""
    return home.by_kind.each(reading.kind), home.by_domain.each(lambda domain: reading.by_domain.get(domain, 0.0))


def _row(values: Mapping[str, float]) -> Floats:
    features = np.zeros(len(FEATURES))
    for name, value in values.items():
        features[_COLUMN[name]] = value
    return features


def _of_sets(values: Mapping[str, float]) -> Floats:
    return _row({f"all.{name}": value for name, value in values.items()})


def _log(probability: float) -> float:
    return math.log(probability + _LEAST)


def _logs(probabilities: Floats) -> Floats:
    logarithms: Floats = np.log(probabilities + _LEAST)
    return logarithms
