"""The dialogs: who runs which model; fetched by the integration, and tried before the entry exists."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    ConfigEntry,
    ConfigFlowResult,
    OptionsFlow,
    OptionsFlowWithReload,
)
from homeassistant.core import HomeAssistant, callback

from .const import CONF_ACTIVE, CONF_CONFIRMED, CONF_ENGINE, CONF_MODEL, CONF_PREVIOUS, DOMAIN
from .engine import RuntimeMissingError, available_devices, load_catalog
from .flow_files import ModelFilesFlow
from .flow_forms import engine_form, options_form
from .flow_server import ServerFlow
from .local_engine import openvino_obstacle
from .model_choice import Engine
from .model_store import async_get_store

_TITLE = "Semantic Home"
# Of the choices in the first form; an entry without a model has None.
_NAMES_ONLY = "names_only"


class SemanticHomeConfigFlow(ModelFilesFlow, ServerFlow, domain=DOMAIN):
    """Sets up the one home there is, and lets its model be changed."""

    VERSION = 1
    MINOR_VERSION = 2

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        return SemanticHomeOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask who is to run a model, if anybody is; or offer to go on with what is being prepared."""
        self._catalog = await self.hass.async_add_executor_job(load_catalog)
        if user_input is None:
            return await self.async_step_resume() if async_get_store(self.hass).draft else await self._ask_engine()
        if user_input[CONF_ENGINE] == _NAMES_ONLY:
            return await self.async_step_names_only()
        self._engine = Engine(user_input[CONF_ENGINE])
        return await (self.async_step_server() if self._engine is Engine.SERVER else self.async_step_model())

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask the same again for the entry that exists."""
        return await self.async_step_user(user_input)

    async def async_step_resume(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer to go on with what an earlier dialog began."""
        draft = async_get_store(self.hass).draft
        return self.async_show_menu(
            step_id="resume",
            menu_options=["continue_setup", "start_over"],
            description_placeholders={"model": draft.spec.title if draft else ""},
        )

    async def async_step_continue_setup(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on with what an earlier dialog began."""
        draft = async_get_store(self.hass).draft
        if draft is None:
            return await self._ask_engine()
        self._choice, self._engine = draft, draft.engine
        return await self.async_step_install()

    async def async_step_start_over(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Give up what an earlier dialog began."""
        store = async_get_store(self.hass)
        if (draft := store.draft) is not None:
            store.draft = None
            if draft.folder is None:
                await store.async_stop_download(draft)
        return await self._ask_engine()

    async def async_step_load_failed(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say why a downloaded model does not run."""
        return await self._show_failure("load_failed", ["load", "source", "names_only"])

    async def async_step_tried(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what the trial found, and keep the model when that is what the user wants."""
        if self._trial is None:
            raise RuntimeError("The step that tries the model comes first")
        if user_input is not None:
            return await self._finish(self._trial.choice.to_data(self._catalog))
        # What is tried is not prepared any more; closed now, the dialog begins anew.
        async_get_store(self.hass).draft = None
        found, texts = self._trial.examination, await self._common()
        understood = ", ".join(texts[f"language_{language}"] for language in found.languages)
        notes = [texts["numpy_instead"]] if self._trial.engine is not self._engine else []
        if not found.languages:
            notes.append(texts["understands_nothing"])
        return self._form(
            "tried",
            None,
            {
                "model": self._trial.choice.spec.title,
                "dimension": str(found.dimension),
                "milliseconds": f"{found.query_ms:.0f}",
                "languages": understood or "-",
                "note": " ".join(notes),
            },
        )

    async def async_step_names_only(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Do without a model: names and spelling alone are matched."""
        return await self._finish({CONF_MODEL: None})

    async def _finish(self, chosen: Mapping[str, Any]) -> ConfigFlowResult:
        # What the entry knows of the models that its vectors are of is not the dialog's.
        known = {} if self._entry is None else self._entry.data
        records = [CONF_ACTIVE, CONF_PREVIOUS]
        if self.source == SOURCE_REAUTH:
            # A new key is no new choice, and needs no second consent.
            records.append(CONF_CONFIRMED)
        data = {**chosen, **{key: known[key] for key in records if key in known}}
        if self._entry is None:
            return self.async_create_entry(title=_TITLE, data=data)
        return self.async_update_reload_and_abort(self._entry, data=data)

    async def _ask_engine(self) -> ConfigFlowResult:
        obstacle = openvino_obstacle()
        engines = [engine for engine in Engine if engine is not Engine.OPENVINO or obstacle is None]
        note = (await self._common())[obstacle] if obstacle else ""
        return self.async_show_form(
            step_id="user",
            data_schema=engine_form([*engines, _NAMES_ONLY], self._default_engine(engines)),
            description_placeholders={"note": note},
        )

    def _default_engine(self, engines: list[Engine]) -> str:
        if self._entry is not None and self._entry.data[CONF_MODEL] is None:
            return _NAMES_ONLY
        known = self._of_entry()
        return str(known.engine if known and known.engine in engines else engines[0])


class SemanticHomeOptionsFlow(OptionsFlowWithReload):
    """Preferences that leave the model as it is."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what the index holds, and how much of the machine the model may take."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        data = self.config_entry.data
        engine = Engine(data.get(CONF_ENGINE, Engine.OPENVINO)) if data[CONF_MODEL] else None
        devices = await _devices(self.hass) if engine is Engine.OPENVINO else []
        return self.async_show_form(
            step_id="init", data_schema=options_form(engine, devices, self.config_entry.options)
        )


async def _devices(hass: HomeAssistant) -> list[str]:
    try:
        return list(await hass.async_add_executor_job(available_devices))
    except RuntimeMissingError:
        return ["CPU"]
