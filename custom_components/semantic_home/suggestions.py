"""What automations a home could have: its patterns, filled here and now, and accepted by Home Assistant."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
import logging
from typing import Any

from homeassistant.components.automation.config import ValidationStatus, async_validate_config_item
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import area_registry as ar

from .const import CONF_SCOPE, SCOPE_EXPOSED
from .home_knowledge import HomeKnowledge
from .index import Knowledge, Selection
from .knowledge import (
    USER_PREFIX,
    Automation,
    Found,
    Home,
    Knowing,
    Pattern,
    Suggestion,
    UserPatterns,
    find_patterns,
    load_library,
    read_user_patterns,
    suggest,
)
from .matching.text import fold
from .relevance import relevance
from .suggestible_home import Permits, async_automations, async_home_entities

_LOGGER = logging.getLogger(__name__)

TYPE_PATTERN = "pattern"
PATTERN_RATED = "pattern"
"""In the metadata of a piece of knowledge: the pattern that ships whose success its score tells."""
MAX_USER_PATTERNS = 200
_STRUCTURED = "automation"


class UnknownAutomationError(Exception):
    """There is no such automation, or the caller may not read it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: about what, in which areas (any without them), by whom, how many at most."""

    text: str | None = None
    area_ids: Collection[str] = ()
    permits: Permits = None
    limit: int = 5


@dataclass(frozen=True, slots=True)
class FoundPatterns:
    """The patterns, the best first; and users' patterns that are none, by id with the reason, for who may read all."""

    found: Sequence[Found]
    skipped: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Suggested:
    """The suggestions, the best first; how many the home has already; `skipped` as in FoundPatterns."""

    suggestions: Sequence[Suggestion]
    covered: int
    skipped: Mapping[str, str]


class HomeSuggestions:
    """Answers from the registries and states as they are; creates nothing. All of its methods raise StoreError."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, knowledge: HomeKnowledge) -> None:
        """Take the entry whose scope says what is known of the home, and what the household knows."""
        self._hass = hass
        self._scope: str = entry.options.get(CONF_SCOPE, SCOPE_EXPOSED)
        self._knowledge = knowledge

    async def async_find(self, wanted: Wanted, automation_id: str | None = None) -> FoundPatterns:
        """Find the patterns that a text means, or that an automation follows; raises UnknownAutomationError."""
        seen = await self._async_see(wanted)
        like = next((one for one in seen.automations if one.entity_id == automation_id), None)
        if automation_id is not None and like is None:
            raise UnknownAutomationError(automation_id)
        found = await self._hass.async_add_executor_job(_find, seen, wanted, like)
        return FoundPatterns(found, seen.skipped)

    async def async_suggest(self, wanted: Wanted, *, include_covered: bool) -> Suggested:
        """Suggest automations, for what the text says if there is one; none that Home Assistant would not accept."""
        seen = await self._async_see(wanted)
        ranked = await self._hass.async_add_executor_job(_suggest, seen, wanted)
        covered = sum(one.covered_by is not None for one in ranked)
        accepted: list[Suggestion] = []
        for suggestion in ranked:
            if len(accepted) == wanted.limit:
                break
            if (include_covered or suggestion.covered_by is None) and await self._async_accepted(suggestion):
                accepted.append(suggestion)
        return Suggested(accepted, covered, seen.skipped)

    async def _async_see(self, wanted: Wanted) -> _Seen:
        own, rated = [await self._async_rows(field) for field in (_STRUCTURED, PATTERN_RATED)]
        known = await self._hass.async_add_executor_job(_read, own)
        return _Seen(
            Home.of(await async_home_entities(self._hass, self._scope, wanted.permits)),
            async_automations(self._hass, wanted.permits),
            known.patterns,
            known.skipped if wanted.permits is None else {},
            _success(own, rated),
            self._area_names(),
        )

    async def _async_rows(self, field: str) -> Mapping[str, Knowledge]:
        """Give the latest knowledge about patterns that has a field in its metadata, by id; the rest is but text."""
        selection = Selection(types=(TYPE_PATTERN,), field=field)
        return (await self._knowledge.async_page(selection, MAX_USER_PATTERNS, 0)).rows

    @callback
    def _area_names(self) -> dict[str, tuple[str, ...]]:
        areas = ar.async_get(self._hass).async_list_areas()
        return {area.id: (area.name, *sorted(area.aliases)) for area in areas}

    async def _async_accepted(self, suggestion: Suggestion) -> bool:
        """Ask Home Assistant whether it would take the automation; it is not created."""
        try:
            validated = await async_validate_config_item(self._hass, suggestion.title, dict(suggestion.config))
        except Exception as err:  # noqa: BLE001 - whoever validates a trigger or an action may raise anything
            problem: object = err
        else:
            if validated is not None and validated.validation_status is ValidationStatus.OK:
                return True
            problem = validated and validated.validation_error
        _LOGGER.warning("The pattern %s makes no valid automation here: %s", suggestion.binding.pattern.id, problem)
        return False


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that an answer is made from, taken at one moment."""

    home: Home
    automations: Sequence[Automation]
    patterns: Mapping[str, Pattern]
    skipped: Mapping[str, str]
    success: Mapping[str, float]
    areas: Mapping[str, Sequence[str]]

    def places_in(self, text: str) -> tuple[set[str], str]:
        """Give the areas that a text names, and what else it says."""
        said, found = f" {fold(text)} ", set()
        for area_id, names in self.areas.items():
            for name in map(fold, names):
                if name and f" {name} " in said:
                    found.add(area_id)
        for name in (fold(name) for area_id in found for name in self.areas[area_id]):
            said = said.replace(f" {name} ", " ") if name else said
        return found, said.strip()


def _read(own: Mapping[str, Knowledge]) -> UserPatterns:
    """Give the patterns that ship together with those of users."""
    read = read_user_patterns((row_id, row.text, row.metadata) for row_id, row in own.items())
    return UserPatterns({**load_library(), **read.patterns}, read.skipped)


def _success(own: Mapping[str, Knowledge], rated: Mapping[str, Knowledge]) -> dict[str, float]:
    """Give how well patterns served, by their ids; the latest word counts, which comes first."""
    told = {str(row.metadata[PATTERN_RATED]): row.score for row in reversed([*rated.values()])}
    return told | {USER_PREFIX + row_id: row.score for row_id, row in own.items()}


def _find(seen: _Seen, wanted: Wanted, like: Automation | None) -> list[Found]:
    texts = {pattern.id: pattern.texts for pattern in seen.patterns.values()}
    text = _words(like) if like else wanted.text or ""
    areas, rest = (set[str](), text) if like else seen.places_in(text)
    near = _nearer(*relevance([rest, text], texts))
    within = wanted.area_ids or areas
    found = find_patterns(seen.patterns.values(), seen.home, Knowing(near, seen.success), within=within, like=like)
    return found[: wanted.limit]


def _suggest(seen: _Seen, wanted: Wanted) -> list[Suggestion]:
    texts = {pattern.id: pattern.texts for pattern in seen.patterns.values()}
    text = wanted.text or ""
    areas, rest = seen.places_in(text)
    wished, wholly, *said = relevance([rest, text, *map(_words, seen.automations)], texts)
    similarity = {
        (pattern_id, automation.entity_id): near
        for automation, found in zip(seen.automations, said, strict=True)
        for pattern_id, near in found.items()
    }
    # Who only names a room, as in "make the hallway nicer", wishes for whatever suits it.
    asked = text and (wished or not areas)
    knowing = Knowing(_nearer(wished, wholly) if asked else None, seen.success, similarity)
    within = wanted.area_ids or areas
    return suggest(seen.patterns.values(), seen.home, seen.automations, knowing, within=within)


def _nearer(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Give the greater relevance: a room may be where something is to be done, or part of what."""
    return {known: max(one.get(known, 0.0), other.get(known, 0.0)) for known in {*one, *other}}


def _words(automation: Automation) -> str:
    description: Any = automation.config.get("description")
    return f"{automation.name} {description or ''}".strip()
