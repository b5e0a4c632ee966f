"""The update: the change from the model that answers to the one that is wished."""

import hashlib
from typing import Any, override

from homeassistant.components.update import UpdateEntity, UpdateEntityFeature
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_MODEL
from .entity import SemanticHomeEntity
from .index import Stamp
from .problems import async_texts
from .runtime import SemanticHomeConfigEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: SemanticHomeConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the update; where names alone are matched there is no model to change."""
    if entry.data[CONF_MODEL] is not None:
        async_add_entities([ModelUpdate(entry, await async_texts(hass, "common"))])


class ModelUpdate(SemanticHomeEntity, UpdateEntity):
    """On while another model answers than is wished; to install it is to begin the change that waits for it."""

    _attr_supported_features = UpdateEntityFeature.INSTALL | UpdateEntityFeature.PROGRESS

    def __init__(self, entry: SemanticHomeConfigEntry, texts: dict[str, str]) -> None:
        """Take the entry, and the translations of the category common."""
        super().__init__(entry, "model")
        self._texts = texts

    @property
    @override
    def available(self) -> bool:
        return self._home.status.stamp is not None

    @property
    @override
    def auto_update(self) -> bool:
        return self._home.change.automatic

    @property
    @override
    def installed_version(self) -> str | None:
        return _version(self._home.status.stamp)

    @property
    @override
    def latest_version(self) -> str | None:
        return _version(self._home.wished_stamp)

    @override
    def version_is_newer(self, latest_version: str, installed_version: str) -> bool:
        """Take what is wished for newer: models have no order."""
        return latest_version != installed_version

    @property
    @override
    def in_progress(self) -> bool:
        return self._differs and not self._home.change.waits

    @property
    @override
    def update_percentage(self) -> int | None:
        progress = self._home.progress
        return progress.percent if progress and progress.building else None

    @property
    @override
    def title(self) -> str | None:
        wished = self._home.change.wished
        return wished.title if wished else None

    @property
    @override
    def release_summary(self) -> str | None:
        status = self._home.status
        if status.stamp is None or not self._differs:
            return None
        key = "change_waits" if self._home.change.waits else "change_runs"
        return self._texts[key].format(model=status.stamp.model_id, texts=status.texts)

    @override
    async def async_install(self, version: str | None, backup: bool, **kwargs: Any) -> None:
        """Begin what waits; what is under way already is only watched."""
        self._home.async_change_model()

    @property
    def _differs(self) -> bool:
        return self.latest_version is not None and self.installed_version != self.latest_version


def _version(stamp: Stamp | None) -> str | None:
    """Name a model, and shortly all else that vectors depend on: files, prefixes, the words for entities."""
    if stamp is None:
        return None
    return f"{stamp.model_id} ({hashlib.sha256(repr(stamp).encode()).hexdigest()[:7]})"
