"""What the household knows: brought in, looked at, taken away, and learnt from answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .home_index import HomeIndex
from .index import ImportCounts, Key, Knowledge, Page, Rating, Selection, StoreError
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

    async def async_add(self, row: Knowledge, changed: Callable[[Knowledge], Knowledge]) -> tuple[str, bool]:
        """Add a piece of knowledge, or change the one that is there; give its id, and whether it was unknown.

        Raises HeldError during a backup, as whatever changes something.
        """
        self._index.refuse_while_held()
        added = await self._index.async_ask(HomeIndex.add_knowledge, row, changed)
        await self._changed()
        return added

    async def async_change(self, source_id: str, changed: Callable[[Knowledge], Knowledge]) -> str:
        """Change a piece of knowledge and give its id from now on: of another text or type it is another one.

        Raises UnknownKnowledgeError; KnownAlreadyError when there is another such piece already.
        """
        self._index.refuse_while_held()
        source_id = await self._index.async_ask(HomeIndex.change_knowledge, source_id, changed)
        await self._changed()
        return source_id

    async def async_success(self, knowledge_type: str) -> dict[Key, float]:
        """Tell how well what there is of a type has served, as far as anybody has said so."""
        return await self._index.async_ask(HomeIndex.success_of, knowledge_type)

    async def async_judge(self, source_id: str, outcome: float) -> Rating | None:
        """Say how well something served, from 0 (failure) to 1 (success); None when there is nothing of this id."""
        self._index.refuse_while_held()
        return await self._index.async_ask(HomeIndex.judge, source_id, outcome)

    async def async_judge_result(self, lesson: Lesson, outcome: float) -> tuple[str, Rating] | None:
        """Say how right a result was: a success is learnt, and what was learnt before fails with a failure.

        Gives the id of what is known of it, if anything is.
        """
        self._index.refuse_while_held()
        judged = await self._index.async_ask(HomeIndex.judge_lesson, lesson, outcome)
        if judged is not None:
            await self._changed()
        return judged

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
