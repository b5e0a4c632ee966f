"""Home files as the index holds a home; only Home Assistant's registries are replaced by the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
import json
from pathlib import Path
from typing import Any

from custom_components.semantic_home.describe import (
    KIND_AREA,
    KIND_FLOOR,
    EntityFacts,
    KindNames,
    entity_document,
    place_document,
)
from custom_components.semantic_home.index import Document


def documents(home: Mapping[str, Any]) -> Iterator[Document]:
    """Make the documents of a home file, as sync.py does of a running home."""
    language = home["language"]
    for floor in home["floors"]:
        yield place_document(KIND_FLOOR, floor["id"], (floor["name"], *floor["aliases"]), floor["id"], language)
    for area in home["areas"]:
        yield place_document(KIND_AREA, area["id"], (area["name"], *area["aliases"]), area["floor"], language)
    for facts in entities(home):
        yield entity_document(facts, language)


def entities(home: Mapping[str, Any]) -> Iterator[EntityFacts]:
    """Give what is known of each entity of a home file, in its order."""
    floors = {floor["id"]: floor for floor in home["floors"]}
    areas = {area["id"]: area for area in home["areas"]}
    devices = {device["id"]: device.get("name") for device in home.get("devices", [])}
    kinds = KindNames(_translations(home["language"]))
    for entity in home["entities"]:
        area = areas.get(entity["area"])
        floor = floors.get(entity["floor"] or (area or {}).get("floor"))
        yield EntityFacts(
            entity["entity_id"],
            entity["entity_id"],
            tuple(dict.fromkeys((entity["name"], *entity["aliases"]))),
            entity["device_class"],
            (area["id"], area["name"]) if area else None,
            (floor["id"], floor["name"]) if floor else None,
            devices.get(entity.get("device")),
            {},
            kinds.of(entity["domain"], entity["device_class"]),
        )


@cache
def _translations(language: str) -> dict[str, str]:
    """Read what Home Assistant calls domains and device classes: English, and over it the language's own names."""
    import homeassistant  # noqa: PLC0415 - for where it is

    names: dict[str, str] = {}
    for spoken in dict.fromkeys(("en", language)):
        for path in sorted(Path(homeassistant.__file__).parent.glob(f"components/*/translations/{spoken}.json")):
            texts, domain = json.loads(path.read_text("utf-8")), path.parts[-3]
            if isinstance(title := texts.get("title"), str):
                names[f"component.{domain}.title"] = title
            for device_class, entity in texts.get("entity_component", {}).items():
                if isinstance(name := entity.get("name"), str):
                    names[f"component.{domain}.entity_component.{device_class}.name"] = name
    return names
