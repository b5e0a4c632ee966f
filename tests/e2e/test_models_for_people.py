"""Every way to a model, in a real Home Assistant: a hub with a cut in the middle, a restart half-way, a server.

One process serves all tests of this file, in their order.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import threading

import pytest
import pytest_socket

from tests.embedding_server import EmbeddingServer
from tests.hub_server import Fault, HubServer

from .harness import semantic_home
from .harness.client import Client, JsonObject
from .harness.flow import FLOWS, go_through_flow
from .harness.folder import MODELS
from .harness.house import House, eventually
from .harness.semantic_home import HUB_REPOSITORY, Choice
from .questions import COUCH, SOFA_LAMP

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(900)]

DOMAIN = semantic_home.DOMAIN
WEIGHTS = "openvino_model.bin"
GERMAN = "Mach die Lampe neben dem Sofa aus"
HALFWAY = 8 * 2**20


class Hub:
    """A hub in a thread of its own: it outlives the event loop of a single test."""

    def __init__(self) -> None:
        self.server = HubServer()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hub")

    def __enter__(self) -> HubServer:
        # Its one thread must be there before any test, which would have to answer for it otherwise.
        executor = ThreadPoolExecutor(1)
        executor.submit(int).result()
        self._loop.set_default_executor(executor)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.__aenter__(), self._loop).result()
        self.server.publish(HUB_REPOSITORY, MODELS / semantic_home.PORTABLE_MODEL)
        return self.server

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.__aexit__(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    pytest_socket.enable_socket()
    with Hub() as server:
        yield server


async def _entry_id(client: Client) -> str:
    [entry] = await client.entries(DOMAIN)
    return str(entry["entry_id"])


async def _finds_the_couch_lamp(client: Client) -> JsonObject:
    await semantic_home.wait_for_index(client)
    response = await semantic_home.match(client, COUCH)
    assert response["candidates"][0]["entity_id"] == SOFA_LAMP
    assert not response["degraded"]
    return response


def _partial(house: House) -> int:
    """Count the bytes of the weights that are on the disk but not whole yet."""
    parts = (house.process.folder.config / ".cache" / DOMAIN / "models").glob(f"*.partial/{WEIGHTS}.part")
    return sum(part.stat().st_size for part in parts)


async def _some_of_it(house: House) -> None:
    async def partial() -> int:
        return _partial(house)

    assert await eventually(partial, bool)


async def test_restart_half_way_through_a_download(house: House, hub: HubServer):
    hub.inject(WEIGHTS, Fault(stall_after=HALFWAY))
    shown: list[JsonObject] = []
    async with house.client() as client:
        flow = asyncio.create_task(
            go_through_flow(client, {"handler": DOMAIN}, Choice(hub=hub.endpoint).answers, shown.append)
        )
        await _some_of_it(house)
        flow.cancel()
        await asyncio.wait([flow])
        assert "fetch" in {progress["progress_action"] for progress in shown}
        assert await client.entries(DOMAIN) == [], "half a model is none"
    house.stop()
    kept = _partial(house)
    assert kept > 0
    house.process.start()
    async with house.client() as client:
        await client.wait_until_started()
        result = await semantic_home.add(client, choice=Choice(hub=hub.endpoint))
        assert result["type"] == "create_entry"
        await _finds_the_couch_lamp(client)
    assert hub.ranges(WEIGHTS) == [None, f"bytes={kept}-"], "what had come was not fetched again"


async def test_a_dialog_that_is_closed_and_opened_again_shows_the_download(
    client: Client, house: House, hub: HubServer
):
    await client.delete(f"/api/config/config_entries/entry/{await _entry_id(client)}")
    assert not _partial(house)
    halfway = Fault(stall_after=HALFWAY)
    hub.inject(WEIGHTS, halfway)
    flow = asyncio.create_task(go_through_flow(client, {"handler": DOMAIN}, Choice(hub=hub.endpoint).answers))
    await _some_of_it(house)
    flow.cancel()
    await asyncio.wait([flow])
    opened = await client.post(FLOWS, {"handler": DOMAIN})
    assert (opened["type"], opened["step_id"]) == ("menu", "resume")
    step = f"{FLOWS}/{opened['flow_id']}"
    await client.post(step, {"next_step_id": "continue_setup"})
    watched = await eventually(lambda: client.get(step), lambda shown: shown["progress_action"] == "fetch")
    assert (watched["type"], watched["progress_action"]) == ("progress", "fetch")
    await client.delete(f"{FLOWS}/{opened['flow_id']}")


async def test_a_cut_in_the_middle_is_mended(client: Client, house: House, hub: HubServer):
    """After the stalled download of before was given up for a new choice."""
    before = len(hub.ranges(WEIGHTS))
    hub.inject(WEIGHTS, Fault(cut_after=2**21))
    await semantic_home.add(client, choice=Choice(hub=hub.endpoint))
    response = await _finds_the_couch_lamp(client)
    assert response["model"] == semantic_home.MODEL
    assert len(hub.ranges(WEIGHTS)[before:]) == 2, "the cut one, and the one that went on from there"


async def test_from_the_download_to_a_server(client: Client, server: EmbeddingServer):
    before = await semantic_home.match(client, COUCH)
    await semantic_home.reconfigure(client, await _entry_id(client), Choice(server=server.url))
    await semantic_home.wait_for_model(client, before["generation"])
    response = await semantic_home.match(client, GERMAN)
    assert (response["candidates"][0]["entity_id"], response["model"]) == (SOFA_LAMP, EmbeddingServer.QUERY_MODEL)
    assert response["generation"] != before["generation"]


async def test_back_to_the_former_model_at_once_and_no_query_fails_meanwhile(client: Client):
    """Asked every tenth of a second, while models change there and back."""
    answers: list[JsonObject] = []
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            answers.append(await semantic_home.match(client, COUCH))
            await asyncio.sleep(0.1)

    before = await semantic_home.match(client, COUCH)
    for _ in range(2):
        # The reload of the entry is Home Assistant's; from then on nothing may fail.
        await client.action_without_response(DOMAIN, "rollback_model")
        await eventually(lambda: client.entries(DOMAIN), lambda entries: entries[0]["state"] == "loaded")
        asking = asyncio.create_task(ask())
        await semantic_home.wait_for_index(client)
        over.set()
        await asking
        over.clear()
    after = await semantic_home.match(client, COUCH)
    assert after["generation"] == before["generation"]
    assert all(answer["generation"] for answer in answers), "every answer names its generation"
    assert {answer["candidates"][0]["entity_id"] for answer in answers if not answer["degraded"]} == {SOFA_LAMP}


async def test_without_its_server_names_answer(client: Client, server: EmbeddingServer):
    server.stop()
    response = await semantic_home.match(client, "lampe am sofa")
    assert response["degraded"]
    assert response["candidates"]
    server.start()
    entry_id = await _entry_id(client)
    await client.post(f"/api/config/config_entries/entry/{entry_id}/reload")
    await semantic_home.wait_for_index(client)


async def test_from_the_server_to_a_folder_and_back_to_the_download(client: Client, hub: HubServer):
    entry_id = await _entry_id(client)
    before = await semantic_home.match(client, COUCH)
    await semantic_home.reconfigure(client, entry_id, Choice())
    await semantic_home.wait_for_model(client, before["generation"])
    middle = await _finds_the_couch_lamp(client)
    assert middle["model"] == semantic_home.MODEL
    await semantic_home.reconfigure(client, entry_id, Choice(engine="numpy", hub=hub.endpoint))
    await semantic_home.wait_for_model(client, middle["generation"])
    await _finds_the_couch_lamp(client)


async def test_a_lost_cache_is_fetched_again(house: House, hub: HubServer):
    """As after a backup was restored, which has no cache."""
    house.stop()
    folder = house.process.folder.config / ".cache" / DOMAIN
    folder.rename(folder.with_name("gone"))
    house.process.start()
    async with house.client() as client:
        await client.wait_until_started()
        await _finds_the_couch_lamp(client)


def test_only_what_was_to_be_expected_is_in_the_log(house: House):
    house.stop()
    unexpected = [line for line in house.complaints if "does not answer" not in line and "does not run" not in line]
    assert "\n".join(unexpected) == ""
