"""The command that checks the catalog finds what can be wrong with it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
import hashlib
from importlib.util import module_from_spec, spec_from_file_location
import json
from pathlib import Path
import subprocess
import sys

from aiohttp import ClientSession
import pytest

from custom_components.semantic_home.engine import ModelFile, ModelSpec, load_catalog

from .conftest import MINILM, MINILM_FOLDER, ROOT
from .hub_server import Fault, HubServer

_SCRIPT = ROOT / "scripts/check_catalog.py"
_loadable = spec_from_file_location("check_catalog", _SCRIPT)
assert _loadable is not None and _loadable.loader is not None
command = module_from_spec(_loadable)
_loadable.loader.exec_module(command)

_COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, _SCRIPT, *arguments], capture_output=True, text=True, check=False, timeout=120, cwd="/"
    )


@pytest.fixture
def specs() -> list[ModelSpec]:
    return list(load_catalog().values())


@pytest.fixture
def published(hub: HubServer) -> ModelSpec:
    """An entry whose files the hub has, one of them a large one."""
    hub.publish("somebody/minilm", MINILM_FOLDER, commit=_COMMIT)
    files = [
        ModelFile(path.name, "somebody/minilm", "main", path.name, path.stat().st_size, _sha256(path))
        for path in sorted(MINILM_FOLDER.iterdir())
    ]
    return replace(load_catalog()[MINILM], files=tuple(files))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _with_file(spec: ModelSpec, place: int, **changes: object) -> ModelSpec:
    files = list(spec.files)
    files[place] = replace(files[place], **changes)
    return replace(spec, files=tuple(files))


def test_the_catalog_is_fine(specs: list[ModelSpec]) -> None:
    assert command.offline_problems(specs) == []


def test_the_command_itself() -> None:
    finished = _run()
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.splitlines()[-1].endswith("nothing is wrong.")
    assert "--endpoint URL" in _run("--help").stdout
    assert _run("--endpoint", "https://hub").returncode == 2


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda spec: replace(spec, id="../x"), "../x: its id is no folder's name (a-z, 0-9, dots and dashes)"),
        (lambda spec: replace(spec, title=" "), "title is empty"),
        (lambda spec: replace(spec, license=""), "license is empty"),
        (lambda spec: replace(spec, pooling="max"), "pooling is max"),
        (lambda spec: replace(spec, dimension=0), "dimension is 0"),
        (lambda spec: replace(spec, dimension=10**6), "dimension is 1000000"),
        (lambda spec: replace(spec, max_tokens=0), "max_tokens is 0"),
        (lambda spec: replace(spec, precision="int7"), "precision is int7"),
        (lambda spec: replace(spec, languages=0), "languages is 0"),
        (lambda spec: replace(spec, query_ms=-1), "query_ms is -1"),
        (lambda spec: replace(spec, heads=()), "heads are "),
        (lambda spec: replace(spec, heads=("dense", "dense")), "heads are dense, dense"),
        (lambda spec: replace(spec, heads=("dense", "lexical")), "heads are dense, lexical"),
        (
            lambda spec: replace(spec, heads=("dense", "sparse")),
            "nothing brings the head sparse (sparse_linear.pt or heads.safetensors)",
        ),
        (lambda spec: replace(spec, files=spec.files[1:]), "openvino_model.xml is missing"),
        (lambda spec: replace(spec, files=spec.files + spec.files[-1:]), "config.json is there twice"),
        (lambda spec: _with_file(spec, 0, size=0), "openvino_model.xml: size is 0"),
        (lambda spec: _with_file(spec, 0, sha256="AB" * 32), f"openvino_model.xml: sha256 is {'AB' * 32}"),
        (lambda spec: _with_file(spec, 0, sha256=None), "openvino_model.xml: sha256 is None"),
        (lambda spec: _with_file(spec, 0, repository="a/b/c"), "openvino_model.xml: not a repository's name: a/b/c"),
        (lambda spec: _with_file(spec, 0, revision="a b"), "openvino_model.xml: not a revision: a b"),
        (lambda spec: _with_file(spec, 0, path="../x"), "openvino_model.xml: not a path: ../x"),
    ],
)
def test_spoilt_entries(spoil: Callable[[ModelSpec], ModelSpec], problem: str) -> None:
    spec = replace(load_catalog()[MINILM], recommended=True)
    assert command.offline_problems([spec]) == []
    (found,) = command.offline_problems([spoil(spec)])
    assert found.endswith(problem)
    assert found.startswith(spoil(spec).id)


def test_a_name_that_leads_elsewhere() -> None:
    spec = replace(load_catalog()[MINILM], recommended=True)
    extra = replace(spec.files[0], name="../evil")
    assert command.offline_problems([replace(spec, files=(*spec.files, extra))]) == [
        f"{MINILM}: ../evil: is not a file's name"
    ]


def test_one_is_recommended(specs: list[ModelSpec]) -> None:
    both = [replace(spec, recommended=True) for spec in specs]
    assert command.offline_problems(both) == [
        f"one model is to be recommended, not {len(specs)}: {', '.join(spec.id for spec in specs)}"
    ]
    assert command.offline_problems([replace(spec, recommended=False) for spec in specs]) == [
        "one model is to be recommended, not 0: "
    ]


def test_branches_are_noted() -> None:
    spec = load_catalog()[MINILM]
    assert list(command.notes([spec])) == []
    (note,) = command.notes([_with_file(spec, 0, revision="main")])
    assert "sentence-transformers/all-MiniLM-L6-v2 is not pinned to a commit but to 'main'" in note


async def test_online_all_is_there(hub: HubServer, session: ClientSession, published: ModelSpec) -> None:
    told: list[str] = []
    assert await command.online_problems(session, hub.endpoint, [published], told.append) == []
    assert told == [f"somebody/minilm: main is {_COMMIT}"]
    fetched = {asked.path for asked in hub.requests if asked.method == "GET"}
    assert fetched == {"config.json", "tokenizer.json"}, "23 MB were not downloaded to know their hash"


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sha256": "ab" * 32}, f"and not {'ab' * 32}"),
        ({"size": 7}, "bytes and not 7"),
        ({"path": "gone"}, "404 Not Found"),
        ({"revision": "gone"}, "404 Not Found"),
        ({"path": "../gone"}, "not a path: ../gone"),
    ],
)
async def test_online_something_else_is_there(
    hub: HubServer, session: ClientSession, published: ModelSpec, place: int, changes: dict[str, object], problem: str
) -> None:
    spec = _with_file(published, place, **changes)
    (found,) = await command.online_problems(session, hub.endpoint, [spec], lambda _: None)
    assert found.startswith(f"{MINILM}: {spec.files[place].name}: ")
    assert problem in found


async def test_online_the_hub_fails(hub: HubServer, session: ClientSession, published: ModelSpec) -> None:
    hub.inject("config.json", Fault(status=503))
    hub.inject("model.onnx", always=Fault(status=401))
    problems = await command.online_problems(session, hub.endpoint, [published], lambda _: None)
    assert len(problems) == 2
    assert "503" in problems[0] and "401" in problems[1]
    await hub.__aexit__()
    assert len(await command.online_problems(session, hub.endpoint, [published], lambda _: None)) == 3


async def test_the_command_online(hub: HubServer) -> None:
    """The catalog's own files are not on this hub, which is what it has to say; a line a file."""
    finished = await _started("--online", "--endpoint", hub.endpoint)
    problems = [line for line in finished.splitlines() if "404" in line]
    assert len(problems) == sum(len(spec.files) for spec in load_catalog().values())


async def _started(*arguments: str) -> str:
    running = await asyncio.create_subprocess_exec(
        sys.executable, _SCRIPT, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await running.communicate()
    assert running.returncode == 1, out + err
    return out.decode()


def test_a_catalog_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "catalog.json"
    monkeypatch.setattr(command, "CATALOG", broken)
    monkeypatch.setattr(sys, "argv", ["check_catalog"])
    for content in ("{", '[{"title": "no id"}]', "[7]"):
        broken.write_text(content, "utf-8")
        assert command.main() == 1
    broken.write_text(json.dumps([{"id": "a"}, {"id": "a"}]), "utf-8")
    assert command.main() == 1
