"""Vectors from a real embedding server, and what is made of everything that can go wrong on the way to it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field, replace
import threading
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_socket

from custom_components.semantic_home.engine import (
    EncoderAuthError,
    EncoderClosedError,
    EncoderError,
    EncoderUnavailableError,
    EncoderWorker,
    Lane,
    ModelSpec,
    Role,
)
from custom_components.semantic_home.engine.embedding_server import Server, ServerError, candidates
from custom_components.semantic_home.engine.http_encoder import HttpEncoder, revision_of_server
from custom_components.semantic_home.engine.session_transport import SessionTransport
from tests import faulty_proxy as faults
from tests.embedding_server import EmbeddingServer
from tests.faulty_proxy import FaultyProxy

from .common import cosines

_PATIENCE = 30
_KEY = "a-key-nobody-may-see"


@pytest.fixture(scope="module")
def server() -> Generator[EmbeddingServer]:
    pytest_socket.enable_socket()
    with EmbeddingServer() as running:
        yield running


@pytest.fixture
def proxy(server: EmbeddingServer, socket_enabled: None) -> Generator[FaultyProxy]:
    with FaultyProxy(server.url) as running:
        yield running


@pytest.fixture
async def session(socket_enabled: None) -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@dataclass
class Time:
    """A clock that only waiting moves, and the waits."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    while_waiting: Callable[[], None] = lambda: None

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.while_waiting()


@pytest.fixture
def time() -> Time:
    return Time()


type Make = Callable[..., HttpEncoder]


@pytest.fixture
async def make(session: aiohttp.ClientSession, proxy: FaultyProxy, spec: ModelSpec, time: Time) -> Make:
    """Make an encoder that goes through the proxy. Blocking, not to be called by the loop's thread."""
    loop = asyncio.get_running_loop()
    e5 = Server(proxy.url, EmbeddingServer.QUERY_MODEL, EmbeddingServer.PASSAGE_MODEL)

    def made(known: Any = None, dimension: int = 0, **changes: Any) -> HttpEncoder:
        server, asked = replace(e5, **changes), replace(spec, dimension=dimension)
        return HttpEncoder(
            server, asked, SessionTransport(session, loop), known=known, clock=time.clock, wait=time.wait
        )

    return made


@pytest.fixture
async def encoder(make: Make) -> HttpEncoder:
    return await asyncio.to_thread(make)


async def _refused(work: Callable[..., object], *arguments: Any) -> ServerError:
    with pytest.raises(ServerError) as caught:
        await asyncio.to_thread(work, *arguments)
    return caught.value


async def test_finds_the_english_name_for_a_german_request(encoder: HttpEncoder) -> None:
    names = ["garage door", "floor lamp next to the couch", "bathroom heating", "robot vacuum cleaner"]
    request = "Mach die Stehlampe neben dem Sofa aus"
    query = (await asyncio.to_thread(encoder.encode, [request], Role.QUERY)).dense
    passages = (await asyncio.to_thread(encoder.encode, names, Role.PASSAGE)).dense
    assert names[int((query @ passages.T).argmax())] == "floor lamp next to the couch"
    assert (passages.dtype, passages.shape) == (np.dtype(np.float32), (4, 384))
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-6)


async def test_roles_have_their_own_models_and_prefixes(
    proxy: FaultyProxy, encoder: HttpEncoder, session: aiohttp.ClientSession, spec: ModelSpec
) -> None:
    query, passage = [(await asyncio.to_thread(encoder.encode, ["lamp"], role)).dense for role in Role]
    assert cosines(query, passage)[0] < 0.99
    assert [asked.payload["model"] for asked in proxy.asked[-2:]] == ["e5-query", "e5-passage"]
    # A server that knows no roles is told by the text.
    prefixed = replace(spec, dimension=0, query_prefix="query: ", passage_prefix="passage: ")
    transport = SessionTransport(session, asyncio.get_running_loop())
    plain = await asyncio.to_thread(HttpEncoder, Server(proxy.url, "some"), prefixed, transport)
    await asyncio.to_thread(plain.encode, ["lamp"], Role.PASSAGE)
    assert proxy.asked[-1].payload == {"model": "some", "input": ["passage: lamp"], "encoding_format": "float"}
    assert plain.revision != encoder.revision


async def test_a_hundred_texts_go_in_four_requests_and_keep_their_order(
    proxy: FaultyProxy, encoder: HttpEncoder
) -> None:
    texts = [f"lamp number {number}" for number in range(100)]
    proxy.asked.clear()
    proxy.always = faults.backwards
    together = (await asyncio.to_thread(encoder.encode, texts, Role.PASSAGE)).dense
    assert [len(asked.payload["input"]) for asked in proxy.asked] == [32, 32, 32, 4]
    proxy.always = None
    alone = [(await asyncio.to_thread(encoder.encode, [texts[i]], Role.PASSAGE)).dense for i in (0, 31, 32, 99)]
    assert cosines(together[[0, 31, 32, 99]], np.concatenate(alone)).min() > 0.9999
    assert (await asyncio.to_thread(encoder.encode, [], Role.QUERY)).dense.shape == (0, 384)


async def test_base64_is_read_as_well(proxy: FaultyProxy, encoder: HttpEncoder) -> None:
    floats = (await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)).dense
    proxy.always = faults.base64_vectors
    np.testing.assert_allclose((await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)).dense, floats, atol=1e-6)


async def test_half_a_surrogate_pair_is_no_fault_of_the_server(encoder: HttpEncoder) -> None:
    assert (await asyncio.to_thread(encoder.encode, ["lamp \ud83d"], Role.QUERY)).dense.shape == (1, 384)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host:8000/v1", ["http://host:8000/v1/embeddings"]),
        ("http://host:8000/v3/", ["http://host:8000/v3/embeddings"]),
        (" http://host:8000/v1/embeddings/ ", ["http://host:8000/v1/embeddings"]),
        ("host:8000", [f"http://host:8000{path}/embeddings" for path in ("/v1", "/v3", "")]),
        ("https://host/ai/", [f"https://host/ai{path}/embeddings" for path in ("/v1", "/v3", "")]),
    ],
)
def test_candidates(url: str, expected: list[str]) -> None:
    assert list(candidates(url)) == expected


def test_what_is_no_address_has_no_candidates() -> None:
    with pytest.raises(ServerError) as caught:
        candidates("http://[host/v1")
    assert caught.value.problem == "server_unreachable"


async def test_the_dimension_is_learnt_or_held_to(make: Make) -> None:
    assert (await asyncio.to_thread(make)).dimension == 384
    assert (await asyncio.to_thread(make, dimension=384)).dimension == 384
    error = await _refused(lambda: make(dimension=768))
    assert (error.problem, error.detail) == ("server_wrong_dimension", "384 instead of 768")


async def test_another_dimension_later_on_is_an_error(proxy: FaultyProxy, encoder: HttpEncoder) -> None:
    proxy.always = faults.each(lambda vector: vector[:256])
    error = await _refused(encoder.encode, ["lamp"], Role.QUERY)
    assert error.problem == "server_wrong_dimension"
    assert isinstance(error, EncoderUnavailableError)


_NOT_EMBEDDINGS = {
    "html": faults.html,
    "an array": faults.says(b"[]"),
    "a chat": faults.says(b'{"choices": []}'),
    "an error with status 200": faults.says(b'{"error": {"message": "no"}}'),
    "deep": faults.says(b"[" * 100_000),
    "token vectors": faults.token_vectors,
    "too few": faults.changes(lambda items: items[1:]),
    "no vector": faults.changes(lambda _: [{"index": 0}]),
    "words": faults.each(lambda _: ["a", "b"]),
    "no base64": faults.each(lambda _: "?"),
    "half a float": faults.each(lambda _: "AAA="),
    "empty": faults.each(lambda _: []),
    "wrong numbers": faults.changes(lambda items: [item | {"index": 7} for item in items]),
    "zero": faults.each(lambda vector: [0.0] * len(vector)),
    "not a number": faults.each(lambda vector: [float("nan"), *vector[1:]]),
    "infinite": faults.each(lambda vector: [10**400, *vector[1:]]),
    "a model for chats": faults.fails(400, "Pooling type 'none' is not OAI compatible"),
    "a server for chats": faults.fails(501, "This server does not support embeddings. Start it with --embeddings"),
}
_REFUSALS: list[tuple[str, faults.Fault]] = [
    ("server_refused", faults.fails(401)),
    ("server_refused", faults.fails(403)),
    ("server_not_found", faults.fails(404, "unknown route")),
    ("server_not_found", faults.says(b'{"detail":"Not Found"}', 404)),
    ("server_not_found", faults.says(b"<html>no such model of a page</html>", 404)),
    ("server_not_found", faults.says(b"404 page not found", 404)),
    ("server_not_found", faults.fails(405)),
    ("server_not_found", faults.fails(307, Location="http://127.0.0.1:9/v1/embeddings")),
    ("server_no_model", faults.fails(404, 'model "e5" not found, try pulling it first')),
    ("server_no_model", faults.fails(404, "The model `e5` does not exist.")),
    ("server_no_model", faults.says(b'{"error":"Mediapipe graph definition with requested name is not found"}', 404)),
    ("server_no_model", faults.fails(400, "Invalid model name passed in model=e5")),
    ("server_refused_text", faults.fails(400, "This model's maximum context length is 512 tokens.")),
    ("server_refused_text", faults.fails(413, "Input validation error")),
    ("server_refused_text", faults.fails(422, "batch size 3 > maximum allowed batch size 2")),
    ("server_refused_text", faults.fails(500, "input is too large to process. increase the physical batch size")),
    *(("server_not_embeddings", fault) for fault in _NOT_EMBEDDINGS.values()),
]


@pytest.mark.parametrize(("problem", "fault"), _REFUSALS)
async def test_what_set_up_learns_from_a_refusal(
    proxy: FaultyProxy, make: Make, time: Time, problem: str, fault: faults.Fault
) -> None:
    proxy.always = fault
    error = await _refused(make)
    assert (error.problem, isinstance(error, EncoderAuthError)) == (problem, problem == "server_refused")
    # None of these would be better a moment later.
    assert (len(proxy.asked), time.waits) == (1, [])


async def test_only_what_a_text_may_have_done_is_about_the_texts(proxy: FaultyProxy, encoder: HttpEncoder) -> None:
    about_texts = ["413", "zero", "not a number"]
    cases = _NOT_EMBEDDINGS | {"413": faults.fails(413), "401": faults.fails(401), "404": faults.fails(404)}
    found = []
    for name, fault in cases.items():
        proxy.always = fault
        error = await _refused(encoder.encode, ["lamp"], Role.QUERY)
        if not isinstance(error, EncoderUnavailableError):
            found.append(name)
    assert sorted(found) == sorted(about_texts)
    # And none of it is the server being away.
    proxy.always = None
    assert (await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)).dense.shape == (1, 384)


async def test_the_key_goes_to_the_server_and_nowhere_else(proxy: FaultyProxy, make: Make) -> None:
    proxy.key = _KEY
    encoder = await asyncio.to_thread(lambda: make(api_key=_KEY))
    assert proxy.asked[-1].headers["Authorization"] == f"Bearer {_KEY}"
    assert _KEY not in repr(encoder.server)
    # The proxy repeats the key that it refuses.
    proxy.key = "another"
    error = await _refused(encoder.encode, ["lamp"], Role.QUERY)
    assert isinstance(error, EncoderAuthError)
    assert error.detail == "HTTP 401: Invalid key: Bearer ***"
    assert _KEY not in str(error)
    unsendable = await _refused(lambda: make(api_key=f"{_KEY}\n"))
    assert _KEY not in str(unsendable)
    assert _KEY not in str(unsendable.__cause__)


async def test_the_revision_is_stable_and_tells_models_apart(proxy: FaultyProxy, make: Make, spec: ModelSpec) -> None:
    first = await asyncio.to_thread(make)
    kept = np.frombuffer(first.signature.tobytes(), "<f4").astype(np.float32)
    # The same model elsewhere, rounded in another way.
    proxy.always = faults.each(lambda vector: [round(number, 3) for number in vector])
    again = await asyncio.to_thread(make, kept, url=proxy.url + "/embeddings")
    assert again.revision == first.revision
    np.testing.assert_array_equal(again.signature, kept)
    assert (await asyncio.to_thread(make)).revision != first.revision
    proxy.always = faults.other_model
    other = await asyncio.to_thread(make, kept)
    assert other.revision != first.revision
    assert cosines(other.signature[None], kept[None])[0] < 0.5
    proxy.always = None
    assert (await asyncio.to_thread(make, kept[:-2])).revision == first.revision
    assert revision_of_server(first.server, spec, kept) == first.revision, "known without asking it"
    assert (await asyncio.to_thread(lambda: make(kept, model="query of another name"))).revision != first.revision


async def test_a_really_other_model_behind_the_same_name_is_noticed(
    session: aiohttp.ClientSession, spec: ModelSpec, encoder: HttpEncoder
) -> None:
    with EmbeddingServer("enpt") as other:
        server = replace(encoder.server, url=other.url)
        transport = SessionTransport(session, asyncio.get_running_loop())
        changed = await asyncio.to_thread(lambda: HttpEncoder(server, spec, transport, known=encoder.signature))
        assert changed.revision != encoder.revision


@pytest.mark.parametrize("fault", [faults.cut, *map(faults.fails, (408, 429, 500, 502, 503))])
async def test_passing_faults_are_tried_again(
    proxy: FaultyProxy, encoder: HttpEncoder, time: Time, fault: faults.Fault
) -> None:
    proxy.faults.extend([fault, fault])
    assert (await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)).dense.shape == (1, 384)
    first, second = time.waits
    assert 0.125 <= first <= 0.25 <= second <= 0.5


async def test_two_retries_are_all(proxy: FaultyProxy, encoder: HttpEncoder, time: Time) -> None:
    proxy.asked.clear()
    proxy.always = faults.fails(503, "Loading model")
    error = await _refused(encoder.encode, ["lamp"], Role.QUERY)
    assert (error.problem, error.detail) == ("server_unreachable", "HTTP 503: Loading model")
    assert isinstance(error, EncoderUnavailableError)
    assert (len(proxy.asked), len(time.waits)) == (3, 2)


async def test_waits_as_long_as_the_server_wants_unless_that_is_too_long(
    proxy: FaultyProxy, encoder: HttpEncoder, time: Time
) -> None:
    proxy.faults.append(faults.fails(429, Retry_After="3"))
    await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)
    assert time.waits == [3]
    proxy.faults.append(faults.fails(429, Retry_After="600"))
    assert (await _refused(encoder.encode, ["lamp"], Role.QUERY)).problem == "server_unreachable"
    proxy.faults.append(faults.fails(429, Retry_After="Mon, 23 Nov 2026 08:00:00 GMT"))
    await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)
    assert len(time.waits) == 2


async def test_a_call_ends_within_twice_its_timeout(proxy: FaultyProxy, make: Make, time: Time) -> None:
    encoder = await asyncio.to_thread(lambda: make(timeout=2))
    proxy.always = faults.fails(503, Retry_After="3")
    await _refused(encoder.encode, ["lamp"], Role.QUERY)
    assert (time.now, time.waits) == (3, [3])


async def test_nobody_there(make: Make) -> None:
    # Nothing listens on the port that is for discarding.
    assert (await _refused(lambda: make(url="http://127.0.0.1:9/v1"))).problem == "server_unreachable"
    assert (await _refused(lambda: make(url="http://127.0.0.1:port/v1"))).problem == "server_unreachable"


async def test_a_server_that_does_not_answer_is_given_up(proxy: FaultyProxy, make: Make) -> None:
    proxy.always = proxy.hang
    error = await _refused(lambda: make(timeout=0.05))
    assert (error.problem, error.detail) == ("server_unreachable", "no answer within 0.05 s")


async def test_a_server_that_keeps_failing_is_left_alone(proxy: FaultyProxy, encoder: HttpEncoder, time: Time) -> None:
    proxy.always = faults.fails(503)
    for _ in range(3):
        await _refused(encoder.encode, ["lamp"], Role.QUERY)
    proxy.asked.clear()
    error = await _refused(encoder.encode, ["lamp"], Role.QUERY)
    assert (error.problem, proxy.asked) == ("server_unreachable", [])
    assert isinstance(error, EncoderUnavailableError)
    # One request finds out whether it is back, without retries.
    time.now += 30
    await _refused(encoder.encode, ["lamp"], Role.QUERY)
    assert len(proxy.asked) == 1
    time.now += 30
    await _refused(encoder.encode, ["lamp"], Role.QUERY)
    assert len(proxy.asked) == 1
    proxy.always = None
    time.now += 30
    for _ in range(2):
        assert (await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)).dense.shape == (1, 384)


async def test_texts_and_keys_that_are_refused_do_not_close_the_door(proxy: FaultyProxy, encoder: HttpEncoder) -> None:
    for fault in (faults.fails(422), faults.fails(401)):
        proxy.always = fault
        for _ in range(4):
            await _refused(encoder.encode, ["lamp"], Role.QUERY)
    proxy.always = None
    assert (await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)).dense.shape == (1, 384)


async def test_interrupt_ends_a_call_that_hangs_and_all_later_ones(proxy: FaultyProxy, encoder: HttpEncoder) -> None:
    proxy.always = proxy.hang
    hanging = asyncio.create_task(asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY))
    assert await asyncio.to_thread(proxy.hanging.wait, _PATIENCE)
    await asyncio.to_thread(encoder.interrupt)
    # The proxy does not answer before the test is over.
    with pytest.raises(EncoderClosedError):
        await hanging
    proxy.always = None
    with pytest.raises(EncoderClosedError):
        await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)


async def test_close_leaves_the_transport_to_another_encoder(
    proxy: FaultyProxy, session: aiohttp.ClientSession, spec: ModelSpec
) -> None:
    transport = SessionTransport(session, asyncio.get_running_loop())
    first = await asyncio.to_thread(HttpEncoder, Server(proxy.url, "e5-query"), spec, transport)
    first.close()
    with pytest.raises(EncoderClosedError):
        await asyncio.to_thread(first.encode, ["lamp"], Role.QUERY)
    second = await asyncio.to_thread(HttpEncoder, Server(proxy.url, "e5-query"), spec, transport)
    assert (await asyncio.to_thread(second.encode, ["lamp"], Role.QUERY)).dense.shape == (1, 384)


async def test_interrupt_ends_waiting_for_the_next_try(proxy: FaultyProxy, encoder: HttpEncoder, time: Time) -> None:
    proxy.always = faults.fails(503)
    time.while_waiting = encoder.interrupt
    with pytest.raises(EncoderClosedError):
        await asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY)
    assert len(time.waits) == 1


async def test_without_a_clock_of_its_own_the_wait_ends_when_interrupted(
    proxy: FaultyProxy, session: aiohttp.ClientSession, spec: ModelSpec
) -> None:
    transport = SessionTransport(session, asyncio.get_running_loop())
    encoder = await asyncio.to_thread(HttpEncoder, Server(proxy.url, "e5-query"), spec, transport)
    refused = threading.Event()

    def refuse(_: Callable[[], faults.Answer]) -> faults.Answer:
        refused.set()
        return faults.problem(503, "no", Retry_After="5")

    proxy.always = refuse
    waiting = asyncio.create_task(asyncio.to_thread(encoder.encode, ["lamp"], Role.QUERY))
    assert await asyncio.to_thread(refused.wait, _PATIENCE)
    encoder.interrupt()
    with pytest.raises(EncoderClosedError):
        await waiting


async def test_an_interrupted_transport_makes_no_encoder(
    proxy: FaultyProxy, session: aiohttp.ClientSession, spec: ModelSpec
) -> None:
    transport = SessionTransport(session, asyncio.get_running_loop())
    proxy.always = proxy.hang
    making = asyncio.create_task(asyncio.to_thread(HttpEncoder, Server(proxy.url, "e5-query"), spec, transport))
    assert await asyncio.to_thread(proxy.hanging.wait, _PATIENCE)
    transport.interrupt()
    with pytest.raises(EncoderClosedError):
        await making


async def test_a_closed_session_is_no_surprise(encoder: HttpEncoder, session: aiohttp.ClientSession) -> None:
    await session.close()
    assert (await _refused(encoder.encode, ["lamp"], Role.QUERY)).problem == "server_unreachable"


async def test_a_body_without_end_is_cut(proxy: FaultyProxy, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.semantic_home.engine.session_transport._LARGEST_BODY", 1000)
    error = await _refused(make)
    assert (error.problem, error.detail) == ("server_not_embeddings", "the answer is no JSON")


async def test_queries_and_bulk_work_share_a_worker(proxy: FaultyProxy, make: Make) -> None:
    worker = EncoderWorker(make, "test-encoder")
    encoder = await worker.start()
    texts = [f"lamp {number}" for number in range(20)]
    bulk, *queries = await asyncio.gather(
        worker.encode(texts, Role.PASSAGE, Lane.BULK),
        *(worker.encode([text], Role.QUERY) for text in texts[:3]),
    )
    scores = np.concatenate([query.dense for query in queries]) @ bulk.dense.T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    # One text that the server does not take costs the others nothing.
    proxy.always = lambda forward: (
        faults.problem(413, "too long") if "bad" in proxy.asked[-1].payload["input"] else forward()
    )
    good, bad = await asyncio.gather(
        worker.encode(["good"], Role.QUERY), worker.encode(["bad"], Role.QUERY), return_exceptions=True
    )
    assert not isinstance(good, BaseException)
    assert isinstance(bad, EncoderError)
    proxy.always = proxy.hang
    hanging = asyncio.create_task(worker.encode(["lamp"], Role.QUERY))
    assert await asyncio.to_thread(proxy.hanging.wait, _PATIENCE)
    encoder.interrupt()
    with pytest.raises(EncoderClosedError):
        await hanging
    await worker.stop()
