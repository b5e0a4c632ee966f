"""One request can be followed from the action to the encoder's thread, and no text stands in the log for it."""

from collections.abc import Sequence
import logging
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.components.conversation import async_converse
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component

from custom_components.semantic_home.const import DOMAIN
from custom_components.semantic_home.engine import EncoderError, OpenVINOEncoder, Role
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import StoreError

from .house import ENTITIES, Home, async_let_sync
from .test_llm import ask
from .test_services import match

COUCH = "turn off the lamp next to the couch"
PACKAGE = f"custom_components.{DOMAIN}"
NOTE = "the spare key lies beneath the third flower pot"


def records_of(caplog: pytest.LogCaptureFixture, context: Context) -> list[logging.LogRecord]:
    found = [record for record in caplog.records if getattr(record, "context_id", None) == context.id]
    assert all(record.getMessage().startswith(f"[{context.id}] ") for record in found)
    return found


def said(records: Sequence[logging.LogRecord]) -> list[tuple[str, str]]:
    """Give where each was said, and its first words."""
    return [(record.name.removeprefix(f"{PACKAGE}."), record.getMessage().split()[1]) for record in records]


@pytest.mark.usefixtures("entry")
async def test_a_match_is_followed_into_every_thread(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, PACKAGE)
    first, second = Context(), Context()
    await match(hass, COUCH, first)
    await match(hass, COUCH, second)
    found = records_of(caplog, first)
    assert said(found) == [
        ("request_log", "Received:"),
        ("engine.worker", "Encoded"),
        ("home_index", "Searched"),
        ("runtime", "Decided"),
    ]
    assert {record.threadName for record in found[1:3]} == {f"{DOMAIN}-encoder", f"{DOMAIN}-index_0"}
    assert "action match_devices" in found[0].getMessage()
    assert found[-1].getMessage().endswith("match, 1 targets")
    again = said(records_of(caplog, second))
    assert again[1] == ("runtime", "The"), "it was encoded before"
    assert COUCH not in caplog.text


async def test_what_nobody_asked_has_no_id(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, PACKAGE)
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    await async_let_sync(hass, entry)
    encoded = [record for record in caplog.records if record.name == f"{PACKAGE}.engine.worker"]
    assert encoded
    assert {record.context_id for record in encoded} == {None}
    assert all(record.getMessage().startswith("Encoded") for record in encoded)


@pytest.mark.usefixtures("entry")
async def test_agents_and_conversations_are_followed_alike(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    assert await async_setup_component(hass, "conversation", {})
    caplog.set_level(logging.DEBUG, PACKAGE)
    tool, talk = Context(), Context()
    await ask(hass, "find_entities", {"context": tool}, names=[COUCH])
    await async_converse(
        hass, "switch off the light beside the sofa", None, talk, agent_id="conversation.semantic_home"
    )
    for context, kind in ((tool, f"tool {DOMAIN}__find_entities"), (talk, "conversation")):
        found = records_of(caplog, context)
        assert found[0].getMessage().endswith(kind)
        assert {name for name, _ in said(found)} >= {"engine.worker", "home_index", "runtime"}
    await entry.runtime_data.async_embed(["sofa"])
    assert caplog.records[-1].context_id is None, "it has ended"


@pytest.mark.usefixtures("entry")
async def test_a_failure_is_followed_to_its_key(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, PACKAGE)
    context = Context()
    with pytest.raises(ServiceValidationError):
        await match(hass, " ", context)
    assert records_of(caplog, context)[-1].getMessage().endswith("action match_devices, empty_text")


@pytest.mark.usefixtures("entry")
async def test_a_warning_reads_the_same_each_time(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    context = Context()
    with patch.object(OpenVINOEncoder, "encode", side_effect=EncoderError(COUCH)):
        await match(hass, COUCH, context)
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING and PACKAGE in record.name]
    assert warning.getMessage() == "The model did not answer, names alone do: model_fails"
    assert warning.context_id == context.id


async def test_no_text_is_logged_above_debug(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.clear()
    await ask_all(hass)
    with patch.object(OpenVINOEncoder, "encode", refuse):
        await ask_all(hass, again=" please")
    with patch.object(HomeIndex, "match", side_effect=StoreError("disk I/O error")), pytest.raises(HomeAssistantError):
        await match(hass, COUCH)
    logged = [record for record in caplog.records if record.name.startswith(PACKAGE)]
    assert logged, "the failures are said"
    formatter = logging.Formatter()
    text = "\n".join(map(formatter.format, logged)).lower()
    names = {name for _, _, name, _, aliases in ENTITIES for name in (name, *aliases)}
    entity_ids = {f"{domain}.{object_id}" for domain, object_id, *_ in ENTITIES}
    for secret in (COUCH, "couch", NOTE, "flower", *names, *entity_ids):
        assert secret.lower() not in text


def refuse(encoder: OpenVINOEncoder, texts: Sequence[str], role: Role) -> Any:
    """Fail as a library does that repeats what it was given."""
    raise EncoderError(f"cannot encode {list(texts)}")


async def ask_all(hass: HomeAssistant, again: str = "") -> None:
    """Ask in every way; what fails is its caller's to know."""
    for action, data in (
        ("match_devices", {"query": COUCH + again}),
        ("match_devices", {"query": COUCH + again, "area_id": ["nowhere"]}),
        ("clarify", {"query": f"turn on the light{again}"}),
        ("add_knowledge", {"text": NOTE + again, "type": "fact"}),
        ("search_knowledge", {"query": f"where is the key to the front door{again}"}),
        ("rerank", {"query": COUCH + again, "candidates": [NOTE, "Sofa lamp"]}),
        ("generate_embeddings", {"texts": [NOTE + again]}),
        ("find_patterns", {"query": f"turn on the Sofa lamp when it gets dark{again}"}),
        ("suggest_automations", {"goal": f"make the couch nicer{again}"}),
        ("rebuild_index", {}),
    ):
        try:
            await hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)
        except HomeAssistantError:
            continue
