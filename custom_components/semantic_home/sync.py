"""Keeps the index in step with the registries: everything once at the start, then only what changed."""

import asyncio
from collections.abc import Iterable
import logging
from typing import override

from homeassistant.components.homeassistant.exposed_entities import (
    async_listen_entity_updates,
    async_should_expose,
)
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN, SCOPE_ALL
from .describe import OF_THE_HOUSE, KindNames, describe_areas, describe_entity
from .index import Document
from .registry_sync import DocumentSink, RegistrySync

_LOGGER = logging.getLogger(__name__)

_AT_ONCE = 100
_ASSISTANT = "conversation"


class HomeSync(RegistrySync):
    """Passes on the entities, areas and floors of the home."""

    def __init__(self, hass: HomeAssistant, scope: str, sink: DocumentSink) -> None:
        """Take which entities to include (`exposed` or `all`) and where their documents go."""
        super().__init__(hass)
        self._scope = scope
        self._sink = sink
        self._dirty_entities: set[str] = set()
        self._source_ids: dict[str, str] = {}

    @override
    def _listen(self) -> Iterable[CALLBACK_TYPE]:
        return (async_listen_entity_updates(self._hass, _ASSISTANT, self._mark_all),)

    @override
    async def _pass_on(self, *, everything: bool) -> None:
        dirty, self._dirty_entities = self._dirty_entities, set()
        if everything:
            await self._reconcile()
        elif dirty:
            await self._update(dirty)

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
        await self._sink.async_reconcile(OF_THE_HOUSE, [*documents.values(), *describe_areas(self._hass)])

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

    @override
    @callback
    def _entities_changed(self, *entity_ids: str) -> None:
        self._dirty_entities.update(entity_ids)
        self._schedule()


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
