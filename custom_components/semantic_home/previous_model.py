"""The model before the one that answers, brought back for as long as somebody asks it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.requirements import RequirementsNotFound

from .asked_generation import (
    QUERY_SECONDS,
    AskedGeneration,
    GenerationChoice,
    GenerationSilentError,
    NoSuchGenerationError,
)
from .const import DOMAIN
from .embedding import AskIndex, async_background
from .engine import (
    Encoded,
    Encoder,
    EncoderChangedError,
    EncoderClosedError,
    EncoderError,
    EncoderUnavailableError,
    Role,
)
from .home_index import HomeIndex
from .hub import HubError
from .index import Generation
from .model_choice import ModelChoice
from .model_history import ModelHistory
from .model_loading import LoadedModel, async_load, compute_options

# Long enough to ask it again, short enough not to miss the memory of two models.
_IDLE_SECONDS = 60.0
_FAILURES = (EncoderError, HubError, RequirementsNotFound, OSError)


class PreviousModel:
    """Loads the model of the retired generation, and that generation's vectors, when they are asked.

    It never takes the place of the one that answers, and what goes wrong with it is its caller's to report.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, history: ModelHistory, ask: AskIndex) -> None:
        """Take what knows the former model, and the way to the index."""
        self._hass = hass
        self._entry = entry
        self._history = history
        self._ask = ask
        self._generation: Generation | None = None
        self._loading: asyncio.Task[LoadedModel] | None = None
        # Held while it is decided what is loaded: two who ask at once must not load it twice.
        self._deciding = asyncio.Lock()
        self._users = 0
        self._free = True
        self._end_idle: CALLBACK_TYPE | None = None

    @asynccontextmanager
    async def async_use(self) -> AsyncGenerator[AskedGeneration]:
        """Have it ready until the end of the block, and for a moment after it.

        Raises NoSuchGenerationError, GenerationSilentError when the model cannot be loaded, StoreError.
        """
        self._users += 1
        self._cancel_idle()
        try:
            yield await self._ready()
        finally:
            self._users -= 1
            self.async_release_later()

    @callback
    def async_release_later(self) -> None:
        """Give back what the retired generation occupies when nobody has asked it for a while."""
        self._cancel_idle()
        if self._free and not self._users:
            self._end_idle = async_call_later(self._hass, _IDLE_SECONDS, self._idle_ended)

    @asynccontextmanager
    async def async_lend_memory(self) -> AsyncGenerator[None]:
        """Do without it for a while; who asks it meanwhile is refused."""
        self._free = False
        self._cancel_idle()
        try:
            async with self._deciding:
                await self._stop_model()
                await self._ask(HomeIndex.forget_retired)
            yield
        finally:
            self._free = True

    async def async_stop(self) -> None:
        """Give everything back for good. Can be called twice."""
        self._free = False
        self._cancel_idle()
        async with self._deciding:
            await self._stop_model()

    async def _ready(self) -> AskedGeneration:
        choice = GenerationChoice.PREVIOUS
        async with self._deciding:
            generation, loading = await self._begin_loading()
        try:
            model = await asyncio.shield(loading)
        except asyncio.CancelledError:
            if not loading.cancelled():
                raise
            raise GenerationSilentError(choice, _needed_elsewhere()) from None
        except _FAILURES as err:
            raise GenerationSilentError(choice, err) from err

        async def encode(texts: Sequence[str]) -> Encoded:
            try:
                return await model.worker.encode(texts, Role.QUERY, within=QUERY_SECONDS)
            except EncoderClosedError as err:
                raise _needed_elsewhere() from err
            except EncoderUnavailableError:
                # Whatever answers next has to show first that it is the same model.
                model.worker.renew()
                raise

        complete = not await self._ask(HomeIndex.missing_texts, generation.id, 1)
        return AskedGeneration(choice, generation.id, generation.stamp.model_id, complete, encode)

    async def _begin_loading(self) -> tuple[Generation, asyncio.Task[LoadedModel]]:
        """Return what loads the model, or has loaded it, unless that has failed."""
        generation = await self._ask(HomeIndex.retired)
        if generation is None:
            raise NoSuchGenerationError(GenerationChoice.PREVIOUS)
        if not self._free:
            raise GenerationSilentError(GenerationChoice.PREVIOUS, _needed_elsewhere())
        if self._loading is None or _has_failed(self._loading) or self._generation != generation:
            await self._stop_model()
            choice = await self._history.async_model_before(generation)
            if choice is None:
                raise NoSuchGenerationError(GenerationChoice.PREVIOUS)
            self._generation = generation
            self._loading = self._entry.async_create_background_task(
                self._hass, self._load(generation, choice), f"{DOMAIN} previous model"
            )
        return generation, self._loading

    async def _load(self, generation: Generation, choice: ModelChoice) -> LoadedModel:
        model = await async_load(self._hass, choice, compute_options(self._entry.options))
        try:
            _check_same(model.encoder, generation)
            sentences, background = await async_background(self._ask, generation, model)
            await self._ask(HomeIndex.use, generation, sentences, background)
        except BaseException:
            await model.worker.stop()
            raise
        return model

    async def async_release(self) -> None:
        """Give it back now, unless somebody is asking it."""
        self._cancel_idle()
        async with self._deciding:
            if not self._users:
                await self._stop_model()
                await self._ask(HomeIndex.forget_retired)

    async def _idle_ended(self, _: datetime) -> None:
        self._end_idle = None
        await self.async_release()

    async def _stop_model(self) -> None:
        loading, self._loading = self._loading, None
        if loading is None:
            return
        if not loading.done():
            # Cut off, it stops the worker that it has begun.
            loading.cancel()
            await asyncio.wait([loading])
        if not _has_failed(loading):
            await loading.result().worker.stop()

    @callback
    def _cancel_idle(self) -> None:
        if self._end_idle is not None:
            self._end_idle()
            self._end_idle = None


def _check_same(encoder: Encoder, generation: Generation) -> None:
    """Raise EncoderChangedError for files, or a server's model, that are not those which made the vectors.

    The rest of the stamp is what the model was chosen with.
    """
    stamp = generation.stamp
    if (encoder.revision, encoder.dimension) != (stamp.revision, stamp.dimension):
        raise EncoderChangedError("it is not the one any more that made the vectors")


def _has_failed(loading: asyncio.Task[LoadedModel]) -> bool:
    return loading.done() and (loading.cancelled() or loading.exception() is not None)


def _needed_elsewhere() -> EncoderUnavailableError:
    return EncoderUnavailableError("its memory is needed elsewhere")
