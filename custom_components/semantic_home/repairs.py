"""What the user can do about a reported problem from the repairs page."""

from collections.abc import Callable, Mapping
from typing import Any, Final, override

from homeassistant.components.repairs import ConfirmRepairFlow, FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState, UnknownEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import UnknownStep
from homeassistant.helpers import issue_registry as ir
from homeassistant.requirements import async_clear_install_history

from .alias_repairs import AliasReviewFlow
from .alias_review import ISSUE_ALIASES
from .const import DOMAIN
from .engine import EncoderError, load_catalog
from .health import ISSUE_DEGRADED, ISSUE_DISK, async_check_disk, room_placeholders
from .hub import HubError
from .index import StoreError
from .index_damage import ISSUE_UNREADABLE
from .model_choice import ModelChoice
from .model_runner import ISSUE_ENGINE, ISSUE_MODEL
from .model_store import async_get_store
from .newer_index import ISSUE_NEWER, async_put_aside


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Offer what mends a problem."""
    if issue_id not in _FLOWS:
        raise UnknownStep(f"Nothing mends {issue_id}")
    return _FLOWS[issue_id](str(data["entry_id"]) if data else "")


class StartAnewFlow(ConfirmRepairFlow):
    """Starts the integration anew; what is still wrong is reported anew."""

    def __init__(self, entry_id: str) -> None:
        """Take the entry that has the problem."""
        self._entry_id = entry_id

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        if user_input is not None:
            self.hass.config_entries.async_schedule_reload(self._entry_id)
        return await super().async_step_confirm(user_input)

    @property
    def _placeholders(self) -> Mapping[str, str] | None:
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        return issue.translation_placeholders if issue else None


class TryAgainFlow(StartAnewFlow):
    """Brings the model up again, installation and download included; or lets the user choose another one."""

    @override
    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        return self.async_show_menu(
            step_id="init", menu_options=["confirm", "reconfigure"], description_placeholders=self._placeholders
        )

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        if user_input is not None:
            # Else Home Assistant would not even try to install again what it failed to install once.
            async_clear_install_history(self.hass)
            await self._distrust()
        return await super().async_step_confirm(user_input)

    async def async_step_reconfigure(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Go on in the dialog that chooses engine and model. The problem stays reported until it is solved."""
        context: Any = {"source": SOURCE_RECONFIGURE, "entry_id": self._entry_id}
        flow = await self.hass.config_entries.flow.async_init(DOMAIN, context=context)
        return self.async_abort(reason="reconfigure", next_flow=(FlowType.CONFIG_FLOW, flow["flow_id"]))

    async def _distrust(self) -> None:
        """Have a downloaded model looked through: it may be spoilt where nobody looks at a start."""
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        catalog = await self.hass.async_add_executor_job(load_catalog)
        try:
            choice = ModelChoice.from_data(entry.data, catalog) if entry else None
            if choice is not None and choice.server is None and choice.folder is None:
                await async_get_store(self.hass).async_distrust(choice)
        except EncoderError, HubError:
            # What is wrong will be reported when it is loaded.
            return


class NewerIndexFlow(StartAnewFlow):
    """Puts the index of a newer version aside, after a yes, and starts with a new one."""

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        if user_input is not None:
            try:
                entry = self.hass.config_entries.async_get_known_entry(self._entry_id)
                if entry.state is not ConfigEntryState.LOADED:
                    await async_put_aside(self.hass)
            except (UnknownEntry, StoreError) as err:
                return self.async_abort(reason="not_moved", description_placeholders={"detail": str(err)})
        return await super().async_step_confirm(user_input)


class DiskFlow(StartAnewFlow):
    """Looks again whether there is room."""

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        if user_input is None:
            return await super().async_step_confirm()
        room = await async_check_disk(self.hass, self._entry_id)
        if not room.enough:
            return self.async_abort(reason="still_full", description_placeholders=room_placeholders(room))
        return self.async_create_entry(data={})


# What mends each problem that can be mended, given the id of the entry that has it.
_FLOWS: Final[Mapping[str, Callable[[str], RepairsFlow]]] = {
    ISSUE_ALIASES: AliasReviewFlow,
    ISSUE_DEGRADED: TryAgainFlow,
    ISSUE_DISK: DiskFlow,
    ISSUE_ENGINE: TryAgainFlow,
    ISSUE_MODEL: TryAgainFlow,
    ISSUE_NEWER: NewerIndexFlow,
    ISSUE_UNREADABLE: StartAnewFlow,
}
