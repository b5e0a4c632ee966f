"""The sensor: how far the vectors of the home are."""

from datetime import datetime
from typing import Any, override

from homeassistant.components.sensor import SensorEntity
from homeassistant.const import PERCENTAGE, EntityCategory
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_call_later

from .const import CONF_MODEL
from .entity import SemanticHomeEntity
from .progress import Progress
from .runtime import SemanticHomeConfigEntry

PARALLEL_UPDATES = 0

_REFRESH_SECONDS = 10


async def async_setup_entry(
    hass: HomeAssistant, entry: SemanticHomeConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensor; where names alone are matched there is nothing to embed."""
    if entry.data[CONF_MODEL] is not None:
        async_add_entities([EmbeddingProgressSensor(entry)])


class EmbeddingProgressSensor(SemanticHomeEntity, SensorEntity):
    """How many per cent of the texts have vectors in the generation that is being made."""

    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_native_unit_of_measurement = PERCENTAGE
    _attr_suggested_display_precision = 0
    # They change with every round of texts; of a build's course the state keeps enough.
    _unrecorded_attributes = frozenset({"done", "total", "rate", "time_left"})

    def __init__(self, entry: SemanticHomeConfigEntry) -> None:
        """Take the entry."""
        super().__init__(entry, "embedding_progress")
        self._written: tuple[object, ...] | None = None
        self._cancel_refresh: CALLBACK_TYPE | None = None

    @property
    @override
    def available(self) -> bool:
        return self._home.progress is not None

    @property
    @override
    def native_value(self) -> int | None:
        return progress.percent if (progress := self._home.progress) else None

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        if (progress := self._home.progress) is None:
            return None
        left = progress.seconds_left
        return {
            "state": "building" if progress.building else "active",
            "generation": progress.generation,
            "model": progress.model,
            "done": progress.done,
            "total": progress.total,
            "rate": None if progress.rate is None else round(progress.rate, 1),
            "time_left": None if left is None else round(left),
        }

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._home_changed()

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._end_refresh()

    @callback
    @override
    def _home_changed(self) -> None:
        """Write what people look at, at once; what moves many times a second, now and then."""
        progress = self._home.progress
        if (seen := _seen(progress)) != self._written:
            self._written = seen
            self.async_write_ha_state()
        if progress is None or progress.complete:
            self._end_refresh()
        elif self._cancel_refresh is None:
            self._cancel_refresh = async_call_later(self.hass, _REFRESH_SECONDS, self._refresh)

    @callback
    def _refresh(self, _: datetime) -> None:
        """Write the rate as it is now: when nothing moves any more, nobody else tells."""
        self._cancel_refresh = None
        self.async_write_ha_state()
        if (progress := self._home.progress) is not None and progress.rate is not None:
            self._cancel_refresh = async_call_later(self.hass, _REFRESH_SECONDS, self._refresh)

    @callback
    def _end_refresh(self) -> None:
        if self._cancel_refresh is not None:
            self._cancel_refresh()
            self._cancel_refresh = None


def _seen(progress: Progress | None) -> tuple[object, ...] | None:
    if progress is None:
        return None
    return progress.generation, progress.building, progress.percent, progress.complete and progress.total
