"""What the household knows: brought in, looked at, taken away, and learnt from answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .home_index import HomeIndex
from .index import ImportCounts, Knowledge, Page, Selection, StoreError
from .index_thread import IndexThread
from .learned_requests import Lesson

_LOGGER = logging.getLogger(__name__)


class HomeKnowledge:
    """The knowledge in a home's index. All of its methods but the callback raise StoreError."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, index: IndexThread, changed: Callable[[], Awaitable[None]]
    ) -> None:
        """Take the index, and what is to be called when there are other texts in it."""
        self._hass = hass
        self._entry = entry
        self._index = index
        self._changed = changed
        self._lessons: set[asyncio.Task[None]] = set()

    async def async_import(self, rows: Sequence[Knowledge], *, dry_run: bool) -> ImportCounts:
        """Add all rows or none, or only count what that would do; the vectors follow in the background.

        Raises HeldError during a backup.
        """
        imported = await self._index.async_import_knowledge(rows, dry_run=dry_run)
        if imported.keys:
            await self._changed()
        return imported.counts

    async def async_all(self) -> list[Knowledge]:
        """Give all knowledge that there is."""
        return await self._index.async_ask(HomeIndex.knowledge)

    async def async_page(self, selection: Selection, limit: int, offset: int) -> Page:
        """Give at most `limit` pieces of what is selected after the first `offset`, the latest first."""
        return await self._index.async_ask(HomeIndex.knowledge_page, selection, limit, offset)

    async def async_remove(self, selection: Selection, most: int | None) -> int:
        """Remove what is selected, at most so many, and tell how much; it counts for nothing from now on.

        Raises TooManySelectedError; HeldError during a backup.
        """
        self._index.refuse_while_held()
        removed = await self._index.async_ask(HomeIndex.remove_knowledge, selection, most)
        if removed:
            await self._changed()
        return removed

    @callback
    def async_learn(self, lesson: Lesson) -> None:
        """Learn from an answer, which does not wait for it: it is good whether it can be kept or not.

        The index has it before it is asked anything else, or at the end of a backup or an import.
        """
        task = self._entry.async_create_background_task(self._hass, self._learn(lesson), f"{DOMAIN} lesson")
        self._lessons.add(task)
        task.add_done_callback(self._lessons.discard)

    async def async_settle(self) -> None:
        """Wait for the end of an import, end a backup's hold, and wait until what was learnt is kept."""
        await self._index.async_settle()
        if self._lessons:
            await asyncio.wait(self._lessons)

    async def _learn(self, lesson: Lesson) -> None:
        try:
            if await self._index.async_ask(HomeIndex.learn, lesson):
                await self._changed()
        except StoreError as err:
            _LOGGER.warning("An answer could not be remembered, and will be asked for again: %s", err)
