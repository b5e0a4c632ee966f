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
from .index import Key, UnknownGenerationError
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


@dataclass(frozen=True, slots=True)
class Answering:
    """The model that answers: what encodes a query, and texts; its generation, and what to call when that has gone."""

    query: EncodeQuery
    texts: EncodeTexts
    generation: Callable[[], int | None]
    refresh: Callable[[], Awaitable[None]]


class KnowledgeSearch:
    """Asks the index what the household knows. Its methods raise EncoderBusyError, StoreError."""

    def __init__(self, hass: HomeAssistant, index: IndexThread, answering: Answering) -> None:
        """Take the index, and the model that answers."""
        self._hass = hass
        self._index = index
        self._answering = answering

    async def async_search(self, query: KnowledgeQuery) -> KnowledgeAnswer:
        """Search with the model that answers, or by letters alone while none does."""
        started = time.monotonic()
        said = await self._answering.query(query.text)
        try:
            return await self._search(query, said, started, degraded=said is None)
        except UnknownGenerationError:
            # It has given way to the next one since the query was encoded.
            await self._answering.refresh()
            return await self.async_search(query)

    async def async_search_with(self, asked: AskedGeneration, query: KnowledgeQuery) -> KnowledgeAnswer:
        """Search with one generation and its own model; raises GenerationSilentError, UnknownGenerationError, too."""
        started = time.monotonic()
        return await self._search(query, await asked.async_query(query.text), started, degraded=not asked.complete)

    async def async_near(
        self, texts: Sequence[str], knowledge_type: str, like: str
    ) -> tuple[list[dict[Key, float]], dict[str, dict[Key, float]]]:
        """Tell how near texts are to all knowledge of a type, and so of all entities of a kind that it may be like.

        See HomeIndex.near_knowledge; texts are near to nothing while no model answers.
        """
        said = [one for text in texts if (one := await self._answering.query(text)) is not None]
        generation = said[0].generation if said else self._answering.generation()
        if len(said) < len(texts) or any(one.generation != generation for one in said):
            return [{} for _ in texts], {}
        queries = [one.encoded for one in said]
        return await self._index.async_ask(HomeIndex.near_knowledge, queries, generation, knowledge_type, like)

    async def async_rerank(self, query: str, texts: Sequence[str]) -> Reranked:
        """Rank texts that somebody else has found."""
        said = await self._answering.query(query)
        of_texts = None
        if said is not None:
            try:
                of_texts = await self._answering.texts(texts)
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
