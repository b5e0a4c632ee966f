"""Keeps the index in step with the registries: everything once at the start, then only what changed."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
import logging
from typing import Any, Protocol

from homeassistant.components.homeassistant.exposed_entities import (
    async_listen_entity_updates,
    async_should_expose,
)
from homeassistant.const import ATTR_FRIENDLY_NAME, EVENT_CORE_CONFIG_UPDATE, EVENT_STATE_CHANGED
from homeassistant.core import CALLBACK_TYPE, CoreState, Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.start import async_at_started

from .const import DOMAIN, SCOPE_ALL
from .describe import KIND_AREA, KIND_ENTITY, KIND_FLOOR, KindNames, describe_areas, describe_entity
from .index import Document, StoreError

_LOGGER = logging.getLogger(__name__)

_COOLDOWN = 1.0
_RETRY = 60.0
_AT_ONCE = 100
_ASSISTANT = "conversation"

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


class HomeSync:
    """Listens to everything that changes a document, and passes changes on in batches."""

    def __init__(self, hass: HomeAssistant, scope: str, sink: DocumentSink) -> None:
        """Take which entities to include (`exposed` or `all`) and where their documents go."""
        self._hass = hass
        self._scope = scope
        self._sink = sink
        self._dirty_entities: set[str] = set()
        self._all_dirty = True
        self._source_ids: dict[str, str] = {}
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
            async_listen_entity_updates(self._hass, _ASSISTANT, self._mark_all),
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
            all_dirty, dirty = self._all_dirty, self._dirty_entities
            self._all_dirty, self._dirty_entities = False, set()
            try:
                if all_dirty:
                    await self._reconcile()
                elif dirty:
                    await self._update(dirty)
            except BaseException:
                # Half of the changes may have arrived; reading everything again makes good whatever did not.
                self._all_dirty = True
                self._schedule(_RETRY)
                raise

    async def _flush_and_log(self, _: object = None) -> None:
        try:
            await self.async_flush()
        except StoreError as err:
            _LOGGER.error("The index could not take in the home's changes, and will be asked again: %s", err)
        except Exception:
            _LOGGER.exception("The home's changes could not be taken in, and will be tried again")

    async def _reconcile(self) -> None:
        states = self._hass.states.async_all()
        kinds = await self._kind_names(states)
        documents = {}
        for number, state in enumerate(filter(self._includes, states)):
            if (document := self._describe(state, kinds)) is not None:
                documents[state.entity_id] = document
            if number % _AT_ONCE == _AT_ONCE - 1:
                # A thousand entities in one go would hold up the event loop; what changes meanwhile is marked.
                await asyncio.sleep(0)
        self._source_ids = {entity_id: document.source_id for entity_id, document in documents.items()}
        await self._sink.async_reconcile(
            (KIND_ENTITY, KIND_AREA, KIND_FLOOR), [*documents.values(), *describe_areas(self._hass)]
        )

    async def _update(self, entity_ids: Iterable[str]) -> None:
        dirty = sorted(entity_ids)
        states = [state for entity_id in dirty if (state := self._hass.states.get(entity_id))]
        kinds = await self._kind_names(states)
        described = {state.entity_id: self._describe(state, kinds) for state in states if self._includes(state)}
        documents = {entity_id: document for entity_id, document in described.items() if document is not None}
        before = {source_id for entity_id in dirty if (source_id := self._source_ids.pop(entity_id, None))}
        self._source_ids |= {entity_id: document.source_id for entity_id, document in documents.items()}
        gone = before - {document.source_id for document in documents.values()}
        await self._sink.async_update(list(documents.values()), sorted(gone))

    def _describe(self, state: State, kinds: KindNames) -> Document | None:
        """Describe an entity. One that cannot be described must not keep the others out."""
        try:
            return describe_entity(self._hass, state, kinds)
        except Exception:
            _LOGGER.exception("%s is left out of the index", state.entity_id)
            return None

    async def _kind_names(self, states: Iterable[State]) -> KindNames:
        return await KindNames.async_load(self._hass, {state.domain for state in states})

    def _includes(self, state: State) -> bool:
        return includes(self._hass, state, self._scope)

    @callback
    def _schedule(self, seconds: float) -> None:
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
        self._schedule(_COOLDOWN)

    @callback
    def _mark(self, *entity_ids: str) -> None:
        self._dirty_entities.update(entity_ids)
        self._schedule(_COOLDOWN)

    @callback
    def _everything_changed(self, _: Event[Any]) -> None:
        self._mark_all()

    @callback
    def _entity_updated(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        data: Mapping[str, Any] = event.data
        if data["action"] != "update" or _ENTITY_FIELDS & data["changes"].keys():
            self._mark(data["entity_id"], data.get("old_entity_id", data["entity_id"]))

    @callback
    def _device_updated(self, event: Event[dr.EventDeviceRegistryUpdatedData]) -> None:
        data: Mapping[str, Any] = event.data
        if data["action"] == "update" and _DEVICE_FIELDS & data["changes"].keys():
            self._mark_all()

    @callback
    def _state_changed(self, event: Event[EventStateChangedData]) -> None:
        self._mark(event.data["entity_id"])


@callback
def includes(hass: HomeAssistant, state: State, scope: str) -> bool:
    """Tell whether an entity belongs to the home that is known, which is all of it or what is exposed."""
    entry = er.async_get(hass).async_get(state.entity_id)
    if entry is not None and entry.platform == DOMAIN:
        # What the integration tells of itself is no part of the house.
        return False
    if scope == SCOPE_ALL:
        return entry is None or not entry.hidden
    return async_should_expose(hass, _ASSISTANT, state.entity_id)


@callback
def _name_may_have_changed(data: EventStateChangedData) -> bool:
    """Let through entities that come, go or are renamed; this sees every state change of the home."""
    old, new = data["old_state"], data["new_state"]
    if old is None or new is None:
        return True
    old_name, new_name = old.attributes.get(ATTR_FRIENDLY_NAME), new.attributes.get(ATTR_FRIENDLY_NAME)
    return bool(old_name != new_name)
