"""Turn Home Assistant's own demo devices into a lived-in home: floors, rooms, names, exposure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Self

from .client import JsonObject, WebSocket

ASSISTANT = "conversation"

# In a list of aliases this stands for the entity's own name; without it the name would no longer count.
OWN_NAME = None


@dataclass(frozen=True, slots=True)
class Entity:
    """What the household calls one of its things."""

    entity_id: str
    name: str | None
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Area:
    """A room and what is in it."""

    name: str
    aliases: tuple[str, ...]
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Floor:
    """A floor and its rooms."""

    name: str
    level: int | None
    areas: tuple[Area, ...]


@dataclass(frozen=True, slots=True)
class Home:
    """A home as home.json describes it."""

    core: Mapping[str, object]
    floors: tuple[Floor, ...]
    exposed: frozenset[str]
    hidden: frozenset[str]

    @classmethod
    def load(cls) -> Self:
        """Read the home from its file."""
        data = json.loads(Path(__file__).with_name("home.json").read_text(encoding="utf-8"))
        floors = tuple(_floor(floor) for floor in data["floors"])
        return cls(data["core"], floors, frozenset(data["exposed"]), frozenset(data["hidden"]))

    @property
    def areas(self) -> Iterator[Area]:
        """All rooms of all floors."""
        for floor in self.floors:
            yield from floor.areas


async def furnish(socket: WebSocket, home: Home) -> int:
    """Make Home Assistant's registries agree with the home; return how many things had to change."""
    changes = await _configure(socket, home)
    changes += await _build_floors(socket, home)
    changes += await _build_areas(socket, home)
    changes += await _place_entities(socket, home)
    changes += await _expose(socket, home.exposed, should_expose=True)
    return changes + await _expose(socket, home.hidden, should_expose=False)


async def _configure(socket: WebSocket, home: Home) -> int:
    present: JsonObject = await socket.command("get_config")
    # The answer spells the unit system out.
    wanted = {name: value for name, value in home.core.items() if name != "unit_system"}
    if _agrees(present, wanted):
        return 0
    await socket.command("config/core/update", **home.core)
    return 1


async def _build_floors(socket: WebSocket, home: Home) -> int:
    present = await _by_name(socket, "floor")
    changes = 0
    for floor in home.floors:
        wanted: JsonObject = {"level": floor.level}
        changes += await _create_or_update(socket, "floor", floor.name, present, wanted)
    return changes


async def _build_areas(socket: WebSocket, home: Home) -> int:
    floors = await _by_name(socket, "floor")
    present = await _by_name(socket, "area")
    changes = 0
    for floor in home.floors:
        floor_id = floors[floor.name.casefold()]["floor_id"]
        for area in floor.areas:
            wanted = {"floor_id": floor_id, "aliases": list(area.aliases)}
            changes += await _create_or_update(socket, "area", area.name, present, wanted)
    return changes


async def _place_entities(socket: WebSocket, home: Home) -> int:
    areas = await _by_name(socket, "area")
    ids = [entity.entity_id for area in home.areas for entity in area.entities]
    entries: dict[str, JsonObject | None] = await socket.command("config/entity_registry/get_entries", entity_ids=ids)
    devices = {device["id"]: device for device in await socket.command("config/device_registry/list")}
    changes = 0
    for area in home.areas:
        area_id = areas[area.name.casefold()]["area_id"]
        for entity in area.entities:
            entry = entries[entity.entity_id]
            if entry is None:
                raise LookupError(f"Home Assistant's demo has no {entity.entity_id} in its registry")
            changes += await _place(socket, entity, area_id, entry, devices.get(entry["device_id"]))
    return changes


async def _place(socket: WebSocket, entity: Entity, area_id: str, entry: JsonObject, device: JsonObject | None) -> int:
    """Name and place an entity; one that stands for its whole device is named and placed through the device."""
    aliases = {"aliases": [OWN_NAME, *entity.aliases]}
    if device is None:
        return await _update_entity(socket, entry, {"area_id": area_id, "name": entity.name, **aliases})
    changes = await _update_entity(socket, entry, aliases)
    wanted = {"area_id": area_id, "name_by_user": entity.name}
    if _agrees(device, wanted):
        return changes
    await socket.command("config/device_registry/update", device_id=device["id"], **wanted)
    return changes + 1


async def _update_entity(socket: WebSocket, entry: JsonObject, wanted: JsonObject) -> int:
    if _agrees(entry, wanted):
        return 0
    await socket.command("config/entity_registry/update", entity_id=entry["entity_id"], **wanted)
    return 1


async def _expose(socket: WebSocket, entity_ids: frozenset[str], *, should_expose: bool) -> int:
    answer: JsonObject = await socket.command("homeassistant/expose_entity/list")
    decided: dict[str, dict[str, bool]] = answer["exposed_entities"]
    differing = [
        entity_id
        for entity_id in sorted(entity_ids)
        if decided.get(entity_id, {}).get(ASSISTANT, False) is not should_expose
    ]
    if differing:
        await socket.command(
            "homeassistant/expose_entity",
            assistants=[ASSISTANT],
            entity_ids=differing,
            should_expose=should_expose,
        )
    return len(differing)


async def _create_or_update(
    socket: WebSocket, kind: str, name: str, present: Mapping[str, JsonObject], wanted: JsonObject
) -> int:
    registered = present.get(name.casefold())
    if registered is None:
        await socket.command(f"config/{kind}_registry/create", name=name, **wanted)
        return 1
    if _agrees(registered, wanted):
        return 0
    identity = {f"{kind}_id": registered[f"{kind}_id"]}
    await socket.command(f"config/{kind}_registry/update", **identity, **wanted)
    return 1


async def _by_name(socket: WebSocket, kind: str) -> dict[str, JsonObject]:
    entries: list[JsonObject] = await socket.command(f"config/{kind}_registry/list")
    return {entry["name"].casefold(): entry for entry in entries}


def _agrees(present: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    return all(_comparable(present.get(name)) == _comparable(value) for name, value in wanted.items())


def _comparable(value: object) -> object:
    """Area aliases come back in any order."""
    return sorted(value, key=str) if isinstance(value, list) else value


def _floor(data: JsonObject) -> Floor:
    return Floor(data["name"], data["level"], tuple(_area(area) for area in data["areas"]))


def _area(data: JsonObject) -> Area:
    entities = tuple(_entity(entity_id, said) for entity_id, said in data["entities"].items())
    return Area(data["name"], tuple(data.get("aliases", ())), entities)


def _entity(entity_id: str, data: JsonObject) -> Entity:
    return Entity(entity_id, data.get("name"), tuple(data.get("aliases", ())))
