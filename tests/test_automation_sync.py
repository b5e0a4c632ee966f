"""The index follows the home's automations, scripts, scenes and blueprints, from real configuration files."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed, async_mock_service
import yaml

from homeassistant.components.blueprint.models import DomainBlueprints
from homeassistant.config import async_hass_config_yaml
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import CONF_FOLDER, CONF_MODEL, DOMAIN
from custom_components.semantic_home.describe_automations import AUTOMATION_KINDS, async_describe_automations
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import Document, StoreError
from custom_components.semantic_home.pattern_documents import KIND_PATTERN

from .conftest import MINILM
from .house import Home, async_let_sync, async_set_up, async_wait_complete

MORNING: dict[str, Any] = {
    "id": "morning",
    "alias": "Good morning",
    "description": "Coffee is ready when we get up.",
    "triggers": [{"trigger": "state", "entity_id": "media_player.radio", "from": "off", "to": "playing"}],
    "actions": [{"action": "switch.turn_on", "target": {"entity_id": "switch.coffee"}}],
}
NIGHT: dict[str, Any] = {
    "id": "night",
    "alias": "Lights out",
    "triggers": [{"trigger": "state", "entity_id": "media_player.tv", "to": "off"}],
    "actions": [{"action": "light.turn_off", "target": {"area_id": "living_room"}}],
    "mode": "restart",
}
SCRIPTS: dict[str, Any] = {
    "cinema": {
        "alias": "Cinema",
        "sequence": [{"action": "light.turn_off", "target": {"entity_id": "light.sofa_lamp"}}],
    }
}
SCENES: list[dict[str, Any]] = [
    {"id": "cosy", "name": "Cosy evening", "entities": {"light.sofa_lamp": {"state": "on", "brightness": 80}}}
]
BLUEPRINT = """
blueprint:
  name: Lamp follows switch
  description: Turns a lamp on with a switch.
  domain: automation
  input:
    the_switch:
      name: Switch
    lamp:
triggers:
  - trigger: state
    entity_id: !input the_switch
    to: "on"
actions:
  - action: light.turn_on
    target:
      entity_id: !input lamp
"""
CONFIGURATION = """
automation: !include automations.yaml
script: !include scripts.yaml
scene: !include scenes.yaml
"""


class Files:
    """The home's configuration files."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.write("configuration.yaml", CONFIGURATION)
        self.write("scripts.yaml", SCRIPTS)
        self.write("scenes.yaml", SCENES)
        self.automations(MORNING, NIGHT)

    def write(self, name: str, content: Any) -> None:
        file = Path(self.hass.config.path(name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")

    def automations(self, *automations: dict[str, Any]) -> None:
        self.write("automations.yaml", list(automations))

    async def set_up(self) -> None:
        config = await async_hass_config_yaml(self.hass)
        for domain in ("automation", "script", "scene"):
            assert await async_setup_component(self.hass, domain, config)
        await self.hass.async_block_till_done()

    async def reload(self, domain: str) -> None:
        await self.hass.services.async_call(domain, "reload", blocking=True)
        await let_sync(self.hass)


@pytest.fixture
async def files(hass: HomeAssistant, home: Home) -> Files:
    files = Files(hass)
    await files.set_up()
    return files


@pytest.fixture
async def entry(hass: HomeAssistant, files: Files) -> MockConfigEntry:
    """Set up without a model: what is described does not depend on one."""
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    return entry


async def let_sync(hass: HomeAssistant, seconds: float = 5) -> None:
    await hass.async_block_till_done()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


def documents(entry: MockConfigEntry) -> dict[str, Document]:
    """Give what the index holds of the home's own, by entity id; blueprints by their source id."""
    index: HomeIndex = entry.runtime_data.index._opened
    kinds = {*AUTOMATION_KINDS} - {KIND_PATTERN}
    kept = [document for document in index._documents.values() if document.kind in kinds]
    return {str(document.metadata.get("entity_id", document.source_id)): document for document in kept}


async def test_everything_of_these_kinds_is_there(
    hass: HomeAssistant, entry: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    found = documents(entry)
    morning = found["automation.good_morning"]
    registered = entity_registry.async_get("automation.good_morning")
    assert registered
    assert (morning.kind, morning.source_id) == ("automation", registered.id)
    assert (morning.knowledge_type, morning.language) == ("automation", "en")
    assert morning.views == (
        "Good morning",
        "Good morning. Coffee is ready when we get up.",
        "When Kitchen radio changes from off to playing: turn on Coffee maker (Kitchen)",
    )
    assert morning.metadata == {
        "entity_id": "automation.good_morning",
        "name": "Good morning",
        "description": "Coffee is ready when we get up.",
        "source": "home",
        "mode": None,
        "blueprint": None,
        "entity_ids": ["media_player.radio", "switch.coffee"],
        "device_ids": [],
        "area_ids": ["kitchen"],
        "triggers": ["state"],
        "actions": ["switch.turn_on"],
    }
    night = found["automation.lights_out"]
    assert night.views[-1] == ("When Television (Living room) changes to off: turn off light in Living room")
    assert (night.metadata["mode"], night.metadata["area_ids"]) == ("restart", ["living_room"])
    assert found["script.cinema"].views == ("Cinema", "Turn off Sofa lamp (Living room)")
    assert found["scene.cosy_evening"].views == ("Cosy evening", "Sofa lamp (Living room) on (brightness 80)")
    blueprint = found["automation/homeassistant/motion_light.yaml"]
    assert (blueprint.kind, blueprint.views[0]) == ("blueprint", "Motion-activated Light")
    assert blueprint.views[-1].startswith("Asks for Motion Sensor, Light")


async def test_an_edited_automation_follows(hass: HomeAssistant, files: Files, entry: MockConfigEntry) -> None:
    before = documents(entry)
    files.automations({**MORNING, "description": "Coffee first."}, NIGHT)
    await files.reload("automation")
    after = documents(entry)
    assert after["automation.good_morning"].views[1] == "Good morning. Coffee first."
    assert after["automation.good_morning"].source_id == before["automation.good_morning"].source_id
    assert after["automation.lights_out"] == before["automation.lights_out"]


async def test_automations_come_and_go(hass: HomeAssistant, files: Files, entry: MockConfigEntry) -> None:
    nameless = {"alias": "Without an id", "triggers": [], "actions": [{"delay": 5}]}
    files.automations(NIGHT, nameless)
    await files.reload("automation")
    found = documents(entry)
    assert "automation.good_morning" not in found
    assert found["automation.without_an_id"].source_id == "automation.without_an_id"
    files.automations(NIGHT)
    await files.reload("automation")
    assert "automation.without_an_id" not in documents(entry)


async def test_edited_in_the_browser(
    hass: HomeAssistant, files: Files, entry: MockConfigEntry, hass_client: Callable[..., Any]
) -> None:
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()
    changed = {**NIGHT, "alias": "All lights out"}
    changed.pop("id")
    response = await client.post("/api/config/automation/config/night", json=changed)
    assert response.status == 200
    await let_sync(hass)
    assert documents(entry)["automation.lights_out"].views[0] == "All lights out"
    response = await client.delete("/api/config/automation/config/night")
    assert response.status == 200
    await let_sync(hass)
    assert "automation.lights_out" not in documents(entry)


async def test_renamed_in_the_registry(
    hass: HomeAssistant, entry: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    before = documents(entry)["automation.lights_out"]
    entity_registry.async_update_entity("automation.lights_out", name="Darkness", new_entity_id="automation.dark")
    await let_sync(hass)
    found = documents(entry)
    assert "automation.lights_out" not in found
    assert found["automation.dark"].views[0] == "Darkness"
    assert found["automation.dark"].source_id == before.source_id


async def test_what_it_uses_is_renamed_or_moved(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    home.entities.async_update_entity("switch.coffee", name="Espresso machine")
    await let_sync(hass)
    assert documents(entry)["automation.good_morning"].views[-1].endswith("turn on Espresso machine (Kitchen)")
    home.areas.async_update("kitchen", name="Galley")
    home.areas.async_update("living_room", name="Parlour")
    await let_sync(hass)
    found = documents(entry)
    assert found["automation.good_morning"].views[-1].endswith("turn on Espresso machine (Galley)")
    assert found["automation.lights_out"].views[-1].endswith("turn off light in Parlour")


async def test_scripts_and_scenes_follow(hass: HomeAssistant, files: Files, entry: MockConfigEntry) -> None:
    files.write("scripts.yaml", {"cinema": {**SCRIPTS["cinema"], "description": "For films."}})
    await files.reload("script")
    assert documents(entry)["script.cinema"].views[1] == "Cinema. For films."
    files.write("scripts.yaml", {"tea": {"alias": "Tea", "sequence": []}})
    await files.reload("script")
    found = documents(entry)
    assert "script.cinema" not in found
    assert found["script.tea"].views == ("Tea",)
    files.write("scenes.yaml", [{**SCENES[0], "entities": {"light.bedside": "off"}}])
    await files.reload("scene")
    assert documents(entry)["scene.cosy_evening"].views == ("Cosy evening", "Bedside light (Bedroom) off")
    await hass.services.async_call(
        "scene", "create", {"scene_id": "now", "entities": {"light.bedside": "on"}}, blocking=True
    )
    await let_sync(hass)
    assert documents(entry)["scene.now"].views[-1] == "Bedside light (Bedroom) on"
    await hass.services.async_call("scene", "delete", {"entity_id": "scene.now"}, blocking=True)
    await let_sync(hass)
    assert "scene.now" not in documents(entry)


async def test_blueprints_and_what_is_made_from_them(hass: HomeAssistant, files: Files, entry: MockConfigEntry) -> None:
    files.write("blueprints/automation/mine/follow.yaml", BLUEPRINT)
    files.write("blueprints/automation/mine/broken.yaml", "blueprint: [")
    inputs = {"the_switch": "switch.kettle", "lamp": "light.kitchen_ceiling"}
    made = {"id": "tea", "alias": "Tea light", "use_blueprint": {"path": "mine/follow.yaml", "input": inputs}}
    lacking = {"id": "bad", "alias": "Lacks all", "use_blueprint": {"path": "mine/follow.yaml", "input": {}}}
    files.automations(made, lacking)
    await files.reload("automation")
    found = documents(entry)
    blueprint = found["automation/mine/follow.yaml"]
    assert blueprint.views == (
        "Lamp follows switch",
        "Lamp follows switch. Turns a lamp on with a switch.",
        "Asks for Switch, lamp",
    )
    assert blueprint.metadata["path"] == "mine/follow.yaml"
    assert "automation/mine/broken.yaml" not in found
    assert found["automation.tea_light"].views[-1] == (
        "When Kettle (Kitchen) changes to on: turn on Kitchen lights (from blueprint Lamp follows switch)"
    )
    assert found["automation.tea_light"].metadata["blueprint"] == "automation/mine/follow.yaml"
    assert found["automation.lacks_all"].views == ("Lacks all", "(from blueprint Lamp follows switch)")

    Path(hass.config.path("blueprints/automation/mine/follow.yaml")).unlink()
    files.automations(MORNING)
    await files.reload("automation")
    assert "automation/mine/follow.yaml" not in documents(entry)


async def test_secrets_do_not_reach_the_database(hass: HomeAssistant, files: Files, entry: MockConfigEntry) -> None:
    files.write("secrets.yaml", "word: opensesame\n")
    files.write(
        "automations.yaml",
        """
- id: secret
  alias: Uses secrets
  triggers:
    - trigger: webhook
      webhook_id: !secret word
  actions:
    - action: alarm_control_panel.alarm_disarm
      target:
        entity_id: alarm_control_panel.house
      data:
        code: !secret word
""",
    )
    await files.reload("automation")
    document = documents(entry)["automation.uses_secrets"]
    assert document.views[-1] == "When a webhook is called: alarm disarm house"
    assert "opensesame" in str(
        hass.data["entity_components"]["automation"].get_entity("automation.uses_secrets").raw_config
    )
    written = [file.read_bytes() for file in Path(hass.config.config_dir).glob("semantic_home.db*")]
    assert any(b"Uses secrets" in part for part in written)
    assert not any(b"opensesame" in part for part in written)


async def test_a_bad_one_keeps_no_other_out(
    hass: HomeAssistant, files: Files, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    invalid = {"id": "invalid", "alias": "Not valid", "triggers": [{"trigger": "nonsense"}], "actions": {"x": [[1]]}}
    files.automations(MORNING, invalid)
    await files.reload("automation")
    found = documents(entry)
    assert found["automation.not_valid"].views == ("Not valid", "When nonsense")
    assert "automation.good_morning" in found

    automation = hass.data["entity_components"]["automation"].get_entity("automation.not_valid")
    with patch.object(type(automation), "referenced_blueprint", property(lambda _: 1 / 0)):
        hass.bus.async_fire("automation_reloaded")
        await let_sync(hass)
    assert "automation.not_valid is left out" in caplog.text
    assert "automation.not_valid" not in documents(entry)
    assert "automation.good_morning" in documents(entry)


async def test_unreadable_blueprints_keep_nothing_else_out(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    with patch.object(DomainBlueprints, "async_get_blueprints", side_effect=OSError("disk")):
        hass.bus.async_fire("automation_reloaded")
        await let_sync(hass)
    assert "The blueprints for automation are left out" in caplog.text
    assert "automation.good_morning" in documents(entry)


async def test_a_full_disk_is_tried_again(
    hass: HomeAssistant, files: Files, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    files.automations(MORNING)
    with patch.object(HomeIndex, "reconcile", side_effect=StoreError("database or disk is full")):
        await files.reload("automation")
    assert "could not take in" in caplog.text
    assert "automation.lights_out" in documents(entry)
    await let_sync(hass, seconds=100)
    assert "automation.lights_out" not in documents(entry)


async def test_a_change_while_all_is_read_is_not_lost(
    hass: HomeAssistant, home: Home, files: Files, entry: MockConfigEntry
) -> None:
    async def read(hass: HomeAssistant) -> list[Document]:
        found = await async_describe_automations(hass)
        home.entities.async_update_entity("switch.kettle", name="Samovar")
        return found

    tea = {**MORNING, "actions": [{"action": "switch.turn_on", "target": {"entity_id": "switch.kettle"}}]}
    files.automations(tea)
    with patch("custom_components.semantic_home.automation_sync.async_describe_automations", read):
        await files.reload("automation")
    assert documents(entry)["automation.good_morning"].views[-1].endswith("turn on Kettle (Kitchen)")
    await let_sync(hass, seconds=10)
    assert documents(entry)["automation.good_morning"].views[-1].endswith("turn on Samovar (Kitchen)")


async def test_a_home_that_is_still_starting_is_not_taken_for_the_whole(
    hass: HomeAssistant, files: Files, entry: MockConfigEntry
) -> None:
    before = documents(entry)
    hass.set_state(CoreState.starting)
    files.automations()
    await files.reload("automation")
    assert documents(entry) == before
    hass.set_state(CoreState.running)
    hass.bus.async_fire("automation_reloaded")
    await let_sync(hass)
    assert "automation.good_morning" not in documents(entry)


async def test_a_rebuild_reads_new_blueprints(hass: HomeAssistant, files: Files, entry: MockConfigEntry) -> None:
    files.write("blueprints/automation/mine/follow.yaml", BLUEPRINT)
    await hass.services.async_call(DOMAIN, "rebuild_index", {}, blocking=True)
    assert documents(entry)["automation/mine/follow.yaml"].views[0] == "Lamp follows switch"


async def test_nothing_is_heard_after_the_end(hass: HomeAssistant, files: Files, entry: MockConfigEntry) -> None:
    sync = entry.runtime_data
    assert await hass.config_entries.async_unload(entry.entry_id)
    with patch.object(type(sync), "async_reconcile", side_effect=AssertionError("it goes on")) as reconcile:
        files.automations()
        await files.reload("automation")
    assert not reconcile.called


async def test_a_home_without_any(hass: HomeAssistant, home: Home) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    assert documents(entry) == {}
    files = Files(hass)
    await files.set_up()
    await let_sync(hass)
    assert "automation.good_morning" in documents(entry)


async def test_what_runs_embeds_nothing(hass: HomeAssistant, files: Files, model_folder: str) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: MINILM, CONF_FOLDER: model_folder})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    before = documents(entry)
    for service in ("light.turn_on", "light.turn_off", "switch.turn_on"):
        async_mock_service(hass, *service.split("."))
    with patch.object(HomeIndex, "add_vectors", side_effect=AssertionError("embedded")) as embedded:
        for service, entity_id in (
            ("automation.trigger", "automation.good_morning"),
            ("automation.turn_off", "automation.good_morning"),
            ("script.turn_on", "script.cinema"),
            ("scene.turn_on", "scene.cosy_evening"),
        ):
            domain, name = service.split(".")
            await hass.services.async_call(domain, name, {"entity_id": entity_id}, blocking=True)
        hass.states.async_set("light.sofa_lamp", "on", {"friendly_name": "Sofa lamp", "brightness": 3})
        await async_let_sync(hass, entry)
    state = hass.states.get("automation.good_morning")
    assert state
    assert state.attributes["last_triggered"] is not None
    assert not embedded.called
    assert documents(entry) == before
