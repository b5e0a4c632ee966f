"""The actions about knowledge: files of it in and out, a look at it, and removing it."""

from functools import partial
from typing import Any, Final

import voluptuous as vol

from homeassistant.const import ATTR_ID, CONF_PATH
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, service

from .const import DOMAIN
from .index import HeldError, Knowledge, Selection, StoreError, TooManySelectedError
from .knowledge_files import KnowledgeFileError, read_knowledge, write_knowledge
from .request_log import followed
from .service_calls import STRINGS, TEXT, home_of

ATTR_CONFIRM: Final = "confirm"
ATTR_DRY_RUN: Final = "dry_run"
ATTR_LIMIT: Final = "limit"
ATTR_OFFSET: Final = "offset"
ATTR_OVERWRITE: Final = "overwrite"
ATTR_SOURCE: Final = "source"
ATTR_TYPES: Final = "types"

SERVICE_DELETE_KNOWLEDGE: Final = "delete_knowledge"
SERVICE_EXPORT_KNOWLEDGE: Final = "export_knowledge"
SERVICE_IMPORT_KNOWLEDGE: Final = "import_knowledge"
SERVICE_LIST_KNOWLEDGE: Final = "list_knowledge"

MAX_LISTED: Final = 500
_DEFAULT_LISTED: Final = 50
# SQLite counts no further.
_LAST: Final = 2**63 - 1

IMPORT_KNOWLEDGE_SCHEMA = vol.Schema(
    {vol.Required(CONF_PATH): cv.string, vol.Optional(ATTR_DRY_RUN, default=False): cv.boolean}
)
EXPORT_KNOWLEDGE_SCHEMA = vol.Schema(
    {vol.Required(CONF_PATH): cv.string, vol.Optional(ATTR_OVERWRITE, default=False): cv.boolean}
)
_SELECTION = {vol.Optional(ATTR_TYPES): STRINGS, vol.Optional(ATTR_SOURCE): TEXT}
LIST_KNOWLEDGE_SCHEMA = vol.Schema(
    {
        **_SELECTION,
        vol.Optional(ATTR_LIMIT, default=_DEFAULT_LISTED): vol.All(vol.Coerce(int), vol.Range(1, MAX_LISTED)),
        vol.Optional(ATTR_OFFSET, default=0): vol.All(vol.Coerce(int), vol.Range(0, _LAST)),
    }
)
DELETE_KNOWLEDGE_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_ID): vol.All(STRINGS, vol.Length(max=MAX_LISTED)),
        **_SELECTION,
        vol.Optional(ATTR_CONFIRM, default=False): cv.boolean,
    }
)

# What the user can do nothing about by asking for another file.
_FAILURES = {"import_file_unreadable", "export_failed"}


@callback
def async_setup_knowledge_services(hass: HomeAssistant) -> None:
    """Register the actions, for administrators alone: they read and write files, and what everybody taught."""
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
    service.async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_LIST_KNOWLEDGE,
        _async_list_knowledge,
        LIST_KNOWLEDGE_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    service.async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_DELETE_KNOWLEDGE,
        _async_delete_knowledge,
        DELETE_KNOWLEDGE_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )


@followed
async def _async_import_knowledge(call: ServiceCall) -> ServiceResponse:
    home, hass, dry_run = home_of(call.hass), call.hass, call.data[ATTR_DRY_RUN]
    try:
        # Not in the index's own thread: questions are answered while a file is read.
        collected = await hass.async_add_executor_job(
            read_knowledge, hass.config.config_dir, call.data[CONF_PATH], hass.config.is_allowed_path
        )
        counts = await home.knowledge.async_import(collected.rows, dry_run=dry_run)
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


@followed
async def _async_export_knowledge(call: ServiceCall) -> ServiceResponse:
    home, hass = home_of(call.hass), call.hass
    try:
        rows = await home.knowledge.async_all()
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


@followed
async def _async_list_knowledge(call: ServiceCall) -> ServiceResponse:
    try:
        page = await home_of(call.hass).knowledge.async_page(
            _selection(call), call.data[ATTR_LIMIT], call.data[ATTR_OFFSET]
        )
    except StoreError as err:
        raise _translated(err) from err
    return {"total": page.total, "knowledge": [_row_response(number, row) for number, row in page.rows.items()]}


@followed
async def _async_delete_knowledge(call: ServiceCall) -> ServiceResponse:
    selection = _selection(call)
    if selection == Selection():
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="nothing_selected")
    try:
        count = await home_of(call.hass).knowledge.async_remove(selection, None if call.data[ATTR_CONFIRM] else 1)
    except TooManySelectedError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="confirmation_needed",
            translation_placeholders={"count": str(err.count)},
        ) from err
    except StoreError as err:
        raise _translated(err) from err
    if selection.ids and not count:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="unknown_knowledge")
    return {"count": count}


def _selection(call: ServiceCall) -> Selection:
    data = call.data
    for field in (ATTR_ID, ATTR_TYPES):
        # A template that came out empty selects nothing: without a limit it would be everything.
        if field in data and not data[field]:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="empty_list", translation_placeholders={"field": field}
            )
    return Selection(tuple(data.get(ATTR_ID, ())), tuple(data.get(ATTR_TYPES, ())), data.get(ATTR_SOURCE))


def _row_response(number: str, row: Knowledge) -> dict[str, Any]:
    return {
        "id": number,
        "text": row.text,
        "type": row.knowledge_type,
        "metadata": dict(row.metadata),
        "success_score": row.score,
        "created": row.created.isoformat(),
        "updated": row.updated.isoformat(),
    }


def _translated(err: KnowledgeFileError | StoreError) -> HomeAssistantError:
    if isinstance(err, KnowledgeFileError):
        kind = HomeAssistantError if err.problem in _FAILURES else ServiceValidationError
        return kind(translation_domain=DOMAIN, translation_key=err.problem, translation_placeholders=err.placeholders)
    if isinstance(err, HeldError):
        return HomeAssistantError(translation_domain=DOMAIN, translation_key="backup_running")
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key="failed", translation_placeholders={"detail": str(err)}
    )
