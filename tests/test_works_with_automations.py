"""The README's examples are accepted by Home Assistant, and do what they say."""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service
import yaml

from homeassistant.components.automation.config import ValidationStatus, async_validate_config_item
from homeassistant.components.persistent_notification import _async_get_or_create_notifications
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import Script, ScriptRunResult
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.const import CONF_MODEL, DOMAIN

from .conftest import ROOT
from .house import Home, async_set_up, async_wait_complete
from .test_aliases import TELLY, teach


def examples() -> list[dict[str, Any]]:
    section = (
        (ROOT / "README.md").read_text("utf-8").partition("\n## Works with automations\n")[2].partition("\n## ")[0]
    )
    return [yaml.safe_load(block.partition("```")[0]) for block in section.split("```yaml\n")[1:]]


LIGHT, NOTE, ALIASES, DETACHED = examples()


@pytest.fixture
async def by_names(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    assert await async_setup_component(hass, "persistent_notification", {})
    await async_set_up(hass, entry)
    return entry


async def run(hass: HomeAssistant, steps: Any, **variables: Any) -> ScriptRunResult:
    made = Script(hass, cv.SCRIPT_SCHEMA(steps), "example", "script")
    result = await made.async_run(variables, context=Context())
    assert result is not None
    return result


def notifications(hass: HomeAssistant) -> list[str]:
    return [one["message"] for one in _async_get_or_create_notifications(hass).values()]


@pytest.mark.usefixtures("by_names")
@pytest.mark.parametrize("example", [NOTE, ALIASES], ids=["note", "aliases"])
async def test_home_assistant_accepts_it(hass: HomeAssistant, example: dict[str, Any]) -> None:
    assert await async_setup_component(hass, "conversation", {})
    validated = await async_validate_config_item(hass, "example", example)
    assert validated is not None and validated.validation_status is ValidationStatus.OK


@pytest.mark.usefixtures("by_names")
async def test_a_described_light(hass: HomeAssistant) -> None:
    turned_on = async_mock_service(hass, "light", "turn_on")
    assert await async_setup_component(hass, "script", {"script": {"describe": LIGHT}})
    for description in ("the sofa lamp", "the capital of France"):
        await hass.services.async_call("script", "describe", {"description": description}, blocking=True)
    assert [(call.data["entity_id"], call.data["brightness_pct"]) for call in turned_on] == [(["light.sofa_lamp"], 40)]
    assert notifications(hass) == ["I do not know which light is meant by the capital of France."]


async def test_an_answer_from_the_notes(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    said = {"slots": {"what": "the fuses"}}
    assert (await run(hass, NOTE["actions"], trigger=said)).conversation_response == "Nobody has told me."
    note = "We keep the fuses in the drawer under the stairs"
    await hass.services.async_call(DOMAIN, "add_knowledge", {"text": note}, blocking=True)
    await async_wait_complete(entry)
    assert (await run(hass, NOTE["actions"], trigger=said)).conversation_response == note


@pytest.mark.usefixtures("by_names")
async def test_telling_of_aliases(hass: HomeAssistant) -> None:
    await run(hass, ALIASES["actions"])
    assert notifications(hass) == []
    await teach(hass, TELLY)
    await run(hass, ALIASES["actions"])
    assert [one.strip() for one in notifications(hass)] == ["telly for Television."]


async def test_calling_without_waiting(hass: HomeAssistant) -> None:
    heard = async_mock_service(hass, "test", "heard")
    steps = [{"action": "test.heard", "data": {"said": "{{ description }} {{ satellite }}"}}]
    assert await async_setup_component(hass, "script", {"script": {"ask_which": {"sequence": steps}}})
    await run(hass, [DETACHED])
    await hass.async_block_till_done()
    assert [call.data["said"] for call in heard] == ["the lamp assist_satellite.kitchen"]
