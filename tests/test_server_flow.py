"""A server that runs the model: found, tried, reconfigured, away for a while, and asking for another key."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
import socket
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
import pytest_socket

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import (
    CONF_ENGINE,
    CONF_FOLDER,
    CONF_MODEL,
    CONF_SERVER,
    CONF_SIGNATURE,
    CONF_SPEC,
    DOMAIN,
)
from custom_components.semantic_home.model_runner import ISSUE_MODEL, RETRY_SECONDS

from .embedding_server import EmbeddingServer
from .faulty_proxy import FaultyProxy, each, fails, other_model, says
from .flow import accept, choose_engine, submit
from .house import Home, async_let_sync, async_wait_complete
from .test_generations import swapped
from .test_init import our_threads, wait_for_issue
from .test_services import match

pytestmark = pytest.mark.usefixtures("socket_enabled")

MORE: dict[str, Any] = {"passage_model": EmbeddingServer.PASSAGE_MODEL, "timeout": 10}
ASKED = {CONF_MODEL: EmbeddingServer.QUERY_MODEL, "more": MORE}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddingServer]:
    # The fixture that does this for a test comes too late for a whole module.
    pytest_socket.enable_socket()
    with EmbeddingServer() as server:
        yield server


@pytest.fixture
def proxy(server: EmbeddingServer) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.url) as proxy:
        yield proxy


async def add(hass: HomeAssistant, url: str, **more: str) -> ConfigFlowResult:
    result = await choose_engine(hass, "server")
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "server")
    result = await submit(hass, result["flow_id"], {"url": url, **more})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "server_model")
    return await submit(hass, result["flow_id"], ASKED)


@pytest.mark.usefixtures("home")
async def test_server_to_a_working_entry(hass: HomeAssistant, server: EmbeddingServer) -> None:
    result = await add(hass, server.url.removesuffix("/v1"))
    found = result["description_placeholders"]
    assert found["dimension"] == "384"
    assert {"German", "French", "Chinese"} <= set(found["languages"].split(", "))
    result = await accept(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    data = result["data"]
    assert (data[CONF_ENGINE], data[CONF_MODEL], data[CONF_SPEC]["dimension"]) == ("server", "e5-query", 384)
    assert data[CONF_SERVER]["url"] == f"{server.url}/embeddings", "what answered is kept"
    assert data[CONF_SIGNATURE]
    await async_wait_complete(result["result"])
    response = await match(hass, "Mach die Lampe neben dem Sofa aus")
    assert (response["candidates"][0]["entity_id"], response["model"]) == ("light.sofa_lamp", "e5-query")


async def test_models_are_offered_by_name(hass: HomeAssistant, server: EmbeddingServer) -> None:
    result = await choose_engine(hass, "server")
    result = await submit(hass, result["flow_id"], {"url": server.url})
    model = next(iter(result["data_schema"].schema))
    assert model.default() == "multilingual-e5-small-q4"


@pytest.mark.parametrize(
    ("fault", "step", "error"),
    [
        (fails(401, "who are you"), "server", "server_refused"),
        (fails(404, "no such path"), "server", "server_not_found"),
        (fails(404, "model `e5-query` not found"), "server_model", "server_no_model"),
    ],
)
async def test_what_is_wrong_is_shown_where_it_can_be_mended(
    hass: HomeAssistant, home: Home, proxy: FaultyProxy, fault: Any, step: str, error: str
) -> None:
    proxy.always = fault
    result = await add(hass, proxy.url)
    assert (result["step_id"], result["errors"]) == (step, {"base": error})
    proxy.always = None
    if step == "server":
        result = await submit(hass, result["flow_id"], {"url": proxy.url})
    result = await accept(hass, await submit(hass, result["flow_id"], ASKED))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_wait_complete(result["result"])


async def test_nobody_there(hass: HomeAssistant) -> None:
    with socket.socket() as taken:
        # Nobody listens on it, and nobody else gets it.
        taken.bind(("127.0.0.1", 0))
        result = await add(hass, f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
    assert (result["step_id"], result["errors"]) == ("server", {"base": "server_unreachable"})
    assert our_threads() == []


async def reconfigure(hass: HomeAssistant, entry: ConfigEntry) -> ConfigFlowResult:
    context = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    return await hass.config_entries.flow.async_init(DOMAIN, context=context)


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home, proxy: FaultyProxy) -> ConfigEntry:
    """An entry that asks the server through the proxy, with a key."""
    proxy.key = "first"
    result = await accept(hass, await add(hass, proxy.url, api_key="first"))
    await async_wait_complete(result["result"])
    return result["result"]


async def test_a_server_that_goes_away_costs_meaning_not_answers(
    hass: HomeAssistant, home: Home, entry: ConfigEntry, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.always = fails(503)
    named = {"Stehlampe": "light.sofa_lamp", "Küchenlicht": "light.kitchen_ceiling", "Kettle": "switch.kettle"}
    for query, entity_id in named.items():
        response = await match(hass, query)
        assert (response["candidates"][0]["entity_id"], response["degraded"]) == (entity_id, True)
    assert caplog.text.count("The model does not answer") == 1, "said once, not at every question"
    proxy.always = None
    await hass.config_entries.async_reload(entry.entry_id)
    await async_wait_complete(entry)
    assert (await match(hass, "Stehlampe"))["degraded"] is False


async def test_texts_are_embedded_once_the_server_is_back(
    hass: HomeAssistant, home: Home, entry: ConfigEntry, proxy: FaultyProxy
) -> None:
    tried = asyncio.Event()
    proxy.always = fails(503)
    with patch("custom_components.semantic_home.embedding.RETRY_SECONDS", 0.01):
        home.add("switch", "aquarium", "Aquarium pump", "bedroom")
        unsubscribe = entry.runtime_data.async_listen(tried.set)
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
        async with asyncio.timeout(30):
            await tried.wait()
        unsubscribe()
        assert entry.runtime_data.degraded
        proxy.always = None
        with patch("custom_components.semantic_home.engine.circuit_breaker.CircuitBreaker.remaining", 0):
            await async_wait_complete(entry)


async def test_a_server_that_stays_away_is_reported_until_it_is_back(
    hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy
) -> None:
    issues = ir.async_get(hass)
    proxy.always = fails(503)
    assert (await match(hass, "Stehlampe"))["degraded"] is True
    assert issues.async_get_issue(DOMAIN, ISSUE_MODEL) is None, "it may be restarting"
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=RETRY_SECONDS + 5))
    await hass.async_block_till_done()
    issue = issues.async_get_issue(DOMAIN, ISSUE_MODEL)
    assert issue is not None
    assert (issue.translation_key, issue.is_fixable) == ("server_failed", True)
    proxy.always = None
    with patch("custom_components.semantic_home.engine.circuit_breaker.CircuitBreaker.remaining", 0):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=2 * RETRY_SECONDS + 10))
        await hass.async_block_till_done()
    assert issues.async_get_issue(DOMAIN, ISSUE_MODEL) is None, "though nobody has asked anything"
    assert not entry.runtime_data.degraded


@pytest.mark.parametrize("status", [400, 503])
async def test_a_text_that_the_server_repeats_is_in_no_log(
    hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level("INFO")
    query = 'the "Küchenlicht"'
    proxy.always = fails(status, f"I do not like {query}")
    assert (await match(hass, query))["degraded"] is True
    assert "names alone do" in caplog.text
    assert "Küchenlicht" not in caplog.text


async def test_a_refused_key_is_asked_for_anew(hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy) -> None:
    proxy.key = "second"
    assert (await match(hass, "Stehlampe"))["degraded"] is True
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert (flow["context"]["source"], flow["step_id"]) == (SOURCE_REAUTH, "reauth_confirm")
    result = await submit(hass, flow["flow_id"], {"api_key": "third"})
    assert (result["step_id"], result["errors"]) == ("reauth_confirm", {"base": "server_refused"})
    result = await accept(hass, await submit(hass, flow["flow_id"], {"api_key": "second"}))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reauth_successful")
    assert entry.data[CONF_SERVER]["api_key"] == "second"
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert (await match(hass, "Stehlampe"))["degraded"] is False


async def test_the_key_is_in_no_log_and_no_message(
    hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.always = fails(503, "first is your key, is it not")
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_for_issue(hass, entry)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL)
    assert issue is not None
    assert issue.translation_key == "server_failed"
    assert "first" not in issue.translation_placeholders["detail"]
    assert "first is your key" not in caplog.text


async def test_reconfigure_proposes_what_is_there_and_changes_to_a_folder(
    hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy, model_folder: str
) -> None:
    before = await match(hass, "Stehlampe")
    result = await reconfigure(hass, entry)
    assert next(iter(result["data_schema"].schema)).default() == "server"
    result = await submit(hass, result["flow_id"], {CONF_ENGINE: "server"})
    assert next(iter(result["data_schema"].schema)).default() == entry.data[CONF_SERVER]["url"]
    hass.config_entries.flow.async_abort(result["flow_id"])

    result = await reconfigure(hass, entry)
    for answer in (
        {CONF_ENGINE: "openvino"},
        {CONF_MODEL: "all-minilm-l6-v2"},
        {"next_step_id": "folder"},
        {CONF_FOLDER: model_folder},
    ):
        result = await submit(hass, result["flow_id"], answer)
    result = await accept(hass, result)
    assert result["reason"] == "reconfigure_successful"
    assert CONF_SERVER not in entry.data
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    await swapped(entry, before["generation"])
    after = await match(hass, "Stehlampe")
    assert (after["model"], before["model"]) == ("all-minilm-l6-v2", "e5-query")
    assert after["generation"] != before["generation"], "never compared across models"


async def test_a_new_key_for_the_same_model_costs_no_vector(
    hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy
) -> None:
    before = (await match(hass, "Stehlampe"))["generation"]
    # Another batch or another processor: not the very same numbers.
    proxy.always = each(lambda vector: [number + 1e-6 for number in vector])
    proxy.key = "second"
    await match(hass, "Haustür")
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    await accept(hass, await submit(hass, flow["flow_id"], {"api_key": "second"}))
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    assert (await match(hass, "Stehlampe"))["generation"] == before
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL) is None


async def test_another_model_behind_the_same_name_is_never_compared_with(
    hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy
) -> None:
    before = (await match(hass, "Stehlampe"))["generation"]
    proxy.faults.append(fails(503))
    proxy.faults.append(fails(503))
    proxy.faults.append(fails(503))
    assert (await match(hass, "Küchenlicht"))["degraded"] is True
    proxy.always = other_model
    await match(hass, "Garagentor")
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    after = (await match(hass, "Fernseher"))["generation"]
    assert after != before
    await hass.config_entries.async_reload(entry.entry_id)
    await async_wait_complete(entry)
    assert (await match(hass, "Bett"))["generation"] == after, "from now on it is the known one"


async def test_a_gateway_that_repeats_the_key_with_a_200(
    hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.always = says(b'{"error": "Invalid API key: first"}')
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_for_issue(hass, entry)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_MODEL)
    assert issue is not None
    assert "key: ***" in issue.translation_placeholders["detail"]
    assert "key: first" not in caplog.text


async def test_a_model_without_a_name_is_refused(hass: HomeAssistant, server: EmbeddingServer) -> None:
    result = await choose_engine(hass, "server")
    result = await submit(hass, result["flow_id"], {"url": server.url})
    result = await submit(hass, result["flow_id"], {CONF_MODEL: " ", "more": MORE})
    assert (result["step_id"], result["errors"]) == ("server_model", {CONF_MODEL: "model_unnamed"})


async def test_unloading_does_not_wait_for_a_server_that_hangs(
    hass: HomeAssistant, home: Home, entry: ConfigEntry, proxy: FaultyProxy
) -> None:
    proxy.always = proxy.hang
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    asking = hass.async_create_task(match(hass, "Aquarium"))
    await hass.async_add_executor_job(proxy.hanging.wait, 30)
    async with asyncio.timeout(5):
        assert await hass.config_entries.async_unload(entry.entry_id)
    proxy.release()
    await asyncio.wait([asking])
    assert our_threads() == []


async def test_the_same_server_means_the_same_vectors_after_a_restart(
    hass: HomeAssistant, entry: ConfigEntry, proxy: FaultyProxy
) -> None:
    before = (await match(hass, "Stehlampe"))["generation"]
    asked = len(proxy.asked)
    await hass.config_entries.async_reload(entry.entry_id)
    await async_let_sync(hass, entry)
    await async_wait_complete(entry)
    assert (await match(hass, "Stehlampe"))["generation"] == before
    passages = [
        text
        for request in proxy.asked[asked:]
        if request.payload["model"] == EmbeddingServer.PASSAGE_MODEL
        for text in request.payload["input"]
    ]
    assert len(passages) == 1, "the known text that shows which model it is; the home's are not embedded twice"
