"""Every way through the dialogs, ending in a real set-up wherever a model can run."""

from pathlib import Path
import sys
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.requirements import RequirementsNotFound, async_process_requirements

from custom_components.semantic_home.const import (
    CONF_CAUTION,
    CONF_ENGINE,
    CONF_FOLDER,
    CONF_MODEL,
    CONF_SCOPE,
    CONF_SPEC,
    DOMAIN,
)
from custom_components.semantic_home.engine import EncoderError, OpenVINOEncoder
from custom_components.semantic_home.local_engine import REQUIREMENTS
from custom_components.semantic_home.matching import Caution
from custom_components.semantic_home.model_choice import Engine
from custom_components.semantic_home.model_runner import ISSUE_ENGINE

from .conftest import MINILM
from .flow import accept, choose_engine, choose_step, submit, submit_until
from .house import Home, async_wait_complete

INSTALL = "custom_components.semantic_home.local_engine.async_process_requirements"
SUFFIXES = "custom_components.semantic_home.local_engine.EXTENSION_SUFFIXES"


async def to_folder(hass: HomeAssistant, model: str = MINILM, engine: str = "openvino") -> ConfigFlowResult:
    result = await choose_step(hass, "folder", model, engine)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "folder")
    return result


@pytest.mark.usefixtures("home")
async def test_local_folder_to_a_working_entry(hass: HomeAssistant, model_folder: str) -> None:
    result = await to_folder(hass)
    result = await submit(hass, result["flow_id"], {CONF_FOLDER: f" {model_folder} "})
    found = result["description_placeholders"]
    assert (found["dimension"], found["languages"], found["note"]) == ("384", "English", "")
    result = await accept(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_FOLDER: model_folder}
    entry = result["result"]
    assert entry.state is ConfigEntryState.LOADED
    await async_wait_complete(entry)
    assert entry.runtime_data.model == MINILM


@pytest.mark.usefixtures("home")
async def test_progress_says_what_it_is_doing(hass: HomeAssistant, model_folder: str) -> None:
    result = await to_folder(hass)
    await submit_until(hass, result["flow_id"], {CONF_FOLDER: model_folder}, "load")
    # The dialog is closed: nothing is set up.
    hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.config_entries.async_entries(DOMAIN) == []


async def test_options_show_what_a_model_costs(hass: HomeAssistant) -> None:
    result = await choose_engine(hass, "openvino")
    schema = result["data_schema"].schema
    options = schema[CONF_MODEL].config["options"]
    assert [option["value"] for option in options] == ["bge-m3", MINILM, "own"]
    for fact in ("BGE-M3", "recommended", "1024", "590 MB", "834 MB", "100 languages", "medium speed"):
        assert fact in options[0]["label"]
    for fact in ("384", "English", "91 MB", "fast"):
        assert fact in options[1]["label"]
    assert next(iter(schema)).default() == "bge-m3"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("model", "spoil", "folder", "error"),
    [
        (MINILM, None, "../elsewhere", "folder_outside"),
        (MINILM, None, "/etc", "folder_outside"),
        (MINILM, None, "nu\0l", "folder_outside"),
        (MINILM, None, "semantic_home_models/nothing", "folder_missing"),
        (MINILM, ("model.onnx", None), None, "file_missing"),
        (MINILM, ("tokenizer.json", None), None, "file_missing"),
        (MINILM, ("model.onnx", b"not a model"), None, "file_unreadable"),
        (MINILM, ("tokenizer.json", b"{}"), None, "file_unreadable"),
        (MINILM, ("config.json", b"["), None, "file_unreadable"),
        ("bge-m3", None, None, "wrong_dimension"),
    ],
)
async def test_a_bad_folder_is_explained_and_can_be_mended(
    hass: HomeAssistant,
    model_folder: str,
    model: str,
    spoil: tuple[str, bytes | None] | None,
    folder: str | None,
    error: str,
) -> None:
    saved = None
    if spoil is not None:
        file = Path(hass.config.path(model_folder)) / spoil[0]
        saved = file.read_bytes()
        if spoil[1] is None:
            file.unlink()
        else:
            file.write_bytes(spoil[1])
    result = await to_folder(hass, model)
    result = await submit(hass, result["flow_id"], {CONF_FOLDER: folder or model_folder})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "folder")
    assert result["errors"] == {CONF_FOLDER: error}
    if error != "folder_outside":
        assert result["description_placeholders"]["detail"]
    if model == MINILM:
        if saved is not None:
            file.write_bytes(saved)
        result = await accept(hass, await submit(hass, result["flow_id"], {CONF_FOLDER: model_folder}))
        assert result["type"] is FlowResultType.CREATE_ENTRY
        await async_wait_complete(result["result"])


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("problem", [RequirementsNotFound(DOMAIN, ["openvino"]), FileNotFoundError("uv")])
async def test_where_nothing_can_be_installed_names_alone_are_offered(hass: HomeAssistant, problem: Exception) -> None:
    with patch(INSTALL, side_effect=problem):
        result = await to_folder(hass)
        result = await submit(hass, result["flow_id"], {CONF_FOLDER: "semantic_home_models/none"})
        assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "runtime_unavailable")
        assert "tokenizers" in result["description_placeholders"]["requirements"]
        result = await submit(hass, result["flow_id"], {"next_step_id": "install"})
        assert result["type"] is FlowResultType.MENU, "trying again asks again"
        result = await submit(hass, result["flow_id"], {"next_step_id": "names_only"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {CONF_MODEL: None}
    response = await hass.services.async_call(
        DOMAIN, "match_devices", {"query": "Schalte die Stehlampe aus"}, blocking=True, return_response=True
    )
    assert response["entity_ids"] == ["light.sofa_lamp"]
    assert (response["model"], response["generation"], response["degraded"]) == (None, None, True)
    assert response["candidates"][0]["scores"]["dense"] is None


@pytest.mark.usefixtures("home")
async def test_retry_goes_on_when_the_installation_works_at_last(hass: HomeAssistant, model_folder: str) -> None:
    with patch(INSTALL, side_effect=RequirementsNotFound(DOMAIN, ["openvino"])):
        result = await to_folder(hass)
        result = await submit(hass, result["flow_id"], {CONF_FOLDER: model_folder})
    result = await accept(hass, await submit(hass, result["flow_id"], {"next_step_id": "install"}))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_wait_complete(result["result"])


@pytest.mark.usefixtures("home")
async def test_a_runtime_that_cannot_be_imported_is_unavailable(
    hass: HomeAssistant, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    result = await to_folder(hass)
    result = await submit(hass, result["flow_id"], {CONF_FOLDER: model_folder})
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "runtime_unavailable")


async def no_openvino(hass: HomeAssistant, domain: str, requirements: list[str], is_built_in: bool) -> None:  # noqa: FBT001
    """Refuse what asks for OpenVINO, as a system without a package for it does."""
    if any("openvino" in requirement for requirement in requirements):
        raise RequirementsNotFound(domain, requirements)
    await async_process_requirements(hass, domain, requirements, is_built_in)


@pytest.mark.usefixtures("home")
async def test_the_portable_engine_can_be_chosen(
    hass: HomeAssistant, portable_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with patch(INSTALL, side_effect=no_openvino):
        result = await to_folder(hass, engine="numpy")
        result = await submit(hass, result["flow_id"], {CONF_FOLDER: portable_folder})
        assert result["description_placeholders"]["note"] == ""
        result = await accept(hass, result)
        assert result["data"] == {CONF_ENGINE: "numpy", CONF_MODEL: MINILM, CONF_FOLDER: portable_folder}
        await async_wait_complete(result["result"])
    response = await hass.services.async_call(
        DOMAIN, "match_devices", {"query": "I want to watch something"}, blocking=True, return_response=True
    )
    dense = {one["entity_id"]: one["scores"]["dense"] for one in response["candidates"]}
    assert dense["media_player.tv"] == max(dense.values())
    assert (response["model"], response["degraded"]) == (MINILM, False)


@pytest.mark.usefixtures("home")
async def test_where_openvino_cannot_be_installed_the_portable_engine_takes_its_place(
    hass: HomeAssistant, portable_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with patch(INSTALL, side_effect=no_openvino):
        result = await to_folder(hass)
        result = await submit(hass, result["flow_id"], {CONF_FOLDER: portable_folder})
        assert "portable" in result["description_placeholders"]["note"]
        result = await accept(hass, result)
        # What was chosen stays chosen: OpenVINO may be installable after the next update.
        assert result["data"][CONF_ENGINE] == "openvino"
        await async_wait_complete(result["result"])
        assert result["result"].runtime_data.model == MINILM


@pytest.mark.usefixtures("home")
async def test_openvino_that_does_not_start_is_replaced_too(
    hass: HomeAssistant, portable_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = await to_folder(hass)
    result = await submit(hass, result["flow_id"], {CONF_FOLDER: portable_folder})
    assert "portable" in result["description_placeholders"]["note"]
    result = await accept(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_wait_complete(result["result"])


async def test_on_musl_only_the_portable_engine_is_offered(hass: HomeAssistant) -> None:
    with patch(SUFFIXES, [".cpython-314-x86_64-linux-musl.so", ".so"]):
        result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        (engine,) = result["data_schema"].schema
        assert engine.default() == "numpy"
        assert result["data_schema"].schema[engine].config["options"] == ["numpy", "server", "names_only"]
        assert "musl" in result["description_placeholders"]["note"]
        with patch(INSTALL) as install:
            for answer in (
                {CONF_ENGINE: "numpy"},
                {CONF_MODEL: MINILM},
                {"next_step_id": "folder"},
                {CONF_FOLDER: "semantic_home_models/none"},
            ):
                result = await submit(hass, result["flow_id"], answer)
        assert result["errors"] == {CONF_FOLDER: "folder_missing"}
        assert {tuple(call.args[2]) for call in install.call_args_list} == {REQUIREMENTS[Engine.NUMPY]}


@pytest.mark.usefixtures("home")
async def test_an_onnx_graph_is_nothing_for_the_portable_engine(hass: HomeAssistant, model_folder: str) -> None:
    result = await to_folder(hass, engine="numpy")
    result = await submit(hass, result["flow_id"], {CONF_FOLDER: model_folder})
    assert result["errors"] == {CONF_FOLDER: "layout_unknown"}
    assert result["description_placeholders"]["detail"] == "model.onnx"


@pytest.mark.usefixtures("home")
async def test_a_model_that_does_not_answer_is_an_error_of_the_form(hass: HomeAssistant, model_folder: str) -> None:
    result = await to_folder(hass)
    with patch.object(OpenVINOEncoder, "encode", side_effect=EncoderError("out of memory")):
        result = await submit(hass, result["flow_id"], {CONF_FOLDER: model_folder})
    assert result["errors"] == {CONF_FOLDER: "model_fails"}
    assert result["description_placeholders"]["detail"] == "out of memory"


@pytest.mark.usefixtures("home")
async def test_no_model_can_be_chosen_anywhere(hass: HomeAssistant) -> None:
    result = await choose_engine(hass, "names_only")
    assert (result["type"], result["data"]) == (FlowResultType.CREATE_ENTRY, {CONF_MODEL: None})


@pytest.mark.usefixtures("home")
async def test_what_nobody_expected_is_logged_and_shown(
    hass: HomeAssistant, model_folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    with patch("custom_components.semantic_home.local_engine.OpenVINOEncoder", side_effect=MemoryError("no memory")):
        result = await to_folder(hass)
        result = await submit(hass, result["flow_id"], {CONF_FOLDER: model_folder})
    assert result["errors"] == {"base": "unknown"}
    assert "no memory" in caplog.text


async def test_there_is_one_home(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "single_instance_allowed")


async def test_reconfigure_from_names_alone_to_a_model(hass: HomeAssistant, home: Home, model_folder: str) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    result = await entry.start_reconfigure_flow(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    assert next(iter(result["data_schema"].schema)).default() == "names_only"
    result = await submit(hass, result["flow_id"], {CONF_ENGINE: "openvino"})
    result = await submit(hass, result["flow_id"], {CONF_MODEL: MINILM})
    result = await submit(hass, result["flow_id"], {"next_step_id": "folder"})
    result = await accept(hass, await submit(hass, result["flow_id"], {CONF_FOLDER: f"./{model_folder}"}))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.data == {CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_FOLDER: f"./{model_folder}"}
    await hass.async_block_till_done()
    await async_wait_complete(entry)

    result = await entry.start_reconfigure_flow(hass)
    assert next(iter(result["data_schema"].schema)).default() == "openvino"
    result = await submit(hass, result["flow_id"], {CONF_ENGINE: "openvino"})
    assert next(iter(result["data_schema"].schema)).default() == MINILM
    result = await submit(hass, result["flow_id"], {CONF_MODEL: MINILM})
    result = await submit(hass, result["flow_id"], {"next_step_id": "folder"})
    assert next(iter(result["data_schema"].schema)).default() == f"./{model_folder}", "the entry's own folder"


async def test_options_widen_the_scope(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    before = entry.runtime_data.status.documents
    home.add("sensor", "humidity", "Cellar humidity", None)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "init")
    result = await hass.config_entries.options.async_configure(result["flow_id"], {CONF_SCOPE: "all"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    await async_wait_complete(entry)
    # The new sensor, the front door's lock and Home Assistant's own agent: none is exposed to Assist by default.
    assert entry.runtime_data.status.documents == before + 3


@pytest.mark.usefixtures("home")
async def test_a_wrong_dimension_of_ones_own_is_asked_again(hass: HomeAssistant, model_folder: str) -> None:
    result = await choose_engine(hass, "openvino")
    result = await submit(hass, result["flow_id"], {CONF_MODEL: "own"})
    own = {"dimension": 383, "pooling": "mean", "max_tokens": 256, "query_prefix": "query: "}
    for answer in (own, {"next_step_id": "folder"}, {CONF_FOLDER: model_folder}):
        result = await submit(hass, result["flow_id"], answer)
    assert (result["step_id"], result["errors"]) == ("own", {"dimension": "wrong_dimension"})
    shown = {str(key): key for key in result["data_schema"].schema}
    assert (shown["dimension"].default(), shown["max_tokens"].default()) == (383, 256)
    for answer in (own | {"dimension": 384}, {"next_step_id": "folder"}):
        result = await submit(hass, result["flow_id"], answer)
    assert next(iter(result["data_schema"].schema)).default() == model_folder, "what was typed is still there"
    result = await accept(hass, await submit(hass, result["flow_id"], {CONF_FOLDER: model_folder}))
    assert result["data"][CONF_SPEC]["query_prefix"] == "query: "
    await async_wait_complete(result["result"])


@pytest.mark.usefixtures("home")
async def test_where_openvino_was_replaced_a_repair_offers_to_try_it_again(
    hass: HomeAssistant, portable_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = await to_folder(hass)
    result = await accept(hass, await submit(hass, result["flow_id"], {CONF_FOLDER: portable_folder}))
    entry = result["result"]
    await async_wait_complete(entry)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ENGINE)
    monkeypatch.undo()
    await hass.config_entries.async_reload(entry.entry_id)
    await async_wait_complete(entry)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE_ENGINE) is None


async def test_options_say_how_careful_to_be(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert entry.runtime_data.caution is Caution.BALANCED
    result = await hass.config_entries.options.async_init(entry.entry_id)
    schema = {str(field): field for field in result["data_schema"].schema}
    assert schema[CONF_CAUTION].default() == "balanced"
    chosen = {CONF_SCOPE: "exposed", CONF_CAUTION: "careful"}
    result = await hass.config_entries.options.async_configure(result["flow_id"], chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert entry.runtime_data.caution is Caution.CAREFUL
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert {str(field): field for field in result["data_schema"].schema}[CONF_CAUTION].default() == "careful"
