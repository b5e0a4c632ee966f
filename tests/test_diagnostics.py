"""What can be attached to a bug report, and what the system page says: enough to help, and nothing of the home."""

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiohttp import ClientError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, get_system_health_info
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.const import CONF_ENGINE, CONF_MODEL, DOMAIN
from custom_components.semantic_home.model_runner import ISSUE_MODEL

from .conftest import MINILM
from .house import ENTITIES, Home, async_set_up
from .test_health import becomes_newer
from .test_services import match

HOST, KEY, USER = "embeddings.smith.example", "sk-very-secret", "mary"
SERVER = {"url": f"http://{USER}:hidden@{HOST}:8080/v1", "model": "m", "api_key": KEY}
SERVED = {CONF_ENGINE: "server", CONF_MODEL: "m", "server": SERVER, "spec": {"dimension": 8, "pooling": "mean"}}
NOTE = "the spare key lies beneath the third flower pot"


async def diagnostics(hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry) -> Any:
    assert await async_setup_component(hass, "diagnostics", {})
    return await get_diagnostics_for_config_entry(hass, hass_client, entry)


async def health(hass: HomeAssistant) -> dict[str, Any]:
    assert await async_setup_component(hass, "system_health", {})
    info = await get_system_health_info(hass, DOMAIN)
    return {key: await value if hasattr(value, "__await__") else value for key, value in info.items()}


async def test_they_tell_how_the_home_is(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry
) -> None:
    await match(hass, "turn off the lamp next to the couch")
    found = await diagnostics(hass, hass_client, entry)
    home, status = found["home"], entry.runtime_data.status
    assert (found["entry"]["state"], home["state"], home["degraded"]) == ("loaded", "ready", False)
    assert home["index"]["documents"].keys() == {"area", "entity", "floor"}
    assert sum(home["index"]["documents"].values()) == status.documents
    [generation] = home["index"]["generations"]
    assert (generation["state"], generation["counts"]["vectors"]) == ("active", status.vectors)
    assert (generation["stamp"]["model_id"], generation["stamp"]["dimension"]) == (MINILM, 384)
    [model] = home["models"]
    assert model == {"id": MINILM, "engine": "openvino", "ready": True, "answers": True, "loaded": True}
    assert home["queries"]["today"] == 1
    assert home["queries"]["decisions_of_last_200"] == {"match": 1}
    assert home["queries"]["latencies_ms"] == [round(entry.runtime_data.statistics.last_ms, 1)]
    machine = found["machine"]
    assert machine["libc"].startswith(("glibc", "musl"))
    assert machine["packages"]["numpy"]
    assert machine["files"]["database"] == Path(hass.config.path("semantic_home.db")).stat().st_size
    assert found["compute"]["threads"] >= 1
    assert found["issues"] == []


async def test_they_name_nothing_of_the_home(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, home: Home, entry: MockConfigEntry
) -> None:
    query = "turn off the lamp next to the couch"
    await match(hass, query)
    await hass.services.async_call(DOMAIN, "add_knowledge", {"text": NOTE, "type": "fact"}, blocking=True)
    found = json.dumps(await diagnostics(hass, hass_client, entry))
    own = json.dumps((await diagnostics(hass, hass_client, entry))["home"])
    for secret in (query, "couch", NOTE, "flower", *(name for _, _, name, _, _ in ENTITIES)):
        assert secret not in own
    assert NOTE not in found
    assert entry.data["folder"] not in found


async def test_they_say_neither_where_the_server_is_nor_its_key(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, home: Home, aioclient_mock: AiohttpClientMocker
) -> None:
    aioclient_mock.post(f"http://{HOST}:8080/v1/embeddings", exc=ClientError())
    entry = MockConfigEntry(domain=DOMAIN, title="Semantic Home", data={**SERVED, "previous": {"data": SERVED}})
    with patch("custom_components.semantic_home.model_runner.async_load", side_effect=OSError(f"{HOST} {KEY}")):
        await async_set_up(hass, entry)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is not None
    found = await diagnostics(hass, hass_client, entry)
    assert [issue["id"] for issue in found["issues"]] == [ISSUE_MODEL]
    assert found["home"]["state"] == "degraded"
    text = json.dumps(found)
    assert all(secret not in text for secret in (HOST, KEY, USER, "hidden"))


async def test_an_entry_that_is_not_loaded_is_told_of(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry
) -> None:
    await becomes_newer(hass, entry)
    found = await diagnostics(hass, hass_client, entry)
    assert (found["home"], found["entry"]["error"]) == (None, "newer_database")
    assert [issue["text"] for issue in found["issues"]] == ["newer_index"]


async def test_the_system_page(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await health(hass) == {
        "entry_state": "loaded",
        "engine": "openvino",
        "model": MINILM,
        "index_state": "ready",
        "documents": entry.runtime_data.status.documents,
    }


@pytest.fixture
def unreached() -> Iterator[None]:
    """Let the model's own attempts to reach the server end at once."""
    with patch("custom_components.semantic_home.model_runner.async_load", side_effect=OSError("not now")):
        yield


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"status": 405}, "ok"), ({"exc": ClientError()}, {"type": "failed", "error": "unreachable"})],
)
@pytest.mark.usefixtures("home", "unreached")
async def test_the_system_page_says_whether_a_server_is_there(
    hass: HomeAssistant, aioclient_mock: AiohttpClientMocker, answer: dict[str, Any], said: Any
) -> None:
    aioclient_mock.get(f"http://{USER}:hidden@{HOST}:8080/v1/embeddings", **answer)
    await async_set_up(hass, MockConfigEntry(domain=DOMAIN, title="Semantic Home", data=SERVED))
    found = await health(hass)
    assert found["can_reach_server"] == said
    assert all(secret not in str(found) for secret in (HOST, KEY, USER))
    [(_, _, _, headers)] = aioclient_mock.mock_calls
    assert KEY not in str(headers)


@pytest.mark.usefixtures("home", "unreached")
async def test_the_system_page_bears_an_address_that_is_none(hass: HomeAssistant) -> None:
    data = {**SERVED, "server": {**SERVER, "url": "http://[half"}}
    await async_set_up(hass, MockConfigEntry(domain=DOMAIN, title="Semantic Home", data=data))
    assert "can_reach_server" not in await health(hass)


@pytest.mark.usefixtures("home")
async def test_the_system_page_without_an_entry(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    assert await health(hass) == {}
