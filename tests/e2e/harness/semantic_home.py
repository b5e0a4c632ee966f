"""The steps that the demo and the tests take with this integration."""

import asyncio
from collections.abc import Callable
import time

from .client import POLL_SECONDS, Client, JsonObject
from .flow import go_through_flow, silent
from .folder import MODELS_FOLDER

DOMAIN = "semantic_home"
MODEL = "all-minilm-l6-v2"
INDEX_SECONDS = 120


async def add(
    client: Client, on_progress: Callable[[JsonObject], None] = silent, folder: str = f"{MODELS_FOLDER}/{MODEL}"
) -> JsonObject:
    """Set the integration up through its config flow, with the model from a folder of the home's own."""
    answers = {"user": {"model": MODEL}, "folder": {"folder": folder}}
    return await go_through_flow(client, DOMAIN, answers, on_progress)


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
