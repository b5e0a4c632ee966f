"""Tells the user of a problem that a fix flow mends; repairs.py knows which."""

from collections.abc import Mapping

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN


@callback
def async_report(  # noqa: PLR0913 - as many as there is to say
    hass: HomeAssistant,
    entry_id: str,
    issue: str,
    *,
    text: str | None = None,
    severity: ir.IssueSeverity = ir.IssueSeverity.WARNING,
    placeholders: Mapping[str, str] | None = None,
) -> None:
    """Report that an entry has an issue. `text`: the key of what is said, where that is not the issue's own name."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue,
        is_fixable=True,
        severity=severity,
        translation_key=text or issue,
        translation_placeholders=dict(placeholders or {}),
        data={"entry_id": entry_id},
    )
