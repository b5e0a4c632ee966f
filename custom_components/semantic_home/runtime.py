"""SemanticHome: the one object behind a config entry. Everything that Home Assistant shows goes through it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
import logging
from pathlib import Path
import time

import numpy as np
from numpy.typing import NDArray

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.recorder import DATA_INSTANCE

from .const import CONF_MODEL, CONF_SCOPE, DOMAIN, SCOPE_EXPOSED
from .describe import TEMPLATE_VERSION
from .engine import (
    Encoder,
    EncoderBusyError,
    EncoderChangedError,
    EncoderClosedError,
    EncoderError,
    EncoderUnavailableError,
    Lane,
    ModelFilesError,
    QueryCache,
    QueryKey,
    Role,
    RuntimeMissingError,
)
from .home_index import EntityFilter, HomeIndex, IndexStatus
from .index import Document, Stamp, StoreError
from .matching import Background, MatchRequest, MatchResult
from .model_choice import ModelChoice
from .model_loading import LoadedModel
from .model_runner import ISSUE_MODEL, RETRY_SECONDS, ModelRunner
from .model_store import async_get_store
from .sync import HomeSync

_LOGGER = logging.getLogger(__name__)

type SemanticHomeConfigEntry = ConfigEntry[SemanticHome]

_DATABASE_NAME = "semantic_home.db"
_SQLITE_URL = "sqlite:///"
# Read from the database at once; the encoder's worker cuts it into the pieces that a query may have to wait for.
_TEXTS_A_ROUND = 64
# A person does not wait longer; names alone answer then.
_QUERY_SECONDS = 10.0
_NO_FAULT_OF_THE_TEXTS = (
    EncoderBusyError,
    EncoderChangedError,
    EncoderClosedError,
    EncoderUnavailableError,
    ModelFilesError,
    RuntimeMissingError,
)


@dataclass(frozen=True, slots=True)
class MatchAnswer:
    """A match with what it was made with. `degraded`: names alone answered, or some vectors are still missing."""

    result: MatchResult
    model: str | None
    generation: int | None
    degraded: bool
    took_ms: float


class SemanticHome:
    """Owns the encoder, the index and the synchronisation of one config entry."""

    def __init__(self, hass: HomeAssistant, entry: SemanticHomeConfigEntry) -> None:
        """Take the entry whose data say which model runs where."""
        self._hass = hass
        self._entry = entry
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{DOMAIN}-index")
        self._index: HomeIndex | None = None
        self._model = ModelRunner(hass, entry, self._tell_listeners)
        self._encoder_task: asyncio.Task[None] | None = None
        self._status = IndexStatus(0, 0, 0, None)
        self._queries = QueryCache()
        self._texts_waiting = asyncio.Event()
        self._listeners: set[CALLBACK_TYPE] = set()
        self._sync = HomeSync(hass, entry.options.get(CONF_SCOPE, SCOPE_EXPOSED), self)

    @property
    def model(self) -> str | None:
        """The id of the model in use; None while names alone answer."""
        return self._model.model_id

    @property
    def status(self) -> IndexStatus:
        """How far the index is."""
        return self._status

    @property
    def degraded(self) -> bool:
        """Whether answers are less than they will be: no model, or vectors still to be made."""
        return not self._model.answers or not self._status.complete

    @callback
    def async_listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call the listener whenever the status has changed or the model failed; call what is returned to end that."""
        self._listeners.add(listener)
        return partial(self._listeners.discard, listener)

    async def async_start(self) -> None:
        """Open the index and answer from it; the model and what has changed follow in the background.

        Raises StoreError when the database cannot be opened.
        """
        self._index = await self._in_thread(HomeIndex.open, database_path(self._hass))
        await self._refresh_status()
        ir.async_delete_issue(self._hass, DOMAIN, ISSUE_MODEL)
        if self._entry.data.get(CONF_MODEL) is None:
            await async_get_store(self._hass).async_keep_only(None)
        else:
            self._encoder_task = self._entry.async_create_background_task(
                self._hass, self._run_encoder(), f"{DOMAIN} encoder"
            )
        self._sync.async_start()

    async def async_stop(self) -> None:
        """Stop everything and leave the database closed. Can be called twice."""
        await self._sync.async_stop()
        if self._encoder_task is not None:
            self._encoder_task.cancel()
            # Loading, when it is cut off, stops the worker that it has begun.
            await asyncio.wait([self._encoder_task])
        await self._model.async_stop()
        if (index := self._index) is not None:
            self._index = None
            await self._in_thread(index.close)
        await self._hass.async_add_executor_job(self._thread.shutdown)

    async def async_match(self, request: MatchRequest, limits: EntityFilter) -> MatchAnswer:
        """Find what a request means. Raises EncoderBusyError when too many ask at once, StoreError."""
        started = time.monotonic()
        vector = await self._query_vector(request.query)
        result = await self._in_thread(self._open_index.match, request, limits, vector)
        return MatchAnswer(
            result=result,
            model=None if vector is None else self.model,
            generation=self._status.generation,
            degraded=vector is None or self.degraded,
            took_ms=(time.monotonic() - started) * 1000,
        )

    async def async_embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts, as passages, to float32 (n, dimension). Raises EncoderError, also when there is no model."""
        if not self._model.ready:
            raise EncoderError("no model")
        # In the bulk lane, which is cut into pieces: a hundred long texts must not hold up a query.
        return (await self._model.async_encode(texts, Role.PASSAGE, Lane.BULK)).dense

    def async_lend_memory(self) -> AbstractAsyncContextManager[None]:
        """Do without the model for a while."""
        return self._model.async_lend_memory()

    async def async_rebuild(self) -> IndexStatus:
        """Read the home again and make all vectors anew; the vectors follow in the background."""
        await self._in_thread(self._open_index.forget_vectors)
        await self._index_changed()
        await self._sync.async_flush(everything=True)
        return self._status

    async def async_reconcile(self, kinds: Iterable[str], documents: list[Document]) -> None:
        """Hold exactly these documents of these kinds."""
        if await self._in_thread(self._open_index.reconcile, set(kinds), documents):
            await self._index_changed()

    async def async_update(self, documents: list[Document], removed_entities: list[str]) -> None:
        """Add or change documents, and remove entities by source id."""
        if await self._in_thread(self._open_index.update, documents, removed_entities):
            await self._index_changed()

    async def _run_encoder(self) -> None:
        """Bring the model up, then embed what has no vector, for as long as the entry is loaded."""
        generation = await self._model.async_run(self._use_model)
        await self._index_changed()
        while True:
            await self._texts_waiting.wait()
            self._texts_waiting.clear()
            try:
                await self._embed_missing(generation)
            except EncoderUnavailableError, EncoderChangedError:
                # Said once already, by whoever asked the model.
                await self._embed_later()
            except Exception:
                _LOGGER.exception("Some of the home could not be embedded; it is tried again in %s s", RETRY_SECONDS)
                await self._embed_later()

    async def _embed_later(self) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        self._texts_waiting.set()

    async def _use_model(self, choice: ModelChoice, model: LoadedModel) -> int:
        """Search with this model's vectors from now on; return the generation they belong to."""
        sentences = await self._hass.async_add_executor_job(Background.sentences)
        background = await model.worker.encode(sentences, Role.QUERY, Lane.BULK)
        stamp = _stamp(choice, model.encoder)
        return (await self._in_thread(self._open_index.use, stamp, background.dense)).id

    async def _embed_missing(self, generation: int) -> None:
        refused: set[str] = set()
        while texts := await self._texts_to_embed(refused):
            if not await self._embed(generation, texts):
                # One bad text must not keep the others from the index.
                refused.update([text for text in texts if not await self._embed(generation, [text])])
            await self._refresh_status()
        if refused:
            _LOGGER.warning("The model refuses %s texts, their letters alone are matched: %s", len(refused), refused)
        await self._in_thread(self._open_index.prune)

    async def _texts_to_embed(self, refused: set[str]) -> list[str]:
        texts = await self._in_thread(self._open_index.missing_texts, _TEXTS_A_ROUND + len(refused))
        return [text for text in texts if text not in refused]

    async def _embed(self, generation: int, texts: list[str]) -> bool:
        """Embed texts and keep their vectors; False when the model refuses one of them."""
        try:
            vectors = await self._model.async_encode(texts, Role.PASSAGE, Lane.BULK)
        except _NO_FAULT_OF_THE_TEXTS:
            raise
        except EncoderError as err:
            _LOGGER.debug("The model refuses one of %s texts", len(texts), exc_info=err)
            return False
        await self._in_thread(self._open_index.add_vectors, generation, texts, vectors.dense)
        return True

    async def _query_vector(self, query: str) -> NDArray[np.float32] | None:
        if not self._model.ready:
            return None
        key = QueryKey(self._status.generation or 0, query)
        encoded = self._queries.get(key)
        if encoded is None:
            try:
                encoded = await self._model.async_encode([query], Role.QUERY, within=_QUERY_SECONDS)
            except EncoderBusyError:
                raise
            except EncoderUnavailableError:
                return None
            except EncoderError as err:
                _LOGGER.warning("The model did not answer, names alone do: %s", err)
                return None
            self._queries.put(key, encoded)
        vector: NDArray[np.float32] = encoded.dense[0]
        return vector

    async def _index_changed(self) -> None:
        await self._refresh_status()
        self._texts_waiting.set()

    async def _refresh_status(self) -> None:
        self._status = await self._in_thread(self._open_index.status)
        self._tell_listeners()

    @callback
    def _tell_listeners(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    @property
    def _open_index(self) -> HomeIndex:
        if self._index is None:
            raise StoreError("The index is closed")
        return self._index

    async def _in_thread[*Arguments, Result](
        self, function: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        return await self._hass.loop.run_in_executor(self._thread, function, *arguments)


def database_path(hass: HomeAssistant) -> Path:
    """Where the index lies: beside the recorder's file, or in the configuration directory when it has none."""
    recorder = hass.data.get(DATA_INSTANCE)
    if recorder is not None and recorder.db_url.startswith(f"{_SQLITE_URL}/"):
        return Path(recorder.db_url.removeprefix(_SQLITE_URL)).with_name(_DATABASE_NAME)
    return Path(hass.config.path(_DATABASE_NAME))


def _stamp(choice: ModelChoice, encoder: Encoder) -> Stamp:
    spec = choice.spec
    return Stamp(
        model_id=spec.id,
        revision=encoder.revision,
        precision=spec.precision,
        pooling=spec.pooling,
        query_prefix=spec.query_prefix,
        passage_prefix=spec.passage_prefix,
        template_version=TEMPLATE_VERSION,
        dimension=encoder.dimension,
    )
