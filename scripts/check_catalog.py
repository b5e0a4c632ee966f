#!/usr/bin/env python3
"""Check the catalog of models (custom_components/semantic_home/engine/catalog.json).

  scripts/check_catalog.py                 what can be told without a network: is every entry complete and sane?
  scripts/check_catalog.py --online        also: does the hub have every file, with that size and that SHA-256?
  scripts/check_catalog.py --online --endpoint https://mirror.example

Online it asks for the headers of large files, and fetches small ones, of which a hub states no SHA-256; it prints which
commit a branch stands for. Each problem is a line, and with any the exit code is 1. Notes are no problems.

Runs in the development environment (.venv), which is made when it is missing.
"""

from __future__ import annotations  # whatever Python starts this need not know what the names below are

import argparse
import asyncio
from collections import Counter
import hashlib
import json
from pathlib import Path
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aiohttp import ClientSession

    from custom_components.semantic_home.engine import ModelFile, ModelSpec

ROOT = Path(__file__).resolve().parent.parent
CATALOG = ROOT / "custom_components/semantic_home/engine/catalog.json"

NEEDED = ("openvino_model.xml", "openvino_model.bin", "tokenizer.json", "config.json")
# Which file brings a head that the graph itself lacks.
HEADS = {"dense": None, "sparse": "sparse_linear.pt", "multivector": "colbert_linear.pt"}
ALL_HEADS = "heads.safetensors"
POOLINGS = ("cls", "mean")
PRECISIONS = ("fp32", "fp16", "int8", "int4")
LARGEST_DIMENSION = 8192
LARGEST_TOKENS = 131_072
REFUSED = 400


def main() -> int:
    """Check, and say what is wrong."""
    options = _options()
    from custom_components.semantic_home.engine import load_catalog  # noqa: PLC0415 - of the environment

    try:
        ids = [entry["id"] for entry in json.loads(CATALOG.read_text("utf-8"))]
        specs = list(load_catalog().values())
    except (ValueError, KeyError, TypeError) as err:
        print(f"catalog.json cannot be read: {err!r}")
        return 1
    for note in notes(specs):
        print(f"note: {note}")
    problems = [f"{model_id}: is there twice" for model_id, count in Counter(ids).items() if count > 1]
    problems += offline_problems(specs)
    if options.online:
        problems += asyncio.run(_ask_the_hub(specs, options.endpoint))
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{len(specs)} models, {sum(len(spec.files) for spec in specs)} files: nothing is wrong.")
    return 1 if problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--online", action="store_true", help="ask the hub for every file")
    parser.add_argument("--endpoint", metavar="URL", help="of a mirror (https://huggingface.co)")
    options = parser.parse_args()
    if options.endpoint and not options.online:
        parser.error("--endpoint goes with --online")
    return options


def notes(specs: Iterable[ModelSpec]) -> Iterator[str]:
    """Tell which revisions are branches or tags, which can come to mean something else."""
    for spec in specs:
        for repository, revision in sorted({(file.repository, file.revision) for file in spec.files}):
            if not re.fullmatch("[0-9a-f]{40}", revision):
                yield (
                    f"{spec.id}: {repository} is not pinned to a commit but to '{revision}': when that moves on, "
                    "nobody can download the model until its new hashes are here"
                )


def offline_problems(specs: Iterable[ModelSpec]) -> list[str]:
    """Say what is wrong with the entries themselves."""
    specs = list(specs)
    problems = [f"{spec.id}: {problem}" for spec in specs for problem in (*_wrong_spec(spec), *_wrong_files(spec))]
    recommended = [spec.id for spec in specs if spec.recommended]
    if len(recommended) != 1:
        problems.append(f"one model is to be recommended, not {len(recommended)}: {', '.join(recommended)}")
    return problems


def _wrong_spec(spec: ModelSpec) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", spec.id):
        yield "its id is no folder's name (a-z, 0-9, dots and dashes)"
    yield from (f"{name} is empty" for name in ("title", "license") if not getattr(spec, name).strip())
    for name, known in (("pooling", POOLINGS), ("precision", PRECISIONS)):
        if getattr(spec, name) not in known:
            yield f"{name} is {getattr(spec, name)}"
    if not 1 <= spec.dimension <= LARGEST_DIMENSION:
        yield f"dimension is {spec.dimension}"
    if not 1 <= spec.max_tokens <= LARGEST_TOKENS:
        yield f"max_tokens is {spec.max_tokens}"
    if spec.languages < 1:
        yield f"languages is {spec.languages}"
    for name in ("memory_mb", "portable_memory_mb", "query_ms", "portable_query_ms"):
        if getattr(spec, name) < 0:
            yield f"{name} is {getattr(spec, name)}"
    yield from _wrong_heads(spec)


def _wrong_heads(spec: ModelSpec) -> Iterator[str]:
    if spec.heads[:1] != ("dense",) or len(set(spec.heads)) < len(spec.heads) or set(spec.heads) - HEADS.keys():
        yield f"heads are {', '.join(spec.heads)}"
    names = {file.name for file in spec.files}
    for head in spec.heads:
        if (layer := HEADS.get(head)) and not names & {layer, ALL_HEADS}:
            yield f"nothing brings the head {head} ({layer} or {ALL_HEADS})"


def _wrong_files(spec: ModelSpec) -> Iterator[str]:
    counts = Counter(file.name for file in spec.files)
    yield from (f"{name} is missing" for name in NEEDED if name not in counts)
    yield from (f"{name} is there twice" for name, count in counts.items() if count > 1)
    for file in spec.files:
        yield from (f"{file.name}: {problem}" for problem in _wrong_file(file))


def _wrong_file(file: ModelFile) -> Iterator[str]:
    from custom_components.semantic_home.hub import DEFAULT_ENDPOINT, HubError, file_url  # noqa: PLC0415 - see main

    if not re.fullmatch(r"\w[\w.-]*", file.name, re.ASCII):
        yield "is not a file's name"
    if type(file.size) is not int or file.size <= 0:
        yield f"size is {file.size}"
    if not re.fullmatch("[0-9a-f]{64}", file.sha256 or ""):
        yield f"sha256 is {file.sha256}"
    try:
        file_url(DEFAULT_ENDPOINT, file)
    except HubError as err:
        yield err.detail


async def _ask_the_hub(specs: Iterable[ModelSpec], endpoint: str | None) -> list[str]:
    from aiohttp import ClientSession, ClientTimeout  # noqa: PLC0415 - of the environment

    from custom_components.semantic_home.hub import DEFAULT_ENDPOINT  # noqa: PLC0415 - see main

    timeout = ClientTimeout(total=None, connect=30, sock_read=60)
    async with ClientSession(timeout=timeout, trust_env=True) as session:
        return await online_problems(session, endpoint or DEFAULT_ENDPOINT, specs, print)


async def online_problems(
    session: ClientSession, endpoint: str, specs: Iterable[ModelSpec], tell: Callable[[str], object]
) -> list[str]:
    """Say where a hub has something else than the catalog says; `tell` gets the commits of the revisions."""
    problems: list[str] = []
    commits: dict[tuple[str, str], str] = {}
    for spec in specs:
        for file in spec.files:
            commit, problem = await _compare(session, endpoint, file)
            if problem:
                problems.append(f"{spec.id}: {file.name}: {problem}")
            if commit and commits.setdefault((file.repository, file.revision), commit) != commit:
                problems.append(f"{spec.id}: {file.name}: comes from {commit}, other files do not")
    for (repository, revision), commit in commits.items():
        tell(f"{repository}: {revision} is {commit}")
    return problems


async def _compare(session: ClientSession, endpoint: str, file: ModelFile) -> tuple[str | None, str | None]:
    """Ask for one file. Returns the commit it comes from, and what is wrong with it."""
    from aiohttp import ClientError  # noqa: PLC0415 - of the environment

    from custom_components.semantic_home.hub import HubError, file_url  # noqa: PLC0415 - see main

    try:
        url = file_url(endpoint, file)
        async with session.head(url, allow_redirects=False, headers={"Accept-Encoding": "identity"}) as response:
            commit = response.headers.get("X-Repo-Commit")
            if response.status >= REFUSED:
                return commit, f"{response.status} {response.reason} at {url}"
            stated = response.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
            size = response.headers.get("X-Linked-Size", "")
        if not re.fullmatch("[0-9a-f]{64}", stated) or not size.isdecimal():
            size, stated = await _fetch(session, str(url), file.size)
    except HubError as err:
        return None, err.detail
    except (ClientError, TimeoutError, OSError) as err:
        return None, f"{err or type(err).__name__} at {url}"
    if int(size) != file.size:
        return commit, f"has {size} bytes and not {file.size} at {url}"
    if stated != file.sha256:
        return commit, f"has SHA-256 {stated} and not {file.sha256} at {url}"
    return commit, None


async def _fetch(session: ClientSession, url: str, expected: int) -> tuple[str, str]:
    """Download a file. Returns its size and SHA-256, of not much more than what is expected."""
    digest, size = hashlib.sha256(), 0
    async with session.get(url, headers={"Accept-Encoding": "identity"}, raise_for_status=True) as response:
        async for data in response.content.iter_any():
            digest.update(data)
            size += len(data)
            if size > expected:
                break
    return str(size), digest.hexdigest()


if __name__ == "__main__":
    from development import enter

    enter()
    sys.exit(main())
