"""What is asked of an encoder before it is trusted, on real models and on models that somebody has spoilt."""

import asyncio
from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import count
from typing import override

import aiohttp
import numpy as np
import pytest
import pytest_socket

from custom_components.semantic_home.engine import Encoded, Encoder, ModelSpec, OpenVINOEncoder, Role
from custom_components.semantic_home.engine.embedding_server import Server
from custom_components.semantic_home.engine.http_encoder import HttpEncoder
from custom_components.semantic_home.engine.probe import Examination, UnfitModelError, examine
from custom_components.semantic_home.engine.session_transport import SessionTransport
from tests.embedding_server import EmbeddingServer


@pytest.fixture(scope="module")
def server() -> Generator[EmbeddingServer]:
    pytest_socket.enable_socket()
    with EmbeddingServer() as running:
        yield running


class SpoiltEncoder(Encoder):
    """A real encoder, the vectors of which a subclass spoils."""

    dimension = 384
    revision = "spoilt"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @override
    def encode(self, texts: Sequence[str], role: Role) -> Encoded:
        return Encoded(self.spoil(self._encoder.encode(texts, role).dense, texts))

    def spoil(self, vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        assert len(vectors) == len(texts)
        return vectors


class PaddingEncoder(SpoiltEncoder):
    """Takes the mean over padding too, of which there is as much as the longest text is longer."""

    @override
    def spoil(self, vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        lengths = np.array([len(text) for text in texts], np.float32)
        share = (lengths / lengths.max())[:, None]
        padding = np.full(vectors.shape[1], vectors.shape[1] ** -0.5, np.float32)
        mixed = share * vectors + (1 - share) * padding
        return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))


class SameEncoder(SpoiltEncoder):
    @override
    def spoil(self, vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        return np.full_like(vectors, vectors.shape[1] ** -0.5)


class NoNumberEncoder(SpoiltEncoder):
    @override
    def spoil(self, vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        return np.full_like(vectors, np.nan)


def test_an_english_model_understands_english_alone(encoder: OpenVINOEncoder) -> None:
    # By this clock each query takes twice as long as the one before: 1, 2 and 4 seconds.
    times = iter([0, 1, 0, 2, 0, 4])
    assert examine(encoder, lambda: next(times)) == Examination(384, 2000, ("en",))


async def test_a_multilingual_model_on_a_server_understands_all(
    server: EmbeddingServer, spec: ModelSpec, socket_enabled: None
) -> None:
    asked = Server(server.url, EmbeddingServer.QUERY_MODEL, EmbeddingServer.PASSAGE_MODEL)
    async with aiohttp.ClientSession() as session:
        transport = SessionTransport(session, asyncio.get_running_loop())
        encoder = await asyncio.to_thread(HttpEncoder, asked, replace(spec, dimension=0), transport)
        found = await asyncio.to_thread(examine, encoder)
    assert found.dimension == 384
    assert found.query_ms > 0
    assert set(found.languages) == {"en", "de", "fr", "es", "ru", "zh", "ja", "ar"}


@pytest.mark.parametrize(
    ("spoilt", "problem"),
    [
        (PaddingEncoder, "model_pads"),
        (SameEncoder, "model_meaningless"),
        (NoNumberEncoder, "model_meaningless"),
    ],
)
def test_vectors_of_no_use_are_told(encoder: OpenVINOEncoder, spoilt: type[SpoiltEncoder], problem: str) -> None:
    clock = count()
    assert examine(SpoiltEncoder(encoder), lambda: next(clock)).languages == ("en",)
    with pytest.raises(UnfitModelError) as caught:
        examine(spoilt(encoder))
    assert caught.value.problem == problem
    assert str(caught.value) == f"{problem}: {caught.value.detail}"
