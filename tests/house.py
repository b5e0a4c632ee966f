"""A small house for tests, made in Home Assistant's own registries, and ways to wait for its index."""

import asyncio
from datetime import timedelta

from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.engine import EncoderWorker
from custom_components.semantic_home.runtime import SemanticHome

# domain, object id, name, area, aliases
ENTITIES = (
    ("light", "sofa_lamp", "Sofa lamp", "living_room", ("Stehlampe",)),
    ("light", "living_room_ceiling", "Ceiling lights", "living_room", ()),
    ("light", "kitchen_ceiling", "Kitchen lights", "kitchen", ("Küchenlicht",)),
    ("light", "bedside", "Bedside light", "bedroom", ()),
    ("media_player", "tv", "Television", "living_room", ()),
    ("cover", "blinds", "Bedroom blinds", "bedroom", ()),
    ("cover", "garage", "Garage door", None, ("Garagentor",)),
    ("climate", "heating", "Heating", "living_room", ()),
    ("vacuum", "robot", "Dust Buster", "kitchen", ()),
    ("switch", "coffee", "Coffee maker", "kitchen", ()),
    ("switch", "kettle", "Kettle", "kitchen", ()),
    ("switch", "dishwasher", "Dishwasher", "kitchen", ()),
    ("fan", "ceiling_fan", "Ceiling fan", "bedroom", ()),
    ("lock", "front_door", "Front door", None, ("Haustür",)),
    ("humidifier", "humidifier", "Humidifier", "bedroom", ()),
    ("scene", "movie", "Movie night", None, ()),
    ("todo", "shopping", "Shopping list", None, ("Einkaufsliste",)),
    ("water_heater", "boiler", "Boiler", None, ()),
    ("media_player", "radio", "Kitchen radio", "kitchen", ()),
)


class Home:
    """The house: areas on two floors, and entities in them."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.entities = er.async_get(hass)
        self.areas = ar.async_get(hass)
        self.floors = fr.async_get(hass)
        self.devices = dr.async_get(hass)
        self.labels = lr.async_get(hass)
        ground = self.floors.async_create("Ground floor", aliases={"downstairs"})
        upstairs = self.floors.async_create("Upstairs")
        for name, floor in (("Living room", ground), ("Kitchen", ground), ("Bedroom", upstairs)):
            self.areas.async_create(name, floor_id=floor.floor_id)
        self.config_entry = MockConfigEntry(domain="house")
        self.config_entry.add_to_hass(hass)
        for domain, object_id, name, area, aliases in ENTITIES:
            self.add(domain, object_id, name, area, aliases)

    def add(self, domain: str, object_id: str, name: str, area: str | None, aliases: tuple[str, ...] = ()) -> str:
        entity = self.entities.async_get_or_create(
            domain,
            "house",
            object_id,
            suggested_object_id=object_id,
            original_name=name,
            config_entry=self.config_entry,
        )
        self.entities.async_update_entity(entity.entity_id, area_id=area, aliases=[er.COMPUTED_NAME, *aliases])
        self.hass.states.async_set(entity.entity_id, "off", {"friendly_name": name})
        return entity.entity_id


async def async_set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set an entry up; Home Assistant is running, so the house is read at once."""
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def async_wait_complete(entry: MockConfigEntry) -> None:
    """Wait until every text has its vector."""
    home: SemanticHome = entry.runtime_data
    complete = asyncio.Event()

    def check() -> None:
        if not home.degraded:
            complete.set()

    unsubscribe = home.async_listen(check)
    check()
    async with asyncio.timeout(60):
        await complete.wait()
    unsubscribe()


async def async_let_sync(hass: HomeAssistant, entry: MockConfigEntry, seconds: float = 5) -> None:
    """Let the debounced synchronisation run now, and wait for the vectors of what it found."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()
    await async_wait_complete(entry)


def worker_of(entry: MockConfigEntry) -> EncoderWorker:
    """Give the worker of the model that an entry wishes."""
    home: SemanticHome = entry.runtime_data
    model = home._lines[0].runner._model
    assert model
    return model.worker
