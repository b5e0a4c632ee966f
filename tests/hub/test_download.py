"""Files come whole and verified or not at all, whatever happens on the way."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
import errno
import hashlib
from io import FileIO
import json
from pathlib import Path
import random
import shutil
import threading
from types import SimpleNamespace

from aiohttp import ClientSession
import pytest

from custom_components.semantic_home.engine import ModelFile
from custom_components.semantic_home.hub import HubError, download, forget_others, is_complete, list_model
from tests.conftest import MINILM_FOLDER
from tests.hub_server import Fault, HubServer

_REPOSITORY = "somebody/some-model"
_GRAPH, _WEIGHTS, _TOKENIZER, _CONFIG = "openvino_model.xml", "openvino_model.bin", "tokenizer.json", "config.json"
_MIB = 2**20


@dataclass
class Downloader:
    """Downloads one model to one place, and remembers what was reported."""

    hub: HubServer
    session: ClientSession
    source: Path
    folder: Path
    files: tuple[ModelFile, ...]
    progress: list[tuple[int, int]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    on_progress: Callable[[int], object] = lambda _: None

    async def __call__(self) -> None:
        await download(self.session, self.hub.endpoint, self.files, self.folder, self._report, wait=self._wait)

    async def problem(self) -> str:
        with pytest.raises(HubError) as caught:
            await self()
        assert caught.value.detail
        assert not self.folder.exists()
        return caught.value.problem

    def assert_whole(self) -> None:
        assert sorted(path.name for path in self.folder.iterdir()) == sorted(file.name for file in self.files)
        for file in self.files:
            assert (self.folder / file.name).read_bytes() == (self.source / file.path).read_bytes()
        assert not self.partial.exists()
        assert self.progress[-1] == (self.total, self.total)

    @property
    def partial(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.partial")

    @property
    def total(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def size(self) -> dict[str, int]:
        return {file.name: file.size for file in self.files}

    @property
    def done(self) -> list[int]:
        return [done for done, _ in self.progress]

    def pin(self, name: str, **changes: object) -> None:
        self.files = tuple(replace(file, **changes) if file.name == name else file for file in self.files)

    def _report(self, done: int, total: int) -> None:
        self.progress.append((done, total))
        self.on_progress(done)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    chance = random.Random(7)  # noqa: S311 - bytes that do not compress, no secrets
    (folder / _GRAPH).write_bytes(chance.randbytes(200_001))
    (folder / _WEIGHTS).write_bytes(chance.randbytes(3 * _MIB + 12_345))
    (folder / _TOKENIZER).write_text(json.dumps({f"word {number}": number for number in range(20_000)}), "utf-8")
    (folder / _CONFIG).write_text('{"hidden_size": 384}\n' * 30, "utf-8")
    return folder


@pytest.fixture
async def fetch(hub: HubServer, session: ClientSession, source: Path, tmp_path: Path) -> Downloader:
    hub.publish(_REPOSITORY, source)
    files = await list_model(session, hub.endpoint, _REPOSITORY, "main")
    hub.requests.clear()
    return Downloader(hub, session, source, tmp_path / "models/some-model", files)


async def _cancel_half_way(fetch: Downloader) -> int:
    """Cancel while the weights come. Returns how much of them is on disk."""
    stalled = Fault(stall_after=2 * _MIB)
    fetch.hub.inject(_WEIGHTS, stalled)
    half_way = asyncio.Event()
    fetch.on_progress = lambda done: half_way.set() if done > fetch.size[_GRAPH] + _MIB else None
    running = asyncio.create_task(fetch())
    await half_way.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return (fetch.partial / f"{_WEIGHTS}.part").stat().st_size


async def test_fresh(fetch: Downloader) -> None:
    fetch.on_progress = lambda _: pytest.fail("too early") if fetch.folder.exists() else None
    assert not is_complete(fetch.folder, fetch.files)
    await fetch()
    fetch.assert_whole()
    assert is_complete(fetch.folder, fetch.files)
    assert fetch.waits == []
    assert {asked.encodings for asked in fetch.hub.requests} == {"identity"}
    assert all(len(fetch.hub.ranges(file.path)) == 1 for file in fetch.files)


async def test_progress(fetch: Downloader) -> None:
    await fetch()
    assert {total for _, total in fetch.progress} == {fetch.total}
    assert fetch.done[0] == 0
    assert fetch.done == sorted(fetch.done)
    pieces = [after - before for before, after in zip(fetch.done, fetch.done[1:], strict=False)]
    # About a MiB each, so that neither the disk nor the user's screen is asked too often.
    assert len([piece for piece in pieces if piece >= _MIB]) >= 2
    assert len(pieces) <= 4 + fetch.total // _MIB


async def test_the_real_model(hub: HubServer, session: ClientSession, tmp_path: Path) -> None:
    hub.publish(_REPOSITORY, MINILM_FOLDER)
    files = await list_model(session, hub.endpoint, _REPOSITORY, "main")
    fetch = Downloader(hub, session, MINILM_FOLDER, tmp_path / "some-model", files)
    await fetch()
    fetch.assert_whole()


async def test_a_complete_folder_is_left_alone(fetch: Downloader) -> None:
    await fetch()
    fetch.hub.requests.clear()
    fetch.progress.clear()
    written = (fetch.folder / _WEIGHTS).stat()
    await fetch()
    assert fetch.hub.requests == []
    assert fetch.progress == [(fetch.total, fetch.total)]
    assert (fetch.folder / _WEIGHTS).stat() == written


async def test_a_cut_is_resumed_where_it_was(fetch: Downloader) -> None:
    fetch.hub.inject(_WEIGHTS, Fault(cut_after=2 * _MIB))
    left: list[int] = []
    waiting = fetch._wait

    async def wait(seconds: float) -> None:
        left.append((fetch.partial / f"{_WEIGHTS}.part").stat().st_size)
        await waiting(seconds)

    fetch._wait = wait
    await fetch()
    fetch.assert_whole()
    assert fetch.waits == [1]
    assert _MIB <= left[0] <= 2 * _MIB
    assert fetch.hub.ranges(_WEIGHTS) == [None, f"bytes={left[0]}-"]
    # Also where the hub sent it on to.
    assert [asked.range for asked in fetch.hub.requests if asked.cdn] == fetch.hub.ranges(_WEIGHTS)
    assert fetch.done == sorted(fetch.done)


async def test_many_cuts_are_no_reason_to_give_up_as_long_as_bytes_come(fetch: Downloader) -> None:
    fetch.hub.inject(_WEIGHTS, *(Fault(cut_after=256 * 1024) for _ in range(11)))
    await fetch()
    fetch.assert_whole()
    assert len(fetch.waits) == 11
    # Failures in a row are waited for ever longer: most of these were none.
    assert sum(fetch.waits) < 30


async def test_a_hub_that_ignores_ranges(fetch: Downloader) -> None:
    fetch.hub.inject(_WEIGHTS, Fault(cut_after=2 * _MIB), Fault(whole=True))
    await fetch()
    fetch.assert_whole()
    first, second = fetch.hub.ranges(_WEIGHTS)
    assert first is None
    assert second is not None
    assert fetch.size[_GRAPH] in fetch.done[2:], "it started over"


async def test_a_hub_that_never_gets_further(fetch: Downloader) -> None:
    fetch.hub.inject(_WEIGHTS, always=Fault(cut_after=_MIB // 2, whole=True))
    fetch.hub.inject(_WEIGHTS, Fault(cut_after=2 * _MIB))
    assert await fetch.problem() == "hub_unreachable"
    assert len(fetch.waits) <= 2 * 8


async def test_compressed_although_nobody_asked(fetch: Downloader) -> None:
    fetch.hub.inject(_CONFIG, Fault(compressed=True))
    fetch.hub.inject(_TOKENIZER, Fault(cut_after=300_000), Fault(compressed=True, whole=True))
    await fetch()
    fetch.assert_whole()


async def test_the_hub_compresses_small_files_for_others(fetch: Downloader) -> None:
    """So that the test above, and the encoding that is asked for, mean something."""
    url = f"{fetch.hub.endpoint}/{_REPOSITORY}/resolve/main/{_CONFIG}"
    async with fetch.session.get(url) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == (fetch.source / _CONFIG).read_bytes()


@pytest.mark.parametrize("name", [_GRAPH, _WEIGHTS])
async def test_wrong_bytes_once(fetch: Downloader, name: str) -> None:
    fetch.hub.inject(name, Fault(wrong=True))
    await fetch()
    fetch.assert_whole()
    assert fetch.hub.ranges(name) == [None, None]
    assert fetch.done != sorted(fetch.done), "it started over"


@pytest.mark.parametrize("name", [_GRAPH, _WEIGHTS])
@pytest.mark.parametrize(
    "fault", [Fault(wrong=True), Fault(surplus=1), Fault(surplus=1, unsized=True), Fault(surplus=_MIB, unsized=True)]
)
async def test_wrong_bytes_twice(fetch: Downloader, name: str, fault: Fault) -> None:
    fetch.hub.inject(name, fault, fault)
    assert await fetch.problem() == "hub_corrupt"
    assert not list(fetch.partial.glob(f"{name}*"))
    assert fetch.hub.ranges(name) == [None, None]
    assert fetch.waits == []
    await fetch()
    fetch.assert_whole()


@pytest.mark.parametrize(("name", "key"), [(_CONFIG, "git_id"), (_WEIGHTS, "sha256")])
async def test_both_hashes_are_verified(fetch: Downloader, name: str, key: str) -> None:
    """The right ones are what every other test here has."""
    known = {file.name: getattr(file, key) for file in fetch.files}
    assert known[name]
    other = {"git_id": "sha256", "sha256": "git_id"}[key]
    content = (fetch.source / name).read_bytes()
    right = hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()  # noqa: S324 - git's
    if key == "git_id":
        right = hashlib.sha256(content).hexdigest()
    fetch.pin(name, **{key: None, other: right[:-1] + ("0" if right[-1] != "0" else "1")})
    assert await fetch.problem() == "hub_corrupt"
    fetch.pin(name, **{other: right})
    await fetch()
    fetch.assert_whole()


async def test_another_file_than_the_pinned_one(fetch: Downloader) -> None:
    fetch.pin(_WEIGHTS, sha256="0" * 64)
    assert await fetch.problem() == "hub_changed"
    assert fetch.hub.ranges(_WEIGHTS) == [None]
    assert fetch.done[-1] == fetch.size[_GRAPH], "not a byte of it was taken"


async def test_another_size_than_the_pinned_one(fetch: Downloader) -> None:
    fetch.pin(_WEIGHTS, size=fetch.size[_WEIGHTS] + 1)
    assert await fetch.problem() == "hub_corrupt"
    assert fetch.done[-1] == fetch.size[_GRAPH], "not a byte of it was taken"


async def test_a_part_that_is_too_long(fetch: Downloader) -> None:
    fetch.partial.mkdir(parents=True)
    (fetch.partial / f"{_WEIGHTS}.part").write_bytes(bytes(fetch.size[_WEIGHTS] + 1))
    await fetch()
    fetch.assert_whole()
    assert fetch.hub.ranges(_WEIGHTS) == [None]


async def test_a_part_of_something_else(fetch: Downloader) -> None:
    fetch.partial.mkdir(parents=True)
    (fetch.partial / f"{_WEIGHTS}.part").write_bytes(bytes(_MIB))
    await fetch()
    fetch.assert_whole()
    assert fetch.hub.ranges(_WEIGHTS) == [f"bytes={_MIB}-", None]


async def test_a_range_that_the_hub_does_not_have(fetch: Downloader) -> None:
    fetch.partial.mkdir(parents=True)
    (fetch.partial / f"{_WEIGHTS}.part").write_bytes((fetch.source / _WEIGHTS).read_bytes()[:_MIB])
    fetch.hub.inject(_WEIGHTS, Fault(status=416))
    await fetch()
    fetch.assert_whole()
    assert fetch.hub.ranges(_WEIGHTS) == [f"bytes={_MIB}-", None]


async def test_a_whole_part_needs_no_request(fetch: Downloader) -> None:
    fetch.partial.mkdir(parents=True)
    shutil.copy(fetch.source / _WEIGHTS, fetch.partial / f"{_WEIGHTS}.part")
    await fetch()
    fetch.assert_whole()
    assert fetch.hub.ranges(_WEIGHTS) == []
    assert fetch.done[0] == fetch.size[_WEIGHTS]


@pytest.mark.parametrize(
    ("fault", "problem", "requests"),
    [
        (Fault(status=404), "hub_not_found", 1),
        (Fault(status=401), "hub_denied", 1),
        (Fault(status=403), "hub_denied", 1),
        (Fault(status=416), "hub_unreachable", 9),
        (Fault(status=429, retry_after="7"), "hub_busy", 9),
        (Fault(status=503), "hub_unreachable", 9),
    ],
)
async def test_refusals(fetch: Downloader, fault: Fault, problem: str, requests: int) -> None:
    fetch.hub.inject(_WEIGHTS, always=fault)
    assert await fetch.problem() == problem
    assert len(fetch.hub.ranges(_WEIGHTS)) == requests
    assert (fetch.partial / _GRAPH).exists(), "what was verified is kept for the next time"


async def test_asks_again_ever_later(fetch: Downloader) -> None:
    fetch.hub.inject(_WEIGHTS, *(Fault(status=status) for status in (503, 500, 408, 429, 502)))
    await fetch()
    fetch.assert_whole()
    assert fetch.waits == [1, 2, 4, 8, 16]


async def test_waits_as_long_as_a_busy_hub_says_within_reason(fetch: Downloader) -> None:
    said = ("7", "1000000", "-5", "Wed, 21 Oct 2026 07:28:00 GMT", "٣")
    fetch.hub.inject(_WEIGHTS, *(Fault(status=429, retry_after=seconds) for seconds in said))
    await fetch()
    fetch.assert_whole()
    assert fetch.waits == [7, 300, 4, 8, 16]


async def test_no_hub_at_all(fetch: Downloader) -> None:
    await fetch.hub.__aexit__()
    assert await fetch.problem() == "hub_unreachable"
    assert len(fetch.waits) == 8


async def test_too_little_space(fetch: Downloader, monkeypatch: pytest.MonkeyPatch) -> None:
    space = SimpleNamespace(free=fetch.total + 64 * 10**6 - 1)
    seen: list[Path] = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: (seen.append(path), space)[1])
    assert await fetch.problem() == "no_space"
    assert fetch.hub.requests == []
    assert seen == [fetch.folder.parent.parent], "the nearest folder that there is"
    assert not fetch.folder.parent.exists()
    space.free += 1
    await fetch()
    fetch.assert_whole()


async def test_what_is_there_needs_no_more_space(fetch: Downloader, monkeypatch: pytest.MonkeyPatch) -> None:
    left = await _cancel_half_way(fetch)
    space = SimpleNamespace(free=fetch.total - fetch.size[_GRAPH] - left + 64 * 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: space)
    await fetch()
    fetch.assert_whole()


@pytest.mark.parametrize(
    ("number", "problem"),
    [(errno.ENOSPC, "no_space"), (errno.EDQUOT, "no_space"), (errno.EIO, "folder_unwritable")],
)
async def test_the_disk_fails_while_it_is_written(
    fetch: Downloader, monkeypatch: pytest.MonkeyPatch, number: int, problem: str
) -> None:
    class Disk(FileIO):
        def write(self, data: memoryview) -> int:
            if self.tell() >= _MIB:
                raise OSError(number, "the disk said so")
            return super().write(data)

    with monkeypatch.context() as patch:
        patch.setattr("custom_components.semantic_home.hub.part.FileIO", Disk)
        assert await fetch.problem() == problem
    kept = (fetch.partial / f"{_WEIGHTS}.part").stat().st_size
    assert kept >= _MIB
    await fetch()
    fetch.assert_whole()
    assert fetch.hub.ranges(_WEIGHTS) == [None, f"bytes={kept}-"]


async def test_a_disk_that_takes_less_than_it_is_given(fetch: Downloader, monkeypatch: pytest.MonkeyPatch) -> None:
    class Disk(FileIO):
        def write(self, data: memoryview) -> int:
            return super().write(data[:100_000])

    monkeypatch.setattr("custom_components.semantic_home.hub.part.FileIO", Disk)
    await fetch()
    fetch.assert_whole()


async def test_no_place_for_a_folder(fetch: Downloader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    fetch.folder = tmp_path / "file/model"
    assert await fetch.problem() == "folder_unwritable"


async def test_cancelled_and_taken_up_again(fetch: Downloader) -> None:
    left = await _cancel_half_way(fetch)
    assert left >= _MIB
    assert not fetch.folder.exists()
    opened = {path.resolve() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    assert not [path for path in opened if fetch.partial in path.parents], "all files are closed"
    fetch.progress.clear()
    await fetch()
    fetch.assert_whole()
    assert fetch.done[0] == fetch.size[_GRAPH] + left
    assert fetch.done == sorted(fetch.done)
    assert fetch.hub.ranges(_GRAPH) == [None]
    assert fetch.hub.ranges(_WEIGHTS) == [None, f"bytes={left}-"]


async def test_cancelled_while_a_thread_writes(fetch: Downloader, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, writing, released = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    closed_under_it: list[bool] = []

    class Disk(FileIO):
        def write(self, data: memoryview) -> int:
            loop.call_soon_threadsafe(writing.set)
            released.wait(60)
            closed_under_it.append(self.closed)
            return super().write(data)

    monkeypatch.setattr("custom_components.semantic_home.hub.part.FileIO", Disk)
    running = asyncio.create_task(fetch())
    await writing.wait()
    running.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.done(), "it waits for the thread"
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert closed_under_it == [False]


@pytest.mark.parametrize("spoil", [lambda content: b"\0" + content[1:], lambda content: content[:1000]])
async def test_a_verified_file_that_the_disk_spoilt(fetch: Downloader, spoil: Callable[[bytes], bytes]) -> None:
    await _cancel_half_way(fetch)
    graph = fetch.partial / _GRAPH
    graph.write_bytes(spoil(graph.read_bytes()))
    fetch.hub.inject(_GRAPH, Fault(wrong=True) if graph.stat().st_size == fetch.size[_GRAPH] else Fault())
    await fetch()
    fetch.assert_whole()


async def test_what_another_download_left_does_not_appear(fetch: Downloader) -> None:
    (fetch.partial / "onnx").mkdir(parents=True)
    for name in ("model.onnx", "model.onnx.part", "onnx/model.onnx"):
        (fetch.partial / name).write_text("another revision's", "utf-8")
    await fetch()
    fetch.assert_whole()


async def test_an_incomplete_folder_is_replaced_and_not_written_to(fetch: Downloader) -> None:
    fetch.folder.mkdir(parents=True)
    (fetch.folder / _GRAPH).write_bytes(b"of a model that runs")
    (fetch.folder / "stray").touch()
    with (fetch.folder / _GRAPH).open("rb") as running:
        await fetch()
        assert running.read() == b"of a model that runs"
    fetch.assert_whole()
    assert [path.name for path in fetch.folder.parent.iterdir()] == [fetch.folder.name]


async def test_is_complete(fetch: Downloader) -> None:
    assert not is_complete(fetch.folder, fetch.files)
    await fetch()
    weights = fetch.folder / _WEIGHTS
    (fetch.folder / "of-the-engine").touch()
    assert is_complete(fetch.folder, fetch.files)
    with weights.open("ab") as stream:
        stream.write(b"x")
    assert not is_complete(fetch.folder, fetch.files)
    weights.unlink()
    assert not is_complete(fetch.folder, fetch.files)
    assert not is_complete(weights, fetch.files)


async def test_forget_others(fetch: Downloader) -> None:
    root = fetch.folder.parent
    forget_others(root / "none", [])
    await fetch()
    other = fetch.folder.with_name("some-model-2")
    for copy in (other, fetch.partial, other.with_name(f"{other.name}.partial")):
        shutil.copytree(fetch.folder, copy)
    (root / "a file").touch()
    forget_others(root, [fetch.folder])
    assert set(root.iterdir()) == {fetch.folder, fetch.partial, root / "a file"}
    forget_others(root, [])
    assert list(root.iterdir()) == [root / "a file"]
