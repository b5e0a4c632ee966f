"""The suggested aliases that nobody wants: kept beside the registries, where backups and restarts find them."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from .const import DOMAIN

MAX_DISMISSED = 1000
"""So many are remembered; the one that was dismissed longest ago gives way."""

_VERSION = 1
_KEY = f"{DOMAIN}.dismissed_aliases"


class DismissedAliases:
    """Remembers suggestions by their ids, the oldest first."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Take the home; nothing is read yet."""
        self._store = Store[dict[str, list[str]]](hass, _VERSION, _KEY)
        self._ids: dict[str, None] | None = None

    async def async_ids(self) -> frozenset[str]:
        """Give them all."""
        return frozenset(await self._load())

    async def async_add(self, suggestion_id: str) -> None:
        """Remember that a suggestion is not wanted."""
        ids = await self._load()
        ids.pop(suggestion_id, None)
        ids[suggestion_id] = None
        while len(ids) > MAX_DISMISSED:
            del ids[next(iter(ids))]
        await self._save(ids)

    async def async_discard(self, suggestion_id: str) -> None:
        """Forget that a suggestion was not wanted."""
        ids = await self._load()
        if suggestion_id in ids:
            del ids[suggestion_id]
            await self._save(ids)

    async def async_forget(self) -> None:
        """Forget them all, and delete the file."""
        self._ids = {}
        await self._store.async_remove()

    async def _load(self) -> dict[str, None]:
        if self._ids is None:
            data = await self._store.async_load()
            if self._ids is None:
                self._ids = dict.fromkeys(data["ids"] if data else ())
        return self._ids

    async def _save(self, ids: dict[str, None]) -> None:
        await self._store.async_save({"ids": [*ids]})
