"""Entries of earlier and later versions."""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from custom_components.semantic_home.config_flow import SemanticHomeConfigFlow
from custom_components.semantic_home.const import DOMAIN

from .house import Home, async_set_up

MODEL = {"model": "all-minilm-l6-v2", "folder": "semantic_home_models/nowhere"}


@pytest.mark.parametrize(
    ("data", "migrated"),
    [
        (MODEL, MODEL | {"engine": "openvino"}),
        (MODEL | {"engine": "numpy"}, MODEL | {"engine": "numpy"}),
        ({"model": None}, {"model": None}),
    ],
)
async def test_from_1_1(hass: HomeAssistant, home: Home, data: dict[str, Any], migrated: dict[str, Any]) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data=data, options={"scope": "all"}, version=1, minor_version=1)
    await async_set_up(hass, entry)
    assert (entry.version, entry.minor_version) == (1, 2)
    assert (entry.data, entry.options) == (migrated, {"scope": "all"})
    assert all(type(value) in {str, type(None)} for value in entry.data.values()), "stored as JSON"
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_new_entry_needs_no_migration(hass: HomeAssistant, home: Home) -> None:
    started = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
    result = await hass.config_entries.flow.async_configure(started["flow_id"], {"engine": "names_only"})
    entry = result["result"]
    await hass.async_block_till_done()
    assert (entry.version, entry.minor_version) == (1, 2)
    assert (SemanticHomeConfigFlow.VERSION, SemanticHomeConfigFlow.MINOR_VERSION) == (1, 2)
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_newer_minor_version_is_taken_as_it_is(hass: HomeAssistant, home: Home) -> None:
    data = {"model": None, "from_the_future": 1}
    entry = MockConfigEntry(domain=DOMAIN, data=data, version=1, minor_version=9)
    await async_set_up(hass, entry)
    assert (entry.minor_version, entry.data) == (9, data)
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_newer_major_version_is_refused_and_left_alone(hass: HomeAssistant, home: Home) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={"model": None}, version=2, minor_version=1)
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.MIGRATION_ERROR
    assert (entry.version, entry.minor_version, entry.data) == (2, 1, {"model": None})
