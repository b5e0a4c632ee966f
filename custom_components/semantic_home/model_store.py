"""Packages and model files, fetched once for whoever asks: by work that belongs to the integration, not to a dialog."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
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
from .engine import ModelFile, ModelFilesError, ModelFolder, ModelSpec
from .hub import HubError, distrust, download, forget_others, is_complete
from .local_engine import async_install
from .model_choice import Engine, ModelChoice

_LOGGER = logging.getLogger(__name__)

# In a downloaded model's folder: what the files looked like when they had been verified.
_SEAL = "fingerprint"


class Work[Result]:
    """Work that goes on, and keeps its outcome, whether anybody watches or not."""

    def __init__(
        self, hass: HomeAssistant, name: str, do: Callable[[Callable[[float], None]], Coroutine[None, None, Result]]
    ) -> None:
        """Begin at once; `do` is given what to call with the share done so far, 0 to 1."""
        self.share = 0.0
        self.watchers = 0
        """How many wait for the outcome."""
        self._listeners: set[Callable[[float], None]] = set()
        self._task = hass.async_create_background_task(do(self._report), f"{DOMAIN} {name}")
        self._task.add_done_callback(partial(self._note, name))

    @property
    def done(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._task.done()

    async def result(self, on_progress: Callable[[float], None] = lambda _: None) -> Result:
        """Wait for the outcome; raises what the work raised, or HubError `download_stopped` when it was stopped.

        Cancelling the caller leaves the work alone.
        """
        self.watchers += 1
        self._listeners.add(on_progress)
        on_progress(self.share)
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if not self._task.cancelled():
                raise
            raise HubError("download_stopped") from None
        finally:
            self.watchers -= 1
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

    @callback
    def _note(self, name: str, task: asyncio.Task[Result]) -> None:
        """Take notice of a failure that nobody else will tell of."""
        if not task.cancelled() and (error := task.exception()) is not None and not self.watchers:
            _LOGGER.warning("The %s failed: %s", name, error)


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
        folder = self._folder(choice)
        work = self._downloads.get(folder)
        if work is None or work.done:
            work = Work(self._hass, f"download of {choice.spec.id}", partial(self._download, choice, folder))
            self._downloads[folder] = work
        return work

    async def async_stop_download(self, choice: ModelChoice) -> None:
        """Stop fetching a model unless somebody waits for it; what has come so far is kept for the next time."""
        work = self._downloads.get(self._folder(choice))
        if work is not None and not work.watchers:
            await work.async_cancel()

    async def async_distrust(self, choice: ModelChoice) -> None:
        """Have a model's files hashed, and fetched where they are spoilt, before it is used again."""
        await self._hass.async_add_executor_job(distrust, self._folder(choice))

    async def async_keep_only(self, choices: Iterable[ModelChoice]) -> None:
        """Delete what was downloaded, and stop what nobody waits for, but what these choices and the draft need."""
        kept = {self._folder(known) for known in (*choices, *([self.draft] if self.draft else []))}
        for folder, work in list(self._downloads.items()):
            if folder in kept or work.watchers:
                kept.add(folder)
                continue
            await work.async_cancel()
            del self._downloads[folder]
        await self._hass.async_add_executor_job(forget_others, self._root, kept)

    async def async_forget(self) -> None:
        """Stop all work and delete what was downloaded."""
        self.draft = None
        under_way: list[Work[Path] | Work[Engine]] = [*self._downloads.values(), *self._installations.values()]
        for work in under_way:
            await work.async_cancel()
        self._downloads.clear()
        self._installations.clear()
        await self._hass.async_add_executor_job(partial(shutil.rmtree, self._root, ignore_errors=True))

    def folder_of(self, choice: ModelChoice) -> Path:
        """Tell where a model's files are, or will be."""
        return self._folder(choice) if choice.folder is None else Path(self._hass.config.path(choice.folder))

    def _folder(self, choice: ModelChoice) -> Path:
        return self._root / f"{slugify(choice.spec.id)}-{_digest(choice.spec.files)}"

    async def _download(self, choice: ModelChoice, folder: Path, report: Callable[[float], None]) -> Path:
        spec = choice.spec
        if not await self._hass.async_add_executor_job(_is_sound, folder, spec):
            session = async_get_clientsession(self._hass)
            await download(session, choice.endpoint, spec.files, folder, lambda done, total: report(done / total))
            await self._hass.async_add_executor_job(_seal, folder, spec)
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


def _is_sound(folder: Path, spec: ModelSpec) -> bool:
    """Tell whether a model is there as it came, and have it looked through where it is not. Blocking.

    Hashing all of it at each start would take seconds. The fingerprint reads small files whole, and samples of the
    weights: enough to notice a file that was written to, or of which a disk has lost a good part.
    """
    if not is_complete(folder, spec.files):
        return False
    try:
        if (folder / _SEAL).read_text("utf-8") == ModelFolder.open(folder, spec).fingerprint():
            return True
    except OSError, ModelFilesError:
        pass
    _LOGGER.warning("The files in %s are not as they came, and are looked through", folder)
    distrust(folder)
    return False


def _seal(folder: Path, spec: ModelSpec) -> None:
    """Note what the verified files look like. Blocking."""
    try:
        fingerprint = ModelFolder.open(folder, spec).fingerprint()
    except ModelFilesError:
        # The files are right, but of another model than is said of them: whoever loads it will tell.
        return
    (folder / _SEAL).write_text(fingerprint, "utf-8")
