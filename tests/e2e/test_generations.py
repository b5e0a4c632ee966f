"""Models change in a real Home Assistant that is asked all the while, and its index comes back from a backup.

One process serves all tests of this file, in their order.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import json

from aiohttp import WSMessageTypeError
import pytest

from tests.embedding_server import EmbeddingServer

from .harness import semantic_home
from .harness.client import Client, JsonObject
from .harness.folder import HomeFolder
from .harness.house import House, eventually
from .harness.process import HomeAssistantDiedError
from .harness.semantic_home import Choice
from .questions import COUCH, SOFA_LAMP

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("socket_enabled"), pytest.mark.timeout(900)]

DOMAIN = semantic_home.DOMAIN
NOTE = {"text": "the couch is in the living room", "knowledge_type": "fact"}


@pytest.fixture(scope="module")
def home_folder(home_folder: HomeFolder) -> HomeFolder:
    with (home_folder.config / "configuration.yaml").open("a", encoding="utf-8") as configuration:
        configuration.write("backup:\n")
    return home_folder


@asynccontextmanager
async def asked_all_the_while(client: Client) -> AsyncIterator[list[JsonObject]]:
    """Ask every tenth of a second; the first failure is raised at the end."""
    answers: list[JsonObject] = []
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            answers.append(await semantic_home.match(client, f"{COUCH} {len(answers)}"))
            await asyncio.sleep(0.1)

    asking = asyncio.create_task(ask())
    try:
        yield answers
    finally:
        over.set()
        await asking


async def test_to_another_model_and_back_without_a_failed_query(client: Client, server: EmbeddingServer):
    await semantic_home.add(client)
    await semantic_home.wait_for_index(client)
    first = await semantic_home.match(client, COUCH)
    [entry] = await client.entries(DOMAIN)
    async with asked_all_the_while(client) as answers:
        await semantic_home.reconfigure(client, entry["entry_id"], Choice(server=server.url))
        second = await semantic_home.wait_for_model(client, first["generation"])
        await semantic_home.reconfigure(client, entry["entry_id"], Choice())
        third = await semantic_home.wait_for_model(client, second["generation"])
    assert second["model"] == EmbeddingServer.QUERY_MODEL
    assert third["model"] == first["model"] == semantic_home.MODEL
    assert third["generation"] == first["generation"], "it was kept, and is the same again"
    models = {first["generation"]: first["model"], second["generation"]: second["model"]}
    assert len(answers) > 10
    assert {answer["generation"] for answer in answers} <= models.keys()
    with_vectors = [answer for answer in answers if answer["model"] is not None]
    assert {answer["generation"] for answer in with_vectors} == models.keys()
    assert all(models[answer["generation"]] == answer["model"] for answer in with_vectors), "never of another model"
    complete = [answer["candidates"][0]["entity_id"] for answer in answers if not answer["degraded"]]
    assert set(complete) == {SOFA_LAMP}


async def test_a_backup_made_in_use_comes_back_whole(house: House):
    async with house.client() as client:
        before = await _with_a_note(house, client)
        async with client.websocket() as socket, asked_all_the_while(client):
            made = await socket.command("backup/generate", agent_ids=["backup.local"], name="whole")
            assert made["backup_job_id"]
            backups = await eventually(lambda: _backups(client), bool)
        [backup] = backups
        # What came later is not in it.
        (house.process.folder.config / "later.jsonl").write_text(json.dumps({**NOTE, "text": "later"}))
        await client.action(DOMAIN, "import_knowledge", {"path": "later.jsonl"})
        async with client.websocket() as socket:
            # It stops, to start with what is in the backup, instead of an answer.
            with suppress(WSMessageTypeError):
                await socket.command(
                    "backup/restore", backup_id=backup["backup_id"], agent_id="backup.local", restore_homeassistant=True
                )
    house.stop()
    # The restore is applied by a start that then asks for another.
    with pytest.raises(HomeAssistantDiedError, match="code 100"):
        house.process.start()
    house.process.start()
    async with house.client() as client:
        await client.wait_until_started()
        await semantic_home.wait_for_index(client)
        after = await semantic_home.match(client, COUCH)
        assert (after["generation"], after["model"]) == (before["generation"], before["model"])
        assert after["candidates"][0]["entity_id"] == SOFA_LAMP
        exported = await client.action(DOMAIN, "export_knowledge", {"path": "after.jsonl", "overwrite": True})
        lines = (house.process.folder.config / "after.jsonl").read_text().splitlines()
        assert (exported["count"], [json.loads(line)["text"] for line in lines]) == (1, [NOTE["text"]])
        rebuilt = await client.action(DOMAIN, "import_knowledge", {"path": "note.jsonl", "dry_run": True})
        assert rebuilt["unchanged"] == 1


async def _with_a_note(house: House, client: Client) -> JsonObject:
    (house.process.folder.config / "note.jsonl").write_text(json.dumps(NOTE))
    await client.action(DOMAIN, "import_knowledge", {"path": "note.jsonl"})
    await semantic_home.wait_for_index(client)
    return await semantic_home.match(client, COUCH)


async def _backups(client: Client) -> list[JsonObject]:
    async with client.websocket() as socket:
        info = await socket.command("backup/info")
    return info["backups"] if info["state"] == "idle" else []
