"""The buttons: make the index anew, and give the model's memory back."""

from typing import override

from homeassistant.components.button import ButtonEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_ENGINE, CONF_MODEL
from .entity import SemanticHomeEntity
from .index import StoreError
from .model_choice import Engine
from .runtime import SemanticHomeConfigEntry
from .service_calls import async_failure

PARALLEL_UPDATES = 1


async def async_setup_entry(
    hass: HomeAssistant, entry: SemanticHomeConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the buttons; a model on a server has no memory here."""
    async_add_entities([RebuildButton(entry)])
    if entry.data[CONF_MODEL] is not None and entry.data.get(CONF_ENGINE) != Engine.SERVER:
        async_add_entities([UnloadButton(entry)])


class RebuildButton(SemanticHomeEntity, ButtonEntity):
    """Reads the home again and makes all vectors anew."""

    _attr_entity_category = EntityCategory.CONFIG

    def __init__(self, entry: SemanticHomeConfigEntry) -> None:
        """Take the entry."""
        super().__init__(entry, "rebuild_index")

    @override
    async def async_press(self) -> None:
        await self._check_rights()
        try:
            await self._home.async_rebuild()
        except StoreError as err:
            raise await async_failure(self.hass, err) from err

    async def _check_rights(self) -> None:
        """Refuse whom the action of the same name refuses: on a slow machine it is hours of work."""
        if self._context is None or self._context.user_id is None:
            return
        user = await self.hass.auth.async_get_user(self._context.user_id)
        if user is None or not user.is_admin:
            raise Unauthorized(context=self._context)


class UnloadButton(SemanticHomeEntity, ButtonEntity):
    """Gives the model's memory back until somebody asks it again."""

    _attr_entity_category = EntityCategory.CONFIG

    def __init__(self, entry: SemanticHomeConfigEntry) -> None:
        """Take the entry."""
        super().__init__(entry, "unload_model")

    @override
    async def async_press(self) -> None:
        await self._home.async_unload_models()
