"""Looks for what the household knows, with the model that answers or one that is asked for."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
import time

import numpy as np
from numpy.typing import NDArray

from homeassistant.core import HomeAssistant

from .asked_generation import AskedGeneration, QueryVector
from .engine import Encoded, EncoderBusyError, EncoderError
from .home_index import HomeIndex
from .index import UnknownGenerationError
from .index_thread import IndexThread
from .knowledge_index import KnowledgeFindings, KnowledgeQuery
from .reranking import rerank


@dataclass(frozen=True, slots=True)
class KnowledgeAnswer:
    """What was found, and what with. `degraded`: letters alone answered, or some vectors are still missing."""

    findings: KnowledgeFindings
    model: str | None
    generation: int | None
    degraded: bool
    took_ms: float


@dataclass(frozen=True, slots=True)
class Reranked:
    """The texts' scores (n,), in their order, and the model that read them; None if it was the letters alone."""

    scores: NDArray[np.float64]
    model: str | None


type EncodeQuery = Callable[[str], Awaitable[QueryVector | None]]
type EncodeTexts = Callable[[Sequence[str]], Awaitable[Encoded]]


class KnowledgeSearch:
    """Asks the index what the household knows. Its methods raise EncoderBusyError, StoreError."""

    def __init__(
        self,
        hass: HomeAssistant,
        index: IndexThread,
        encode: EncodeQuery,
        read: EncodeTexts,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        """Take the index, what encodes a query and texts, and what is to be done when the generation has changed."""
        self._hass = hass
        self._index = index
        self._encode = encode
        self._read = read
        self._changed = changed

    async def async_search(self, query: KnowledgeQuery) -> KnowledgeAnswer:
        """Search with the model that answers, or by letters alone while none does."""
        started = time.monotonic()
        said = await self._encode(query.text)
        try:
            return await self._search(query, said, started, degraded=said is None)
        except UnknownGenerationError:
            # It has given way to the next one since the query was encoded.
            await self._changed()
            return await self.async_search(query)

    async def async_search_with(self, asked: AskedGeneration, query: KnowledgeQuery) -> KnowledgeAnswer:
        """Search with one generation and its own model; raises GenerationSilentError, UnknownGenerationError, too."""
        started = time.monotonic()
        return await self._search(query, await asked.async_query(query.text), started, degraded=not asked.complete)

    async def async_rerank(self, query: str, texts: Sequence[str]) -> Reranked:
        """Rank texts that somebody else has found."""
        said = await self._encode(query)
        of_texts = None
        if said is not None:
            try:
                of_texts = await self._read(texts)
            except EncoderBusyError:
                raise
            except EncoderError:
                said = None
        encoded = None if said is None else said.encoded
        scores = await self._hass.async_add_executor_job(rerank, query, texts, encoded, of_texts)
        return Reranked(scores, None if said is None else said.model)

    async def _search(
        self, query: KnowledgeQuery, said: QueryVector | None, started: float, *, degraded: bool
    ) -> KnowledgeAnswer:
        encoded, generation = (None, None) if said is None else (said.encoded, said.generation)
        findings = await self._index.async_ask(HomeIndex.search_knowledge, query, encoded, generation)
        took_ms = (time.monotonic() - started) * 1000
        return KnowledgeAnswer(findings, said.model if said else None, generation, degraded, took_ms)
