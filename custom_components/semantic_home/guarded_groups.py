"""What is never acted on by a guess for what it acts on: a group with a garage door in it, a scene with a lock."""

from homeassistant.const import ATTR_DEVICE_CLASS, ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant, callback

from .matching import is_guarded


@callback
def async_guarded(hass: HomeAssistant, entity_id: str) -> bool:
    """Tell whether an entity is never acted on by a guess, for what it is called or for what it holds."""
    return _is_guarded(hass, entity_id) or async_holds_guarded(hass, entity_id)


@callback
def async_holds_guarded(hass: HomeAssistant, entity_id: str) -> bool:
    """Tell whether something guarded is among an entity's members, as its state names them, or among theirs."""
    seen, waiting = {entity_id}, [entity_id]
    while waiting:
        members = _members(hass, waiting.pop()) - seen
        if any(_is_guarded(hass, member) for member in members):
            return True
        seen |= members
        waiting += members
    return False


def _members(hass: HomeAssistant, entity_id: str) -> set[str]:
    state = hass.states.get(entity_id)
    members = state.attributes.get(ATTR_ENTITY_ID) if state else None
    # Anything may stand in an attribute.
    return {one for one in members if isinstance(one, str)} if isinstance(members, (list, tuple, set)) else set()


def _is_guarded(hass: HomeAssistant, entity_id: str) -> bool:
    state = hass.states.get(entity_id)
    called = (state.name,) if state else ()
    return is_guarded(entity_id, state.attributes.get(ATTR_DEVICE_CLASS) if state else None, called)
