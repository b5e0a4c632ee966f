"""From a choice to an encoder that runs: packages installed, files fetched, model loaded, or the server reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .const import CONF_DEVICE, CONF_EXACT, CONF_THREADS, DOMAIN
from .engine import (
    CircuitBreaker,
    ComputeOptions,
    Encoder,
    EncoderWorker,
    HttpEncoder,
    NumPyEncoder,
    SessionTransport,
)
from .local_engine import open_encoder
from .model_choice import Engine, ModelChoice
from .model_store import async_get_store

_DEFAULT_DEVICE = "CPU"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A worker whose encoder has answered, and that encoder, for its properties only."""

    worker: EncoderWorker
    encoder: Encoder

    @property
    def engine(self) -> Engine:
        """Who computes, which may be another than was chosen."""
        return engine_of(self.encoder)


def engine_of(encoder: Encoder) -> Engine:
    """Tell who computes an encoder's vectors."""
    if isinstance(encoder, HttpEncoder):
        return Engine.SERVER
    return Engine.NUMPY if isinstance(encoder, NumPyEncoder) else Engine.OPENVINO


def compute_options(options: Mapping[str, Any]) -> ComputeOptions:
    """Read what an entry's options say of device and threads; 0 threads are as many as suit this machine."""
    return ComputeOptions(
        device=options.get(CONF_DEVICE, _DEFAULT_DEVICE),
        threads=int(options.get(CONF_THREADS, 0)) or None,
        exact=options.get(CONF_EXACT, False),
    )


async def async_load(hass: HomeAssistant, choice: ModelChoice, options: ComputeOptions) -> LoadedModel:
    """Install, fetch and load, or join whoever does. The caller stops the worker.

    Raises EncoderError, HubError, RequirementsNotFound, and OSError where there is nothing to install with.
    """
    worker = await async_worker(hass, choice, options)
    try:
        return LoadedModel(worker, await worker.start())
    except BaseException:
        await worker.stop()
        raise


async def async_worker(
    hass: HomeAssistant,
    choice: ModelChoice,
    options: ComputeOptions,
    prepare: Callable[[Encoder], None] = lambda _: None,
) -> EncoderWorker:
    """Have everything ready that an encoder needs, and return a worker to start with it.

    `prepare` is done with each encoder before anybody else gets it, in the worker's thread. Raises as async_load does.
    """
    make, interrupt = await _maker(hass, choice, options)

    def make_and_prepare() -> Encoder:
        encoder = make()
        try:
            prepare(encoder)
        except BaseException:
            encoder.close()
            raise
        return encoder

    return EncoderWorker(make_and_prepare, f"{DOMAIN}-encoder", interrupt=interrupt)


async def _maker(
    hass: HomeAssistant, choice: ModelChoice, options: ComputeOptions
) -> tuple[Callable[[], Encoder], Callable[[], None] | None]:
    """Return what makes the encoder (blocking), and what interrupts that if anything can."""
    spec = choice.spec
    if choice.server is not None:
        transport = SessionTransport(async_get_clientsession(hass), hass.loop)
        # Outlives the encoder, which is made anew after each failure: the server may have another model then.
        breaker = CircuitBreaker()
        make = partial(HttpEncoder, choice.server, spec, transport, known=choice.signature, breaker=breaker)
        return make, transport.interrupt
    store = async_get_store(hass)
    engine = await store.async_install(choice.engine).result()
    folder = await store.async_download(choice).result() if choice.folder is None else store.folder_of(choice)
    return partial(open_encoder, engine, folder, spec, options), None
