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
from .describe_automations import KIND_AUTOMATION
from .home_knowledge import HomeKnowledge
from .index import Key, Knowledge, Selection
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
from .knowledge_search import KnowledgeSearch
from .matching.text import fold
from .pattern_documents import KIND_PATTERN, TYPE_PATTERN
from .relevance import relevance, together
from .suggestible_home import Permits, async_automations, async_home_entities

_LOGGER = logging.getLogger(__name__)

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

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, knowledge: HomeKnowledge, search: KnowledgeSearch
    ) -> None:
        """Take the entry whose scope says what is known of the home, what the household knows, and what finds that."""
        self._hass = hass
        self._scope: str = entry.options.get(CONF_SCOPE, SCOPE_EXPOSED)
        self._knowledge = knowledge
        self._search = search

    async def async_find(self, wanted: Wanted, automation_id: str | None = None) -> FoundPatterns:
        """Find the patterns that a text means, or that an automation follows; raises UnknownAutomationError."""
        seen = await self._async_see(wanted, automation_id)
        found = await self._hass.async_add_executor_job(_find, seen, wanted)
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

    async def _async_see(self, wanted: Wanted, automation_id: str | None = None) -> _Seen:
        own = await self._async_rows(_STRUCTURED)
        known = await self._hass.async_add_executor_job(_read, own)
        automations = async_automations(self._hass, wanted.permits)
        like = next((one for one in automations if one.entity_id == automation_id), None)
        if automation_id is not None and like is None:
            raise UnknownAutomationError(automation_id)
        text = _words(like) if like else wanted.text or ""
        areas, rest = (set[str](), text) if like else self._async_places_in(text)
        texts = [one for one in (rest, text) if one]
        near, alike = await self._search.async_near(texts, TYPE_PATTERN, KIND_AUTOMATION)
        success = await self._knowledge.async_success(TYPE_PATTERN)
        return _Seen(
            Home.of(await async_home_entities(self._hass, self._scope, wanted.permits)),
            automations,
            known.patterns,
            known.skipped if wanted.permits is None else {},
            {_pattern_id(key): score for key, score in success.items()},
            texts,
            [{_pattern_id(key): value for key, value in found.items()} for found in near],
            {one: {_pattern_id(key): value for key, value in found.items()} for one, found in alike.items()},
            like,
            areas,
        )

    async def _async_rows(self, field: str) -> Mapping[str, Knowledge]:
        """Give the latest knowledge about patterns that has a field in its metadata, by id; the rest is but text."""
        selection = Selection(types=(TYPE_PATTERN,), field=field)
        return (await self._knowledge.async_page(selection, MAX_USER_PATTERNS, 0)).rows

    @callback
    def _async_places_in(self, text: str) -> tuple[set[str], str]:
        """Give the areas that a text names, and what else it says."""
        said, found = f" {fold(text)} ", set()
        areas = {area.id: (area.name, *sorted(area.aliases)) for area in ar.async_get(self._hass).async_list_areas()}
        for area_id, names in areas.items():
            if any(name and f" {name} " in said for name in map(fold, names)):
                found.add(area_id)
        for name in (fold(name) for area_id in found for name in areas[area_id]):
            said = said.replace(f" {name} ", " ") if name else said
        return found, said.strip()

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
        _LOGGER.warning("The pattern %s makes no valid automation here", suggestion.binding.pattern.id)
        # Whoever validates quotes what is wrong, with the names of the home in it.
        _LOGGER.debug("The pattern %s is refused: %s", suggestion.binding.pattern.id, problem)
        return False


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that an answer is made from, taken at one moment.

    `texts` are what was said, without the names of `areas` and with them; `meant` and `alike` what the model says of
    those and of the automations by their ids, in deviations, by the patterns' ids. `like`: the automation that was
    asked about.
    """

    home: Home
    automations: Sequence[Automation]
    patterns: Mapping[str, Pattern]
    skipped: Mapping[str, str]
    success: Mapping[str, float]
    texts: Sequence[str]
    meant: Sequence[Mapping[str, float]]
    alike: Mapping[str, Mapping[str, float]]
    like: Automation | None
    areas: Collection[str]

    def relevance(self) -> list[dict[str, float]]:
        """Tell how near each of the texts is to the patterns."""
        by_letters = relevance(self.texts, {pattern.id: pattern.texts for pattern in self.patterns.values()})
        return [together(*found) for found in zip(by_letters, self.meant, strict=True)]

    def similarity(self) -> dict[tuple[str, str], float]:
        """Tell how near what the automations say is to the patterns."""
        texts = {pattern.id: pattern.texts for pattern in self.patterns.values()}
        found: dict[tuple[str, str], float] = {}
        said = relevance(list(map(_words, self.automations)), texts)
        for automation, by_letters in zip(self.automations, said, strict=True):
            near = together(by_letters, self.alike.get(automation.entity_id, {}))
            found |= {(pattern, automation.entity_id): value for pattern, value in near.items()}
        return found


def _read(own: Mapping[str, Knowledge]) -> UserPatterns:
    """Give the patterns that ship together with those of users."""
    read = read_user_patterns((row_id, row.text, row.metadata) for row_id, row in own.items())
    return UserPatterns({**load_library(), **read.patterns}, read.skipped)


def _pattern_id(key: Key) -> str:
    """Give a pattern's id: that of a user's is told apart from those that ship."""
    return key[1] if key[0] == KIND_PATTERN else USER_PREFIX + key[1]


def _find(seen: _Seen, wanted: Wanted) -> list[Found]:
    near = _nearer(seen.relevance())
    within = wanted.area_ids or seen.areas
    patterns, knowing = seen.patterns.values(), Knowing(near, seen.success)
    return find_patterns(patterns, seen.home, knowing, within=within, like=seen.like)[: wanted.limit]


def _suggest(seen: _Seen, wanted: Wanted) -> list[Suggestion]:
    near = seen.relevance()
    # Who only names a room, as in "make the hallway nicer", wishes for whatever suits it.
    asked = bool(seen.texts) and (bool(near[0]) or not seen.areas)
    knowing = Knowing(_nearer(near) if asked else None, seen.success, seen.similarity())
    within = wanted.area_ids or seen.areas
    return suggest(seen.patterns.values(), seen.home, seen.automations, knowing, within=within)


def _nearer(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Give the greatest relevance: a room may be where something is to be done, or part of what."""
    return {known: max(one.get(known, 0.0) for one in found) for known in set[str]().union(*found)}


def _words(automation: Automation) -> str:
    description: Any = automation.config.get("description")
    return f"{automation.name} {description or ''}".strip()
