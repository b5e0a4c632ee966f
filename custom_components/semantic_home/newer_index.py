"""An index that a newer version wrote: said to be so, and put aside when the user wants to go on without it."""

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .index import put_newer_aside
from .index_thread import database_path
from .issues import async_report

ISSUE_NEWER = "newer_index"


@callback
def async_report_newer(hass: HomeAssistant, entry_id: str) -> None:
    """Tell of it, with a way to go on."""
    path = str(database_path(hass))
    async_report(hass, entry_id, ISSUE_NEWER, severity=ir.IssueSeverity.ERROR, placeholders={"path": path})


async def async_put_aside(hass: HomeAssistant) -> None:
    """Move the file, which nobody may have open, to where it is kept, if it is newer. Raises StoreError."""
    await hass.async_add_executor_job(put_newer_aside, database_path(hass))
