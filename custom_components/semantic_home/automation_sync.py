"""Keeps the index in step with the home's automations, scripts, scenes and blueprints."""

from collections.abc import Iterable
from typing import override

from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE
from homeassistant.core import CALLBACK_TYPE, EventStateChangedData, HomeAssistant, callback

from .describe_automations import AUTOMATION_KINDS, ENTITY_KINDS, async_describe_automations
from .registry_sync import DocumentSink, RegistrySync

# Fired when all of them are there again; a script's reload fires nothing, but its entity goes and comes.
_RELOADED = ("automation_reloaded", "scene_reloaded")


class AutomationSync(RegistrySync):
    """Passes on what the home does by itself, always all of it: there is little, and much of it speaks of the rest.

    Of blueprints nothing tells when one comes or goes: they are read whenever anything else is.
    """

    def __init__(self, hass: HomeAssistant, sink: DocumentSink) -> None:
        """Take where the documents go."""
        super().__init__(hass)
        self._sink = sink
        # While they are not known, every entity counts.
        self._used: set[str] | None = None

    @override
    def _listen(self) -> Iterable[CALLBACK_TYPE]:
        bus = self._hass.bus
        return (
            *(bus.async_listen(event, self._everything_changed) for event in _RELOADED),
            bus.async_listen(EVENT_STATE_CHANGED, self._everything_changed, event_filter=_may_be_another),
        )

    @override
    async def _pass_on(self, *, everything: bool) -> None:
        if not everything:
            return
        self._used = None
        documents = await async_describe_automations(self._hass)
        self._used = {
            entity_id
            for document in documents
            if isinstance(used := document.metadata.get("entity_ids"), list)
            for entity_id in used
            if isinstance(entity_id, str)
        }
        await self._sink.async_reconcile(AUTOMATION_KINDS, documents)

    @override
    @callback
    def _entities_changed(self, *entity_ids: str) -> None:
        if self._used is None or any(entity_id in self._used or _is_one(entity_id) for entity_id in entity_ids):
            self._mark_all()


@callback
def _may_be_another(data: EventStateChangedData) -> bool:
    """Let through what is unavailable or was: an edited one is taken away and comes back under the same entity id."""
    if not _is_one(data["entity_id"]):
        return False
    return any(
        state is not None and state.state == STATE_UNAVAILABLE for state in (data["old_state"], data["new_state"])
    )


def _is_one(entity_id: str) -> bool:
    return entity_id.partition(".")[0] in ENTITY_KINDS
