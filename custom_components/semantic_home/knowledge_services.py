"""The actions that bring knowledge in from files and take it out again."""

from functools import partial
from typing import Final

import voluptuous as vol

from homeassistant.const import CONF_PATH
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, service

from .const import DOMAIN
from .index import HeldError, StoreError
from .knowledge_files import KnowledgeFileError, read_knowledge, write_knowledge
from .service_calls import home_of

ATTR_DRY_RUN: Final = "dry_run"
ATTR_OVERWRITE: Final = "overwrite"

SERVICE_EXPORT_KNOWLEDGE: Final = "export_knowledge"
SERVICE_IMPORT_KNOWLEDGE: Final = "import_knowledge"

IMPORT_KNOWLEDGE_SCHEMA = vol.Schema(
    {vol.Required(CONF_PATH): cv.string, vol.Optional(ATTR_DRY_RUN, default=False): cv.boolean}
)
EXPORT_KNOWLEDGE_SCHEMA = vol.Schema(
    {vol.Required(CONF_PATH): cv.string, vol.Optional(ATTR_OVERWRITE, default=False): cv.boolean}
)

# What the user can do nothing about by asking for another file.
_FAILURES = {"import_file_unreadable", "export_failed"}


@callback
def async_setup_knowledge_services(hass: HomeAssistant) -> None:
    """Register the actions, for administrators alone: they read and write files."""
    service.async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_IMPORT_KNOWLEDGE,
        _async_import_knowledge,
        IMPORT_KNOWLEDGE_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    service.async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_EXPORT_KNOWLEDGE,
        _async_export_knowledge,
        EXPORT_KNOWLEDGE_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _async_import_knowledge(call: ServiceCall) -> ServiceResponse:
    home, hass, dry_run = home_of(call), call.hass, call.data[ATTR_DRY_RUN]
    try:
        # Not in the index's own thread: questions are answered while a file is read.
        collected = await hass.async_add_executor_job(
            read_knowledge, hass.config.config_dir, call.data[CONF_PATH], hass.config.is_allowed_path
        )
        counts = await home.async_import_knowledge(collected.rows, dry_run=dry_run)
    except (KnowledgeFileError, StoreError) as err:
        raise _translated(err) from err
    return {
        "added": counts.added,
        "merged": counts.merged,
        "unchanged": counts.unchanged,
        "skipped": collected.skipped,
        "errors": [{"row": row.id, "reason": row.reason} for row in collected.errors],
        "dry_run": dry_run,
    }


async def _async_export_knowledge(call: ServiceCall) -> ServiceResponse:
    home, hass = home_of(call), call.hass
    try:
        rows = await home.async_knowledge()
        path = await hass.async_add_executor_job(
            partial(
                write_knowledge,
                hass.config.config_dir,
                call.data[CONF_PATH],
                rows,
                overwrite=call.data[ATTR_OVERWRITE],
            )
        )
    except (KnowledgeFileError, StoreError) as err:
        raise _translated(err) from err
    return {"count": len(rows), "path": str(path)}


def _translated(err: KnowledgeFileError | StoreError) -> HomeAssistantError:
    if isinstance(err, KnowledgeFileError):
        kind = HomeAssistantError if err.problem in _FAILURES else ServiceValidationError
        return kind(translation_domain=DOMAIN, translation_key=err.problem, translation_placeholders=err.placeholders)
    if isinstance(err, HeldError):
        return HomeAssistantError(translation_domain=DOMAIN, translation_key="backup_running")
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key="failed", translation_placeholders={"detail": str(err)}
    )
