"""A made-up home of any size for measuring prompts, always the same, and homes that others have written down."""

from collections.abc import Iterable
import json
from pathlib import Path
from typing import NamedTuple

from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, entity_registry as er

_ROOMS = (
    "Living room",
    "Kitchen",
    "Dining room",
    "Hallway",
    "Bathroom",
    "Master bedroom",
    "Guest room",
    "Nursery",
    "Office",
    "Garage",
    "Cellar",
    "Terrace",
)
# What a room has, in the order in which it is bought: domain, name, device class, another name.
_THINGS = (
    ("light", "ceiling light", None, None),
    ("sensor", "temperature", "temperature", None),
    ("sensor", "humidity", "humidity", None),
    ("cover", "blinds", "blind", "roller shutter"),
    ("climate", "thermostat", None, "heating"),
    ("light", "floor lamp", None, "reading lamp"),
    ("binary_sensor", "motion", "motion", None),
    ("binary_sensor", "window", "window", None),
    ("switch", "socket left", None, None),
    ("switch", "socket right", None, None),
    ("media_player", "speaker", None, "radio"),
    ("light", "wall light left", None, None),
    ("light", "wall light right", None, None),
    ("light", "LED strip", None, "ambient light"),
    ("binary_sensor", "door", "door", None),
    ("fan", "fan", None, None),
    ("sensor", "air quality", "aqi", None),
    ("sensor", "carbon dioxide", "carbon_dioxide", None),
    ("switch", "air purifier", None, None),
    ("light", "shelf light", None, None),
    ("light", "desk lamp", None, None),
    ("media_player", "television", None, "TV"),
    ("humidifier", "humidifier", None, None),
    ("scene", "bright", None, None),
    ("scene", "cosy", None, None),
)


class Thing(NamedTuple):
    """An entity that is exposed: its domain, names, area and device class."""

    domain: str
    names: tuple[str, ...]
    area: str | None
    device_class: str | None


def made_up(size: int) -> list[Thing]:
    """Make up so many entities: each thing in every room before the next one."""
    found = []
    for number in range(size):
        storey, place = divmod(number, len(_ROOMS) * len(_THINGS))
        thing, room = divmod(place, len(_ROOMS))
        domain, name, device_class, alias = _THINGS[thing]
        area = f"{_ROOMS[room]} {storey + 1}" if storey else _ROOMS[room]
        names = (f"{area} {name}", *([f"{area} {alias}"] if alias else []))
        found.append(Thing(domain, names, area, device_class))
    return found


def written_down(files: Iterable[Path], size: int) -> list[Thing]:
    """Take homes in the format of the evaluation's, one after another, until there are so many entities."""
    found: list[Thing] = []
    for file in files:
        home = json.loads(file.read_text("utf-8"))
        areas = {area["id"]: area["name"] for area in home["areas"]}
        found += [
            Thing(
                one["domain"], (one["name"], *one["aliases"]), areas.get(one["area"], one["area"]), one["device_class"]
            )
            for one in home["entities"]
        ]
    return found[:size]


def furnish(hass: HomeAssistant, things: Iterable[Thing]) -> None:
    """Put entities into a home, all of them exposed to Assist."""
    entry = MockConfigEntry(domain="house")
    entry.add_to_hass(hass)
    areas, entities = ar.async_get(hass), er.async_get(hass)
    for number, thing in enumerate(things):
        entity_id = entities.async_get_or_create(
            thing.domain,
            "house",
            str(number),
            original_name=thing.names[0],
            original_device_class=thing.device_class,
            config_entry=entry,
        ).entity_id
        area = areas.async_get_or_create(thing.area).id if thing.area else None
        entities.async_update_entity(entity_id, area_id=area, aliases=[er.COMPUTED_NAME, *thing.names[1:]])
        entities.async_update_entity_options(entity_id, "conversation", {"should_expose": True})
        hass.states.async_set(entity_id, "off", {"friendly_name": thing.names[0]})
