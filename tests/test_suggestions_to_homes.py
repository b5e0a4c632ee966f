"""What is suggested to homes that others collected, all of which Home Assistant accepts.

Those are not the project's: SEMANTIC_HOME_EVAL names the folder that has them below homes/.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, floor_registry as fr
from homeassistant.setup import async_setup_component

from .knowledge.full_home import Thing
from .test_suggestions import REFUSED, accepted, every_suggestion, furnish, set_up

EVAL = os.environ.get("SEMANTIC_HOME_EVAL")
HOMES = sorted(Path(EVAL, "homes").glob("*.json")) if EVAL else []

# What devices of these domains are usually able to do: the homes that were collected do not tell.
_ABLE: dict[str, dict[str, Any]] = {
    "climate": {"supported_features": 385},
    "cover": {"supported_features": 15},
    "fan": {"supported_features": 48},
    "light": {"supported_color_modes": ["brightness"]},
    "media_player": {"supported_features": 389},
    "vacuum": {"supported_features": 8208},
    "valve": {"supported_features": 3},
}


@pytest.mark.skipif(not EVAL, reason="SEMANTIC_HOME_EVAL does not name a folder of collected homes")
@pytest.mark.parametrize("file", HOMES, ids=lambda file: file.stem)
async def test_home_assistant_accepts_what_is_suggested_to_collected_homes(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture, file: Path
) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    home = json.loads(file.read_text("utf-8"))
    floors = {one["id"]: fr.async_get(hass).async_create(one["name"]).floor_id for one in home["floors"]}
    areas = {
        one["id"]: ar.async_get(hass).async_create(one["name"], floor_id=floors.get(one["floor"])).id
        for one in home["areas"]
    }
    furnish(hass, tuple(_thing(one, areas) for one in home["entities"]))
    suggestions = await every_suggestion(await set_up(hass))
    assert suggestions
    assert REFUSED not in caplog.text, "none had to be left out"
    assert await accepted(hass, suggestions) == [one.binding.pattern.id for one in suggestions]
    assert hass.states.async_entity_ids("automation") == []
    if any({("binary_sensor", "motion"), ("light", None)} <= _kinds_in(home, area) for area in areas):
        assert "motion_light" in {one.binding.pattern.id for one in suggestions}


def _thing(one: dict[str, Any], areas: dict[str, str]) -> Thing:
    unit = {"unit_of_measurement": one["unit"]} if one["unit"] else {}
    attributes = unit | _ABLE.get(one["domain"], {})
    return Thing(one["entity_id"], one["name"], areas.get(one["area"]), one["device_class"], attributes)


def _kinds_in(home: dict[str, Any], area: str) -> set[tuple[str, str | None]]:
    return {(one["domain"], one["device_class"]) for one in home["entities"] if one["area"] == area}
