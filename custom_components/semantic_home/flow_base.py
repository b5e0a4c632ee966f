"""What all dialogs about a model share: the choice so far, work that is watched, and errors on their way to a form."""

import asyncio
from collections.abc import Callable, Mapping
import logging
from typing import Any

import voluptuous as vol

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
)

from .const import CONF_FOLDER
from .engine import Catalog, EncoderError, RuntimeMissingError
from .flow_forms import FIELD_DIMENSION
from .hub import HubError
from .model_choice import Engine, ModelChoice
from .model_loading import compute_options
from .model_store import Work
from .model_trial import Trial, async_try
from .problems import async_texts, problem_of

_LOGGER = logging.getLogger(__name__)

# The problems of a server that another address or key may solve; the others are of the model on it.
_ADDRESS_PROBLEMS = frozenset({"server_unreachable", "server_refused", "server_not_found", "server_not_embeddings"})


class ModelFlow(ConfigFlow):
    """Keeps what was chosen, and knows which step shows what went wrong."""

    def __init__(self) -> None:
        """Start with nothing chosen."""
        self._catalog: Catalog = {}
        self._engine = Engine.OPENVINO
        self._choice: ModelChoice | None = None
        self._trial: Trial | None = None
        self._watched: asyncio.Task[Any] | None = None
        # What was typed, by step: a form that comes back shows it again.
        self._asked: dict[str, dict[str, Any]] = {}
        self._failure = ""
        self._server_models: list[str] = []
        self._errors: dict[str, str] = {}
        self._detail = ""

    async def async_step_load(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Load the model, or reach the server, and ask it known questions."""
        if self._watched is None:
            self._watched = self.hass.async_create_task(self._try(), eager_start=False)
        if not self._watched.done():
            return self._progress("load")
        error = self._take_error()
        return self.async_show_progress_done(next_step_id=self._step_after(error) if error else "tried")

    @property
    def _chosen(self) -> ModelChoice:
        if self._choice is None:
            raise RuntimeError("The step that chooses the model comes first")
        return self._choice

    @property
    def _entry(self) -> ConfigEntry | None:
        if self.source == SOURCE_RECONFIGURE:
            return self._get_reconfigure_entry()
        return self._get_reauth_entry() if self.source == SOURCE_REAUTH else None

    def _of_entry(self) -> ModelChoice | None:
        try:
            return ModelChoice.from_data(self._entry.data, self._catalog) if self._entry else None
        except EncoderError:
            # What this version does not know is what the user has come to change.
            return None

    def _form(
        self, step: str, schema: vol.Schema | None, placeholders: Mapping[str, str] | None = None
    ) -> ConfigFlowResult:
        errors, self._errors = self._errors, {}
        return self.async_show_form(
            step_id=step,
            data_schema=schema,
            errors=errors,
            description_placeholders={"detail": self._detail, **(placeholders or {})},
        )

    def _progress(self, action: str) -> ConfigFlowResult:
        if self._watched is None:
            raise RuntimeError("There is nothing to watch")
        return self.async_show_progress(step_id=action, progress_action=action, progress_task=self._watched)

    def _goes_on(self, begin: Callable[[], Work[Any]]) -> bool:
        """Watch work, which is begun at the first call, and tell whether it still goes on."""
        if self._watched is None:
            work = begin()
            self._watched = self.hass.async_create_task(work.result(self.async_update_progress), eager_start=False)
        return not self._watched.done()

    def _take_error(self) -> BaseException | None:
        """Return what the watched task ended with, and be ready to watch the next."""
        task, self._watched = self._watched, None
        if task is None:
            return None
        # Another dialog may have stopped the work that this one watches.
        return HubError("download_stopped", "") if task.cancelled() else task.exception()

    async def _try(self) -> None:
        options = {} if self._entry is None else self._entry.options
        self._trial = await async_try(self.hass, self._chosen, compute_options(options))

    def _step_after(self, error: BaseException) -> str:
        """Keep what is to be said of the error, and name the step that says it."""
        if isinstance(error, RuntimeMissingError):
            _LOGGER.error("What runs a model was installed, but cannot be imported: %s", error)
            return "runtime_unavailable"
        problem, self._detail = problem_of(error)
        if problem == "unknown":
            _LOGGER.error("Trying the model failed in an unexpected way", exc_info=error)
        self._failure = problem
        return "fetch_failed" if isinstance(error, HubError) else self._step_that_shows(problem)

    def _step_that_shows(self, problem: str) -> str:
        self._errors = {"base": problem}
        if self.source == SOURCE_REAUTH:
            return "reauth_confirm"
        if self._engine is Engine.SERVER:
            return "server" if problem in _ADDRESS_PROBLEMS else "server_model"
        if problem == "wrong_dimension" and self._chosen.is_own(self._catalog):
            self._errors = {FIELD_DIMENSION: problem}
            return "own"
        if self._chosen.folder is not None:
            self._errors = {"base" if problem == "unknown" else CONF_FOLDER: problem}
            return "folder"
        self._errors = {}
        return "load_failed"

    async def _show_failure(self, step: str, options: list[str]) -> ConfigFlowResult:
        said = (await self._texts("config"))[f"error.{self._failure}"].format(detail=self._detail)
        return self.async_show_menu(step_id=step, menu_options=options, description_placeholders={"problem": said})

    async def _common(self) -> dict[str, str]:
        return await self._texts("common")

    async def _texts(self, category: str) -> dict[str, str]:
        return await async_texts(self.hass, category)
