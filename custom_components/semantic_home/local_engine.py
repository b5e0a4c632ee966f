"""What runs a model in this process: OpenVINO where it has packages, NumPy everywhere."""

from collections.abc import Mapping
from enum import StrEnum
from importlib.machinery import EXTENSION_SUFFIXES
import logging
from pathlib import Path
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.requirements import RequirementsNotFound, async_process_requirements

from .const import DOMAIN
from .engine import Encoder, ModelSpec, NumPyEncoder, OpenVINOEncoder, RuntimeMissingError

_LOGGER = logging.getLogger(__name__)


class Engine(StrEnum):
    """Who computes the vectors, from the same files. What they differ in is rounding, hence neither is in the stamp.

    Cosine between them 0.9999999 with AVX2, and at least 0.999 where OpenVINO rounds activations too (the tests).
    """

    OPENVINO = "openvino"
    NUMPY = "numpy"


_TOKENIZERS = "tokenizers==0.23.3"
# Installed only when a model is to run in this process: a manifest that asked for OpenVINO would keep the whole
# integration from loading where it has no package.
REQUIREMENTS: Final[Mapping[Engine, tuple[str, ...]]] = {
    Engine.OPENVINO: ("openvino==2026.4.1", _TOKENIZERS),
    Engine.NUMPY: (_TOKENIZERS,),
}


def openvino_has_packages() -> bool:
    """Tell whether it can be installed at all: not on musl (Home Assistant OS and Container)."""
    return not any("musl" in suffix for suffix in EXTENSION_SUFFIXES)


async def async_install(hass: HomeAssistant, engine: Engine) -> Engine:
    """Install what an engine needs, or else what NumPy needs; return the engine that can run now.

    Raises RequirementsNotFound, and OSError where there is nothing to install with.
    """
    if engine is Engine.OPENVINO and openvino_has_packages():
        try:
            await async_process_requirements(hass, DOMAIN, list(REQUIREMENTS[engine]), False)
        except (RequirementsNotFound, OSError) as err:
            _LOGGER.warning("OpenVINO could not be installed, NumPy takes its place: %s", err)
        else:
            return engine
    await async_process_requirements(hass, DOMAIN, list(REQUIREMENTS[Engine.NUMPY]), False)
    return Engine.NUMPY


def open_encoder(engine: Engine, folder: Path, spec: ModelSpec) -> Encoder:
    """Load a model, with NumPy where OpenVINO is installed but does not start here. Blocking; raises EncoderError."""
    if engine is Engine.OPENVINO:
        try:
            return OpenVINOEncoder(folder, spec)
        except RuntimeMissingError as err:
            if err.package != Engine.OPENVINO:
                raise
            _LOGGER.warning("OpenVINO does not start here, NumPy takes its place: %s", err.__cause__ or err)
    return NumPyEncoder(folder, spec)
