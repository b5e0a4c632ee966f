"""What a repository's listing says, and what a hub must not make us do."""

from collections.abc import Iterable
import hashlib
import json
from pathlib import Path

from aiohttp import ClientSession
import pytest

from custom_components.semantic_home.engine import ModelFile
from custom_components.semantic_home.hub import HubError, file_url, list_model
from tests.conftest import MINILM_FOLDER
from tests.hub_server import LISTING, Fault, HubServer

_REPOSITORY = "somebody/some-model"
_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_PLAIN = ("openvino_model.xml", "openvino_model.bin")
_QINT8 = ("openvino_model_qint8_quantized.xml", "openvino_model_qint8_quantized.bin")


def _made(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"the content of {path}", "utf-8")
    return folder


def _below(folder: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


async def _list(hub: HubServer, session: ClientSession, repository: str = _REPOSITORY) -> tuple[ModelFile, ...]:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    return await list_model(session, hub.endpoint, repository, "main", wait=wait)


async def _problem(hub: HubServer, session: ClientSession, repository: str = _REPOSITORY) -> HubError:
    with pytest.raises(HubError) as caught:
        await _list(hub, session, repository)
    return caught.value


async def test_files_are_pinned_to_the_commit_with_size_and_hash(
    hub: HubServer, session: ClientSession, tmp_path: Path
) -> None:
    folder = _made(tmp_path, *_PLAIN, "tokenizer.json", "README.md", "pytorch_model.bin")
    hub.publish(_REPOSITORY, folder, commit=_COMMIT)
    listed = {file.name: file for file in await _list(hub, session)}
    assert listed.keys() == {*_PLAIN, "tokenizer.json"}
    for name, file in listed.items():
        content = (folder / name).read_bytes()
        assert (file.repository, file.revision, file.path, file.size) == (_REPOSITORY, _COMMIT, name, len(content))
        if name == "openvino_model.bin":
            assert (file.sha256, file.git_id) == (hashlib.sha256(content).hexdigest(), None)
        else:
            git_id = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - git's
            assert (file.sha256, file.git_id) == (None, git_id)


async def test_the_real_model(hub: HubServer, session: ClientSession) -> None:
    hub.publish(_REPOSITORY, MINILM_FOLDER)
    assert [file.name for file in await _list(hub, session)] == ["model.onnx", "tokenizer.json", "config.json"]


@pytest.mark.parametrize(
    ("published", "chosen"),
    [
        (_PLAIN, _PLAIN),
        (_below("openvino", _PLAIN), _below("openvino", _PLAIN)),
        ((*_below("openvino", _PLAIN), *_PLAIN), _PLAIN),
        ((*_below("openvino", _PLAIN), *_QINT8), _below("openvino", _PLAIN)),
        ((*_below("openvino", _QINT8), "model.onnx"), _below("openvino", _QINT8)),
        (("openvino_model.xml", "model.onnx"), ("model.onnx",)),
        (("onnx/model.onnx", "onnx/model_quantized.onnx"), ("onnx/model.onnx",)),
        (("onnx/model_quantized.onnx", "onnx/model_O4.onnx"), ("onnx/model_quantized.onnx",)),
        # A graph whose weights are in a second file, as BAAI/bge-m3 has it.
        (("onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_quantized.onnx"), ("onnx/model_quantized.onnx",)),
    ],
)
async def test_the_best_graph_is_chosen_and_gets_our_name(
    hub: HubServer, session: ClientSession, tmp_path: Path, published: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    hub.publish(_REPOSITORY, _made(tmp_path, *published, "tokenizer.json"))
    *graph, _ = await _list(hub, session)
    assert tuple(file.path for file in graph) == chosen
    assert tuple(file.name for file in graph) in {("model.onnx",), _PLAIN}


async def test_what_stands_beside_the_graph_does_where_the_root_has_none(
    hub: HubServer, session: ClientSession, tmp_path: Path
) -> None:
    optional = ("config.json", "heads.safetensors", "sparse_linear.pt", "colbert_linear.pt")
    beside = ("onnx/model.onnx", "onnx/tokenizer.json", "onnx/config.json", "onnx/sparse_linear.pt")
    hub.publish(_REPOSITORY, _made(tmp_path, *beside, *optional))
    paths = {file.name: file.path for file in await _list(hub, session)}
    assert paths == {"model.onnx": "onnx/model.onnx", "tokenizer.json": "onnx/tokenizer.json"} | dict(
        zip(optional, optional, strict=True)
    )


@pytest.mark.parametrize(
    "published",
    [
        ("pytorch_model.bin", "tokenizer.json"),
        ("openvino_model.xml", "tokenizer.json"),
        ("../openvino_model.xml", "/openvino_model.bin", "tokenizer.json"),
        ("onnx/model.onnx", "onnx/model.onnx_data", "tokenizer.json"),
        ("model.onnx", "config.json"),
    ],
)
async def test_nothing_to_run(hub: HubServer, session: ClientSession, published: tuple[str, ...]) -> None:
    siblings = [{"rfilename": path, "size": 3, "blobId": _COMMIT} for path in published]
    hub.inject(LISTING, Fault(body=json.dumps({"sha": _COMMIT, "siblings": siblings}).encode()))
    err = await _problem(hub, session)
    assert err.problem == "hub_no_model"
    assert _REPOSITORY in err.detail


def _listing(**changes: object) -> bytes:
    tokenizer = {"rfilename": "tokenizer.json", "size": 3, "blobId": _COMMIT}
    graph = {"rfilename": "model.onnx", "size": 3, "lfs": {"size": 3, "sha256": "ab" * 32}} | changes
    return json.dumps({"sha": _COMMIT, "siblings": [graph, tokenizer]}).encode()


async def test_the_listing_that_the_next_ones_spoil(hub: HubServer, session: ClientSession) -> None:
    hub.inject(LISTING, Fault(body=_listing()))
    assert [file.size for file in await _list(hub, session)] == [3, 3]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Log in to this network</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"sha": 7, "siblings": []}',
        b'{"sha": "main", "siblings": []}',
        f'{{"sha": "{_COMMIT}"}}'.encode(),
        f'{{"sha": "{_COMMIT}", "siblings": {{}}}}'.encode(),
        f'{{"sha": "{_COMMIT}", "siblings": ["model.onnx"]}}'.encode(),
        _listing(lfs={}),
        _listing(lfs={"size": 3}),
        _listing(lfs={"size": 3, "sha256": "AB" * 32}),
        _listing(lfs={"size": 3, "sha256": "ab" * 32 + "\n"}),
        _listing(lfs={"size": "3", "sha256": "ab" * 32}),
        _listing(lfs={"size": -3, "sha256": "ab" * 32}),
        _listing(lfs={"size": True, "sha256": "ab" * 32}),
        _listing(lfs=None),
        _listing(lfs=None, blobId=["ab" * 20]),
        b'{"sha": "' + b"a" * 5 * 2**20 + b'"}',
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_a_listing_that_makes_no_sense(hub: HubServer, session: ClientSession, body: bytes) -> None:
    hub.inject(LISTING, Fault(body=body))
    err = await _problem(hub, session)
    assert err.problem == "hub_unreachable"
    assert "not a hub's list of files" in err.detail


@pytest.mark.parametrize(
    ("fault", "problem", "requests"),
    [
        (Fault(status=404), "hub_not_found", 1),
        (Fault(status=401, error_code="RepoNotFound"), "hub_not_found", 1),
        (Fault(status=401), "hub_denied", 1),
        (Fault(status=403, error_code="GatedRepo"), "hub_denied", 1),
        (Fault(status=400), "hub_unreachable", 1),
        (Fault(status=429), "hub_busy", 3),
        (Fault(status=503), "hub_unreachable", 3),
    ],
)
async def test_refusals(hub: HubServer, session: ClientSession, fault: Fault, problem: str, requests: int) -> None:
    hub.inject(LISTING, always=fault)
    err = await _problem(hub, session)
    assert err.problem == problem
    assert str(fault.status) in err.detail
    assert len(hub.requests) == requests


async def test_asks_again_while_somebody_waits(hub: HubServer, session: ClientSession, tmp_path: Path) -> None:
    hub.publish(_REPOSITORY, _made(tmp_path, *_PLAIN, "tokenizer.json"))
    hub.inject(LISTING, Fault(status=503), Fault(status=429, retry_after="3600"))
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    assert await list_model(session, hub.endpoint, _REPOSITORY, "main", wait=wait)
    assert waits == [1, 10]


async def test_unknown_names(hub: HubServer, session: ClientSession, tmp_path: Path) -> None:
    hub.publish(_REPOSITORY, _made(tmp_path, *_PLAIN, "tokenizer.json"), revision="refs/pr/1")
    assert (await _problem(hub, session, "somebody/else")).problem == "hub_not_found"
    assert (await _problem(hub, session)).problem == "hub_not_found"
    assert await list_model(session, hub.endpoint + "/", _REPOSITORY, "refs/pr/1")


_REPOSITORIES = (
    "",
    "a/b/c",
    "../x",
    "a/..",
    "a b",
    "a/b?x",
    "a/b#x",
    "a%2Fb",
    "-a/b",
    "a--b/c",
    "ä/b",
    "a/b\n",
    "a" * 97,
)


@pytest.mark.parametrize("repository", _REPOSITORIES)
async def test_repositories_that_no_hub_has_are_not_asked_for(
    hub: HubServer, session: ClientSession, repository: str
) -> None:
    assert (await _problem(hub, session, repository)).problem == "hub_not_found"
    assert not hub.requests


@pytest.mark.parametrize("revision", ["", "..", "a/../b", "/main", "main/", "a b", "a?b", "-main", "a" * 201])
async def test_revisions_that_no_hub_has_are_not_asked_for(
    hub: HubServer, session: ClientSession, revision: str
) -> None:
    with pytest.raises(HubError, match="hub_not_found"):
        await list_model(session, hub.endpoint, _REPOSITORY, revision)
    assert not hub.requests


@pytest.mark.parametrize(
    "endpoint", ["", "huggingface.co", "ftp://hub", "file:///etc/passwd", "http://", "http://hub?x", "http://[::1"]
)
def test_endpoints_that_are_no_web_addresses(endpoint: str) -> None:
    with pytest.raises(HubError, match="hub_not_found: not a web address"):
        file_url(endpoint, ModelFile("config.json", "a/b", "main", "config.json", 3, "ab" * 32))


def test_urls_are_quoted() -> None:
    file = ModelFile("config.json", "a/b", "refs/pr/1", "sub folder/ä?#%.json", 3, "ab" * 32)
    url = file_url("https://mirror.example:8443/hf/", file)
    assert str(url) == "https://mirror.example:8443/hf/a/b/resolve/refs%2Fpr%2F1/sub%20folder/%C3%A4%3F%23%25.json"


@pytest.mark.parametrize("path", ["", "../x", "a//b", "a/./b", "/a"])
def test_paths_that_lead_elsewhere(path: str) -> None:
    with pytest.raises(HubError, match="hub_not_found"):
        file_url("https://hub", ModelFile("config.json", "a/b", "main", path, 3, "ab" * 32))
