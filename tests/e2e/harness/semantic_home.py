"""The steps that the demo and the tests take with this integration."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
import time

from tests.embedding_server import EmbeddingServer

from .client import POLL_SECONDS, Client, Json, JsonObject
from .flow import go_through_flow, silent
from .folder import MODELS_FOLDER

DOMAIN = "semantic_home"
AGENT = "conversation.semantic_home"
MODEL = "all-minilm-l6-v2"
# The same model as the portable engine reads it.
PORTABLE_MODEL = f"{MODEL}-ir"
HUB_REPOSITORY = "somebody/all-MiniLM-L6-v2"
# The server tells the roles apart by the model's name, and adds the prefixes itself.
SERVER_SETTINGS = {"passage_model": EmbeddingServer.PASSAGE_MODEL, "timeout": 10}
INDEX_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Choice:
    """What the config flow is told: who runs which model, and where that comes from.

    `folder` is in the home's own configuration directory. With `hub`, the address of one, the model comes from its
    repository HUB_REPOSITORY instead; with `server`, the address of one, the server runs its own.
    """

    engine: str = "openvino"
    model: str = MODEL
    folder: str = f"{MODELS_FOLDER}/{MODEL}"
    hub: str | None = None
    server: str | None = None

    @property
    def answers(self) -> dict[str, dict[str, Json]]:
        """The flow's fields by step."""
        return {
            "user": {"engine": "server" if self.server else self.engine},
            "model": {"model": self.model},
            "source": {"next_step_id": "hub" if self.hub else "folder"},
            "folder": {"folder": self.folder},
            "hub": {"repository": HUB_REPOSITORY, "revision": "main", "endpoint": self.hub},
            "server": {"url": self.server},
            "server_model": {"model": EmbeddingServer.QUERY_MODEL, "more": SERVER_SETTINGS},
            "resume": {"next_step_id": "start_over"},
            "tried": {},
        }


async def add(
    client: Client, on_progress: Callable[[JsonObject], None] = silent, choice: Choice = Choice()
) -> JsonObject:
    """Set the integration up through its config flow."""
    return await go_through_flow(client, {"handler": DOMAIN}, choice.answers, on_progress)


async def reconfigure(
    client: Client, entry_id: str, choice: Choice, on_progress: Callable[[JsonObject], None] = silent
) -> JsonObject:
    """Choose anew for the entry that exists, and wait until it is loaded again."""
    start = {"handler": DOMAIN, "entry_id": entry_id}
    result = await go_through_flow(client, start, choice.answers, on_progress)
    # The reload has begun when the flow ends.
    deadline = time.monotonic() + INDEX_SECONDS
    while (entry := (await client.entries(DOMAIN))[0])["state"] != "loaded":
        if time.monotonic() > deadline:
            raise TimeoutError(f"The entry is still {entry['state']} after {INDEX_SECONDS} s")
        await asyncio.sleep(POLL_SECONDS)
    return result


async def say(client: Client, text: str, conversation_id: str | None = None, language: str = "en") -> JsonObject:
    """Say something to the conversation agent; its answer has the keys that Home Assistant's dialog shows."""
    asked = {"text": text, "language": language, "agent_id": AGENT}
    known = {} if conversation_id is None else {"conversation_id": conversation_id}
    answer: JsonObject = await client.post("/api/conversation/process", asked | known)
    return answer


async def match(client: Client, query: str, **options: object) -> JsonObject:
    """Ask which devices are meant."""
    return await client.action(DOMAIN, "match_devices", {"query": query, **options})


async def wait_for_index(client: Client) -> None:
    """Wait until matching knows devices, and no longer says that vectors are missing."""
    deadline = time.monotonic() + INDEX_SECONDS
    while (response := await match(client, "light"))["degraded"] or not response["candidates"]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"The index is still incomplete after {INDEX_SECONDS} s")
        await asyncio.sleep(POLL_SECONDS)


async def wait_for_model(client: Client, other_than: int) -> JsonObject:
    """Wait until another generation of vectors answers than this one; return an answer of it."""
    deadline = time.monotonic() + INDEX_SECONDS
    while (response := await match(client, "light"))["degraded"] or response["generation"] == other_than:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Generation {response['generation']} still answers after {INDEX_SECONDS} s")
        await asyncio.sleep(POLL_SECONDS)
    return response
