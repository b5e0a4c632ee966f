"""Watches for what only time shows: answers that stay less than they could be, and a disk that fills up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
import shutil

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_call_later, async_track_time_interval

from .const import CONF_MODEL, DOMAIN
from .index_thread import database_path
from .issues import async_report
from .runtime import SemanticHome

ISSUE_DEGRADED = "degraded"
ISSUE_DISK = "disk_nearly_full"

PATIENCE = timedelta(hours=1)
DISK_INTERVAL = timedelta(hours=1)
MEGABYTE = 1_000_000
# Below this not only the index is in danger: the recorder's database lies on the same disk.
LEAST_FREE = 500 * MEGABYTE

_TEXT_SILENT = "degraded_silent"
_TEXT_UNFINISHED = "degraded_unfinished"


@dataclass(frozen=True, slots=True)
class Room:
    """What is free where the index lies, and what should be: a rebuild needs about as much as the index takes."""

    free: int
    needed: int

    @property
    def enough(self) -> bool:
        """Whether nothing has to be done."""
        return self.free >= self.needed


class HealthWatch:
    """Reports on one loaded entry, and takes back what it has reported."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[SemanticHome]) -> None:
        """Take the entry."""
        self._hass = hass
        self._entry = entry
        self._home = entry.runtime_data
        self._vectors = 0
        self._end_patience: CALLBACK_TYPE | None = None

    @callback
    def async_start(self) -> CALLBACK_TYPE:
        """Begin to watch; call what is returned to end it."""
        ends = [async_track_time_interval(self._hass, self._check_disk, DISK_INTERVAL, cancel_on_shutdown=True)]
        self._check_disk()
        if self._entry.data[CONF_MODEL] is not None:
            # Names alone are all that was wished for otherwise.
            ends.append(self._home.async_listen(self._home_changed))
            self._home_changed()

        @callback
        def stop() -> None:
            for end in ends:
                end()
            self._stop_waiting()
            for issue in (ISSUE_DEGRADED, ISSUE_DISK):
                ir.async_delete_issue(self._hass, DOMAIN, issue)

        return stop

    @callback
    def _home_changed(self) -> None:
        """Be patient from now on, if answers are less than they could be and that was otherwise, or gets better."""
        vectors, better = self._home.status.vectors, self._home.status.vectors > self._vectors
        self._vectors = vectors
        if not self._home.degraded or better:
            self._stop_waiting()
            ir.async_delete_issue(self._hass, DOMAIN, ISSUE_DEGRADED)
        if self._home.degraded and self._end_patience is None and not self._reported:
            job = HassJob(self._report, "semantic_home degraded", cancel_on_shutdown=True)
            self._end_patience = async_call_later(self._hass, PATIENCE, job)

    @property
    def _reported(self) -> bool:
        issue = ir.async_get(self._hass).async_get_issue(DOMAIN, ISSUE_DEGRADED)
        # Of one that was reported before a restart the registry holds a remnant that nobody sees.
        return issue is not None and issue.active

    @callback
    def _report(self, _: datetime) -> None:
        self._end_patience = None
        status = self._home.status
        answers = any(model.answers for model in self._home.models)
        async_report(
            self._hass,
            self._entry.entry_id,
            ISSUE_DEGRADED,
            text=_TEXT_UNFINISHED if answers else _TEXT_SILENT,
            placeholders={"missing": str(status.texts - status.vectors), "texts": str(status.texts)},
        )

    @callback
    def _stop_waiting(self) -> None:
        if self._end_patience is not None:
            self._end_patience()
            self._end_patience = None

    @callback
    def _check_disk(self, _: datetime | None = None) -> None:
        self._entry.async_create_background_task(
            self._hass, async_check_disk(self._hass, self._entry.entry_id), f"{DOMAIN} disk"
        )


async def async_check_disk(hass: HomeAssistant, entry_id: str) -> Room:
    """See how much room there is, and report it when it is not enough."""
    path = database_path(hass)
    room = await hass.async_add_executor_job(_room, path)
    if room.enough:
        ir.async_delete_issue(hass, DOMAIN, ISSUE_DISK)
    else:
        async_report(hass, entry_id, ISSUE_DISK, placeholders={"path": str(path.parent), **room_placeholders(room)})
    return room


def room_placeholders(room: Room) -> dict[str, str]:
    """Give the numbers for a text, in MB."""
    return {"free": str(room.free // MEGABYTE), "needed": str(room.needed // MEGABYTE)}


def _room(path: Path) -> Room:
    files = (path, path.with_name(f"{path.name}-wal"))
    takes = sum(file.stat().st_size for file in files if file.exists())
    return Room(shutil.disk_usage(path.parent).free, max(LEAST_FREE, takes))
