"""What hassfest and HACS would check, and what they would not: that code, texts and documentation agree."""

import json
from pathlib import Path
import re
from typing import Any

import pytest
import yaml

from homeassistant.helpers import selector

from custom_components.semantic_home import (
    alias_services,
    clarify_services,
    compare_services,
    knowledge_services,
    services,
    suggestion_services,
)
from custom_components.semantic_home.const import MAX_COMPARED, MAX_QUERY_LENGTH, MAX_TEXT_LENGTH, MAX_TEXTS
from custom_components.semantic_home.engine import (
    EncoderError,
    EncoderUnavailableError,
    RuntimeMissingError,
    load_catalog,
)
from custom_components.semantic_home.health import ISSUE_DEGRADED
from custom_components.semantic_home.home_state import HomeState
from custom_components.semantic_home.hub import HubError
from custom_components.semantic_home.knowledge import load_library
from custom_components.semantic_home.knowledge_files import MAX_MEGABYTES, MAX_ROWS
from custom_components.semantic_home.learned_requests import MAX_LEARNED
from custom_components.semantic_home.local_engine import REQUIREMENTS
from custom_components.semantic_home.matching import MAX_ALIAS_LENGTH, languages
from custom_components.semantic_home.model_choice import Engine
from custom_components.semantic_home.model_runner import _issue_text

from .conftest import ROOT

PACKAGE = ROOT / "custom_components" / "semantic_home"
SOURCE = "\n".join(file.read_text("utf-8") for file in sorted(PACKAGE.glob("*.py")))
README = ROOT / "README.md"

SCHEMAS = {
    "match_devices": services.MATCH_DEVICES_SCHEMA,
    "clarify": clarify_services.CLARIFY_SCHEMA,
    "generate_embeddings": services.GENERATE_EMBEDDINGS_SCHEMA,
    "rebuild_index": services.REBUILD_INDEX_SCHEMA,
    "rollback_model": services.ROLLBACK_MODEL_SCHEMA,
    "compare_models": compare_services.COMPARE_MODELS_SCHEMA,
    "import_knowledge": knowledge_services.IMPORT_KNOWLEDGE_SCHEMA,
    "export_knowledge": knowledge_services.EXPORT_KNOWLEDGE_SCHEMA,
    "list_knowledge": knowledge_services.LIST_KNOWLEDGE_SCHEMA,
    "delete_knowledge": knowledge_services.DELETE_KNOWLEDGE_SCHEMA,
    "suggest_aliases": alias_services.SUGGEST_ALIASES_SCHEMA,
    "add_alias": alias_services.ADD_ALIAS_SCHEMA,
    "dismiss_alias": alias_services.DISMISS_ALIAS_SCHEMA,
    "find_patterns": suggestion_services.FIND_PATTERNS_SCHEMA,
    "suggest_automations": suggestion_services.SUGGEST_AUTOMATIONS_SCHEMA,
}
QUALITY_RULES = 54


def load(name: str) -> Any:
    text = (PACKAGE / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


MANIFEST = load("manifest.json")
ENGLISH = load("translations/en.json")


def flat(tree: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(tree, str):
        return {prefix: tree}
    children = (flat(child, f"{prefix}.{name}".strip(".")) for name, child in tree.items())
    return {key: text for child in children for key, text in child.items()}


def service_fields(name: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field, description in ((load("services.yaml")[name] or {}).get("fields") or {}).items():
        fields |= description.get("fields", {field: description})
    return fields


def test_manifest() -> None:
    keys = list(MANIFEST)
    assert keys[:2] == ["domain", "name"]
    assert keys[2:] == sorted(keys[2:])
    assert MANIFEST["domain"] == PACKAGE.name
    assert {"codeowners", "documentation", "issue_tracker", "version", "iot_class", "config_flow"} <= MANIFEST.keys()
    assert re.fullmatch(r"\d+\.\d+\.\d+", MANIFEST["version"])
    assert f'version = "{MANIFEST["version"]}"' in (ROOT / "pyproject.toml").read_text()


def test_what_musl_cannot_install_is_not_required() -> None:
    required = {re.split(r"[<>=]", requirement)[0].lower() for requirement in MANIFEST["requirements"]}
    assert required == {"alembic", "numpy", "sqlalchemy"}
    development = (ROOT / ".ci" / "pins" / "development.txt").read_text()
    for requirement in (*REQUIREMENTS[Engine.OPENVINO], *REQUIREMENTS[Engine.NUMPY]):
        assert f"\n{requirement} " in development, "tests run with another version than users get"


def test_home_of_the_project_is_the_manifests() -> None:
    home = MANIFEST["documentation"]
    assert MANIFEST["issue_tracker"] == f"{home}/issues"
    assert f'urls.Homepage = "{home}"' in (ROOT / "pyproject.toml").read_text()
    mentioned = set(re.findall(r"https://github\.com/semantic-home/[\w-]+", README.read_text("utf-8")))
    assert mentioned == {home}


def test_hacs() -> None:
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert hacs.keys() <= {"name", "homeassistant", "render_readme", "zip_release", "filename", "country"}
    assert hacs["name"] == MANIFEST["name"]
    assert (PACKAGE / "brand" / "icon.png").is_file()


@pytest.mark.parametrize("name", SCHEMAS)
def test_service_is_described(name: str) -> None:
    schema = {str(key): key for key in SCHEMAS[name].schema}
    fields = service_fields(name)
    assert fields.keys() == schema.keys()
    texts = ENGLISH["services"][name]
    assert texts.keys() >= {"name", "description"}
    assert texts.get("fields", {}).keys() == fields.keys()
    for field, description in fields.items():
        assert description.get("required", False) == type(schema[field]).__name__.startswith("Required")
        selector.validate_selector(description["selector"])
    assert name in load("icons.json")["services"]


def test_every_key_that_code_raises_has_a_text_and_the_other_way_round() -> None:
    raised = set(re.findall(r'translation_key="(\w+)"', SOURCE))
    raised |= set(re.findall(r'"(unknown_\w+)"', SOURCE))
    raised |= set(re.findall(r'KnowledgeFileError\("(\w+)"', SOURCE))
    raised |= {"busy", "failed", "newer_database", "database_unavailable"}
    assert raised == set(ENGLISH["exceptions"])


def test_every_problem_of_a_model_has_a_text() -> None:
    rooms = "\n".join(file.read_text("utf-8") for room in ("engine", "hub") for file in (PACKAGE / room).glob("*.py"))
    raised = r'(?:ModelFiles|Hub|Server|ServerFault|UnfitModel|Passing)Error\(\s*"(\w+)"'
    problems = set(re.findall(raised, rooms)) | set(re.findall(raised, SOURCE))
    # Keys that are chosen before they are raised.
    problems |= set(re.findall(r'"((?:hub|server|device)_\w+|no_space|folder_unwritable|file_unreadable)"', rooms))
    problems -= {"server_url"}
    assert problems | {"folder_outside", "model_fails", "model_unnamed", "unknown"} == set(ENGLISH["config"]["error"])


def test_every_step_that_a_dialog_shows_has_its_texts() -> None:
    shown = set(re.findall(r'step_id="(\w+)"', SOURCE)) | set(re.findall(r'_form\(\s*"(\w+)"', SOURCE))
    shown |= set(re.findall(r'_show_failure\("(\w+)"', SOURCE))
    described = set(ENGLISH["config"]["step"]) | set(ENGLISH["options"]["step"])
    assert shown - {"install", "fetch", "load"} == described
    assert set(re.findall(r'_progress\("(\w+)"', SOURCE)) == set(ENGLISH["config"]["progress"])
    for step in ENGLISH["config"]["step"].values():
        for field in step.get("data", {}):
            assert step["data_description"][field], field


@pytest.mark.parametrize("file", sorted((PACKAGE / "translations").glob("*.json")), ids=lambda file: file.stem)
def test_translations_are_complete_and_well_formed(file: Path) -> None:
    texts, english = flat(json.loads(file.read_text("utf-8"))), flat(ENGLISH)
    assert texts.keys() == english.keys()
    for key, text in texts.items():
        assert text == text.strip() != "", key
        assert "http" not in text and not re.search(r"</?\w+>", text), key
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[key])), key
        assert not re.search(r"'{\w+}'", text), key


def test_every_language_of_the_questions_is_a_language_of_the_dialogs() -> None:
    assert {file.stem for file in (PACKAGE / "translations").glob("*.json")} == set(languages())


@pytest.mark.parametrize("language", sorted(set(languages()) - {"en"}))
def test_nothing_is_left_in_english(language: str) -> None:
    texts, english = flat(load(f"translations/{language}.json")), flat(ENGLISH)
    left = [key for key, text in texts.items() if text == english[key] and len(re.findall(r"[a-z]{2,}", text)) > 3]
    assert not left


def test_limits_in_texts_are_those_of_the_code() -> None:
    fields = ENGLISH["services"]
    assert f"{MAX_QUERY_LENGTH} characters" in fields["match_devices"]["fields"]["query"]["description"]
    assert f"1 to {MAX_TEXTS} texts" in fields["generate_embeddings"]["fields"]["texts"]["description"]
    assert f"1 to {MAX_COMPARED} sentences" in fields["compare_models"]["fields"]["queries"]["description"]
    limits = f"At most {MAX_ROWS:,} rows and {MAX_MEGABYTES} MB"
    assert limits in fields["import_knowledge"]["fields"]["path"]["description"]
    for action, field in (("find_patterns", "query"), ("suggest_automations", "goal")):
        assert f"{MAX_QUERY_LENGTH} characters" in fields[action]["fields"][field]["description"]
    assert f"1 to {MAX_ALIAS_LENGTH} characters" in fields["add_alias"]["fields"]["alias"]["description"]
    assert f"up to {knowledge_services.MAX_LISTED}" in fields["list_knowledge"]["fields"]["limit"]["description"]
    assert f"at most {knowledge_services.MAX_LISTED}" in fields["delete_knowledge"]["fields"]["id"]["description"]
    options = ENGLISH["options"]["step"]["init"]["data_description"]
    assert f"Up to {MAX_LEARNED} requests" in options["learn"]
    assert f"{MAX_TEXT_LENGTH:,} characters" in fields["generate_embeddings"]["fields"]["texts"]["description"]


def test_every_entity_has_a_name_and_an_icon() -> None:
    keys = {
        platform: set(
            re.findall(
                r'(?:super\(\).__init__\(entry, |key=|_share\(|_latency\()"(\w+)"',
                (PACKAGE / f"{platform}.py").read_text("utf-8"),
            )
        )
        for platform in ("button", "sensor", "update")
    }
    for described in (ENGLISH["entity"], load("icons.json")["entity"]):
        assert {platform: set(entities) for platform, entities in described.items()} == keys
    for entities in ENGLISH["entity"].values():
        assert all(texts["name"] for texts in entities.values())


def test_every_state_has_a_text() -> None:
    assert set(ENGLISH["entity"]["sensor"]["index_state"]["state"]) == set(HomeState)


def test_every_issue_has_the_texts_of_its_flow() -> None:
    named = set(re.findall(r'(?:ISSUE_\w+|_TEXT_\w+) = "(\w+)"', SOURCE))
    failures = (HubError("hub_unreachable"), RuntimeMissingError("openvino"), EncoderUnavailableError(), EncoderError())
    named |= set(map(_issue_text, failures))
    # This one's text says in which way.
    assert named - {ISSUE_DEGRADED} == set(ENGLISH["issues"])
    said = {"title", "description"}
    menu, form, question = said | {"menu_options"}, said | {"data", "data_description"}, said
    for key, texts in ENGLISH["issues"].items():
        assert texts["title"], key
        assert ("fix_flow" in texts) != ("description" in texts), key
        for step, described in texts.get("fix_flow", {}).get("step", {}).items():
            assert described.keys() in ([menu, form] if step == "init" else [question]), key
            assert described.get("data", {}).keys() == described.get("data_description", {}).keys(), key
    flows = "".join((PACKAGE / name).read_text("utf-8") for name in ("alias_repairs.py", "repairs.py"))
    reasons = {reason for texts in ENGLISH["issues"].values() for reason in texts.get("fix_flow", {}).get("abort", {})}
    assert reasons == set(re.findall(r'async_abort\(\s*reason="(\w+)"', flows))


def test_quality_scale_is_complete() -> None:
    rules = load("quality_scale.yaml")["rules"]
    assert len(rules) == QUALITY_RULES
    for rule, verdict in rules.items():
        status = verdict if isinstance(verdict, str) else verdict["status"]
        assert status in {"done", "todo", "exempt"}, rule
        assert isinstance(verdict, str) or verdict["comment"], rule


def test_readme_names_every_model_and_action() -> None:
    readme = README.read_text("utf-8")
    for spec in load_catalog().values():
        assert spec.title in readme
    for name in SCHEMAS:
        assert f"semantic_home.{name}" in readme
    assert f"{len(load_library())} patterns ship" in readme


def test_actions_of_workflows_are_pinned() -> None:
    used = re.findall(r"uses: (\S+)", "\n".join(file.read_text() for file in (ROOT / ".github").rglob("*.yml")))
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    assert "exec scripts/test\n" in (ROOT / ".ci" / "run").read_text()
    assert "\nscripts/test" in README.read_text("utf-8")
