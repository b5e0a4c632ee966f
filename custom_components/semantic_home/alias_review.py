"""Keeps a repair issue for as long as there are suggested aliases that nobody has looked at."""

import asyncio
from datetime import datetime
import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_call_later

from .alias_suggestions import AliasSuggestions
from .const import DOMAIN
from .index import StoreError

_LOGGER = logging.getLogger(__name__)

ISSUE_ALIASES = "alias_suggestions"

# Nobody waits for it, and the index changes in bursts.
_COOLDOWN = 10.0


class AliasReview:
    """Looks for suggestions a while after something has changed."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, suggestions: AliasSuggestions) -> None:
        """Take the entry whose review it is."""
        self._hass = hass
        self._entry = entry
        self._suggestions = suggestions
        self._timer: CALLBACK_TYPE | None = None
        self._lock = asyncio.Lock()
        self._stopped = False

    @callback
    def async_schedule(self) -> None:
        """Look in a while, unless that is to happen already."""
        if self._timer is None and not self._stopped:
            self._timer = async_call_later(self._hass, _COOLDOWN, HassJob(self._look, cancel_on_shutdown=True))

    async def async_stop(self) -> None:
        """Look no more, and wait for what is under way; an issue stays. Can be called twice."""
        self._stopped = True
        if self._timer is not None:
            self._timer()
            self._timer = None
        async with self._lock:
            pass

    async def async_refresh(self) -> None:
        """Report what suggestions there are now, or that there are none."""
        async with self._lock:
            if self._stopped:
                return
            try:
                count = len(await self._suggestions.async_suggest())
            except StoreError as err:
                _LOGGER.debug("Suggested aliases could not be looked for: %s", err)
                return
            self._report(count)

    async def _look(self, _: datetime) -> None:
        self._timer = None
        await self.async_refresh()

    @callback
    def _report(self, count: int) -> None:
        if not count:
            ir.async_delete_issue(self._hass, DOMAIN, ISSUE_ALIASES)
            return
        # Created again, an issue that the user ignores stays ignored.
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            ISSUE_ALIASES,
            data={"entry_id": self._entry.entry_id},
            is_fixable=True,
            is_persistent=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=ISSUE_ALIASES,
            translation_placeholders={"count": str(count)},
        )
