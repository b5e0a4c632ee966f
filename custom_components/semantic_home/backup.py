"""Keeps the index still while Home Assistant makes a backup, so that the copy is whole."""

import asyncio
import logging

from homeassistant.core import HomeAssistant

from .const import DOMAIN
from .index import StoreError
from .runtime import SemanticHomeConfigEntry

_LOGGER = logging.getLogger(__name__)

# All platforms are waited for before a backup begins.
_PATIENCE = 30.0


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Complete the database's file and keep it still. Never raises: that would end the whole backup."""
    for entry in _loaded(hass):
        try:
            async with asyncio.timeout(_PATIENCE):
                await entry.runtime_data.index.async_hold()
        except (StoreError, TimeoutError) as err:
            _LOGGER.warning("The index could not be kept still for the backup: %s", str(err) or "it is busy")
        except Exception:
            _LOGGER.exception("The index could not be kept still for the backup")


async def async_post_backup(hass: HomeAssistant) -> None:
    """Let the database be written again; if that fails it happens by itself some minutes later. Never raises."""
    for entry in _loaded(hass):
        try:
            async with asyncio.timeout(_PATIENCE):
                await entry.runtime_data.index.async_release()
        except Exception:
            _LOGGER.exception("The index could not be released after the backup, which happens by itself in a while")


def _loaded(hass: HomeAssistant) -> list[SemanticHomeConfigEntry]:
    return hass.config_entries.async_loaded_entries(DOMAIN)
