"""What people call things that Home Assistant would not understand, and making aliases of it; never without a yes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
import hashlib

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .dismissed_aliases import DismissedAliases
from .entity_aliases import SpokenNames, async_add_alias, async_is_spoken_of, async_spoken_names
from .home_index import HomeIndex
from .index import DEFAULT_SCORE, Knowledge
from .index_thread import IndexThread
from .learned_requests import read_learned
from .matching import Candidate, Home, is_good_alias, named_words
from .matching.text import fold

_ID_LENGTH = 16


class UnknownAliasSuggestionError(Exception):
    """There is no such suggestion, or not any more."""


@dataclass(frozen=True, slots=True)
class Calling:
    """What an entity was called by those who were understood.

    `requests`: those that were learnt, the latest first. `guarded`: a misunderstanding would open or disarm something.
    """

    entity_id: str
    name: str
    alias: str
    language: str
    requests: tuple[str, ...]
    last_learnt: datetime
    guarded: bool


@dataclass(frozen=True, slots=True)
class AliasSuggestion:
    """A calling that would make a good alias, as nothing is called like that here."""

    id: str
    calling: Calling
    dismissed: bool


class AliasSuggestions:
    """Finds them in what was learnt, and keeps what is said of them. All of its methods raise StoreError."""

    def __init__(self, hass: HomeAssistant, index: IndexThread) -> None:
        """Take the home and its index."""
        self._hass = hass
        self._index = index
        self._dismissed = DismissedAliases(hass)
        # For as long as the home and what was learnt in it are the same, so is what things are called.
        self._found: tuple[Home, Mapping[str, Knowledge], list[Calling]] | None = None

    async def async_suggest(self, *, dismissed: bool = False) -> list[AliasSuggestion]:
        """Give what may be suggested, what was said in most ways first; what was dismissed only if that is wished."""
        home, rows = await self._index.async_ask(HomeIndex.learnt_here)
        if self._found is None or self._found[0] is not home or self._found[1] != rows:
            self._found = (home, rows, await self._hass.async_add_executor_job(_callings, home, rows))
        callings, unwanted = self._found[2], await self._dismissed.async_ids()
        spoken = async_spoken_names(self._hass) if callings else {}
        made = (self._suggestion(calling, spoken, unwanted) for calling in callings)
        return [one for one in made if one is not None and (dismissed or not one.dismissed)]

    async def async_accept(self, suggestion_id: str) -> Calling:
        """Make a suggestion an alias; raises UnknownAliasSuggestionError, AliasError."""
        calling = await self._find(suggestion_id)
        async_add_alias(self._hass, calling.entity_id, calling.alias)
        await self._dismissed.async_discard(suggestion_id)
        return calling

    async def async_dismiss(self, suggestion_id: str) -> Calling:
        """Do not suggest it again; raises UnknownAliasSuggestionError."""
        calling = await self._find(suggestion_id)
        await self._dismissed.async_add(suggestion_id)
        return calling

    async def async_restore(self, suggestion_id: str) -> Calling:
        """Suggest what was dismissed again; raises UnknownAliasSuggestionError."""
        calling = await self._find(suggestion_id)
        await self._dismissed.async_discard(suggestion_id)
        return calling

    async def _find(self, suggestion_id: str) -> Calling:
        for suggestion in await self.async_suggest(dismissed=True):
            if suggestion.id == suggestion_id:
                return suggestion.calling
        raise UnknownAliasSuggestionError(suggestion_id)

    @callback
    def _suggestion(self, calling: Calling, spoken: SpokenNames, unwanted: frozenset[str]) -> AliasSuggestion | None:
        """Hold what something is called against the registries as they are now."""
        entry = er.async_get(self._hass).async_get(calling.entity_id)
        if entry is None or not async_is_spoken_of(self._hass, calling.entity_id) or fold(calling.alias) in spoken:
            return None
        # Of the registry's own id, which stays when the entity's changes.
        known_as = f"{entry.id} {fold(calling.alias)}"
        number = hashlib.sha256(known_as.encode()).hexdigest()[:_ID_LENGTH]
        return AliasSuggestion(number, calling, number in unwanted)


def _callings(home: Home, rows: Mapping[str, Knowledge]) -> list[Calling]:
    """Find what things are called in requests that were learnt, the latest first. Blocking."""
    candidates = {one.entity_id: one for one in home.candidates}
    said: defaultdict[str, list[tuple[Candidate, str, Knowledge]]] = defaultdict(list)
    for row in rows.values():
        learned = read_learned(row) if row.score >= DEFAULT_SCORE else None
        if learned is None or len(learned.entity_ids) != 1:
            continue
        one = candidates.get(next(iter(learned.entity_ids)))
        words = named_words(learned.query, learned.language, one, home.places) if one else None
        if one and words and is_good_alias(words, one.entity_id, learned.language, home):
            said[fold(words)].append((one, words, row))
    # What several things are called, in different rooms perhaps, names none of them.
    alone = [_calling(uses) for uses in said.values() if len({one.entity_id for one, _, _ in uses}) == 1]
    return sorted(alone, key=lambda calling: (len(calling.requests), calling.last_learnt), reverse=True)


def _calling(uses: Sequence[tuple[Candidate, str, Knowledge]]) -> Calling:
    one, words, latest = uses[0]
    return Calling(
        one.entity_id,
        one.names[0],
        words,
        str(latest.metadata.get("language") or ""),
        tuple(dict.fromkeys(row.text for _, _, row in uses)),
        latest.updated,
        one.guarded,
    )
