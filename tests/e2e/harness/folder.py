"""The folder a Home Assistant lives in: its configuration, this integration, a model and a login."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import fcntl
import json
from pathlib import Path
import shutil

CHECKOUT = Path(__file__).parents[3]
INTEGRATION = CHECKOUT / "custom_components" / "semantic_home"
MODELS = CHECKOUT / ".models"
MODELS_FOLDER = "semantic_home_models"


class FolderInUseError(RuntimeError):
    """Another program has a home running in the folder."""


@dataclass(frozen=True, slots=True)
class HomeFolder:
    """Everything one Home Assistant leaves on disk, below one path."""

    path: Path

    @property
    def config(self) -> Path:
        """Home Assistant's configuration directory."""
        return self.path / "config"

    @property
    def log(self) -> Path:
        """What the process printed since its latest start, its log included."""
        return self.path / "home-assistant.log"

    @property
    def login(self) -> Path:
        """The file that keeps the login for the next start."""
        return self.path / "login.json"

    @property
    def choice(self) -> Path:
        """The file that keeps what the integration was last set up with."""
        return self.path / "choice.json"

    def lay_out(self, *models: Path) -> None:
        """Put configuration, integration and model folders in their places; what is there already stays."""
        self.config.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(__file__).with_name("configuration.yaml"), self.config / "configuration.yaml")
        _link(self.config / "custom_components" / INTEGRATION.name, INTEGRATION)
        for model in models:
            _copy_model(model, self.config / MODELS_FOLDER / model.name)
        self._skip_onboarding_downloads()

    def listen_on(self, port: int) -> None:
        """Have the next start listen on this port of the loopback interface only.

        The variable SETUP_PORT counts for a first start alone and leaves all interfaces open. Home Assistant
        completes the oldest format of its settings with its defaults; newer ones must be complete already.
        """
        self._store("http", 1, {"server_host": ["127.0.0.1"], "server_port": port})

    def forget(self) -> None:
        """Remove the home and all it remembers."""
        shutil.rmtree(self.config, ignore_errors=True)
        self.login.unlink(missing_ok=True)
        self.choice.unlink(missing_ok=True)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other programs out of the folder meanwhile: they would take the files from a running home."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FolderInUseError(f"Another run is using {self.path}. Stop it first.") from error
            yield

    def _skip_onboarding_downloads(self) -> None:
        """Mark the one onboarding step as done that would download three cloud integrations."""
        if not (self.config / ".storage" / "onboarding").exists():
            self._store("onboarding", 4, {"done": ["core_config"]})

    def _store(self, key: str, version: int, data: object) -> None:
        storage = self.config / ".storage"
        storage.mkdir(exist_ok=True)
        content = {"version": version, "minor_version": 1, "key": key, "data": data}
        (storage / key).write_text(json.dumps(content, indent=2), encoding="utf-8")


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(exist_ok=True)
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _copy_model(source: Path, target: Path) -> None:
    """Copy instead of linking: Home Assistant resolves links before it checks a path."""
    if not source.is_dir():
        raise FileNotFoundError(f"There is no model in {source}. Run scripts/setup")
    shutil.copytree(source, target, dirs_exist_ok=True)
