"""A real Home Assistant for all tests of a file, in their order, and who asks it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_socket

from tests.embedding_server import EmbeddingServer

from .harness import semantic_home
from .harness.client import Client
from .harness.folder import MODELS, HomeFolder
from .harness.house import House
from .harness.process import PYTHON, HomeAssistantProcess


@pytest.fixture(scope="module")
def home_folder(tmp_path_factory: pytest.TempPathFactory) -> HomeFolder:
    """What the home begins with: a model. A file whose tests need more adds it."""
    if not PYTHON.exists():
        pytest.fail("The end-to-end tests need a Home Assistant to start: run scripts/setup")
    folder = HomeFolder(tmp_path_factory.mktemp("home"))
    folder.lay_out(MODELS / semantic_home.MODEL)
    return folder


@pytest.fixture(scope="module")
def house(home_folder: HomeFolder) -> Iterator[House]:
    # The fixture that does this for a test comes too late for a whole module.
    pytest_socket.enable_socket()
    with HomeAssistantProcess(home_folder) as process:
        house = House(process)
        asyncio.run(house.settle_in())
        yield house


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddingServer]:
    pytest_socket.enable_socket()
    with EmbeddingServer() as server:
        yield server


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    async with house.client() as client:
        yield client
