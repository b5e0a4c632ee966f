"""The dialogs about a model's files: which model, from where, installed and downloaded by the integration."""

from dataclasses import replace
import logging
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.requirements import async_clear_install_history

from .const import CONF_FOLDER, CONF_MODEL, DEFAULT_MODELS_FOLDER
from .engine import Catalog
from .flow_base import ModelFlow
from .flow_forms import (
    FIELD_ENDPOINT,
    FIELD_REPOSITORY,
    FIELD_REVISION,
    OWN_MODEL,
    folder_form,
    hub_form,
    model_form,
    own_form,
)
from .hub import DEFAULT_ENDPOINT, HubError, list_model
from .local_engine import REQUIREMENTS
from .model_choice import Engine, ModelChoice, own_settings, own_spec
from .model_store import Work, async_get_store

_LOGGER = logging.getLogger(__name__)


class ModelFilesFlow(ModelFlow):
    """Steps from the choice of a model that runs on this machine to its files."""

    async def async_step_model(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which model."""
        if user_input is None:
            form = model_form(self._catalog, self._engine, await self._common(), self._default_model())
            return self.async_show_form(step_id="model", data_schema=form)
        if user_input[CONF_MODEL] == OWN_MODEL:
            return await self.async_step_own()
        self._choice = ModelChoice(self._engine, self._catalog[user_input[CONF_MODEL]])
        return await self.async_step_source()

    async def async_step_own(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what has to be known of a model that is not in the catalog."""
        if user_input is None:
            return self._form("own", own_form(self._asked.get("own") or self._default_own()))
        self._asked["own"] = user_input
        # It gets its name with its place.
        self._choice = ModelChoice(self._engine, own_spec(OWN_MODEL, **user_input))
        return await self.async_step_source()

    async def async_step_source(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer where the model's files can come from."""
        spec = self._chosen.spec
        return self.async_show_menu(
            step_id="source",
            menu_options=["hub", "folder"] if self._chosen.is_own(self._catalog) else ["download", "folder", "hub"],
            description_placeholders={"model": spec.title, "size": str(spec.disk_mb)},
        )

    async def async_step_download(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Fetch the files that the catalog names."""
        self._choice = ModelChoice(self._engine, self._catalog[self._chosen.spec.id], endpoint=DEFAULT_ENDPOINT)
        return await self.async_step_install()

    async def async_step_folder(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the model's files are."""
        if user_input is not None:
            folder = user_input[CONF_FOLDER].strip()
            self._asked["folder"] = {CONF_FOLDER: folder}
            if await self.hass.async_add_executor_job(_inside, self.hass.config.config_dir, folder):
                self._choice = replace(self._named(Path(self.hass.config.path(folder)).name), folder=folder)
                return await self.async_step_install()
            self._errors = {CONF_FOLDER: "folder_outside"}
        return self._form(
            "folder",
            folder_form(self._asked.get("folder", {}).get(CONF_FOLDER) or self._default_folder()),
            {"model": self._chosen.spec.title, "config": self.hass.config.config_dir},
        )

    async def async_step_hub(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a repository, and hold fast what it has now: later downloads are of exactly these files."""
        if user_input is not None:
            self._asked["hub"] = asked = {name: value.strip() for name, value in user_input.items()}
            try:
                self._choice = await self._find_on_hub(**asked)
            except HubError as err:
                self._errors, self._detail = {"base": err.problem}, err.detail
            else:
                return await self.async_step_install()
        return self._form("hub", hub_form(self._asked.get("hub") or self._default_hub()))

    # Fetch: work that belongs to the integration, and is only watched from here.

    async def async_step_install(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Install what runs a model here: first of all, because where that fails nothing need be downloaded."""
        store = async_get_store(self.hass)

        def begin() -> Work[Engine]:
            store.draft = self._chosen
            async_clear_install_history(self.hass)
            return store.async_install(self._engine)

        if self._goes_on(begin):
            return self._progress("install")
        if (error := self._take_error()) is not None:
            _LOGGER.error("What runs a model could not be installed: %s", error)
            return self.async_show_progress_done(next_step_id="runtime_unavailable")
        return self.async_show_progress_done(next_step_id="load" if self._chosen.folder is not None else "fetch")

    async def async_step_runtime_unavailable(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say that no model can run in this installation, and offer what can be done about it."""
        return self.async_show_menu(
            step_id="runtime_unavailable",
            menu_options=["install", "server", "names_only"],
            description_placeholders={"requirements": ", ".join(REQUIREMENTS[Engine.NUMPY])},
        )

    async def async_step_fetch(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Download the model, or watch how far that is."""
        if self._goes_on(lambda: async_get_store(self.hass).async_download(self._chosen)):
            return self._progress("fetch")
        error = self._take_error()
        return self.async_show_progress_done(next_step_id=self._step_after(error) if error else "load")

    async def async_step_fetch_failed(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say why the model could not be downloaded; what has come so far is kept."""
        return await self._show_failure("fetch_failed", ["fetch", "source", "names_only"])

    async def _find_on_hub(self, repository: str, revision: str, endpoint: str) -> ModelChoice:
        chosen = self._chosen
        pinned = [(file.repository, file.revision) for file in chosen.spec.files]
        if (repository, revision) in pinned:
            # Only the place differs, as for a mirror: what the catalog says of the content holds.
            return replace(chosen, folder=None, endpoint=endpoint)
        files = await list_model(async_get_clientsession(self.hass), endpoint, repository, revision)
        named = self._named(repository.rpartition("/")[2])
        return replace(named, spec=replace(named.spec, files=files), folder=None, endpoint=endpoint)

    def _named(self, name: str) -> ModelChoice:
        """Name a model of the user's own after its place."""
        if not self._chosen.is_own(self._catalog):
            return self._chosen
        return replace(self._chosen, spec=replace(self._chosen.spec, id=name, title=name))

    def _default_model(self) -> str:
        if (known := self._of_entry()) and known.server is None:
            return _name_of(known, self._catalog)
        return next(spec.id for spec in self._catalog.values() if spec.recommended)

    def _default_own(self) -> dict[str, Any]:
        known = self._of_entry()
        return own_settings(known.spec) if known and known.server is None and known.is_own(self._catalog) else {}

    def _default_folder(self) -> str:
        known = self._of_entry()
        if known and known.folder and _name_of(known, self._catalog) == _name_of(self._chosen, self._catalog):
            return known.folder
        return f"{DEFAULT_MODELS_FOLDER}/{self._chosen.spec.id}"

    def _default_hub(self) -> dict[str, str]:
        file = next(iter(self._chosen.spec.files), None)
        return {
            FIELD_REPOSITORY: file.repository if file else "",
            FIELD_REVISION: file.revision if file else "main",
            FIELD_ENDPOINT: DEFAULT_ENDPOINT,
        }


def _name_of(choice: ModelChoice, catalog: Catalog) -> str:
    return OWN_MODEL if choice.is_own(catalog) else choice.spec.id


def _inside(config_dir: str, folder: str) -> bool:
    """Tell whether the folder, links followed, lies below the configuration directory. Blocking."""
    config = Path(config_dir).resolve()
    try:
        return (config / folder).resolve().is_relative_to(config)
    except ValueError:  # a NUL character
        return False
