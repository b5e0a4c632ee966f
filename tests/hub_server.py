"""A hub on this machine: speaks Hugging Face's HTTP layout, serves folders, and fails where a test wants it to.

Large files are sent elsewhere, to a "CDN" that knows ranges, with the hub's own headers on the redirect; small ones
are answered at once, compressed for whoever accepts that. It needs pytest only to be forbidden to open sockets.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
import gzip
import hashlib
from pathlib import Path
import re
from typing import Self
from urllib.parse import quote, unquote

from aiohttp import web

LISTING = "<listing>"

_LARGE_SUFFIXES = {".bin", ".onnx", ".pt", ".safetensors"}
_LARGE_SIZE = 10 * 2**20
_BLOCK = 64 * 2**10


@dataclass
class Fault:
    """What goes wrong with one request. Without any argument nothing does, so that a later one can.

    `body` comes in the place of a listing; `status`, with `retry_after` seconds and `error_code`, in the place of
    anything. `cut_after` and `stall_after` are bytes of the body: there the connection ends, or the server waits for
    `released`, having set `reached`. `wrong` turns a byte, `surplus` appends bytes. `whole` ignores ranges,
    `compressed` the encodings that are accepted, and `unsized` keeps the length to itself.
    """

    status: int | None = None
    retry_after: str | None = None
    error_code: str | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    wrong: bool = False
    surplus: int = 0
    whole: bool = False
    compressed: bool = False
    unsized: bool = False
    body: bytes | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a file, at the hub or at the CDN (`cdn`), or for a listing (`path` is LISTING)."""

    method: str
    repository: str
    path: str
    range: str | None
    encodings: str
    cdn: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    """A published file, hashed once: nobody changes it while it is served."""

    path: str
    on_disk: Path
    size: int
    sha256: str
    git_id: str
    large: bool


@dataclass(frozen=True, slots=True)
class _Published:
    commit: str
    files: dict[str, _File]


def is_large(file: Path) -> bool:
    """Tell whether a hub would keep a file outside of git."""
    return file.suffix in _LARGE_SUFFIXES or file.stat().st_size >= _LARGE_SIZE


class HubServer:
    """A hub, as an asynchronous context manager; `endpoint` is its address."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.requests: list[Asked] = []
        self._published: dict[tuple[str, str], _Published] = {}
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._tickets: list[tuple[_Published, _File, Fault, str]] = []
        app = web.Application()
        app.router.add_get("/{anything:.*}", self._answer)
        # Whoever hangs up is not waited for, nor is anybody when it stops.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        _, port = self._runner.addresses[0][:2]
        self.endpoint = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    def publish(
        self,
        repository: str,
        folder: Path,
        revision: str = "main",
        commit: str | None = None,
        large: Callable[[Path], bool] = is_large,
    ) -> str:
        """Serve a folder as it is now, under the revision and under the commit, which is returned. Blocking."""
        files = {
            path: _file(path, file, large(file))
            for file in sorted(folder.rglob("*"))
            if file.is_file() and (path := file.relative_to(folder).as_posix())
        }
        if commit is None:
            commit = hashlib.sha1("".join(f"{path}{file.sha256}" for path, file in files.items()).encode()).hexdigest()  # noqa: S324 - git's
        for name in (revision, commit):
            self._published[repository, name] = _Published(commit, files)
        return commit

    def inject(self, path: str, *faults: Fault, always: Fault | None = None) -> None:
        """Let the next requests for a path (or LISTING) meet these faults, one each, and all later ones `always`."""
        self._faults[path].extend(faults)
        if always:
            self._always[path] = always

    def ranges(self, path: str) -> list[str | None]:
        """Tell which range each GET of a file asked the hub for."""
        return [
            asked.range for asked in self.requests if asked.path == path and not asked.cdn and asked.method == "GET"
        ]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        raw = request.rel_url.raw_path
        if match := re.fullmatch(r"/api/models/(.+)/revision/([^/]+)", raw):
            return self._list(request, unquote(match[1]), unquote(match[2]))
        if match := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", raw):
            return await self._resolve(request, *map(unquote, match.groups()))
        if match := re.fullmatch(r"/cdn/(\d+)", raw):
            published, file, fault, repository = self._tickets[int(match[1])]
            self._note(request, repository, file.path, cdn=True)
            return await self._send(request, published, file, fault)
        return web.Response(status=404)

    def _list(self, request: web.Request, repository: str, revision: str) -> web.Response:
        fault = self._note(request, repository, LISTING)
        if fault.status:
            return _refusal(fault)
        if fault.body is not None:
            return web.Response(body=fault.body, content_type="application/json")
        published = self._published.get((repository, revision))
        if published is None:
            known = any(repository == name for name, _ in self._published)
            code = "RevisionNotFound" if known else "RepoNotFound"
            return _refusal(Fault(status=404 if known else 401, error_code=code))
        blobs = request.query.get("blobs") == "true"
        siblings = [_listed(file) if blobs else {"rfilename": file.path} for file in published.files.values()]
        response = web.json_response({"id": repository, "sha": published.commit, "siblings": siblings})
        response.enable_compression()
        return response

    async def _resolve(self, request: web.Request, repository: str, revision: str, path: str) -> web.StreamResponse:
        fault = self._note(request, repository, path)
        if fault.status:
            return _refusal(fault)
        published = self._published.get((repository, revision))
        if published is None or path not in published.files:
            return _refusal(Fault(status=404, error_code="EntryNotFound" if published else "RevisionNotFound"))
        file = published.files[path]
        if not file.large:
            return await self._send(request, published, file, fault)
        self._tickets.append((published, file, fault, repository))
        headers = {
            "Location": f"/cdn/{len(self._tickets) - 1}?file={quote(path, safe='')}",
            "X-Repo-Commit": published.commit,
            "X-Linked-Size": str(file.size),
            "X-Linked-Etag": f'"{file.sha256}"',
        }
        return web.Response(status=302, headers=headers)

    def _note(self, request: web.Request, repository: str, path: str, *, cdn: bool = False) -> Fault:
        """Record a request, and give what is to go wrong with it."""
        said = request.headers
        self.requests.append(
            Asked(request.method, repository, path, said.get("Range"), said.get("Accept-Encoding", ""), cdn)
        )
        if not cdn and request.method == "GET" and (faults := self._faults[path]):
            return faults.popleft()
        return self._always.get(path, Fault())

    async def _send(self, request: web.Request, published: _Published, file: _File, fault: Fault) -> web.StreamResponse:
        content = await asyncio.get_running_loop().run_in_executor(None, file.on_disk.read_bytes)
        if fault.wrong:
            content = content[:-1] + bytes([content[-1] ^ 1])
        content += b"x" * fault.surplus
        etag = file.sha256 if file.large else file.git_id
        response = web.StreamResponse(headers={"ETag": f'"{etag}"', "Accept-Ranges": "bytes"})
        if not file.large:
            response.headers["X-Repo-Commit"] = published.commit
        if not fault.whole and (asked := re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))):
            first = int(asked[1])
            if first >= len(content):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            content = content[first:]
        elif fault.compressed or (not file.large and "gzip" in request.headers.get("Accept-Encoding", "")):
            content = gzip.compress(content)
            response.headers.update({"Content-Encoding": "gzip", "ETag": f'W/"{etag}"'})
        if not fault.unsized:
            response.content_length = len(content)
        await response.prepare(request)
        if request.method != "HEAD":
            await _write(request, response, content, fault)
        return response


async def _write(request: web.Request, response: web.StreamResponse, content: bytes, fault: Fault) -> None:
    stops = [stop for stop in (fault.cut_after, fault.stall_after) if stop is not None]
    first = min(stops, default=len(content))
    for start in range(0, first, _BLOCK):
        await response.write(content[start : min(start + _BLOCK, first)])
    if fault.stall_after is not None:
        fault.reached.set()
        await fault.released.wait()
    if fault.cut_after is not None:
        if request.transport:
            request.transport.close()
        return
    await response.write(content[first:])
    await response.write_eof()


def _file(path: str, on_disk: Path, large: bool) -> _File:  # noqa: FBT001 - private
    content = on_disk.read_bytes()
    git_id = hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()  # noqa: S324 - git's
    return _File(path, on_disk, len(content), hashlib.sha256(content).hexdigest(), git_id, large)


def _listed(file: _File) -> dict[str, object]:
    said: dict[str, object] = {"rfilename": file.path, "size": file.size, "blobId": file.git_id}
    if file.large:
        said["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": 130}
    return said


def _refusal(fault: Fault) -> web.Response:
    named = {"Retry-After": fault.retry_after, "X-Error-Code": fault.error_code}
    return web.Response(status=fault.status or 500, headers={name: said for name, said in named.items() if said})
