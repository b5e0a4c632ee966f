"""What runs a model in this process: OpenVINO where it has packages, NumPy everywhere."""

from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES
import logging
from pathlib import Path
import platform
import sys
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.requirements import RequirementsNotFound, async_process_requirements

from .const import DOMAIN
from .engine import ComputeOptions, Encoder, ModelSpec, NumPyEncoder, OpenVINOEncoder, RuntimeMissingError
from .model_choice import Engine

_LOGGER = logging.getLogger(__name__)


_TOKENIZERS = "tokenizers==0.23.3"
_X86_64 = frozenset({"x86_64", "amd64"})
_ARM_64 = frozenset({"aarch64", "arm64"})
# Installed only when a model is to run in this process: a manifest that asked for OpenVINO would keep the whole
# integration from loading where it has no package.
REQUIREMENTS: Final[Mapping[Engine, tuple[str, ...]]] = {
    Engine.OPENVINO: ("openvino==2026.4.1", _TOKENIZERS),
    Engine.NUMPY: (_TOKENIZERS,),
}


def openvino_obstacle() -> str | None:
    """Tell what keeps OpenVINO from being installed at all, as a translation key; None where it has packages.

    It has them for x86-64 (macOS excepted) and 64-bit ARM, and none for musl (Home Assistant OS and Container).
    """
    if any("musl" in suffix for suffix in EXTENSION_SUFFIXES):
        return "openvino_not_on_musl"
    machine = platform.machine().lower()
    has_packages = machine in _ARM_64 or (machine in _X86_64 and sys.platform != "darwin")
    return None if has_packages else "openvino_not_on_processor"


async def async_install(hass: HomeAssistant, engine: Engine) -> Engine:
    """Install what an engine needs, or else what NumPy needs; return the engine that can run now.

    Raises RequirementsNotFound, and OSError where there is nothing to install with.
    """
    if engine is Engine.OPENVINO and openvino_obstacle() is None:
        try:
            await async_process_requirements(hass, DOMAIN, list(REQUIREMENTS[engine]), False)
        except (RequirementsNotFound, OSError) as err:
            _LOGGER.warning("OpenVINO could not be installed, NumPy takes its place: %s", err)
        else:
            return engine
    await async_process_requirements(hass, DOMAIN, list(REQUIREMENTS[Engine.NUMPY]), False)
    return Engine.NUMPY


def open_encoder(engine: Engine, folder: Path, spec: ModelSpec, options: ComputeOptions) -> Encoder:
    """Load a model, with NumPy where OpenVINO is installed but does not start here. Blocking; raises EncoderError."""
    if engine is Engine.OPENVINO:
        try:
            return OpenVINOEncoder(folder, spec, options)
        except RuntimeMissingError as err:
            if err.package != Engine.OPENVINO:
                raise
            _LOGGER.warning("OpenVINO does not start here, NumPy takes its place: %s", err.__cause__ or err)
    return NumPyEncoder(folder, spec, options)
