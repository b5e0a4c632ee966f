"""A home whose things have names, without Home Assistant."""

from custom_components.semantic_home.rendering import NamedEntity

LAMP_ENTRY = "0123456789abcdef0123456789abcdef"
REMOTE = "fedcba9876543210fedcba9876543210"
LAMP = NamedEntity("light.lamp", "Lamp", "hall", "Hall")
ENTITIES = {
    "light.lamp": LAMP,
    LAMP_ENTRY: LAMP,
    "light.hall_ceiling": NamedEntity("light.hall_ceiling", "Hall ceiling", "hall", "Hall"),
    "binary_sensor.motion": NamedEntity("binary_sensor.motion", "Hall motion", "hall", "Hall"),
    "sensor.humidity": NamedEntity("sensor.humidity", "Bathroom humidity"),
    "input_number.limit": NamedEntity("input_number.limit", "Limit"),
    "input_text.password": NamedEntity("input_text.password", "Word of the day"),
    "person.ann": NamedEntity("person.ann", "Ann"),
    "zone.work": NamedEntity("zone.work", "Work"),
    "scene.movie": NamedEntity("scene.movie", "Movie night"),
    "script.good_night": NamedEntity("script.good_night", "Good night"),
    "calendar.waste": NamedEntity("calendar.waste", "Waste collection"),
    "climate.heating": NamedEntity("climate.heating", "Heating"),
}


class PlainHome:
    """Knows these things by id."""

    def entity(self, entity_id: str) -> NamedEntity | None:
        return ENTITIES.get(entity_id)

    def device(self, device_id: str) -> str | None:
        return {REMOTE: "Remote"}.get(device_id)

    def area(self, area_id: str) -> str | None:
        return {"hall": "Hall", "kitchen": "Kitchen"}.get(area_id)

    def floor(self, floor_id: str) -> str | None:
        return {"up": "Upstairs"}.get(floor_id)

    def label(self, label_id: str) -> str | None:
        return {"party": "Party"}.get(label_id)

    def state(self, entity_id: str, state: str) -> str | None:
        return {"on": "detected", "off": "clear"}.get(state) if entity_id.startswith("binary_sensor.") else None
