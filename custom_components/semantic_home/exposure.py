"""What an assistant may speak of, and what it calls that."""

from collections.abc import Callable
from dataclasses import dataclass

from homeassistant.components.homeassistant.exposed_entities import KNOWN_ASSISTANTS, async_should_expose
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import area_registry as ar, entity_registry as er, intent
from homeassistant.util.json import JsonObjectType


@dataclass(frozen=True, slots=True)
class SpokenEntity:
    """An entity with the names that Home Assistant's intents know it by, the preferred one first, and its area."""

    entity_id: str
    names: tuple[str, ...]
    area: ar.AreaEntry | None

    @property
    def domain(self) -> str:
        """What Home Assistant takes it for."""
        return self.entity_id.partition(".")[0]

    def told(self) -> JsonObjectType:
        """Say what it takes to act on it: who has no name is known to the intents by the entity id."""
        told: JsonObjectType = {"name": self.names[0] if self.names else self.entity_id, "entity_id": self.entity_id}
        return told | ({"area": self.area.name} if self.area else {}) | {"domain": self.domain}


@callback
def async_exposed(hass: HomeAssistant, assistant: str, permits: Callable[[str], bool] | None = None) -> frozenset[str]:
    """Give the entities that are exposed to an assistant, of those that the caller may read.

    Asked of an assistant that Home Assistant does not know it would keep an answer with every entity; nothing can be
    exposed to such a one.
    """
    if assistant not in KNOWN_ASSISTANTS:
        return frozenset()
    return frozenset(
        entity_id
        for entity_id in hass.states.async_entity_ids()
        if (permits is None or permits(entity_id)) and async_should_expose(hass, assistant, entity_id)
    )


@callback
def async_spoken(hass: HomeAssistant, entity_id: str) -> SpokenEntity:
    """Look up what an entity is called, and where it is."""
    entry, state = er.async_get(hass).async_get(entity_id), hass.states.get(entity_id)
    names = intent.async_get_entity_aliases(hass, entry, state=state) if state else []
    area_id = er.async_get_effective_area_id(hass, entry) if entry else None
    area = ar.async_get(hass).async_get_area(area_id) if area_id else None
    return SpokenEntity(entity_id, tuple(filter(None, names)), area)
