"""Semantic Home: understands what people mean when they talk to their home, locally."""

from pathlib import Path

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers import config_validation as cv, issue_registry as ir
from homeassistant.helpers.typing import ConfigType

from .alias_review import ISSUE_ALIASES
from .const import CONF_ENGINE, CONF_MODEL, DOMAIN
from .dismissed_aliases import DismissedAliases
from .health import ISSUE_DEGRADED, ISSUE_DISK, HealthWatch
from .index import NewerSchemaError, StoreError
from .index_damage import ISSUE_INDEX, ISSUE_UNREADABLE
from .index_thread import database_path
from .llm_api import async_setup_llm_api
from .model_choice import Engine
from .model_runner import ISSUE_ENGINE, ISSUE_MODEL
from .model_store import async_get_store
from .newer_index import ISSUE_NEWER, async_report_newer
from .request_log import mark_records
from .runtime import SemanticHome, SemanticHomeConfigEntry
from .services import async_setup_services

PLATFORMS = (Platform.BUTTON, Platform.CONVERSATION, Platform.SENSOR, Platform.UPDATE)
# They say what a loaded entry lacks.
_OF_THE_MODEL = (ISSUE_MODEL, ISSUE_ENGINE)
_OF_THE_ENTRY = (
    *_OF_THE_MODEL,
    *(ISSUE_ALIASES, ISSUE_DEGRADED, ISSUE_DISK, ISSUE_INDEX, ISSUE_NEWER, ISSUE_UNREADABLE),
)
CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the actions and the LLM API, which are there (and say why they cannot answer) without an entry too."""
    mark_records()
    async_setup_services(hass)
    async_setup_llm_api(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: SemanticHomeConfigEntry) -> bool:
    """Set up the home of a config entry."""
    home = SemanticHome(hass, entry)
    try:
        await home.async_start()
    except BaseException as err:
        await home.async_stop()
        if isinstance(err, NewerSchemaError):
            async_report_newer(hass, entry.entry_id)
        if isinstance(err, StoreError):
            raise _setup_error(err) from err
        raise
    entry.runtime_data = home
    ir.async_delete_issue(hass, DOMAIN, ISSUE_NEWER)
    entry.async_on_unload(HealthWatch(hass, entry).async_start())

    async def stop(_: Event) -> None:
        await home.async_stop()

    # Home Assistant does not unload entries when it stops, and the threads must not outlive it.
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop))
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: SemanticHomeConfigEntry) -> bool:
    """Bring an entry's data to the form of this version; False refuses one that only a newer version understands.

    Minor versions add what older ones do not mind, so that a newer one, after a downgrade, is taken as it is.
    """
    if entry.version > 1:
        return False
    if entry.minor_version == 1:
        # 1.1 left the engine out while there was only one.
        engine = {} if entry.data.get(CONF_MODEL) is None else {CONF_ENGINE: str(Engine.OPENVINO)}
        hass.config_entries.async_update_entry(entry, data={**engine, **entry.data}, minor_version=2)
    return True


def _setup_error(err: StoreError) -> HomeAssistantError:
    """Tell what only the user can mend from what may mend itself and is tried again."""
    newer = isinstance(err, NewerSchemaError)
    return (ConfigEntryError if newer else ConfigEntryNotReady)(
        translation_domain=DOMAIN,
        translation_key="newer_database" if newer else "database_unavailable",
        translation_placeholders={"detail": str(err)},
    )


async def async_unload_entry(hass: HomeAssistant, entry: SemanticHomeConfigEntry) -> bool:
    """Stop the home of a config entry."""
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        return False
    await entry.runtime_data.async_stop()
    for issue in _OF_THE_MODEL:
        ir.async_delete_issue(hass, DOMAIN, issue)
    return True


async def async_remove_entry(hass: HomeAssistant, entry: SemanticHomeConfigEntry) -> None:
    """Delete the index with its entry, and what was downloaded. Files that the user copied stay."""
    for issue in _OF_THE_ENTRY:
        ir.async_delete_issue(hass, DOMAIN, issue)
    for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN):
        # Of this entry, which there is nothing to change of any more.
        if flow["context"].get("entry_id") == entry.entry_id:
            hass.config_entries.flow.async_abort(flow["flow_id"])
    await async_get_store(hass).async_forget()
    await DismissedAliases(hass).async_forget()
    await hass.async_add_executor_job(_delete_database, database_path(hass))


def _delete_database(path: Path) -> None:
    # Not what was moved aside when it was damaged: that may be the only copy of something. What a later start would
    # take for a part of its own database goes.
    for suffix in ("", "-wal", "-shm", ".suspect", ".salvaged"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
