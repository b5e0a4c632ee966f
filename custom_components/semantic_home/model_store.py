"""Packages and model files, fetched once for whoever asks: by work that belongs to the integration, not to a dialog."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
import hashlib
import logging
from pathlib import Path
import shutil

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import slugify
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .engine import ModelFile
from .hub import download, is_complete
from .local_engine import async_install
from .model_choice import Engine, ModelChoice

_LOGGER = logging.getLogger(__name__)


class Work[Result]:
    """Work that goes on, and keeps its outcome, whether anybody watches or not."""

    def __init__(
        self, hass: HomeAssistant, name: str, do: Callable[[Callable[[float], None]], Coroutine[None, None, Result]]
    ) -> None:
        """Begin at once; `do` is given what to call with the share done so far, 0 to 1."""
        self.share = 0.0
        self._listeners: set[Callable[[float], None]] = set()
        self._task = hass.async_create_background_task(do(self._report), f"{DOMAIN} {name}")
        self._task.add_done_callback(partial(_note, name))

    @property
    def done(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._task.done()

    async def result(self, on_progress: Callable[[float], None] | None = None) -> Result:
        """Wait for the outcome; raises what the work raised. Cancelling the caller leaves the work alone."""
        if on_progress is None:
            return await asyncio.shield(self._task)
        self._listeners.add(on_progress)
        on_progress(self.share)
        try:
            return await asyncio.shield(self._task)
        finally:
            self._listeners.discard(on_progress)

    async def async_cancel(self) -> None:
        """Stop it, and wait until it has stopped."""
        self._task.cancel()
        await asyncio.wait([self._task])

    @callback
    def _report(self, share: float) -> None:
        self.share = share
        for listener in tuple(self._listeners):
            listener(share)


class ModelStore:
    """What this Home Assistant has fetched, and is fetching, to run models."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin with nothing under way."""
        self._hass = hass
        self._root = Path(hass.config.cache_path(DOMAIN, "models"))
        self._installations: dict[Engine, Work[Engine]] = {}
        self._downloads: dict[Path, Work[Path]] = {}
        self.draft: ModelChoice | None = None
        """What a set-up dialog was preparing last; the next one may go on with it."""

    @callback
    def async_install(self, engine: Engine) -> Work[Engine]:
        """Install what an engine needs, or join whoever does; the outcome is the engine that can run."""
        work = self._installations.get(engine)
        if work is None or work.done:
            work = Work(self._hass, "installation", lambda _: async_install(self._hass, engine))
            self._installations[engine] = work
        return work

    @callback
    def async_download(self, choice: ModelChoice) -> Work[Path]:
        """Fetch a model's files, or join whoever does; the outcome is their folder. The work raises HubError."""
        folder = self._root / f"{slugify(choice.spec.id)}-{_digest(choice.spec.files)}"
        work = self._downloads.get(folder)
        if work is None or work.done:
            work = Work(self._hass, f"download of {choice.spec.id}", partial(self._download, choice, folder))
            self._downloads[folder] = work
        return work

    async def async_forget(self) -> None:
        """Stop all work and delete what was downloaded."""
        self.draft = None
        for work in (*self._downloads.values(), *self._installations.values()):
            await work.async_cancel()
        self._downloads.clear()
        self._installations.clear()
        await self._hass.async_add_executor_job(partial(shutil.rmtree, self._root, ignore_errors=True))

    async def async_stop_download(self, choice: ModelChoice) -> None:
        """Stop fetching a model; what has come so far is kept for the next time."""
        await self.async_download(choice).async_cancel()

    async def _download(self, choice: ModelChoice, folder: Path, report: Callable[[float], None]) -> Path:
        files = choice.spec.files
        if not await self._hass.async_add_executor_job(is_complete, folder, files):
            session = async_get_clientsession(self._hass)
            await download(session, choice.endpoint, files, folder, lambda done, total: report(done / total))
        return folder


_STORE: HassKey[ModelStore] = HassKey(f"{DOMAIN}_store")


@callback
def async_get_store(hass: HomeAssistant) -> ModelStore:
    """Return the one store there is; it outlives entries and dialogs."""
    if _STORE not in hass.data:
        hass.data[_STORE] = ModelStore(hass)
    return hass.data[_STORE]


def _digest(files: Sequence[ModelFile]) -> str:
    """Name a set of contents, wherever they come from: a new revision must never overwrite a running model's files."""
    contents = (f"{file.name}:{file.size}:{file.sha256 or file.git_id}" for file in files)
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()[:12]


def _note(name: str, task: asyncio.Task[object]) -> None:
    """Take notice of a failure, which nobody may be watching."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOGGER.warning("The %s failed: %s", name, error)
