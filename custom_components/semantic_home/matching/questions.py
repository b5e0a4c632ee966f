"""Makes one question of what a request may mean: along what best tells it apart, in the home's own names."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
import math

from .answers import Language
from .decision import WORTH_OFFERING
from .guarded import is_guarded
from .text import fold
from .types import MatchResult

MAX_OPTIONS = 3
# A set competes with the sum of what it holds: below this share of that it is not worth offering.
_SET_WORTH_OFFERING = 0.2


class Ambiguity(StrEnum):
    """What it is that a request leaves open."""

    DEVICE = "which_device"
    AREA = "which_area"
    ONE_OR_ALL = "one_or_all"


@dataclass(frozen=True, slots=True)
class Thing:
    """An entity as a question names it: in the home's own words."""

    entity_id: str
    name: str
    area: str | None = None
    floor: str | None = None
    kind: str | None = None
    device: str | None = None
    device_class: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """What Home Assistant takes it for."""
        return self.entity_id.partition(".")[0]

    @property
    def guarded(self) -> bool:
        """Tell whether it is never acted on by a guess."""
        called = (self.name, *self.aliases, *([self.device] if self.device else ()))
        return is_guarded(self.entity_id, self.device_class, called)


@dataclass(frozen=True, slots=True)
class Unit:
    """What may be meant as a whole, with its probability: one device, or (`is_set`) several things together."""

    things: tuple[Thing, ...]
    weight: float
    is_set: bool = False

    @property
    def entity_ids(self) -> frozenset[str]:
        """Its members."""
        return frozenset(thing.entity_id for thing in self.things)

    @property
    def name(self) -> str:
        """What it is called; a set by its members."""
        return ", ".join(thing.name for thing in self.things) if self.is_set else self.things[0].name

    def common(self, attribute: str) -> str | None:
        """Give an attribute that all members share."""
        values = {getattr(thing, attribute) for thing in self.things}
        value = values.pop() if len(values) == 1 else None
        return None if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Option:
    """One of the choices. `units`: what is left when it is chosen; of more than one, another question is asked."""

    id: str
    label: str
    units: tuple[Unit, ...]

    @property
    def entity_ids(self) -> tuple[str, ...]:
        """What it is about, without repetition."""
        return tuple(dict.fromkeys(thing.entity_id for unit in self.units for thing in unit.things))


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a request, in a language. `units`: everything that may be meant, offered or not."""

    query: str
    language: str
    text: str
    ambiguity: Ambiguity
    options: tuple[Option, ...]
    units: tuple[Unit, ...]
    round: int
    confirms: bool = False

    @property
    def things(self) -> tuple[Thing, ...]:
        """All that may be meant, the probable first."""
        return _things(self.units)

    @property
    def entity_ids(self) -> frozenset[str]:
        """The same by entity id."""
        return frozenset(thing.entity_id for thing in self.things)


def units_of(result: MatchResult, things: Mapping[str, Thing]) -> tuple[Unit, ...]:
    """Say what an ambiguous match leaves to choose from, the probable first; what is one device is one."""
    meant = [(found, members) for found, members in result.options if members]
    worth = [(found, ids) for found, ids in meant if found >= WORTH_OFFERING * meant[0][0] and things.keys() >= {*ids}]
    singles = {ids[0]: found for found, ids in worth if len(ids) == 1}
    sets = [Unit(tuple(things[one] for one in ids), found, is_set=True) for found, ids in worth if len(ids) > 1]
    covered = singles.keys() | {one for unit in sets for one in unit.entity_ids}
    # The options that a result lists are the first of many; who else is offered stands in its targets.
    for scored in result.targets:
        if scored.candidate.entity_id in things.keys() - covered:
            singles[scored.candidate.entity_id] = scored.confidence
    merged = _merge([Unit((things[one],), found) for one, found in singles.items()])
    units = [*merged, *(unit for unit in sets if _worth_offering(unit, merged))]
    return tuple(sorted(units, key=lambda unit: -unit.weight))


def _worth_offering(held: Unit, singles: Sequence[Unit]) -> bool:
    inside = [unit for unit in singles if unit.entity_ids <= held.entity_ids]
    alone = math.fsum(unit.weight for unit in inside)
    return held.weight >= _SET_WORTH_OFFERING * alone and all(unit.entity_ids != held.entity_ids for unit in inside)


def ask(query: str, language: str, units: Sequence[Unit], number: int) -> Question:
    """Ask which of these units is meant, in the round of this number."""
    speech = Language.load(language)
    whole = _whole(units)
    others = tuple(unit for unit in units if unit is not whole)
    if len(units) == 1:
        return _confirm(query, speech, units[0], number)
    attribute, groups = _split(others, MAX_OPTIONS - (whole is not None))
    labels = list(groups)
    chosen = [(label, tuple(groups[label])) for label in labels]
    if whole is None:
        text = speech.questions[attribute].format(options=speech.join(labels))
    elif attribute == "which":
        text = speech.questions["one_or_all"].format(options=speech.join(labels))
        chosen.insert(0, (speech.questions["all"], (whole,)))
    else:
        text = speech.questions[attribute].format(options=speech.join([*labels, speech.questions["all"]]))
        chosen.append((speech.questions["all"], (whole,)))
    ambiguity = Ambiguity.AREA if attribute in {"area", "floor"} else Ambiguity.DEVICE
    if whole is not None and attribute == "which":
        ambiguity = Ambiguity.ONE_OR_ALL
    options = tuple(Option(str(place), label, of) for place, (label, of) in enumerate(chosen, 1))
    return Question(query, speech.code, text, ambiguity, options, tuple(units), number)


def _confirm(query: str, speech: Language, unit: Unit, number: int) -> Question:
    (label,) = _labels([unit])
    text = speech.questions["confirm"].format(options=label)
    option = Option("1", label, (unit,))
    return Question(query, speech.code, text, Ambiguity.DEVICE, (option,), (unit,), number, confirms=True)


def _whole(units: Sequence[Unit]) -> Unit | None:
    """Find the set that holds everything else."""
    every = frozenset().union(*(unit.entity_ids for unit in units))
    return next((unit for unit in units if unit.is_set and unit.entity_ids == every and len(units) > 1), None)


def _split(units: Sequence[Unit], limit: int) -> tuple[str, dict[str, list[Unit]]]:
    """Choose the kind of question, and what it offers: at most so many groups of units by their labels."""
    by = {attribute: _groups(units, attribute) for attribute in ("area", "floor", "kind")}
    named = len({fold(unit.name) for unit in units}) == len(units) and not any(unit.is_set for unit in units)
    if len(units) <= limit:
        distinct = next((one for one in by if len(by[one]) == len(units)), None)
        if named or distinct is None:
            return "which", dict(zip(_labels(units), ([unit] for unit in units), strict=True))
        return distinct, by[distinct]
    splitting = [one for one in by if 1 < len(by[one]) <= limit]
    if splitting:
        best = max(splitting, key=lambda one: _information(by[one]))
        return best, by[best]
    if len(by["area"]) > limit:
        first = sorted(by["area"].items(), key=lambda group: -sum(unit.weight for unit in group[1]))[:limit]
        return "area", dict(first)
    first_units = units[:limit]
    return "which", dict(zip(_labels(first_units), ([unit] for unit in first_units), strict=True))


def _groups(units: Sequence[Unit], attribute: str) -> dict[str, list[Unit]]:
    """Sort units by an attribute; none at all if not every unit has one."""
    groups: defaultdict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        if (value := unit.common(attribute)) is None:
            return {}
        groups[value].append(unit)
    return dict(groups)


def _information(groups: Mapping[str, Sequence[Unit]]) -> float:
    """Give what an answer is expected to tell: the entropy of the groups."""
    weights = [sum(unit.weight for unit in group) for group in groups.values()]
    total = math.fsum(weights)
    return -math.fsum(weight / total * math.log(weight / total) for weight in weights if weight)


def _labels(units: Sequence[Unit]) -> list[str]:
    """Name units so that no two are named alike: by name, with the area, the floor, the device, or else the id."""
    labels = [_set_label(unit) if unit.is_set else unit.name for unit in units]
    more: tuple[Callable[[Unit], str | None], ...] = (
        lambda unit: unit.common("area"),
        lambda unit: unit.common("floor"),
        lambda unit: unit.common("device"),
        lambda unit: unit.things[0].entity_id,
    )
    for further in more:
        count = Counter(map(fold, labels))
        labels = [
            f"{label} ({added})" if count[fold(label)] > 1 and (added := further(unit)) else label
            for label, unit in zip(labels, units, strict=True)
        ]
    return labels


def _set_label(unit: Unit) -> str:
    return unit.common("area") or unit.common("floor") or unit.name


def _merge(units: Sequence[Unit]) -> list[Unit]:
    """Make one unit of those that people would take for one device."""
    merged: list[Unit] = []
    for unit in units:
        place = next((at for at, other in enumerate(merged) if _same_device(other.things[0], unit.things[0])), None)
        if place is None:
            merged.append(unit)
        else:
            merged[place] = Unit(merged[place].things + unit.things, merged[place].weight + unit.weight)
    return merged


def _same_device(one: Thing, other: Thing) -> bool:
    if one.area != other.area or one.guarded or other.guarded:
        return False
    same_name = fold(one.name) == fold(other.name)
    if one.device is not None and one.device == other.device:
        # The facets of a device differ in what they are; its equals, like sockets, in what they are called.
        return same_name or one.domain != other.domain
    return same_name


def _things(units: Sequence[Unit]) -> tuple[Thing, ...]:
    return tuple({thing.entity_id: thing for unit in units for thing in unit.things}.values())
