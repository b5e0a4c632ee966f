"""The aliases in the entity registry: adding one that nothing else is called."""

from collections import defaultdict
from collections.abc import Mapping

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import area_registry as ar, entity_registry as er, floor_registry as fr, intent

from .describe import KIND_AREA, KIND_FLOOR, place_id
from .matching.text import fold

_ASSISTANT = "conversation"

type SpokenNames = Mapping[str, set[str]]
"""By a folded name, what is called like that: entity ids, and the places' ids."""


class AliasError(Exception):
    """An alias cannot be added."""


class UnregisteredEntityError(AliasError):
    """The entity has no registry entry, which is where aliases are kept."""


class AliasTakenError(AliasError):
    """Something else is called like that."""


@callback
def async_add_alias(hass: HomeAssistant, entity_id: str, alias: str) -> bool:
    """Write an alias behind those that an entity has; tell whether it was not there already. Raises AliasError."""
    registry = er.async_get(hass)
    if (entry := registry.async_get(entity_id)) is None:
        raise UnregisteredEntityError(entity_id)
    owners = async_spoken_names(hass).get(fold(alias), set())
    if owners - {entity_id}:
        raise AliasTakenError(alias)
    known = er.async_get_entity_aliases(hass, entry)
    if fold(alias) in map(fold, known):
        return False
    # Whoever has no aliases at all is called by the name by some assistants, and must not lose it for an alias.
    registry.async_update_entity(entity_id, aliases=[*(entry.aliases or [er.COMPUTED_NAME]), alias])
    return True


@callback
def async_spoken_names(hass: HomeAssistant) -> SpokenNames:
    """Give all that Assist knows by name: exposed entities, areas and floors."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    registry = er.async_get(hass)
    for state in hass.states.async_all():
        if not async_is_spoken_of(hass, state.entity_id):
            continue
        for name in intent.async_get_entity_aliases(hass, registry.async_get(state.entity_id), state=state):
            names[fold(name)].add(state.entity_id)
    for area in ar.async_get(hass).async_list_areas():
        for name in (area.name, *area.aliases):
            names[fold(name)].add(place_id(KIND_AREA, area.id))
    for floor in fr.async_get(hass).async_list_floors():
        for name in (floor.name, *floor.aliases):
            names[fold(name)].add(place_id(KIND_FLOOR, floor.floor_id))
    return names


@callback
def async_is_spoken_of(hass: HomeAssistant, entity_id: str) -> bool:
    """Tell whether Assist knows an entity."""
    return async_should_expose(hass, _ASSISTANT, entity_id)
