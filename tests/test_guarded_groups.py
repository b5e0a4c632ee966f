"""Groups and scenes that hold what nobody wants opened by a misunderstanding."""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import HomeAssistant

from custom_components.semantic_home.const import DOMAIN
from custom_components.semantic_home.guarded_groups import async_holds_guarded

from .house import async_let_sync
from .test_conversation import Talk, talk

__all__ = ["talk"]

GARAGE = {"device_class": "garage", "friendly_name": "Up and over"}


@pytest.mark.parametrize(
    ("members", "holds"),
    [
        (["light.a", "lock.b"], True),
        (("cover.over", "light.a"), True),
        (["cover.blinds"], False),
        (["group.inner"], True),
        (["switch.gate"], True),
        (["group.outer"], False),
        ("lock.b", False),
        ([None, 1], False),
        (None, False),
    ],
)
def test_members(hass: HomeAssistant, members: Any, *, holds: bool) -> None:
    hass.states.async_set("cover.over", "closed", GARAGE)
    hass.states.async_set("switch.gate", "off", {"friendly_name": "Garden gate"})
    hass.states.async_set("group.inner", "off", {"entity_id": ["group.outer", "siren.loud"]})
    hass.states.async_set("group.outer", "off", {"entity_id": members})
    assert async_holds_guarded(hass, "group.outer") is holds
    assert not async_holds_guarded(hass, "group.gone")


async def test_a_group_with_a_garage_door_in_it(talk: Talk, hass: HomeAssistant, entry: MockConfigEntry) -> None:
    hass.states.async_set("cover.over", "closed", GARAGE)
    group = {"friendly_name": "Awnings", "supported_features": 15, "entity_id": ["cover.blinds", "cover.over"]}
    hass.states.async_set("cover.together", "closed", group)
    async_expose_entity(hass, "conversation", "cover.together", should_expose=True)
    await async_let_sync(hass, entry)
    asked = await talk.result("would you open up the avnings")
    assert talk.done == []
    assert asked.continue_conversation
    await talk.say("yes")
    assert talk.done == [("open_cover", "cover.together")]
    for action in ("match_devices", "clarify"):
        response = await hass.services.async_call(
            DOMAIN, action, {"query": "open the awnings"}, blocking=True, return_response=True
        )
        assert response is not None
        assert response["entity_ids"] == response["guarded"] == ["cover.together"]
