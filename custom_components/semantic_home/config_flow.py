"""The dialogs: which model, from where; installed and tried before the entry exists."""

import asyncio
from collections.abc import Mapping, Sequence
import logging
from pathlib import Path
from typing import Any, override

import voluptuous as vol

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlow,
    OptionsFlowWithReload,
)
from homeassistant.core import callback
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.helpers.translation import async_get_translations
from homeassistant.requirements import async_clear_install_history

from .const import (
    CONF_ENGINE,
    CONF_FOLDER,
    CONF_MODEL,
    CONF_SCOPE,
    DEFAULT_MODELS_FOLDER,
    DOMAIN,
    SCOPE_ALL,
    SCOPE_EXPOSED,
)
from .engine import Catalog, EncoderError, ModelFilesError, ModelSpec, Role, RuntimeMissingError, load_catalog
from .local_engine import REQUIREMENTS, Engine, async_install, open_encoder, openvino_has_packages

_LOGGER = logging.getLogger(__name__)

_TITLE = "Semantic Home"
# Of the choices in the first form; an entry without a model has None.
_NAMES_ONLY = "names_only"


class SemanticHomeConfigFlow(ConfigFlow, domain=DOMAIN):
    """Sets up the one home there is, and lets its model be changed."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        """Start with nothing chosen."""
        self._spec: ModelSpec | None = None
        self._engine = Engine.OPENVINO
        # What can run here, which may be another one.
        self._installed = Engine.OPENVINO
        self._folder = ""
        self._install: asyncio.Task[Engine] | None = None
        self._trial: asyncio.Task[None] | None = None
        self._errors: dict[str, str] = {}
        self._detail = ""

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        return SemanticHomeOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what a model is to run with, if any is."""
        if user_input is not None:
            if user_input[CONF_ENGINE] == _NAMES_ONLY:
                return await self.async_step_names_only()
            self._engine = Engine(user_input[CONF_ENGINE])
            return await self.async_step_model()
        engines = list(Engine) if openvino_has_packages() else [Engine.NUMPY]
        selector = SelectSelector(
            SelectSelectorConfig(
                options=[*engines, _NAMES_ONLY], mode=SelectSelectorMode.LIST, translation_key=CONF_ENGINE
            )
        )
        note = "" if Engine.OPENVINO in engines else await self._common("openvino_has_no_packages")
        return self.async_show_form(
            step_id="user",
            data_schema=vol.Schema({vol.Required(CONF_ENGINE, default=self._default_engine(engines)): selector}),
            description_placeholders={"note": note},
        )

    async def async_step_model(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which model."""
        catalog = await self.hass.async_add_executor_job(load_catalog)
        if user_input is not None:
            self._spec = catalog[user_input[CONF_MODEL]]
            self._folder = self._default_folder(self._spec)
            return await self.async_step_install()
        model = vol.Required(CONF_MODEL, default=self._default_model(catalog))
        return self.async_show_form(step_id="model", data_schema=vol.Schema({model: await self._models(catalog)}))

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask the same again for the entry that exists."""
        return await self.async_step_user(user_input)

    async def async_step_install(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Install what runs a model here: first of all, because where that fails no model need be looked for."""
        if self._install is None:
            async_clear_install_history(self.hass)
            self._install = self.hass.async_create_task(async_install(self.hass, self._engine), eager_start=False)
        if not self._install.done():
            return self.async_show_progress(step_id="install", progress_action="install", progress_task=self._install)
        task, self._install = self._install, None
        if (error := task.exception()) is None:
            self._installed = task.result()
            return self.async_show_progress_done(next_step_id="folder")
        _LOGGER.error("What runs a model could not be installed: %s", error)
        return self.async_show_progress_done(next_step_id="runtime_unavailable")

    async def async_step_runtime_unavailable(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say that no model can run in this installation, and offer what can be done about it."""
        return self.async_show_menu(
            step_id="runtime_unavailable",
            menu_options=["install", "names_only"],
            description_placeholders={"requirements": ", ".join(REQUIREMENTS[Engine.NUMPY])},
        )

    async def async_step_folder(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the model's files are."""
        if user_input is not None:
            self._folder = user_input[CONF_FOLDER].strip()
            self._errors = {}
            if await self.hass.async_add_executor_job(self._inside_config):
                return await self.async_step_load()
            self._errors = {CONF_FOLDER: "folder_outside"}
        note = "" if self._installed is self._engine else await self._common("numpy_instead")
        return self.async_show_form(
            step_id="folder",
            data_schema=vol.Schema({vol.Required(CONF_FOLDER, default=self._folder): TextSelector()}),
            errors=self._errors,
            description_placeholders={
                "model": self._chosen.title,
                "config": self.hass.config.config_dir,
                "detail": self._detail,
                "note": note,
            },
        )

    async def async_step_load(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Load the model and try it."""
        if self._trial is None:
            folder = Path(self.hass.config.path(self._folder))
            self._trial = self.hass.async_create_task(self._try_model(folder))
        if not self._trial.done():
            return self.async_show_progress(step_id="load", progress_action="load", progress_task=self._trial)
        error, self._trial = self._trial.exception(), None
        return self.async_show_progress_done(next_step_id=self._step_after(error) if error else "finish")

    async def async_step_folder_failed(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the folder again, saying what was wrong with it."""
        return await self.async_step_folder()

    async def async_step_names_only(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Do without a model: names and spelling alone are matched."""
        return self._finish({CONF_MODEL: None})

    async def async_step_finish(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Keep the model that was tried."""
        return self._finish({CONF_ENGINE: self._engine, CONF_MODEL: self._chosen.id, CONF_FOLDER: self._folder})

    @property
    def _chosen(self) -> ModelSpec:
        if self._spec is None:
            raise RuntimeError("The step that chooses the model comes first")
        return self._spec

    def _finish(self, data: Mapping[str, Any]) -> ConfigFlowResult:
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_reload_and_abort(self._get_reconfigure_entry(), data=data)
        return self.async_create_entry(title=_TITLE, data=data)

    def _default_engine(self, engines: Sequence[Engine]) -> str:
        if self.source == SOURCE_RECONFIGURE:
            data = self._get_reconfigure_entry().data
            if data[CONF_MODEL] is None:
                return _NAMES_ONLY
            if (engine := data.get(CONF_ENGINE)) in engines:
                return str(engine)
        return engines[0]

    def _default_model(self, catalog: Catalog) -> str:
        if self.source == SOURCE_RECONFIGURE and (model := self._get_reconfigure_entry().data[CONF_MODEL]) in catalog:
            return str(model)
        return next(spec.id for spec in catalog.values() if spec.recommended)

    def _default_folder(self, spec: ModelSpec) -> str:
        if self.source == SOURCE_RECONFIGURE:
            data = self._get_reconfigure_entry().data
            if data[CONF_MODEL] == spec.id:
                return str(data[CONF_FOLDER])
        return f"{DEFAULT_MODELS_FOLDER}/{spec.id}"

    async def _models(self, catalog: Catalog) -> SelectSelector:
        options = [
            SelectOptionDict(value=spec.id, label=_label(spec, self._engine, await self._common(_label_key(spec))))
            for spec in catalog.values()
        ]
        return SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST))

    async def _common(self, key: str) -> str:
        texts = await async_get_translations(self.hass, self.hass.config.language, "common", {DOMAIN})
        return texts[f"component.{DOMAIN}.common.{key}"]

    def _inside_config(self) -> bool:
        """Tell whether the folder, links followed, lies below the configuration directory. Blocking."""
        config = Path(self.hass.config.config_dir).resolve()
        try:
            return (config / self._folder).resolve().is_relative_to(config)
        except ValueError:  # a NUL character
            return False

    async def _try_model(self, folder: Path) -> None:
        await self.hass.async_add_executor_job(_try_encoder, self._installed, folder, self._chosen)

    def _step_after(self, error: BaseException) -> str:
        """Keep what the form is to say of the error, and name the step that shows it."""
        if isinstance(error, RuntimeMissingError):
            _LOGGER.error("What runs a model was installed, but cannot be imported: %s", error)
            return "runtime_unavailable"
        if isinstance(error, ModelFilesError):
            self._errors, self._detail = {CONF_FOLDER: error.problem}, error.detail
        elif isinstance(error, EncoderError):
            self._errors, self._detail = {CONF_FOLDER: "model_fails"}, str(error)
        else:
            _LOGGER.error("Trying the model failed in an unexpected way", exc_info=error)
            self._errors, self._detail = {"base": "unknown"}, str(error)
        return "folder_failed"


class SemanticHomeOptionsFlow(OptionsFlowWithReload):
    """Preferences that do not touch the model."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which entities the index holds."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        scope = SelectSelector(SelectSelectorConfig(options=[SCOPE_EXPOSED, SCOPE_ALL], translation_key=CONF_SCOPE))
        current = self.config_entry.options.get(CONF_SCOPE, SCOPE_EXPOSED)
        return self.async_show_form(
            step_id="init", data_schema=vol.Schema({vol.Required(CONF_SCOPE, default=current): scope})
        )


def _try_encoder(engine: Engine, folder: Path, spec: ModelSpec) -> None:
    """Load the model and answer one query with it. Blocking; raises EncoderError."""
    encoder = open_encoder(engine, folder, spec)
    try:
        encoder.encode(["turn off the lamp next to the couch"], Role.QUERY)
    finally:
        encoder.close()


def _label_key(spec: ModelSpec) -> str:
    kind = "multilingual" if spec.languages > 1 else "english"
    return f"model_{kind}_recommended" if spec.recommended else f"model_{kind}"


def _label(spec: ModelSpec, engine: Engine, text: str) -> str:
    return text.format(
        title=spec.title,
        dimension=spec.dimension,
        disk=spec.disk_mb,
        memory=spec.portable_memory_mb if engine is Engine.NUMPY else spec.memory_mb,
        languages=spec.languages,
    )
