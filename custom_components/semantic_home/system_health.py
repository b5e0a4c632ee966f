"""What the system information page says of the integration."""

from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback

from .const import CONF_ENGINE, CONF_MODEL, CONF_SERVER, DOMAIN
from .engine import ServerError, candidates
from .runtime import SemanticHomeConfigEntry


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register what tells of it."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    """Tell of the one entry there is. Nothing of it names the home, or says where a server is."""
    entries: list[SemanticHomeConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    if not entries:
        return {}
    entry = entries[0]
    info: dict[str, Any] = {"entry_state": entry.state.value}
    if entry.data.get(CONF_MODEL) is not None:
        info |= {"engine": entry.data.get(CONF_ENGINE), "model": entry.data[CONF_MODEL]}
    if hasattr(entry, "runtime_data"):
        home = entry.runtime_data
        info |= {"index_state": home.state.value, "documents": home.status.documents}
    if (server := entry.data.get(CONF_SERVER)) and (url := _address(server["url"])):
        info["can_reach_server"] = system_health.async_check_can_reach_url(hass, url)
    return info


def _address(url: str) -> str | None:
    """Give the address that is asked for vectors; that it wants another method shows that it is there."""
    try:
        return candidates(url)[0]
    except ServerError:
        return None
