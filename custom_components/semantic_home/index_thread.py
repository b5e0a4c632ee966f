"""The one thread in which the index is used, and when it may be written there: not during a backup or an import."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from functools import partial
from itertools import batched
import logging
from pathlib import Path

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.recorder import DATA_INSTANCE

from .const import CONF_LEARN, DOMAIN
from .home_index import HomeIndex
from .index import Damage, DamagedError, HeldError, Knowledge, StoreError
from .index_damage import async_report_unreadable
from .knowledge_import import Imported, import_knowledge

_LOGGER = logging.getLogger(__name__)

_DATABASE_NAME = "semantic_home.db"
_SQLITE_URL = "sqlite:///"
# A backup of the index is a copy of one file; one that ended without saying so must not stop the index for ever.
_HOLD_SECONDS = 600.0
# So many imported documents are taken in while a query may have to wait.
_KEYS_AT_ONCE = 500


class IndexThread:
    """Owns the open index. It answers at any time; what is to be written waits while somebody else has the file."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Take the entry to which work in the background belongs."""
        self._hass = hass
        self._entry = entry
        self._path = database_path(hass)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{DOMAIN}-index")
        self._index: HomeIndex | None = None
        # An import ends before anything else holds the database.
        self._import_lock = asyncio.Lock()
        # Set, but for as long as a backup or an import holds it.
        self._released = asyncio.Event()
        self._released.set()
        self._end_hold: CALLBACK_TYPE | None = None

    async def async_open(self) -> Damage | None:
        """Open the index; return what was wrong with its file, unless nothing was. Raises StoreError."""
        learns = self._entry.options.get(CONF_LEARN, True)
        self._index = index = await self._run(partial(HomeIndex.open, self._path, learns=learns))
        return index.damage

    async def async_settle(self) -> None:
        """Wait for the end of an import, and have a backup hold the database no longer."""
        async with self._import_lock:
            await self.async_release()

    async def async_close(self) -> None:
        """Close the index and end the thread. Can be called twice."""
        if (index := self._index) is not None:
            self._index = None
            await self._run(index.close)
        await self._hass.async_add_executor_job(self._thread.shutdown)

    async def async_ask[*Arguments, Result](
        self, method: Callable[[HomeIndex, *Arguments], Result], *arguments: *Arguments
    ) -> Result:
        """Call a method of the index in its thread; one that writes waits for its turn. Raises StoreError."""
        return await self._run(method, self._opened, *arguments)

    async def async_import_knowledge(self, rows: Sequence[Knowledge], *, dry_run: bool) -> Imported:
        """Add all rows or none, or only count what that would do. Raises HeldError during a backup, StoreError."""
        async with self._import_lock:
            if dry_run:
                return await self._import(rows, dry_run=True)
            self.refuse_while_held()
            self._released.clear()
            try:
                await self.async_ask(HomeIndex.lend)
                imported = await self._import(rows, dry_run=False)
            finally:
                await self.async_ask(HomeIndex.release)
                self._released.set()
            # Between two pieces queries are answered.
            for keys in batched(imported.keys, _KEYS_AT_ONCE, strict=False):
                await self.async_ask(HomeIndex.read_again, keys)
            return imported

    async def async_hold(self) -> None:
        """Complete the database's file and keep it still until `async_release`, but not for ever.

        Questions are answered meanwhile; what is to be written waits. Raises StoreError.
        """
        index = self._opened
        async with self._import_lock:
            self._released.clear()
            self._cancel_end_of_hold()
            self._end_hold = async_call_later(self._hass, _HOLD_SECONDS, self._hold_too_long)
            try:
                await self._run(index.hold)
            except BaseException:
                # Not waited for: the thread may be busy still, and hold the database after the caller has given up.
                self._entry.async_create_background_task(self._hass, self.async_release(), f"{DOMAIN} release")
                raise

    async def async_release(self) -> None:
        """Write again what waits. Does nothing when the database is not held."""
        if self._released.is_set():
            return
        if self._index is not None:
            await self._run(self._index.release)
        self._cancel_end_of_hold()
        self._released.set()

    @callback
    def refuse_while_held(self) -> None:
        """Raise HeldError during a backup, for those who cannot wait for its end."""
        if self._end_hold is not None:
            raise HeldError("A backup holds the database")

    @property
    def _opened(self) -> HomeIndex:
        if self._index is None:
            raise StoreError("The index is closed")
        return self._index

    async def _run[*Arguments, Result](
        self, function: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        while True:
            try:
                # With the caller's context, by which its request is followed through the log.
                return await self._hass.loop.run_in_executor(self._thread, copy_context().run, function, *arguments)
            except HeldError:
                # Nothing was written.
                await self._released.wait()
            except DamagedError:
                async_report_unreadable(self._hass, self._entry.entry_id)
                raise

    async def _import(self, rows: Sequence[Knowledge], *, dry_run: bool) -> Imported:
        job = self._hass.async_add_executor_job(partial(import_knowledge, self._path, rows, dry_run=dry_run))
        try:
            return await asyncio.shield(job)
        finally:
            # Nobody else may write before it has ended, also when nobody waits for it any more.
            await asyncio.wait([job])

    async def _hold_too_long(self, _: datetime) -> None:
        self._end_hold = None
        _LOGGER.warning("A backup has not said in %.0f s that it is done, the index is written again", _HOLD_SECONDS)
        await self.async_release()

    @callback
    def _cancel_end_of_hold(self) -> None:
        if self._end_hold is not None:
            self._end_hold()
            self._end_hold = None


def database_path(hass: HomeAssistant) -> Path:
    """Where the index lies: beside the recorder's file, or in the configuration directory when it has none."""
    recorder = hass.data.get(DATA_INSTANCE)
    if recorder is not None and recorder.db_url.startswith(f"{_SQLITE_URL}/"):
        return Path(recorder.db_url.removeprefix(_SQLITE_URL)).with_name(_DATABASE_NAME)
    return Path(hass.config.path(_DATABASE_NAME))
