"""Fixtures for all tests: a Home Assistant that knows this integration, and the real model."""

from collections.abc import AsyncGenerator, Iterator
import logging
from pathlib import Path
import shutil
from unittest.mock import patch

from aiohttp import ClientSession, TCPConnector, ThreadedResolver
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

# Before Home Assistant puts its own configuration directory first on the path, whose custom_components would win.
import custom_components  # noqa: F401
from custom_components.semantic_home.const import CONF_FOLDER, CONF_MODEL, DOMAIN

from .house import Home, async_set_up, async_wait_complete
from .hub_server import HubServer

# The plugin for Home Assistant has every SQL statement logged, and the report of a failure is hidden among them.
logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)

ROOT = Path(__file__).parent.parent
MINILM = "all-minilm-l6-v2"
MINILM_FOLDER = ROOT / ".models" / MINILM
MINILM_IR_FOLDER = ROOT / ".models" / f"{MINILM}-ir"


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Give each test a configuration directory of its own: there is a real database in it."""
    return hass_tmp_config_dir


@pytest.fixture
def model_folder(hass: HomeAssistant) -> str:
    """Lay the real model below the configuration directory, and give its place there."""
    folder = f"semantic_home_models/{MINILM}"
    shutil.copytree(MINILM_FOLDER, hass.config.path(folder))
    return folder


@pytest.fixture
def portable_folder(hass: HomeAssistant) -> str:
    """Lay the same model below the configuration directory as the portable engine reads it."""
    folder = f"semantic_home_models/{MINILM}-ir"
    shutil.copytree(MINILM_IR_FOLDER, hass.config.path(folder))
    return folder


@pytest.fixture(autouse=True)
def _patterns_that_ship(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave them out of the index where nothing is about them: 72 texts would be embedded for every such test."""
    if request.node.get_closest_marker("patterns") or "hass" not in request.fixturenames:
        yield
        return
    with patch("custom_components.semantic_home.describe_automations.pattern_documents", list):
        yield


@pytest.fixture(autouse=True)
def _custom_integrations(request: pytest.FixtureRequest) -> None:
    """Let every test that has a Home Assistant load the integration; the others need not pay for one."""
    if "hass" in request.fixturenames:
        request.getfixturevalue("enable_custom_integrations")
        request.getfixturevalue("core")


@pytest.fixture
async def hub(socket_enabled: None) -> AsyncGenerator[HubServer]:
    """A hub on this machine."""
    async with HubServer() as server:
        yield server


@pytest.fixture
async def session(hub: HubServer) -> AsyncGenerator[ClientSession]:
    """Somebody who asks the hub."""
    # aiohttp's other resolver keeps a thread that pytest would report as left behind.
    async with ClientSession(connector=TCPConnector(resolver=ThreadedResolver())) as client:
        yield client


@pytest.fixture
async def core(hass: HomeAssistant) -> None:
    """Set up what Home Assistant always has set up before anything else."""
    assert await async_setup_component(hass, "homeassistant", {})


@pytest.fixture
async def home(hass: HomeAssistant, core: None) -> Home:
    """A small house with rooms, names and aliases, all of it in Home Assistant's own registries."""
    return Home(hass)


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home, model_folder: str) -> MockConfigEntry:
    """Set up the integration in that house, with the real model, and wait for its vectors."""
    entry = MockConfigEntry(domain=DOMAIN, title="Semantic Home", data={CONF_MODEL: MINILM, CONF_FOLDER: model_folder})
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    return entry
