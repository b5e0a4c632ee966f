"""What the household knows: brought in, looked at, and taken away."""

from collections.abc import Awaitable, Callable, Sequence

from .home_index import HomeIndex
from .index import ImportCounts, Knowledge, Page, Selection
from .index_thread import IndexThread


class HomeKnowledge:
    """The knowledge in a home's index. All of its methods raise StoreError."""

    def __init__(self, index: IndexThread, changed: Callable[[], Awaitable[None]]) -> None:
        """Take the index, and what is to be called when there are other texts in it."""
        self._index = index
        self._changed = changed

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
