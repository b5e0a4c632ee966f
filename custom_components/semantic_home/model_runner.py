"""The model of a loaded entry: brought up until it runs, asked, let go while nobody asks, reported when it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.requirements import RequirementsNotFound, async_clear_install_history

from .const import CONF_IDLE_MINUTES, DEFAULT_IDLE_MINUTES, DOMAIN
from .engine import (
    Encoded,
    EncoderAuthError,
    EncoderChangedError,
    EncoderError,
    EncoderUnavailableError,
    Lane,
    Role,
    load_catalog,
)
from .hub import HubError
from .index import StoreError
from .model_choice import Engine, ModelChoice
from .model_loading import LoadedModel, async_load, compute_options

_LOGGER = logging.getLogger(__name__)

# After a failure that may pass by itself: a folder that is put back, a disk that has room again.
RETRY_SECONDS = 300
_IDLE_CHECK = timedelta(minutes=1)
ISSUE_MODEL = "model_failed"

# What may go wrong on the way to a model that runs, and is expected to.
_FAILURES = (EncoderError, HubError, RequirementsNotFound, StoreError, OSError)


class ModelRunner:
    """Owns the worker of one config entry, from the first attempt to load it until the entry is unloaded."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, changed: Callable[[], None]) -> None:
        """Take the entry that says which model, and what to call when the model has come or gone."""
        self._hass = hass
        self._entry = entry
        self._changed = changed
        self._choice: ModelChoice | None = None
        self._model: LoadedModel | None = None
        self._ready = False
        self._answers = True
        self._end_idle_check: CALLBACK_TYPE | None = None

    @property
    def ready(self) -> bool:
        """Whether the model can be asked; it may have to be loaded again for that."""
        return self._ready

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
        ir.async_delete_issue(self._hass, DOMAIN, ISSUE_MODEL)
        self._ready = True
        if self._choice and self._choice.engine is not Engine.SERVER:
            self._end_idle_check = async_track_time_interval(
                self._hass, self._unload_if_idle, _IDLE_CHECK, cancel_on_shutdown=True
            )
        self._changed()
        return outcome[0]

    async def async_stop(self) -> None:
        """Stop the worker. Can be called twice."""
        self._ready = False
        if self._end_idle_check is not None:
            self._end_idle_check()
            self._end_idle_check = None
        if (model := self._model) is not None:
            self._model = None
            await model.worker.stop()

    async def async_unload(self) -> None:
        """Let go of the model's memory; the next question loads it again."""
        if self._model is not None:
            await self._model.worker.unload()

    async def async_encode(
        self, texts: Sequence[str], role: Role, lane: Lane = Lane.INTERACTIVE, within: float | None = None
    ) -> Encoded:
        """Encode, as EncoderWorker.encode does. Raises EncoderError, also while there is no model."""
        if self._model is None:
            raise EncoderError("no model")
        try:
            encoded = await self._model.worker.encode(texts, role, lane, within)
        except EncoderError as err:
            await self._note_failure(err)
            raise
        self._note_answer()
        return encoded

    async def _attempt[Result](
        self, prepare: Callable[[ModelChoice, LoadedModel], Awaitable[Result]]
    ) -> tuple[Result] | None:
        """Try once; None, and the failure is reported, when it does not work."""
        try:
            return (await self._bring_up(prepare),)
        except _FAILURES as err:
            _LOGGER.error("The model does not run, names alone answer until it does: %s", err)
            self._report(err, str(err))
        except Exception as err:
            _LOGGER.exception("The model does not run, names alone answer until it does")
            self._report(err, f"{type(err).__name__}: {err}")
        return None

    async def _bring_up[Result](self, prepare: Callable[[ModelChoice, LoadedModel], Awaitable[Result]]) -> Result:
        catalog = await self._hass.async_add_executor_job(load_catalog)
        self._choice = ModelChoice.from_data(self._entry.data, catalog)
        if self._choice is None:
            raise EncoderError("The entry names no model")
        self._model = await async_load(self._hass, self._choice, compute_options(self._entry.options))
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

    async def _note_failure(self, err: EncoderError) -> None:
        """Say once that the model is silent, not at every question; ask for a new key, or load what has changed."""
        if isinstance(err, EncoderAuthError):
            self._entry.async_start_reauth(self._hass)
        elif isinstance(err, EncoderChangedError):
            self._hass.config_entries.async_schedule_reload(self._entry.entry_id)
        if not isinstance(err, EncoderUnavailableError):
            return
        if self._answers:
            self._answers = False
            _LOGGER.warning("The model cannot be reached, names alone answer meanwhile: %s", err)
        # Whatever answers next has to show first that it is the same model.
        await self.async_unload()

    @callback
    def _note_answer(self) -> None:
        if not self._answers:
            self._answers = True
            _LOGGER.info("The model answers again")

    def _report(self, err: Exception, detail: str) -> None:
        """Tell the user what keeps the model from running, with a way to try again at once."""
        if isinstance(err, EncoderAuthError):
            self._entry.async_start_reauth(self._hass)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            ISSUE_MODEL,
            is_fixable=True,
            severity=ir.IssueSeverity.ERROR,
            translation_key=_issue_text(err),
            translation_placeholders={"detail": detail},
            data={"entry_id": self._entry.entry_id},
        )
        self._changed()


def _issue_text(err: Exception) -> str:
    if isinstance(err, HubError):
        return "download_failed"
    return "server_failed" if isinstance(err, EncoderUnavailableError) else "model_failed"
