"""Follows everything that names something in the home, and passes changes on in batches."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
import logging
from typing import Any, Protocol

from homeassistant.const import ATTR_FRIENDLY_NAME, EVENT_CORE_CONFIG_UPDATE, EVENT_STATE_CHANGED
from homeassistant.core import CALLBACK_TYPE, CoreState, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.start import async_at_started

from .index import Document, StoreError

_LOGGER = logging.getLogger(__name__)

_COOLDOWN = 1.0
_RETRY = 60.0

# What of a registry entry enters a document. Options are not among them: asking whether an entity is exposed writes
# them, and would otherwise call itself for ever; exposure has a listener of its own.
_ENTITY_FIELDS = {
    "aliases",
    "area_id",
    "device_class",
    "device_id",
    "disabled_by",
    "entity_id",
    "has_entity_name",
    "hidden_by",
    "labels",
    "name",
    "next_name_part",
    "original_device_class",
    "original_name",
}
_DEVICE_FIELDS = {"area_id", "labels", "name", "name_by_user", "parent_device_id"}


class DocumentSink(Protocol):
    """Where documents go."""

    async def async_reconcile(self, kinds: Iterable[str], documents: list[Document]) -> None:
        """Hold exactly these documents of these kinds."""

    async def async_update(self, documents: list[Document], removed_entities: list[str]) -> None:
        """Add or change documents, and remove entities by source id."""


class RegistrySync(ABC):
    """Listens to everything that changes a name: once everything at the start, then only when something changed."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Take the home."""
        self._hass = hass
        self._all_dirty = True
        self._lock = asyncio.Lock()
        self._stopped = False
        self._unsubscribe: list[CALLBACK_TYPE] = []
        self._timer: CALLBACK_TYPE | None = None

    @callback
    def async_start(self) -> None:
        """Listen, and bring the index in step as soon as Home Assistant has started."""
        bus = self._hass.bus
        self._unsubscribe = [
            bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._entity_updated),
            bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._device_updated),
            *(
                bus.async_listen(event, self._everything_changed)
                for event in (
                    ar.EVENT_AREA_REGISTRY_UPDATED,
                    fr.EVENT_FLOOR_REGISTRY_UPDATED,
                    lr.EVENT_LABEL_REGISTRY_UPDATED,
                    EVENT_CORE_CONFIG_UPDATE,
                )
            ),
            bus.async_listen(EVENT_STATE_CHANGED, self._state_changed, event_filter=_name_may_have_changed),
            *self._listen(),
            async_at_started(self._hass, self._flush_and_log),
        ]

    async def async_stop(self) -> None:
        """Stop listening and wait for what is under way; what is waiting is dropped, the next start makes it good."""
        self._stopped = True
        while self._unsubscribe:
            self._unsubscribe.pop()()
        if self._timer is not None:
            self._timer()
            self._timer = None
        async with self._lock:
            pass

    async def async_flush(self, *, everything: bool = False) -> None:
        """Pass on all that has changed since the last time, or everything.

        Raises what the sink raises; nothing is forgotten then, and it is tried again by itself after a while.
        """
        self._all_dirty |= everything
        async with self._lock:
            # Before Home Assistant has started, entities that are still missing would seem to be gone.
            if self._stopped or self._hass.state is not CoreState.running:
                return
            all_dirty, self._all_dirty = self._all_dirty, False
            try:
                await self._pass_on(everything=all_dirty)
            except BaseException:
                # Half of the changes may have arrived; reading everything again makes good whatever did not.
                self._all_dirty = True
                self._schedule(_RETRY)
                raise

    @abstractmethod
    def _listen(self) -> Iterable[CALLBACK_TYPE]:
        """Listen to what else changes a document; return what ends that."""

    @abstractmethod
    async def _pass_on(self, *, everything: bool) -> None:
        """Read everything, or what has changed since the last time, and pass it on."""

    @abstractmethod
    def _entities_changed(self, *entity_ids: str) -> None:
        """Note that these entities came, went or are described in another way."""

    async def _flush_and_log(self, _: object = None) -> None:
        try:
            await self.async_flush()
        except StoreError as err:
            _LOGGER.error("The index could not take in the home's changes, and will be asked again: %s", err)
        except Exception:
            _LOGGER.exception("The home's changes could not be taken in, and will be tried again")

    @callback
    def _schedule(self, seconds: float = _COOLDOWN) -> None:
        """Flush in a while, unless that is to happen already: a burst of events makes one batch."""
        if self._timer is None and not self._stopped:
            self._timer = async_call_later(self._hass, seconds, self._timer_ended)

    async def _timer_ended(self, _: datetime) -> None:
        # What comes from here on has a timer of its own, which waits for this flush to end.
        self._timer = None
        await self._flush_and_log()

    @callback
    def _mark_all(self) -> None:
        self._all_dirty = True
        self._schedule()

    @callback
    def _everything_changed(self, _: Event[Any]) -> None:
        self._mark_all()

    @callback
    def _entity_updated(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        data: Mapping[str, Any] = event.data
        if data["action"] != "update" or _ENTITY_FIELDS & data["changes"].keys():
            self._entities_changed(data["entity_id"], data.get("old_entity_id", data["entity_id"]))

    @callback
    def _device_updated(self, event: Event[dr.EventDeviceRegistryUpdatedData]) -> None:
        data: Mapping[str, Any] = event.data
        if data["action"] == "update" and _DEVICE_FIELDS & data["changes"].keys():
            self._mark_all()

    @callback
    def _state_changed(self, event: Event[EventStateChangedData]) -> None:
        self._entities_changed(event.data["entity_id"])


@callback
def _name_may_have_changed(data: EventStateChangedData) -> bool:
    """Let through entities that come, go or are renamed; this sees every state change of the home."""
    old, new = data["old_state"], data["new_state"]
    if old is None or new is None:
        return True
    old_name, new_name = old.attributes.get(ATTR_FRIENDLY_NAME), new.attributes.get(ATTR_FRIENDLY_NAME)
    return bool(old_name != new_name)
