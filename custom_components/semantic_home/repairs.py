"""What the user can do about a reported problem from the repairs page."""

from typing import override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.requirements import async_clear_install_history

from .alias_repairs import AliasReviewFlow
from .alias_review import ISSUE_ALIASES
from .engine import EncoderError, load_catalog
from .hub import HubError
from .model_choice import ModelChoice
from .model_store import async_get_store


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Offer to try again what did not start, and to look at what is suggested."""
    flow = AliasReviewFlow if issue_id == ISSUE_ALIASES else TryAgainFlow
    return flow(str(data["entry_id"]) if data else "")


class TryAgainFlow(ConfirmRepairFlow):
    """Starts the integration anew, installation included; what is still wrong is reported anew."""

    def __init__(self, entry_id: str) -> None:
        """Take the entry that has the problem."""
        self._entry_id = entry_id

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        if user_input is not None:
            # Else Home Assistant would not even try to install again what it failed to install once.
            async_clear_install_history(self.hass)
            await self._distrust()
            self.hass.config_entries.async_schedule_reload(self._entry_id)
        return await super().async_step_confirm(user_input)

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
