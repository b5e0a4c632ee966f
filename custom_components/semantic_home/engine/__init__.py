"""Text to vectors. Knows models and hardware, nothing of Home Assistant."""

from .catalog import Catalog, ModelSpec, Pooling, load_catalog
from .encoder import (
    Encoded,
    Encoder,
    EncoderBusyError,
    EncoderClosedError,
    EncoderError,
    ModelFilesError,
    Role,
    RuntimeMissingError,
)
from .openvino_encoder import OpenVINOEncoder
from .worker import EncoderWorker, Lane

__all__ = [
    "Catalog",
    "Encoded",
    "Encoder",
    "EncoderBusyError",
    "EncoderClosedError",
    "EncoderError",
    "EncoderWorker",
    "Lane",
    "ModelFilesError",
    "ModelSpec",
    "OpenVINOEncoder",
    "Pooling",
    "Role",
    "RuntimeMissingError",
    "load_catalog",
]
