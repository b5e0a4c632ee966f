"""Which files of a hub's repository make a model that an encoder runs, and what they must be."""

import asyncio
from collections.abc import Iterator, Mapping
from http import HTTPStatus
import json
import re
from typing import Any, TypeGuard

from aiohttp import ClientSession
from yarl import URL

from ..engine import ModelFile
from .answers import PassingError, Patience, Wait, answer
from .errors import HubError
from .urls import listing_url

type _Published = Mapping[str, Mapping[str, Any]]

# What optimum-intel and sentence-transformers publish, the best first. Rounded weights come after plain ones:
# only those give the vectors that the model's authors measured.
_OPENVINO = (
    "openvino_model",
    "openvino/openvino_model",
    "openvino_model_qint8_quantized",
    "openvino/openvino_model_qint8_quantized",
)
_ONNX = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx")
_TOKENIZER = "tokenizer.json"
_OPTIONAL = ("config.json", "heads.safetensors", "sparse_linear.pt", "colbert_linear.pt")

_LARGEST = 4 * 2**20
# Somebody is looking at a form meanwhile.
_RETRIES = 2
_LONGEST_WAIT = 10.0


async def list_model(
    session: ClientSession, endpoint: str, repository: str, revision: str, *, wait: Wait = asyncio.sleep
) -> tuple[ModelFile, ...]:
    """List the files of a model, pinned to the commit that a revision stands for at the moment.

    Their names are ours, whatever the repository calls them. Raises HubError: `hub_not_found`, `hub_denied`,
    `hub_busy`, `hub_no_model`, and `hub_unreachable` also for a listing that makes no sense.
    """
    url = listing_url(endpoint, repository, revision)
    patience = Patience(wait, _RETRIES, _LONGEST_WAIT)
    while True:
        try:
            body = await _fetch(session, url)
            break
        except PassingError as err:
            await patience.after(err)
    return await asyncio.get_running_loop().run_in_executor(None, _model, body, repository)


async def _fetch(session: ClientSession, url: URL) -> bytes:
    body = bytearray()
    async with answer(session, url, {"Accept": "application/json"}) as response:
        if response.status != HTTPStatus.OK:
            raise _senseless(f"{response.status} {response.reason}")
        async for data in response.content.iter_any():
            body += data
            if len(body) > _LARGEST:
                raise _senseless(f"more than {_LARGEST} bytes")
    return bytes(body)


def _model(body: bytes, repository: str) -> tuple[ModelFile, ...]:
    commit, published = _parse(body)
    return tuple(
        _file(name, repository, commit, path, published[path]) for name, path in _chosen(published, repository)
    )


def _parse(body: bytes) -> tuple[str, _Published]:
    """Read the commit, and what is said of each path."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as err:
        raise _senseless("not JSON") from err
    commit = said.get("sha") if isinstance(said, dict) else None
    if not _is_hex(commit, 40):
        raise _senseless("no commit")
    siblings = said.get("siblings")
    if not isinstance(siblings, list) or not all(isinstance(sibling, dict) for sibling in siblings):
        raise _senseless("no files")
    named = ((sibling.get("rfilename"), sibling) for sibling in siblings)
    return commit, {path: sibling for path, sibling in named if isinstance(path, str)}


def _chosen(published: _Published, repository: str) -> Iterator[tuple[str, str]]:
    """Choose our names and the repository's paths."""
    graph = _graph(published)
    if not graph:
        raise HubError("hub_no_model", f"{repository}: openvino_model.xml / model.onnx")
    yield from graph.items()
    beside = next(iter(graph.values())).rpartition("/")
    for name in (_TOKENIZER, *_OPTIONAL):
        path = next((path for path in (name, f"{beside[0]}{beside[1]}{name}") if path in published), None)
        if path:
            yield name, path
        elif name == _TOKENIZER:
            raise HubError("hub_no_model", f"{repository}: {_TOKENIZER}")


def _graph(published: _Published) -> dict[str, str]:
    for stem in _OPENVINO:
        if f"{stem}.xml" in published and f"{stem}.bin" in published:
            return {"openvino_model.xml": f"{stem}.xml", "openvino_model.bin": f"{stem}.bin"}
    for path in _ONNX:
        # A graph that keeps its weights in a second file names that file as it likes.
        if path in published and not {f"{path}_data", f"{path}.data"} & published.keys():
            return {"model.onnx": path}
    return {}


def _file(name: str, repository: str, commit: str, path: str, said: Mapping[str, Any]) -> ModelFile:
    large = said.get("lfs")
    size, sha256, git_id = said.get("size"), None, said.get("blobId")
    if isinstance(large, dict):
        size, sha256, git_id = large.get("size", size), large.get("sha256"), None
    if type(size) is not int or size < 0 or not (_is_hex(sha256, 64) or _is_hex(git_id, 40)):
        raise _senseless(f"no size or no hash of {path}")
    return ModelFile(name, repository, commit, path, size, sha256, git_id)


def _is_hex(said: object, digits: int) -> TypeGuard[str]:
    return isinstance(said, str) and re.fullmatch(rf"[0-9a-f]{{{digits}}}", said) is not None


def _senseless(detail: str) -> HubError:
    return HubError("hub_unreachable", f"This is not a hub's list of files: {detail}")
