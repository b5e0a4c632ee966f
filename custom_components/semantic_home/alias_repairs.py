"""The review of suggested aliases from the repairs page: those that are ticked are added, nothing else is."""

from typing import Any

import voluptuous as vol

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from .alias_suggestions import AliasSuggestion, UnknownAliasSuggestionError
from .entity_aliases import AliasError
from .index import StoreError
from .runtime import SemanticHome, SemanticHomeConfigEntry

FIELD_ACCEPTED = "accepted"
FIELD_DISMISS = "dismiss_others"

# More would be no list to read; the others come when these are done.
MAX_SHOWN = 25


class AliasReviewFlow(RepairsFlow):
    """Shows what may be added; with nothing ticked, so that every alias has its own yes."""

    def __init__(self, entry_id: str) -> None:
        """Take the entry whose suggestions they are."""
        self._entry_id = entry_id
        self._shown: list[str] = []

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Show the suggestions, and take what was said of them."""
        entry: SemanticHomeConfigEntry | None = self.hass.config_entries.async_get_entry(self._entry_id)
        home = getattr(entry, "runtime_data", None)
        if home is None:
            return self.async_abort(reason="not_loaded")
        try:
            # Home Assistant begins a repair with data of its own.
            if user_input is None or FIELD_ACCEPTED not in user_input:
                return await self._show(home)
            return await self._take(home, user_input)
        except StoreError:
            return self.async_abort(reason="not_loaded")

    async def _show(self, home: SemanticHome, error: str | None = None) -> RepairsFlowResult:
        suggestions = (await home.aliases.async_suggest())[:MAX_SHOWN]
        self._shown = [one.id for one in suggestions]
        if not suggestions and error is None:
            return self.async_create_entry(data={})
        options = [SelectOptionDict(value=one.id, label=_label(one)) for one in suggestions]
        chosen = SelectSelector(SelectSelectorConfig(options=options, multiple=True, mode=SelectSelectorMode.LIST))
        schema = {
            vol.Optional(FIELD_ACCEPTED, default=list): chosen,
            vol.Optional(FIELD_DISMISS, default=False): BooleanSelector(),
        }
        return self.async_show_form(
            step_id="init", data_schema=vol.Schema(schema), errors={"base": error} if error else None
        )

    async def _take(self, home: SemanticHome, said: dict[str, Any]) -> RepairsFlowResult:
        accepted: list[str] = said[FIELD_ACCEPTED]
        for suggestion_id in accepted:
            try:
                await home.aliases.async_accept(suggestion_id)
            except AliasError, UnknownAliasSuggestionError:
                # Something has changed since it was shown.
                return await self._show(home, "suggestion_gone")
        if said[FIELD_DISMISS]:
            for suggestion_id in self._shown:
                if suggestion_id not in accepted:
                    await self._dismiss(home, suggestion_id)
        left = await home.aliases.async_suggest()
        if not left:
            return self.async_create_entry(data={})
        await home.alias_review.async_refresh()
        return self.async_abort(reason="some_left", description_placeholders={"count": str(len(left))})

    @staticmethod
    async def _dismiss(home: SemanticHome, suggestion_id: str) -> None:
        try:
            await home.aliases.async_dismiss(suggestion_id)
        except UnknownAliasSuggestionError:
            # Which is what was wished.
            return


def _label(suggestion: AliasSuggestion) -> str:
    """Write what a suggestion is in no language: the alias, whose it would be, and what was said."""
    calling = suggestion.calling
    mark = "🔒 " if calling.guarded else ""
    return f"{mark}{calling.alias} → {calling.name} ({calling.requests[0]})"
