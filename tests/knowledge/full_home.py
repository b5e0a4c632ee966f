"""A home that has something for every role of every pattern, as plain data."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from custom_components.semantic_home.knowledge import Home, HomeEntity

DIMMABLE = {"supported_color_modes": ["brightness"]}
GUARDED = {"lock.front_door", "cover.garage", "alarm_control_panel.house", "siren.hall", "valve.main", "valve.garden"}


class Thing(NamedTuple):
    """An entity: its name, the area's id, its device class, what else its state says."""

    entity_id: str
    name: str
    area: str | None = None
    device_class: str | None = None
    attributes: Mapping[str, Any] = MappingProxyType({})
    diagnostic: bool = False


def sensor(object_id: str, name: str, area: str | None, device_class: str, unit: str) -> Thing:
    return Thing(f"sensor.{object_id}", name, area, device_class, {"unit_of_measurement": unit})


def contact(object_id: str, name: str, area: str | None, device_class: str) -> Thing:
    return Thing(f"binary_sensor.{object_id}", name, area, device_class)


AREAS = {
    "hallway": "Hallway",
    "bathroom": "Bathroom",
    "bedroom": "Bedroom",
    "living_room": "Living room",
    "cellar": "Cellar",
    "garden": "Garden",
}
THINGS = (
    Thing("person.anna", "Anna"),
    Thing("person.ben", "Ben"),
    Thing("weather.home", "Weather"),
    Thing("notify.phone", "Phone"),
    Thing("calendar.waste", "Waste collection"),
    contact("hall_motion", "Hall motion", "hallway", "motion"),
    sensor("hall_brightness", "Hall brightness", "hallway", "illuminance", "lx"),
    Thing("light.hall", "Hall light", "hallway", None, DIMMABLE),
    Thing("light.hall_mirror", "Mirror light", "hallway", None, {"supported_color_modes": ["onoff"]}),
    contact("front_door", "Front door contact", "hallway", "door"),
    Thing("lock.front_door", "Front door", "hallway"),
    Thing("event.doorbell", "Doorbell", "hallway", "doorbell"),
    Thing("event.hall_button", "Hall button", "hallway", "button"),
    Thing("siren.hall", "Hall siren", "hallway", None, {"supported_features": 3}),
    contact("smoke", "Smoke detector", "hallway", "smoke"),
    Thing("alarm_control_panel.house", "House alarm", None, None, {"supported_features": 2}),
    sensor("bath_humidity", "Bathroom humidity", "bathroom", "humidity", "%"),
    Thing("fan.bath", "Bathroom fan", "bathroom", None, {"supported_features": 48}),
    contact("bath_leak", "Leak detector", "bathroom", "moisture"),
    Thing("climate.bath", "Bathroom heating", "bathroom", None, {"supported_features": 385}),
    contact("bedroom_window", "Bedroom window", "bedroom", "window"),
    Thing("climate.bedroom", "Bedroom heating", "bedroom", None, {"supported_features": 385}),
    Thing("light.bedside", "Bedside lamp", "bedroom", None, {"supported_color_modes": ["color_temp", "hs"]}),
    Thing("cover.bedroom_blind", "Bedroom blind", "bedroom", "blind", {"supported_features": 15}),
    sensor("bedroom_temperature", "Bedroom temperature", "bedroom", "temperature", "°C"),
    sensor("bedroom_humidity", "Bedroom humidity", "bedroom", "humidity", "%"),
    sensor("bedroom_air", "Bedroom air", "bedroom", "carbon_dioxide", "ppm"),
    Thing("fan.bedroom", "Bedroom fan", "bedroom", None, {"supported_features": 48}),
    Thing("humidifier.bedroom", "Bedroom humidifier", "bedroom", "humidifier"),
    contact("living_presence", "Living room presence", "living_room", "occupancy"),
    Thing("light.sofa", "Sofa lamp", "living_room", None, DIMMABLE),
    Thing("media_player.tv", "Television", "living_room", "tv", {"supported_features": 389}),
    Thing("media_player.radio", "Radio", "living_room", "speaker", {"supported_features": 389}),
    Thing("fan.living_room", "Living room fan", "living_room", None, {"supported_features": 48}),
    Thing("switch.tv_corner", "TV corner", "living_room", "outlet"),
    Thing("vacuum.robot", "Robot", "living_room", None, {"supported_features": 8208}),
    sensor("living_dust", "Fine dust", "living_room", "pm25", "µg/m³"),
    Thing("light.cellar", "Cellar light", "cellar", None, {"supported_color_modes": ["onoff"]}),
    sensor("cellar_humidity", "Cellar humidity", "cellar", "humidity", "%"),
    Thing("humidifier.cellar", "Cellar dehumidifier", "cellar", "dehumidifier"),
    sensor("washer_power", "Washing machine power", "cellar", "power", "W"),
    sensor("dishwasher_power", "Dishwasher power", None, "power", "W"),
    sensor("house_power", "House consumption", None, "power", "W"),
    sensor("solar_surplus", "Solar surplus", None, "power", "W"),
    sensor("freezer", "Freezer temperature", "cellar", "temperature", "°C"),
    contact("fridge", "Fridge door", None, "door"),
    Thing("switch.heat_pump", "Heat pump", "cellar"),
    Thing("switch.wallbox", "Wallbox", None),
    Thing("water_heater.tank", "Tank", "cellar", None, {"supported_features": 8}),
    Thing("valve.main", "Main water valve", "cellar", "water", {"supported_features": 3}),
    Thing("switch.coffee", "Coffee machine", None),
    Thing("switch.iron", "Iron", None),
    Thing("cover.garage", "Garage", None, "garage", {"supported_features": 11}),
    contact("mailbox", "Mailbox", None, "opening"),
    Thing("light.garden", "Garden lights", "garden", None, {"supported_color_modes": ["onoff"]}),
    Thing("switch.sprinkler", "Sprinkler", "garden"),
    Thing("valve.garden", "Garden valve", "garden", "water", {"supported_features": 3}),
    sensor("soil", "Rose soil", "garden", "moisture", "%"),
    sensor("outside", "Outside temperature", "garden", "temperature", "°C"),
    sensor("wind", "Wind", "garden", "wind_speed", "km/h"),
    Thing("cover.awning", "Awning", "garden", "awning", {"supported_features": 11}),
    Thing("lawn_mower.mower", "Mower", "garden", None, {"supported_features": 7}),
    Thing("switch.pool_pump", "Pool pump", "garden"),
    Thing("sensor.remote_battery", "Remote battery", None, "battery", {"unit_of_measurement": "%"}, diagnostic=True),
    Thing("binary_sensor.bell_battery", "Bell battery", None, "battery", diagnostic=True),
    Thing("binary_sensor.router", "Router", None, "connectivity", diagnostic=True),
    Thing("update.router", "Router firmware", None, "firmware", diagnostic=True),
)


def entity(thing: Thing, **more: Any) -> HomeEntity:
    """Give a thing as patterns see it."""
    area = AREAS.get(thing.area or "")
    known: dict[str, Any] = {
        "device_class": thing.device_class,
        "area_id": thing.area,
        "area": area,
        "called": (area,) if area else (),
        "guarded": thing.entity_id in GUARDED,
        "secondary": thing.diagnostic,
        "features": thing.attributes.get("supported_features", 0),
        "color_modes": frozenset(thing.attributes.get("supported_color_modes", ())),
        "unit": thing.attributes.get("unit_of_measurement"),
    }
    return HomeEntity(thing.entity_id, thing.name, **known | more)


def full_home(*others: HomeEntity, without: tuple[str, ...] = ()) -> Home:
    """Give the home, with others in the place of those of the same id, and without whatever begins so."""
    entities = {thing.entity_id: entity(thing) for thing in THINGS} | {other.entity_id: other for other in others}
    return Home.of(one for one in entities.values() if not one.entity_id.startswith(without or ("\0",)))


def thing(entity_id: str) -> Thing:
    return next(one for one in THINGS if one.entity_id == entity_id)
