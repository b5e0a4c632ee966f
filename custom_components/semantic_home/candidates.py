"""Reads the home's documents as matching takes them: candidates, places, and what a question calls them."""

from collections.abc import Iterable, Mapping

from .describe import KIND_AREA, KIND_FLOOR, place_id
from .index import Document, JsonValue
from .matching import Candidate, Place, Thing

_LABEL = "label"


def entity_id_of(document: Document) -> str:
    """Give the entity id of an entity."""
    return str(document.metadata["entity_id"])


def candidate_of(document: Document) -> Candidate:
    """Say what an entity is known by."""
    metadata = document.metadata
    where = ((KIND_AREA, metadata.get("area_id")), (KIND_FLOOR, metadata.get("floor_id")))
    labels = _labels(document)
    device = _text(metadata.get("device"))
    return Candidate(
        entity_id=entity_id_of(document),
        names=strings_of(document, "names") or (entity_id_of(document),),
        domain=str(metadata["domain"]),
        device_class=_text(metadata.get("device_class")),
        area=_text(metadata.get("area")),
        places=(
            *(place_id(kind, str(place)) for kind, place in where if place),
            *(place_id(_LABEL, label) for label in labels),
        ),
        related=tuple(name for name in (device, *labels.values()) if name),
    )


def thing_of(document: Document, floors: Mapping[str, str]) -> Thing:
    """Say what a question calls an entity. `floors`: their names by their ids."""
    metadata = document.metadata
    name, *aliases = candidate_of(document).names
    return Thing(
        entity_id=entity_id_of(document),
        name=name,
        aliases=tuple(aliases),
        area=_text(metadata.get("area")),
        floor=floors.get(str(metadata.get("floor_id"))),
        kind=next(iter(strings_of(document, "kind_words")), None),
        device=_text(metadata.get("device")),
        device_class=_text(metadata.get("device_class")),
    )


def places_of(areas_and_floors: Iterable[Document], entities: Iterable[Document]) -> list[Place]:
    """Give what can be said to name where something is: areas, floors, and the entities' labels."""
    places = [Place(place_id(one.kind, one.source_id), one.kind, strings_of(one, "names")) for one in areas_and_floors]
    labels = {label: name for document in entities for label, name in _labels(document).items()}
    return [*places, *(Place(place_id(_LABEL, label), KIND_AREA, (name,)) for label, name in sorted(labels.items()))]


def strings_of(document: Document, field: str) -> tuple[str, ...]:
    """Give a field of the metadata that holds several texts."""
    values = document.metadata.get(field)
    return tuple(map(str, values)) if isinstance(values, list) else ()


def _labels(document: Document) -> dict[str, str]:
    """Give the names of an entity's labels by their ids."""
    names = document.metadata.get("label_names")
    return {str(label): str(name) for label, name in names.items()} if isinstance(names, dict) else {}


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)
