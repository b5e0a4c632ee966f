"""The home as patterns see it: what may fill a role, and the automations that there are."""

import asyncio
from collections.abc import Callable
import logging

from homeassistant.components.automation import DATA_COMPONENT
from homeassistant.const import ATTR_ENTITY_ID, ATTR_SUPPORTED_FEATURES, ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import area_registry as ar, entity_registry as er

from .candidates import strings_of, thing_of
from .describe import KindNames, describe_entity
from .index import Document
from .knowledge import Automation, HomeEntity
from .sync import includes

_LOGGER = logging.getLogger(__name__)

_COLOR_MODES = "supported_color_modes"
# Their temperatures are those of Home Assistant's unit system; no attribute says so.
_SET_IN_DEGREES = {"climate", "water_heater"}
# So many entities are read at once, in which everything else waits.
_AT_ONCE = 100

type Permits = Callable[[str], bool] | None
"""Whether the caller may read an entity; None for all."""


async def async_home_entities(hass: HomeAssistant, scope: str, permits: Permits) -> list[HomeEntity]:
    """Give the entities that are in the index's scope and that the caller may read."""
    entities = []
    for number, state in enumerate(hass.states.async_all()):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if (permits is None or permits(state.entity_id)) and includes(hass, state, scope):
            try:
                entities.append(_home_entity(hass, state))
            except Exception:
                # One that cannot be described must not keep the others out.
                _LOGGER.exception("%s is left out of suggestions", state.entity_id)
    return entities


@callback
def async_automations(hass: HomeAssistant, permits: Permits) -> list[Automation]:
    """Give the automations that the caller may read, in the order of their ids."""
    component = hass.data.get(DATA_COMPONENT)
    if component is None:
        return []
    found = sorted(component.entities, key=lambda entity: entity.entity_id)
    return [
        Automation(entity.entity_id, str(entity.name or entity.entity_id), dict(entity.raw_config or {}))
        for entity in found
        if permits is None or permits(entity.entity_id)
    ]


def _home_entity(hass: HomeAssistant, state: State) -> HomeEntity:
    # Names, area and labels are those of the index, without what the home's language calls their kinds.
    document = describe_entity(hass, state, KindNames({}))
    # Whoever acts on a group acts on what is in it.
    whole = [document, *(describe_entity(hass, member, KindNames({})) for member in _members(hass, state))]
    told, entry = document.metadata, er.async_get(hass).async_get(state.entity_id)
    names, device, area = strings_of(document, "names"), told.get("device"), told.get("area")
    features, color_modes = state.attributes.get(ATTR_SUPPORTED_FEATURES), state.attributes.get(_COLOR_MODES)
    return HomeEntity(
        entity_id=state.entity_id,
        name=names[0],
        device_class=_text(document, "device_class"),
        area_id=_text(document, "area_id"),
        area=_text(document, "area"),
        floor_id=_text(document, "floor_id"),
        device_id=entry.device_id if entry else None,
        registry_id=entry.id if entry else None,
        labels=frozenset().union(*(_labels(hass, one) for one in whole)),
        called=(*names[1:], *(str(name) for name in (device, area) if name)),
        guarded=any(thing_of(one, {}).guarded for one in whole),
        secondary=entry is not None and entry.entity_category is not None,
        features=int(features) if isinstance(features, int) else 0,
        color_modes=frozenset(map(str, color_modes)) if isinstance(color_modes, list | tuple | set) else frozenset(),
        unit=_unit(hass, state),
    )


def _members(hass: HomeAssistant, state: State) -> list[State]:
    """Give the entities in a group, those of groups in it included."""
    found: dict[str, State] = {}
    waiting = [state]
    while waiting:
        members = waiting.pop().attributes.get(ATTR_ENTITY_ID)
        for member in members if isinstance(members, list | tuple | set) else ():
            if member not in found and (known := hass.states.get(str(member))) is not None:
                found[member] = known
                waiting.append(known)
    return list(found.values())


def _labels(hass: HomeAssistant, document: Document) -> frozenset[str]:
    """Give the labels of an entity, its device and its area, by id and by name."""
    registry, area_id = ar.async_get(hass), _text(document, "area_id")
    area = registry.async_get_area(area_id) if area_id else None
    names = document.metadata.get("label_names")
    own = {*names, *map(str, names.values())} if isinstance(names, dict) else set()
    return frozenset(own | (area.labels if area else set()))


def _unit(hass: HomeAssistant, state: State) -> str | None:
    if state.domain in _SET_IN_DEGREES:
        return hass.config.units.temperature_unit
    unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
    return None if unit is None else str(unit)


def _text(document: Document, field: str) -> str | None:
    value = document.metadata.get(field)
    return None if value is None else str(value)
