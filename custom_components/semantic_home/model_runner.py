"""The model of a loaded entry: brought up until it runs, asked, let go while nobody asks, reported when it fails."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.requirements import RequirementsNotFound, async_clear_install_history

from .const import CONF_IDLE_MINUTES, CONF_SIGNATURE, DEFAULT_IDLE_MINUTES, DOMAIN
from .engine import (
    Encoded,
    EncoderAuthError,
    EncoderChangedError,
    EncoderError,
    EncoderUnavailableError,
    HttpEncoder,
    Lane,
    ModelFilesError,
    Role,
    RuntimeMissingError,
    load_catalog,
)
from .hub import HubError
from .index import StoreError
from .issues import async_report
from .model_choice import Engine, ModelChoice
from .model_loading import LoadedModel, async_load, compute_options
from .problems import async_problem_text

_LOGGER = logging.getLogger(__name__)

# After a failure that may pass by itself: a folder that is put back, a disk that has room again.
RETRY_SECONDS = 300
_IDLE_CHECK = timedelta(minutes=1)
# So long a query waits for a model that did not answer the last time.
_IMPATIENT_SECONDS = 1.0
# Asked only to see whether there is an answer.
_QUESTION = "?"

ISSUE_MODEL = "model_failed"
ISSUE_ENGINE = "engine_replaced"

# What may go wrong on the way to a model that runs, and is expected to.
_FAILURES = (EncoderError, HubError, RequirementsNotFound, StoreError, OSError)


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model as it is now: who computes (None until it is up), and whether it can be asked, answers, is in memory."""

    id: str | None
    engine: Engine | None
    ready: bool
    answers: bool
    loaded: bool


class ModelRunner:
    """Owns the worker of one config entry, from the first attempt to load it until the entry is unloaded."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        changed: Callable[[], None],
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the entry that says which model, and what to call when the model has come or gone.

        `data`: of a model that the entry had before; what goes wrong with that one is logged, not reported.
        """
        self._hass = hass
        self._entry = entry
        self._data = entry.data if data is None else data
        self._former = data is not None
        self._changed = changed
        self._choice: ModelChoice | None = None
        self._model: LoadedModel | None = None
        self._ready = False
        self._answers = True
        self._reloading = False
        self._reported = ""
        self._fails = False
        self._stopped = False
        # Set, but for as long as somebody else needs the memory.
        self._free = asyncio.Event()
        self._free.set()
        self._end_idle_check: CALLBACK_TYPE | None = None
        self._end_silence: CALLBACK_TYPE | None = None

    @property
    def ready(self) -> bool:
        """Whether the model can be asked; it may have to be loaded again for that."""
        return self._ready

    @property
    def answers(self) -> bool:
        """Whether it answered when it was asked last."""
        return self._ready and self._answers

    @property
    def fails(self) -> bool:
        """Whether the last attempt to bring it up has failed."""
        return self._fails

    @property
    def state(self) -> ModelState:
        """How it is now."""
        model, known = self._model, self._choice.spec.id if self._choice else None
        engine, loaded = (model.engine, model.worker.loaded) if model else (None, False)
        return ModelState(known, engine, self._ready, self.answers, loaded)

    @property
    def model_id(self) -> str | None:
        """The id of the model that can be asked."""
        return self._choice.spec.id if self._choice and self._ready else None

    async def async_run[Result](self, prepare: Callable[[ModelChoice, LoadedModel], Awaitable[Result]]) -> Result:
        """Load the model and prepare what it is needed for, again and again until that works; return the outcome."""
        while (outcome := await self._attempt(prepare)) is None:
            await asyncio.sleep(RETRY_SECONDS)
            # Else Home Assistant would not even try to install again what it failed to install once.
            async_clear_install_history(self._hass)
        self._ready, self._fails = True, False
        if not self._former:
            ir.async_delete_issue(self._hass, DOMAIN, ISSUE_MODEL)
            self._report_engine()
        if self._choice and self._choice.engine is not Engine.SERVER:
            self._end_idle_check = async_track_time_interval(
                self._hass, self._unload_if_idle, _IDLE_CHECK, cancel_on_shutdown=True
            )
        self._changed()
        return outcome[0]

    async def async_stop(self) -> None:
        """Stop the worker. Can be called twice."""
        self._ready, self._stopped = False, True
        self._cancel_asking()
        if self._end_idle_check is not None:
            self._end_idle_check()
            self._end_idle_check = None
        if (model := self._model) is not None:
            self._model = None
            await model.worker.stop()

    async def async_unload(self) -> None:
        """Give the memory back as soon as nothing waits or runs; who asks next waits until it is loaded again."""
        if self._model is not None:
            await self._model.worker.unload()

    @asynccontextmanager
    async def async_lend_memory(self) -> AsyncGenerator[None]:
        """Do without the model for a while: indexing waits, and names answer."""
        self._free.clear()
        try:
            await self.async_unload()
            yield
        finally:
            self._free.set()

    async def async_encode(
        self, texts: Sequence[str], role: Role, lane: Lane = Lane.INTERACTIVE, within: float | None = None
    ) -> Encoded:
        """Encode, as EncoderWorker.encode does. Raises EncoderError, also while there is no model.

        While the model does not answer, a query waits for a moment only.
        """
        if lane is Lane.BULK:
            await self._free.wait()
        elif not self._free.is_set():
            raise EncoderUnavailableError("its memory is needed elsewhere for a moment")
        if self._model is None:
            raise EncoderError("no model")
        if within is not None and not self._answers:
            within = min(within, _IMPATIENT_SECONDS)
        try:
            encoded = await self._model.worker.encode(texts, role, lane, within)
        except EncoderError as err:
            self._note_failure(err)
            raise
        self._note_answer()
        return encoded

    async def _attempt[Result](
        self, prepare: Callable[[ModelChoice, LoadedModel], Awaitable[Result]]
    ) -> tuple[Result] | None:
        """Try once; None, and the failure is reported, when it does not work."""
        try:
            return (await self._bring_up(prepare),)
        except EncoderAuthError as err:
            self._fails = True
            self._entry.async_start_reauth(self._hass)
            self._log_once(str(err))
            self._changed()
        except _FAILURES as err:
            self._fails = True
            self._log_once(str(err))
            await self._report(err)
        except Exception as err:
            self._fails = True
            _LOGGER.exception("The model does not run, names alone answer until it does")
            await self._report(err)
        return None

    def _log_once(self, failure: str) -> None:
        """Say what is wrong when it is another thing than the last time; it may go on for days."""
        level = logging.DEBUG if failure == self._reported else logging.ERROR
        self._reported = failure
        _LOGGER.log(level, "The model does not run, names alone answer until it does: %s", failure)

    async def _bring_up[Result](self, prepare: Callable[[ModelChoice, LoadedModel], Awaitable[Result]]) -> Result:
        catalog = await self._hass.async_add_executor_job(load_catalog)
        self._choice = ModelChoice.from_data(self._data, catalog)
        if self._choice is None:
            raise EncoderError("The entry names no model")
        self._model = await async_load(self._hass, self._choice, compute_options(self._entry.options))
        if not self._former:
            self._learn_signature(self._choice, self._model)
        try:
            return await prepare(self._choice, self._model)
        except BaseException:
            model, self._model = self._model, None
            await model.worker.stop()
            raise

    async def _unload_if_idle(self, _: datetime) -> None:
        minutes = self._entry.options.get(CONF_IDLE_MINUTES, DEFAULT_IDLE_MINUTES)
        if minutes and self._model is not None and await self._model.worker.unload_if_idle(minutes * 60):
            _LOGGER.debug("Nobody has asked for %s minutes, the model's memory was given back", minutes)

    def _learn_signature(self, choice: ModelChoice, model: LoadedModel) -> None:
        """Know the server's model again at the next start, if it is another one now."""
        encoder = model.encoder
        if isinstance(encoder, HttpEncoder) and encoder.signature is not choice.signature:
            learnt = replace(choice, signature=encoder.signature).signature_data
            self._hass.config_entries.async_update_entry(self._entry, data={**self._entry.data, CONF_SIGNATURE: learnt})
            self._data = self._entry.data

    @callback
    def _note_failure(self, err: EncoderError) -> None:
        """Say once that the model is silent, not at every question; ask for a new key, or load what has changed."""
        if isinstance(err, EncoderAuthError):
            self._entry.async_start_reauth(self._hass)
        elif isinstance(err, EncoderChangedError | ModelFilesError | RuntimeMissingError) and not self._reloading:
            # Another model, or none where there was one: from the beginning, download and report included.
            self._reloading = True
            self._hass.config_entries.async_schedule_reload(self._entry.entry_id)
        if not isinstance(err, EncoderUnavailableError) or self._model is None:
            return
        if self._answers:
            self._answers = False
            _LOGGER.warning("The model does not answer, names alone do meanwhile: %s", err)
            self._ask_later()
            self._changed()
        if self._choice and self._choice.engine is Engine.SERVER:
            # Whatever answers next has to show first that it is the same model.
            self._model.worker.renew()

    @callback
    def _note_answer(self) -> None:
        if not self._answers:
            self._answers = True
            self._cancel_asking()
            if not self._former:
                ir.async_delete_issue(self._hass, DOMAIN, ISSUE_MODEL)
            _LOGGER.info("The model answers again")
            self._changed()

    @callback
    def _ask_later(self) -> None:
        job = HassJob(self._ask_again, "semantic_home silent model", cancel_on_shutdown=True)
        self._end_silence = async_call_later(self._hass, RETRY_SECONDS, job)

    async def _ask_again(self, _: datetime) -> None:
        """Ask a model that fell silent, so that nobody has to ask in vain to have it back.

        A server's silence is reported while it lasts: what keeps a model silent here ends by itself, and a refused key
        is asked for.
        """
        self._end_silence = None
        try:
            await self.async_encode([_QUESTION], Role.QUERY)
        except EncoderError as err:
            served = self._choice is not None and self._choice.engine is Engine.SERVER
            if served and self._free.is_set() and not isinstance(err, EncoderAuthError):
                await self._report(err)
            if not (self._stopped or self._answers):
                self._ask_later()

    @callback
    def _cancel_asking(self) -> None:
        if self._end_silence is not None:
            self._end_silence()
            self._end_silence = None

    @callback
    def _report_engine(self) -> None:
        """Tell the user that another engine had to take the place of the chosen one, with a way to try again."""
        if self._choice is None or self._model is None or self._model.engine is self._choice.engine:
            ir.async_delete_issue(self._hass, DOMAIN, ISSUE_ENGINE)
        else:
            async_report(self._hass, self._entry.entry_id, ISSUE_ENGINE)

    async def _report(self, err: Exception) -> None:
        """Tell the user what keeps the model from running, with a way to try again at once."""
        self._changed()
        if self._former:
            return
        detail = await async_problem_text(self._hass, err)
        if self._stopped or self.answers:
            return
        async_report(
            self._hass,
            self._entry.entry_id,
            ISSUE_MODEL,
            text=_issue_text(err),
            severity=ir.IssueSeverity.ERROR,
            placeholders={"detail": detail},
        )
        self._changed()


def _issue_text(err: Exception) -> str:
    if isinstance(err, HubError):
        return "download_failed"
    if isinstance(err, RequirementsNotFound | RuntimeMissingError):
        return "packages_missing"
    return "server_failed" if isinstance(err, EncoderUnavailableError) else "model_failed"
