"""Finds the patterns that a request means, and suggests automations that a home could run and has not yet."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .binding import Binding, bind
from .footprint import TELLING, Footprint, footprint
from .home import Home
from .pattern import ACTING_ENTITY, Pattern
from .template import automation_of, title_of, why_of

# An automation covers a suggestion that does at the same trigger the same to so many of the entities. With a text
# that says so as well, it need not be the same trigger; a text alone never does, it may be about another room.
COVERS, _SAYS_THE_SAME = 0.5, 0.6
# The success of 0..1 moves the score by this share at most, either way; nobody's judgement, 0.5, leaves it as it is.
HISTORY = 0.2
_UNJUDGED = 0.5
# Each further room of one pattern counts so much less than the one before: ten rooms must not hide all other ideas.
_REPEATED = 0.85
# Actions that are for entities of any domain.
_FOR_ALL = frozenset(["homeassistant.turn_on", "homeassistant.turn_off", "homeassistant.toggle"])


@dataclass(frozen=True, slots=True)
class Automation:
    """An automation that the home has."""

    entity_id: str
    name: str
    config: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The automation that does already what is suggested: in its structure, and by what it says, 0 to 1."""

    automation: Automation
    structural: float
    semantic: float


@dataclass(frozen=True, slots=True)
class Knowing:
    """What is known of patterns by id: how relevant they are, how well they served, what says the same as they.

    `relevance` without a pattern means that it is not; None that nothing was asked for. `similarity`: of a pattern and
    an automation's entity id.
    """

    relevance: Mapping[str, float] | None = None
    success: Mapping[str, float] = field(default_factory=dict)
    similarity: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def worth(self, pattern: Pattern) -> float:
        """Give relevance x success history; without a request the pattern's priority is its relevance."""
        relevance = pattern.priority if self.relevance is None else self.relevance.get(pattern.id, 0.0)
        history = 1 + 2 * HISTORY * (min(max(self.success.get(pattern.id, _UNJUDGED), 0.0), 1.0) - _UNJUDGED)
        return relevance * history


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An automation for this home. `covered_by`: one that does it already."""

    binding: Binding
    score: float
    config: Mapping[str, Any] = field(repr=False)
    covered_by: Coverage | None = None

    @property
    def title(self) -> str:
        """What it does, in few words, and where."""
        return title_of(self.binding)

    @property
    def why(self) -> str:
        """What it is good for, with the names of what is bound."""
        return why_of(self.binding)

    @property
    def requires_confirmation(self) -> bool:
        """Whether somebody has to agree first: it is about something guarded, or does nobody knows what."""
        return self.binding.guarded or acts_freely(self.config["actions"])


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern that was asked for, and how this home fills it."""

    binding: Binding
    score: float

    @property
    def requires_confirmation(self) -> bool:
        """What a suggestion of it says, as far as it is filled."""
        return self.binding.guarded or acts_freely(automation_of(self.binding)["actions"])


def suggest(
    patterns: Iterable[Pattern],
    home: Home,
    automations: Collection[Automation] = (),
    knowing: Knowing | None = None,
    *,
    within: Collection[str] = (),
) -> list[Suggestion]:
    """Give all that the home could run, the best first; what is covered comes with what covers it.

    `home` has everything that automations may name; what is suggested is `within` these areas, or anywhere.
    """
    knowing = knowing or Knowing()
    there = [(automation, footprint(automation.config, home)) for automation in automations]
    part = home.within(within)
    found = (
        _suggestion(binding, home, there, knowing)
        for pattern in patterns
        if knowing.relevance is None or knowing.relevance.get(pattern.id, 0.0) > 0
        for binding in bind(pattern, part)
        if binding.complete and (not within or any(entity.area_id in within for entity in binding.entities))
    )
    return _varied(one for one in found if one.config["triggers"] and one.config["actions"])


def find_patterns(
    patterns: Iterable[Pattern],
    home: Home,
    knowing: Knowing,
    *,
    within: Collection[str] = (),
    like: Automation | None = None,
) -> list[Found]:
    """Give the patterns that are relevant, the best first, each as this home fills it best.

    `like` an automation are also those that would do the same here, however it is described.
    """
    part, same = home.within(within), footprint(like.config, home) if like else None
    found = [_best(bind(pattern, part), home, knowing, same) for pattern in patterns]
    return sorted((one for one in found if one.score > 0), key=lambda one: (-one.score, one.binding.pattern.id))


def acts_freely(value: Any) -> bool:
    """Tell whether an action does more than to notify, or to do to its targets what is done to such: it could be all.

    What ships never does; users' patterns may call whatever there is.
    """
    if isinstance(value, list):
        return any(acts_freely(inner) for inner in value)
    if not isinstance(value, Mapping):
        return False
    service = value.get("action", value.get("service"))
    if service is not None:
        return not _keeps_to_targets(str(service), value)
    return "event" in value or any(acts_freely(inner) for inner in value.values())


def _keeps_to_targets(service: str, action: Mapping[str, Any]) -> bool:
    domain = service.partition(".")[0]
    if domain in TELLING:
        return True
    target = action.get("target")
    named = target.get("entity_id") if isinstance(target, Mapping) else None
    ids = [named] if isinstance(named, str) else named or []
    fits = service in _FOR_ALL or all(one.startswith(f"{domain}.") or ACTING_ENTITY.fullmatch(one) for one in ids)
    return bool(ids) and fits


def _suggestion(
    binding: Binding, home: Home, there: Iterable[tuple[Automation, Footprint]], knowing: Knowing
) -> Suggestion:
    config = automation_of(binding)
    covered_by = _coverage(binding.pattern, footprint(config, home), there, knowing)
    return Suggestion(binding, knowing.worth(binding.pattern) * binding.fit, config, covered_by)


def _coverage(
    pattern: Pattern, suggested: Footprint, there: Iterable[tuple[Automation, Footprint]], knowing: Knowing
) -> Coverage | None:
    """Give the automation that covers it best, if any does."""
    best: Coverage | None = None
    for automation, existing in there:
        structural = suggested.covered_by(existing)
        semantic = knowing.similarity.get((pattern.id, automation.entity_id), 0.0)
        says_so = semantic >= _SAYS_THE_SAME and suggested.acts_as(existing) >= COVERS
        better = best is None or (structural, semantic) > (best.structural, best.semantic)
        if (structural >= COVERS or says_so) and better:
            best = Coverage(automation, structural, semantic)
    return best


def _best(bindings: list[Binding], home: Home, knowing: Knowing, same: Footprint | None) -> Found:
    """Choose among the ways to fill a pattern: the one like the given automation, else the fullest."""

    def found(binding: Binding) -> Found:
        # Who asks for something wants to hear of it even if the home lacks half of what it takes.
        score = knowing.worth(binding.pattern) * (1 + binding.fit) / 2
        if same is not None and binding.complete:
            own = footprint(automation_of(binding), home)
            score = max(score, own.covered_by(same) * same.acts_as(own))
        return Found(binding, score)

    return max(map(found, bindings), key=lambda one: one.score)


def _varied(suggestions: Iterable[Suggestion]) -> list[Suggestion]:
    """Order by score, where further rooms of the same pattern count less and less."""
    ordered = sorted(suggestions, key=lambda one: (-one.score, one.binding.pattern.id, one.title))
    seen = defaultdict[str, int](int)
    weighed: list[tuple[float, int, Suggestion]] = []
    for number, suggestion in enumerate(ordered):
        pattern = suggestion.binding.pattern.id
        weighed.append((-suggestion.score * _REPEATED ** seen[pattern], number, suggestion))
        seen[pattern] += 1
    return [suggestion for *_, suggestion in sorted(weighed, key=lambda one: one[:2])]
