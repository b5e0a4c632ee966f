"""A hub on this machine, and somebody who asks it. Nothing here needs Home Assistant."""

from collections.abc import AsyncGenerator

from aiohttp import ClientSession, TCPConnector, ThreadedResolver
import pytest

from tests.hub_server import HubServer


@pytest.fixture
async def hub(socket_enabled: None) -> AsyncGenerator[HubServer]:
    async with HubServer() as server:
        yield server


@pytest.fixture
async def session(hub: HubServer) -> AsyncGenerator[ClientSession]:
    # aiohttp's other resolver keeps a thread that pytest would report as left behind.
    async with ClientSession(connector=TCPConnector(resolver=ThreadedResolver())) as client:
        yield client
