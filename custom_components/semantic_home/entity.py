"""What all entities share: the service that they belong to, and when they have something new to tell."""

from typing import override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity

from .const import DOMAIN
from .runtime import SemanticHomeConfigEntry


class SemanticHomeEntity(Entity):
    """Tells of the home behind a config entry."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: SemanticHomeConfigEntry, key: str) -> None:
        """Take the entry, and the key by which the entity is known and its texts are found."""
        self._home = entry.runtime_data
        self._attr_translation_key = key
        self._attr_unique_id = f"{entry.entry_id}_{key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, entry.entry_id)}, entry_type=DeviceEntryType.SERVICE, name=entry.title
        )

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self._home.async_listen(self._home_changed))

    @callback
    def _home_changed(self) -> None:
        self.async_write_ha_state()
