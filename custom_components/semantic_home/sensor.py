"""The sensors: how the index is, what answers, and how it serves."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfTime
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_call_later, async_track_time_change
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .const import CONF_MODEL
from .entity import SemanticHomeEntity
from .home_state import HomeState
from .matching import Decision
from .progress import Progress
from .runtime import SemanticHome, SemanticHomeConfigEntry

PARALLEL_UPDATES = 0

_REFRESH_SECONDS = 10


async def async_setup_entry(
    hass: HomeAssistant, entry: SemanticHomeConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors; where names alone are matched there is no model, and nothing to embed."""
    async_add_entities([QueriesTodaySensor(entry)])
    async_add_entities(HomeSensor(entry, description) for description in _ALWAYS)
    if entry.data[CONF_MODEL] is not None:
        async_add_entities([EmbeddingProgressSensor(entry), HomeSensor(entry, _MODEL)])


@dataclass(frozen=True, kw_only=True)
class HomeSensorDescription(SensorEntityDescription):
    """A sensor whose value the home has ready."""

    value: Callable[[SemanticHome], StateType]
    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC


def _share(key: str, decision: Decision) -> HomeSensorDescription:
    """Describe the share of the latest requests that were decided so; it changes with most of them."""
    return HomeSensorDescription(
        key=key,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value=lambda home: home.statistics.share(decision),
    )


def _latency(key: str, value: Callable[[SemanticHome], StateType]) -> HomeSensorDescription:
    """Describe a time that changes with every request."""
    return HomeSensorDescription(
        key=key,
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value=value,
    )


_MODEL = HomeSensorDescription(key="active_model", value=lambda home: home.model)
_ALWAYS = (
    HomeSensorDescription(
        key="documents", state_class=SensorStateClass.MEASUREMENT, value=lambda home: home.status.documents
    ),
    HomeSensorDescription(
        key="index_state",
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in HomeState],
        value=lambda home: home.state.value,
    ),
    _latency("last_latency", lambda home: home.statistics.last_ms),
    _latency("p95_latency", lambda home: home.statistics.p95_ms),
    _share("share_answered", Decision.MATCH),
    _share("share_asked", Decision.AMBIGUOUS),
    _share("share_none", Decision.NONE),
)


class HomeSensor(SemanticHomeEntity, SensorEntity):
    """One value of the home."""

    entity_description: HomeSensorDescription

    def __init__(self, entry: SemanticHomeConfigEntry, description: HomeSensorDescription) -> None:
        """Take the entry, and what to show of it."""
        super().__init__(entry, description.key)
        self.entity_description = description

    @property
    @override
    def native_value(self) -> StateType:
        return self.entity_description.value(self._home)


class QueriesTodaySensor(SemanticHomeEntity, RestoreSensor):
    """How many requests were matched since midnight; a restart does not make them fewer."""

    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_state_class = SensorStateClass.TOTAL_INCREASING

    def __init__(self, entry: SemanticHomeConfigEntry) -> None:
        """Take the entry."""
        super().__init__(entry, "queries_today")

    @property
    @override
    def native_value(self) -> int:
        return self._home.statistics.today

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        await self._resume()
        self.async_on_remove(async_track_time_change(self.hass, self._day_changed, hour=0, minute=0, second=0))

    async def _resume(self) -> None:
        """Go on with what there was before a restart or a reload, if that was today."""
        state, data = await self.async_get_last_state(), await self.async_get_last_sensor_data()
        if state is None or data is None or not isinstance(data.native_value, int):
            return
        if dt_util.as_local(state.last_updated).date() == dt_util.now().date():
            self._home.statistics.resume(data.native_value)

    @callback
    def _day_changed(self, _: datetime) -> None:
        self.async_write_ha_state()


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
