"""The blueprints, loaded by Home Assistant and run: what they find is real, and so is the lamp that they turn on."""

from collections.abc import Iterator
from pathlib import Path
import shutil
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service

from homeassistant.components.blueprint import BLUEPRINT_SCHEMA
from homeassistant.components.blueprint.importer import _get_github_import_url
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict

from custom_components.semantic_home.const import CONF_MODEL, DOMAIN

from .conftest import ROOT
from .house import Home, async_set_up

FOLDER = ROOT / "custom_components" / "semantic_home" / "blueprints"
FILES = sorted(FOLDER.rglob("*.yaml"))
ACT, ASK, SWITCH = "act_on_described_device", "ask_which_device", "ask_what_to_switch"
KITCHEN, BEDROOM, LOCK = "light.kitchen_reading_lamp", "light.bedroom_reading_lamp", "lock.front_door"
SATELLITE, OTHER = "assist_satellite.kitchen", "assist_satellite.bedroom"


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    """Set up without a model in a house with two real lamps, which differ by room alone, and a lock."""
    lamps = [
        {"name": "Reading lamp", "default_entity_id": one, "unique_id": one, "turn_on": [], "turn_off": []}
        for one in (KITCHEN, BEDROOM)
    ]
    assert await async_setup_component(hass, "template", {"template": [{"light": lamps}]})
    await hass.async_block_till_done()
    for entity_id, area in ((KITCHEN, "kitchen"), (BEDROOM, "bedroom")):
        home.entities.async_update_entity(entity_id, area_id=area)
    async_expose_entity(hass, "conversation", LOCK, True)
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    return entry


@pytest.fixture
def installed(hass: HomeAssistant) -> None:
    """Copy the blueprints to where the README says."""
    for domain in ("script", "automation"):
        shutil.copytree(FOLDER / domain, hass.config.path("blueprints", domain, "semantic_home"))


class Answers:
    """A satellite's edge: what is said to its questions, one after the other; then nobody says anything."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.said: Iterator[str] = iter(())
        self.asked: list[dict[str, Any]] = []
        hass.services.async_register(
            "assist_satellite", "ask_question", self._ask, supports_response=SupportsResponse.ONLY
        )

    async def _ask(self, call: ServiceCall) -> dict[str, Any]:
        self.asked.append(dict(call.data))
        if (sentence := next(self.said, None)) is None:
            # As the satellite does.
            raise HomeAssistantError("No answer from question")
        return {"id": None, "sentence": sentence, "slots": {}}


@pytest.fixture
def answers(hass: HomeAssistant) -> Answers:
    return Answers(hass)


async def script(hass: HomeAssistant, blueprint: str, **inputs: Any) -> None:
    """Make a script from a blueprint."""
    config = {"use_blueprint": {"path": f"semantic_home/{blueprint}.yaml", "input": inputs}}
    assert await async_setup_component(hass, "script", {"script": {"described": config}})
    assert hass.services.has_service("script", "described"), "the blueprint was refused"


async def run(hass: HomeAssistant, description: str, **fields: Any) -> dict[str, Any]:
    """Run the script and give its answer."""
    answer = await hass.services.async_call(
        "script", "described", {"description": description, **fields}, blocking=True, return_response=True
    )
    await hass.async_block_till_done()
    assert answer is not None
    return answer


def lit(hass: HomeAssistant) -> list[str]:
    return [one for one in (KITCHEN, BEDROOM) if hass.states.is_state(one, "on")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_home_assistant_wants_of_a_blueprint(file: Path) -> None:
    data = load_yaml_dict(str(file))
    blueprint = Blueprint(data, expected_domain=file.parent.name, path=file.name, schema=BLUEPRINT_SCHEMA)
    assert blueprint.validate() is None
    assert blueprint.metadata["homeassistant"]["min_version"] == "2026.10.0"
    assert all(one and one.get("name") and one.get("selector") for one in blueprint.inputs.values())
    raw = _get_github_import_url(blueprint.metadata["source_url"])
    assert raw.endswith(f"/main/{file.relative_to(ROOT)}"), "an import finds another file"


def test_the_readme_has_them_all() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for file in FILES:
        metadata = load_yaml_dict(str(file))["blueprint"]
        assert metadata["name"] in readme
        assert metadata["source_url"] in readme


@pytest.mark.usefixtures("entry", "installed")
async def test_a_described_device_is_acted_on(hass: HomeAssistant) -> None:
    await script(hass, ACT)
    answer = await run(hass, "the reading lamp in the kitchen")
    assert answer == {"done": True, "reason": "match", "entity_ids": [KITCHEN]}
    assert lit(hass) == [KITCHEN]


@pytest.mark.usefixtures("entry", "installed")
async def test_the_action_is_told_what_it_needs(hass: HomeAssistant) -> None:
    await script(hass, ACT, act="vacuum.clean_area", act_data={"quiet": True}, domains=["vacuum"])
    calls = async_mock_service(hass, "vacuum", "clean_area")
    assert (await run(hass, "the dust buster"))["done"] is True
    assert [(call.data["entity_id"], call.data["quiet"]) for call in calls] == [(["vacuum.robot"], True)]
    assert (await run(hass, "the reading lamp in the kitchen"))["done"] is False, "that is no vacuum cleaner"
    assert len(calls) == 1


@pytest.mark.usefixtures("entry", "installed")
@pytest.mark.parametrize(
    ("description", "reason"), [("the reading lamp", "ambiguous"), ("the capital of France", "none")]
)
async def test_nothing_is_guessed(hass: HomeAssistant, description: str, reason: str) -> None:
    await script(hass, ACT)
    answer = await run(hass, description)
    assert (answer["done"], answer["reason"]) == (False, reason)
    assert lit(hass) == []


@pytest.mark.usefixtures("entry", "installed")
async def test_a_lock_is_left_alone(hass: HomeAssistant, answers: Answers) -> None:
    unlocked = async_mock_service(hass, "lock", "unlock")
    await script(hass, ACT, act="lock.unlock")
    assert await run(hass, "the front door") == {"done": False, "reason": "guarded", "entity_ids": [LOCK]}
    assert unlocked == []


@pytest.mark.usefixtures("entry", "installed")
async def test_a_lock_is_left_alone_when_it_could_be_asked_about(hass: HomeAssistant, answers: Answers) -> None:
    unlocked = async_mock_service(hass, "lock", "unlock")
    await script(hass, ASK, satellite=SATELLITE, act="lock.unlock")
    answers.said = iter(["yes", "the front door", "yes"])
    assert await run(hass, "the front door") == {"done": False, "reason": "guarded", "entity_ids": [LOCK]}
    assert unlocked == []


@pytest.mark.usefixtures("entry", "installed")
async def test_asked_which_one(hass: HomeAssistant, answers: Answers) -> None:
    await script(hass, ASK, satellite=SATELLITE)
    answers.said = iter(["the one in the bedroom"])
    answer = await run(hass, "the reading lamp")
    assert (answer["done"], answer["entity_ids"]) == (True, [BEDROOM])
    assert [one["entity_id"] for one in answers.asked] == [SATELLITE]
    assert "Bedroom" in answers.asked[0]["question"]
    assert lit(hass) == [BEDROOM]


@pytest.mark.usefixtures("entry", "installed")
async def test_asked_where_the_caller_is(hass: HomeAssistant, answers: Answers) -> None:
    await script(hass, ASK, satellite=SATELLITE)
    answers.said = iter(["perhaps", "both"])
    answer = await run(hass, "the reading lamp", satellite=OTHER)
    assert sorted(answer["entity_ids"]) == sorted([KITCHEN, BEDROOM])
    assert [one["entity_id"] for one in answers.asked] == [OTHER, OTHER], "it asks again what it did not understand"
    assert lit(hass) == [KITCHEN, BEDROOM]


@pytest.mark.usefixtures("entry", "installed")
@pytest.mark.parametrize(
    ("said", "reason"),
    [([], "no_answer"), ([" "], "no_answer"), (["never mind"], "cancelled"), (["hm", ""], "no_answer")],
)
async def test_who_does_not_answer(hass: HomeAssistant, answers: Answers, said: list[str], reason: str) -> None:
    await script(hass, ASK, satellite=SATELLITE)
    answers.said = iter(said)
    assert await run(hass, "the reading lamp") == {"done": False, "reason": reason, "entity_ids": []}
    assert lit(hass) == []


async def automation(hass: HomeAssistant, **inputs: Any) -> None:
    """Make an automation from its blueprint, and press its button."""
    happening = [{"trigger": "event", "event_type": "pressed"}]
    config = {
        "alias": "Ask",
        "use_blueprint": {
            "path": f"semantic_home/{SWITCH}.yaml",
            "input": {"happening": happening, "satellite": SATELLITE, **inputs},
        },
    }
    assert await async_setup_component(hass, "automation", {"automation": config})
    assert hass.states.get("automation.ask").state == "on", "the blueprint was refused"
    hass.bus.async_fire("pressed")
    await hass.async_block_till_done()


@pytest.mark.usefixtures("entry", "installed")
async def test_an_automation_asks_back(hass: HomeAssistant, answers: Answers) -> None:
    answers.said = iter(["the reading lamp", "the one in the bedroom"])
    await automation(hass)
    assert answers.asked[0]["question"] == "What shall I turn on?"
    assert len(answers.asked) == 2
    assert lit(hass) == [BEDROOM]


@pytest.mark.usefixtures("entry", "installed")
async def test_an_automation_opens_no_lock(hass: HomeAssistant, answers: Answers) -> None:
    unlocked = async_mock_service(hass, "lock", "unlock")
    answers.said = iter(["the front door", "yes", "yes"])
    await automation(hass, act="lock.unlock")
    assert answers.asked and unlocked == []


@pytest.mark.usefixtures("entry", "installed")
async def test_nobody_tells_an_automation(hass: HomeAssistant, answers: Answers) -> None:
    answers.said = iter(["", "the reading lamp in the kitchen"])
    await automation(hass)
    assert (len(answers.asked), lit(hass)) == (1, [])
