"""The dialogs about a server that runs the model: where it is, which of its models, and a new key when it wants one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from homeassistant.config_entries import ConfigFlowResult

from .const import CONF_MODEL
from .engine import Server, ServerError, candidates, load_catalog
from .flow_base import ModelFlow
from .flow_forms import (
    FIELD_API_KEY,
    FIELD_PASSAGE_MODEL,
    FIELD_PASSAGE_PREFIX,
    FIELD_QUERY_PREFIX,
    FIELD_TIMEOUT,
    FIELD_URL,
    SECTION_MORE,
    key_form,
    server_form,
    server_model_form,
)
from .model_choice import Engine, ModelChoice, own_spec
from .server_models import async_list_models

_EXAMPLE = "http://192.168.1.20:8080/v1"


class ServerFlow(ModelFlow):
    """Steps to a server and one of its models."""

    async def async_step_server(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where a server is, and which models it has."""
        self._engine = Engine.SERVER
        known = self._server_of_entry()
        if user_input is not None:
            self._asked["server"] = user_input
            server = Server(user_input[FIELD_URL].strip(), "", api_key=user_input.get(FIELD_API_KEY) or None)
            if known and _leads_to(server.url, known) and server.api_key is None:
                # Forms do not show a key that is known; left empty it stays.
                server = replace(server, api_key=known.api_key)
            self._choice = ModelChoice(Engine.SERVER, own_spec("", 0, "remote"), server=server)
            self._server_models = await async_list_models(self.hass, server)
            return await self.async_step_server_model()
        proposed = self._asked.get("server", {}).get(FIELD_URL) or (known.url if known else "")
        return self._form("server", server_form(proposed), {"example": _EXAMPLE})

    async def async_step_server_model(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which of the server's models, and how it wants to be asked."""
        if user_input is not None:
            asked = {CONF_MODEL: user_input[CONF_MODEL].strip(), **user_input[SECTION_MORE]}
            self._asked["server_model"] = asked
            if asked[CONF_MODEL]:
                self._choice = self._served(asked)
                return await self.async_step_load()
            self._errors = {CONF_MODEL: "model_unnamed"}
        return self._form(
            "server_model",
            server_model_form(self._server_models, self._asked.get("server_model") or self._default_server_model()),
            {"url": self._chosen.server.url if self._chosen.server else ""},
        )

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Begin to ask for a key that the server accepts."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the key, and keep it when the server accepts it."""
        self._catalog = await self.hass.async_add_executor_job(load_catalog)
        self._choice = choice = ModelChoice.from_data(self._get_reauth_entry().data, self._catalog)
        if choice is None or choice.server is None:
            return self.async_abort(reason="no_server")
        if user_input is not None:
            server = replace(choice.server, api_key=user_input[FIELD_API_KEY])
            self._choice, self._engine = replace(choice, server=server), Engine.SERVER
            return await self.async_step_load()
        return self._form("reauth_confirm", key_form(), {"url": choice.server.url})

    def _served(self, asked: Mapping[str, Any]) -> ModelChoice:
        spec = own_spec(
            asked[CONF_MODEL], 0, "remote", asked.get(FIELD_QUERY_PREFIX) or "", asked.get(FIELD_PASSAGE_PREFIX) or ""
        )
        if (server := self._chosen.server) is None:
            raise RuntimeError("The step that asks for the server comes first")
        server = replace(
            server,
            model=asked[CONF_MODEL],
            passage_model=(asked.get(FIELD_PASSAGE_MODEL) or "").strip() or None,
            timeout=asked[FIELD_TIMEOUT],
        )
        known = self._of_entry()
        signature = None
        if known and known.server and _leads_to(server.url, known.server) and known.server.model == server.model:
            # The same model is then known again, whatever else was changed.
            signature = known.signature
        return ModelChoice(Engine.SERVER, spec, server=server, signature=signature)

    def _server_of_entry(self) -> Server | None:
        known = self._of_entry()
        return known.server if known else None

    def _default_server_model(self) -> dict[str, Any]:
        first = {CONF_MODEL: self._server_models[0]} if self._server_models else {}
        if (known := self._of_entry()) is None or known.server is None:
            return first
        return {
            CONF_MODEL: known.server.model,
            FIELD_PASSAGE_MODEL: known.server.passage_model,
            FIELD_QUERY_PREFIX: known.spec.query_prefix,
            FIELD_PASSAGE_PREFIX: known.spec.passage_prefix,
            FIELD_TIMEOUT: known.server.timeout,
        }


def _leads_to(url: str, known: Server) -> bool:
    """Tell whether what the user typed may mean the address that is known."""
    try:
        return known.url in candidates(url)
    except ServerError:
        return False
