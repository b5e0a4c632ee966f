"""Tells the user that the index was damaged and what became of it, or that it is and what can be done."""

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .index import Damage
from .issues import async_report

ISSUE_INDEX = "index_damaged"
ISSUE_UNREADABLE = "index_unreadable"
# Of the database itself nothing is lost then.
_TEXT_LOG = "index_log_damaged"


@callback
def async_report_damage(hass: HomeAssistant, damage: Damage | None) -> None:
    """Report what was found at a start. What an earlier one found stays until the user has read it."""
    # The start has mended it.
    ir.async_delete_issue(hass, DOMAIN, ISSUE_UNREADABLE)
    if damage is None:
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        ISSUE_INDEX,
        is_fixable=False,
        is_persistent=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=_TEXT_LOG if damage.moved_to.name.endswith("-wal") else ISSUE_INDEX,
        translation_placeholders={
            "path": str(damage.moved_to),
            "reason": damage.reason,
            "salvaged": str(damage.salvaged),
            "unreadable": str(damage.unreadable),
        },
    )


@callback
def async_report_unreadable(hass: HomeAssistant, entry_id: str) -> None:
    """Report damage that was met while the index is in use: the next start mends it, and the repair begins one."""
    async_report(hass, entry_id, ISSUE_UNREADABLE, severity=ir.IssueSeverity.ERROR)
