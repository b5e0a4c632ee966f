"""The change from the model that answers to the one that is wished: known before that is loaded, and made to wait."""

from dataclasses import asdict, dataclass, replace
import hashlib
import json

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .const import CHANGE_AUTOMATIC, CHANGE_ON_INSTALL, CONF_CONFIRMED, CONF_MODEL_CHANGE
from .embedding import stamp_of
from .engine import EncoderError, ModelFilesError, ModelFolder, load_catalog, revision_of_server
from .index import Stamp
from .indexed_documents import IndexStatus
from .model_choice import ModelChoice
from .model_store import async_get_store


@dataclass(frozen=True, slots=True)
class WishedModel:
    """The model that an entry wishes. The stamp's revision is empty while the files are not there."""

    title: str
    stamp: Stamp
    name: str
    """Of this very choice, in an entry's data: by it the user's consent is known again."""


class ModelChange:
    """Knows what is wished, and whether that has to wait for the user."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Take the entry."""
        self._hass = hass
        self._entry = entry
        self.wished: WishedModel | None = None
        """None for names alone, and for a model that this version does not know."""
        self.waits = False

    @property
    def automatic(self) -> bool:
        """Whether changes do not wait."""
        return bool(self._entry.options.get(CONF_MODEL_CHANGE, CHANGE_AUTOMATIC) != CHANGE_ON_INSTALL)

    async def async_weigh(self, status: IndexStatus, *, former_known: bool) -> None:
        """Compare what is wished with the index; `former_known`: another model is known to be the active one's."""
        self.wished = wished = await self._async_wished()
        if wished and not wished.stamp.revision and status.stamp and not former_known:
            # Files that are fetched again, as after a restored backup, are taken for the same until they are there.
            self.wished = replace(wished, stamp=replace(wished.stamp, revision=status.stamp.revision))
        self.waits = self.wished is not None and self._must_wait(self.wished, status, former_known=former_known)

    @callback
    def async_confirm(self) -> None:
        """Do not wait any more, also after a restart."""
        if self.waits and self.wished is not None:
            self.waits = False
            data = {**self._entry.data, CONF_CONFIRMED: self.wished.name}
            self._hass.config_entries.async_update_entry(self._entry, data=data)

    def _must_wait(self, wished: WishedModel, status: IndexStatus, *, former_known: bool) -> bool:
        if self.automatic or status.stamp is None or self._entry.data.get(CONF_CONFIRMED) == wished.name:
            return False
        if wished.stamp in {status.stamp, status.building_stamp}:
            # Nothing has to be made: only the engine or a key was changed. Or it has begun.
            return False
        # Where nobody could answer meanwhile, waiting makes no sense.
        return former_known or wished.stamp.makes_vectors_of(status.stamp)

    async def _async_wished(self) -> WishedModel | None:
        catalog = await self._hass.async_add_executor_job(load_catalog)
        try:
            choice = ModelChoice.from_data(self._entry.data, catalog)
        except EncoderError:
            return None
        if choice is None:
            return None
        revision = await self._async_revision(choice)
        stamp = stamp_of(choice, revision, choice.spec.dimension)
        return WishedModel(choice.spec.title, stamp, _name(choice, stamp))

    async def _async_revision(self, choice: ModelChoice) -> str:
        """Tell what the encoder's revision will be, without one; "" where only the encoder can tell."""
        if choice.server is not None:
            return "" if choice.signature is None else revision_of_server(choice.server, choice.spec, choice.signature)
        folder = async_get_store(self._hass).folder_of(choice)
        try:
            return await self._hass.async_add_executor_job(lambda: ModelFolder.open(folder, choice.spec).fingerprint())
        except ModelFilesError, OSError:
            return ""


def _name(choice: ModelChoice, stamp: Stamp) -> str:
    """Name what the user chose: a download, or another key, does not make it another choice."""
    if (server := choice.server) is not None:
        source: object = [server.url, server.model, server.passage_model]
    else:
        source = choice.folder or [asdict(file) for file in choice.spec.files]
    content = json.dumps([asdict(replace(stamp, revision="")), source])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
