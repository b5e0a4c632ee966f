"""What is known of an entity, area or floor, as a document of the index.

Only registries and names enter, never a state's value: a light that turns on must not change a text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
OF_THE_HOUSE = frozenset({KIND_ENTITY, KIND_AREA, KIND_FLOOR})
"""What the house is made of; everything else is what is known about it."""


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


@dataclass(frozen=True, slots=True)
class EntityFacts:
    """What is known of an entity: `names` are its shown name, then what else it is called.

    `source_id` identifies it for good. Areas, floors and labels by id with name; `kind_words` say what kind of thing it
    is in the home's language, the particular first.
    """

    entity_id: str
    source_id: str
    names: tuple[str, ...]
    device_class: str | None = None
    area: tuple[str, str] | None = None
    floor: tuple[str, str] | None = None
    device: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    kind_words: tuple[str, ...] = ()


def entity_document(facts: EntityFacts, language: str) -> Document:
    """Make the document of an entity: its names, and a sentence with what surrounds it."""
    area, floor = facts.area, facts.floor
    context = (
        facts.kind_words[0] if facts.kind_words else None,
        area[1] if area else None,
        floor[1] if floor else None,
        facts.device,
        *facts.labels.values(),
    )
    return Document(
        kind=KIND_ENTITY,
        source_id=facts.source_id,
        views=(*facts.names, _sentence(facts.names[0], context)),
        metadata={
            "entity_id": facts.entity_id,
            "names": list(facts.names),
            "domain": facts.entity_id.partition(".")[0],
            "device_class": facts.device_class,
            "device": facts.device,
            "area_id": area[0] if area else None,
            "area": area[1] if area else None,
            "floor_id": floor[0] if floor else None,
            "labels": [*sorted(facts.labels)],
            "label_names": dict(facts.labels),
            "kind_words": list(facts.kind_words),
        },
        language=language,
    )


def place_document(kind: str, source_id: str, names: Iterable[str], floor_id: str | None, language: str) -> Document:
    """Make the document of an area or floor: its name and aliases."""
    views = _cleaned(names)
    return Document(kind, source_id, views, {"names": list(views), "floor_id": floor_id}, language=language)


def place_id(kind: str, source_id: str) -> str:
    """Give the id that an area or floor has for the matcher, where both are places."""
    return f"{kind}:{source_id}"


@callback
def describe_entity(hass: HomeAssistant, state: State, kinds: KindNames) -> Document:
    """Make the document of an entity. Without a registry entry its entity id has to identify it."""
    entry = er.async_get(hass).async_get(state.entity_id)
    device = dr.async_get(hass).async_get(entry.device_id) if entry and entry.device_id else None
    area_id = er.async_get_effective_area_id(hass, entry) if entry else None
    area = ar.async_get(hass).async_get_area(area_id) if area_id else None
    floor = fr.async_get(hass).async_get_floor(area.floor_id) if area and area.floor_id else None
    device_class = (entry.device_class or entry.original_device_class) if entry else None
    device_class = str(device_class or state.attributes.get(ATTR_DEVICE_CLASS) or "") or None
    labels = sorted((entry.labels if entry else set()) | (device.labels if device else set()))
    known = {label_id: lr.async_get(hass).async_get_label(label_id) for label_id in labels}
    facts = EntityFacts(
        state.entity_id,
        entry.id if entry else state.entity_id,
        _names(hass, state, entry),
        device_class,
        (area.id, area.name) if area else None,
        (floor.floor_id, floor.name) if floor else None,
        (device.name_by_user or device.name) if device else None,
        {label_id: label.name for label_id, label in known.items() if label},
        kinds.of(state.domain, device_class),
    )
    return entity_document(facts, hass.config.language)


@callback
def describe_areas(hass: HomeAssistant) -> list[Document]:
    """Make the documents of all areas and floors.

    Aliases are sets, whose order differs from start to start and would look like a change: they are sorted.
    """
    language = hass.config.language
    areas = (
        place_document(KIND_AREA, area.id, (area.name, *sorted(area.aliases)), area.floor_id, language)
        for area in ar.async_get(hass).async_list_areas()
    )
    floors = (
        place_document(
            KIND_FLOOR, floor.floor_id, (floor.name, *sorted(floor.aliases)), floor.floor_id, hass.config.language
        )
        for floor in fr.async_get(hass).async_list_floors()
    )
    return [*areas, *floors]


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
