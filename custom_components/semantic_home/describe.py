"""What Home Assistant knows of an entity, area or floor, as a document of the index.

Only registries and names enter, never a state's value: a light that turns on must not change a text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from homeassistant.const import ATTR_DEVICE_CLASS
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    intent,
    label_registry as lr,
)
from homeassistant.helpers.translation import async_get_translations

from .index import Document

# To be raised whenever the same home would give other texts: their vectors are then made anew.
TEMPLATE_VERSION = 1

KIND_ENTITY = "entity"
KIND_AREA = "area"
KIND_FLOOR = "floor"


@dataclass(frozen=True, slots=True)
class KindNames:
    """What Home Assistant calls domains and device classes in the home's language."""

    names: Mapping[str, str]

    @classmethod
    async def async_load(cls, hass: HomeAssistant, domains: Iterable[str]) -> Self:
        """Load the names for these domains."""
        wanted = set(domains)
        titles = await async_get_translations(hass, hass.config.language, "title", wanted)
        components = await async_get_translations(hass, hass.config.language, "entity_component", wanted)
        return cls(titles | components)

    def of(self, domain: str, device_class: str | None) -> tuple[str, ...]:
        """Name a kind from the particular to the general: the device class, the domain."""
        keys = [f"component.{domain}.entity_component.{device_class}.name"] if device_class else []
        keys += [f"component.{domain}.entity_component._.name", f"component.{domain}.title"]
        return tuple(dict.fromkeys(name for key in keys if (name := self.names.get(key))))


@callback
def describe_entity(hass: HomeAssistant, state: State, kinds: KindNames) -> Document:
    """Make the document of an entity. Without a registry entry its entity id has to identify it."""
    entry = er.async_get(hass).async_get(state.entity_id)
    names = _names(hass, state, entry)
    device = dr.async_get(hass).async_get(entry.device_id) if entry and entry.device_id else None
    device_name = (device.name_by_user or device.name) if device else None
    area_id = er.async_get_effective_area_id(hass, entry) if entry else None
    area = ar.async_get(hass).async_get_area(area_id) if area_id else None
    floor = fr.async_get(hass).async_get_floor(area.floor_id) if area and area.floor_id else None
    device_class = (entry.device_class or entry.original_device_class) if entry else None
    device_class = str(device_class or state.attributes.get(ATTR_DEVICE_CLASS) or "") or None
    labels = sorted((entry.labels if entry else set()) | (device.labels if device else set()))
    label_names = [label.name for label_id in labels if (label := lr.async_get(hass).async_get_label(label_id))]
    kind_words = kinds.of(state.domain, device_class)
    context = (
        kind_words[0] if kind_words else None,
        area.name if area else None,
        floor.name if floor else None,
        device_name,
        *label_names,
    )
    return Document(
        kind=KIND_ENTITY,
        source_id=entry.id if entry else state.entity_id,
        views=(*names, _sentence(names[0], context)),
        metadata={
            "entity_id": state.entity_id,
            "names": list(names),
            "domain": state.domain,
            "device_class": device_class,
            "device": device_name,
            "area_id": area.id if area else None,
            "area": area.name if area else None,
            "floor_id": floor.floor_id if floor else None,
            "labels": [*labels],
            "kind_words": list(kind_words),
        },
        language=hass.config.language,
    )


@callback
def describe_areas(hass: HomeAssistant) -> list[Document]:
    """Make the documents of all areas and floors.

    Aliases are sets, whose order differs from start to start and would look like a change: they are sorted.
    """
    areas = (
        _place(KIND_AREA, area.id, (area.name, *sorted(area.aliases)), area.floor_id, hass.config.language)
        for area in ar.async_get(hass).async_list_areas()
    )
    floors = (
        _place(KIND_FLOOR, floor.floor_id, (floor.name, *sorted(floor.aliases)), floor.floor_id, hass.config.language)
        for floor in fr.async_get(hass).async_list_floors()
    )
    return [*areas, *floors]


def _place(kind: str, source_id: str, names: Iterable[str], floor_id: str | None, language: str) -> Document:
    views = _cleaned(names)
    return Document(kind, source_id, views, {"names": list(views), "floor_id": floor_id}, language=language)


def _names(hass: HomeAssistant, state: State, entry: er.RegistryEntry | None) -> tuple[str, ...]:
    """Give the names that voice assistants know, the shown one first; never none."""
    if entry is None:
        return _cleaned((state.name,)) or (state.entity_id,)
    full = er.async_get_full_entity_name(hass, entry)
    spoken = intent.async_get_entity_aliases(hass, entry, state=state)
    return _cleaned((full or state.name, *spoken)) or (state.entity_id,)


def _cleaned(names: Iterable[str]) -> tuple[str, ...]:
    """Strip names of blanks and of what UTF-8 cannot hold; a state's attribute may be anything."""
    sound = (str(name).encode("utf-8", "replace").decode().strip() for name in names)
    return tuple(dict.fromkeys(name for name in sound if name))


def _sentence(name: str, context: Iterable[str | None]) -> str:
    """Join a name and what surrounds it, leaving out what the name says already."""
    said = name.casefold()
    parts = _cleaned(part for part in context if part)
    return ", ".join([name, *(part for part in parts if part.casefold() not in said)])
