"""What Home Assistant's registries call the home's things, for texts that speak of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.translation import async_get_translations

from .rendering import NamedEntity

# What is said around the names is English, so what a state means is, too.
_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class HomeNames:
    """The home's names by id; None for what the registries do not know."""

    hass: HomeAssistant
    words: Mapping[str, str]

    @classmethod
    async def async_load(cls, hass: HomeAssistant) -> Self:
        """Load what the states of the home's entities mean."""
        domains = {state.domain for state in hass.states.async_all()}
        return cls(hass, await async_get_translations(hass, _LANGUAGE, "entity_component", domains))

    def entity(self, entity_id: str) -> NamedEntity | None:
        """Find an entity by its id, or by that of its registry entry."""
        entry = er.async_get(self.hass).async_get(entity_id)
        state = self.hass.states.get(entry.entity_id if entry else entity_id)
        full = er.async_get_full_entity_name(self.hass, entry) if entry else None
        # A state's name may be anything, and hold what UTF-8 cannot.
        name = str(full or (state.name if state else "")).encode("utf-8", "replace").decode().strip()
        area_id = er.async_get_effective_area_id(self.hass, entry) if entry else None
        area = self.area(area_id) if area_id else None
        known = entry or state
        return NamedEntity(known.entity_id, name, area_id if area else None, area) if known and name else None

    def device(self, device_id: str) -> str | None:
        """Name a device."""
        device = dr.async_get(self.hass).async_get(device_id)
        return (device.name_by_user or device.name) if device else None

    def area(self, area_id: str) -> str | None:
        """Name an area."""
        area = ar.async_get(self.hass).async_get_area(area_id)
        return area.name if area else None

    def floor(self, floor_id: str) -> str | None:
        """Name a floor."""
        floor = fr.async_get(self.hass).async_get_floor(floor_id)
        return floor.name if floor else None

    def label(self, label_id: str) -> str | None:
        """Name a label."""
        label = lr.async_get(self.hass).async_get_label(label_id)
        return label.name if label else None

    def state(self, entity_id: str, state: str) -> str | None:
        """Say in English what a state of an entity means: a motion sensor that is on has detected something."""
        entry, current = er.async_get(self.hass).async_get(entity_id), self.hass.states.get(entity_id)
        known = (entry.device_class or entry.original_device_class) if entry else None
        device_class = known or (current.attributes.get("device_class") if current else None)
        prefix = f"component.{entity_id.partition('.')[0]}.entity_component"
        keys = (f"{prefix}.{kind}.state.{state}" for kind in (device_class, "_") if kind)
        return next((word.lower() for key in keys if (word := self.words.get(key))), None)
