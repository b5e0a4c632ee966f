"""Which models an entry's vectors are of: the one that answers, and the one before, for as long as theirs are kept."""

from collections.abc import Mapping
import hashlib
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from .const import CONF_ACTIVE, CONF_CONFIRMED, CONF_PREVIOUS
from .engine import EncoderError, load_catalog
from .index import Generation
from .model_choice import ModelChoice
from .model_store import async_get_store

# What an entry's data say beside the model that it wishes.
_RECORDS = frozenset({CONF_ACTIVE, CONF_CONFIRMED, CONF_PREVIOUS})


class ModelHistory:
    """Kept in the entry's data, beside what it wishes.

    Of each model two descriptions are kept: `data`, as the user chose it, and `pinned`, all that it takes to run it
    whatever a later catalog says; and `stamp`, which names the generation that is its.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Take the entry."""
        self._hass = hass
        self._entry = entry

    async def async_former_of(self, active: Generation | None) -> dict[str, Any] | None:
        """Give the data of the model that the active generation is of, if another one is wished."""
        record = self._entry.data.get(CONF_ACTIVE)
        if record is None or active is None or record["stamp"] != _digest(active):
            return None
        former: dict[str, Any] = record["pinned"]
        return None if former == await self._pinned(self._wished) else former

    async def async_before(self) -> dict[str, Any] | None:
        """Give the entry's data with the former model in the place of the one that answers; None without one."""
        active, previous = self._entry.data.get(CONF_ACTIVE), self._entry.data.get(CONF_PREVIOUS)
        if previous is None:
            return None
        # As the user chose it, unless the catalog says something else of it by now.
        same = await self._pinned(previous["data"]) == previous["pinned"]
        return {**(previous["data"] if same else previous["pinned"]), CONF_ACTIVE: previous, CONF_PREVIOUS: active}

    async def async_model_before(self, retired: Generation) -> ModelChoice | None:
        """Give the model that the retired generation is of, if that is known. Raises EncoderError, see ModelChoice."""
        record = self._entry.data.get(CONF_PREVIOUS)
        if record is None or record["stamp"] != _digest(retired):
            return None
        return ModelChoice.from_data(record["pinned"], await self._hass.async_add_executor_job(load_catalog))

    async def async_remember(self, active: Generation, retired: Generation | None) -> None:
        """Keep what it takes to answer with the active generation, which is the wished model's, and with the retired.

        Delete the files that nobody needs any more.
        """
        data, stamp = dict(self._entry.data), _digest(active)
        record = data.get(CONF_ACTIVE)
        if record is not None and (record["stamp"], record["data"]) == (stamp, self._wished):
            return
        # The user's consent was to this change, and is not one to the next.
        data.pop(CONF_CONFIRMED, None)
        data[CONF_ACTIVE] = {"stamp": stamp, "pinned": await self._pinned(self._wished), "data": self._wished}
        if record is not None and retired is not None and record["stamp"] == _digest(retired):
            data[CONF_PREVIOUS] = record
        self._hass.config_entries.async_update_entry(self._entry, data=data)
        await self._async_keep_files(data)

    async def _async_keep_files(self, data: Mapping[str, Any]) -> None:
        catalog = await self._hass.async_add_executor_job(load_catalog)
        known = [data, *(data[key]["pinned"] for key in (CONF_ACTIVE, CONF_PREVIOUS) if data.get(key))]
        choices = [choice for one in known if (choice := ModelChoice.from_data(one, catalog))]
        await async_get_store(self._hass).async_keep_only(choices)

    @property
    def _wished(self) -> dict[str, Any]:
        return {key: value for key, value in self._entry.data.items() if key not in _RECORDS}

    async def _pinned(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """Describe a model without the catalog; None for one that this version does not know."""
        catalog = await self._hass.async_add_executor_job(load_catalog)
        try:
            choice = ModelChoice.from_data(data, catalog)
        except EncoderError:
            return None
        return choice.to_data({}) if choice else None


def _digest(generation: Generation) -> str:
    """Name a stamp in an entry's data."""
    return hashlib.sha256(repr(generation.stamp).encode()).hexdigest()[:16]
