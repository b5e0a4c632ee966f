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
from .numpy_encoder import NumPyEncoder
from .openvino_encoder import OpenVINOEncoder
from .query_cache import QueryCache, QueryKey
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
    "NumPyEncoder",
    "OpenVINOEncoder",
    "Pooling",
    "QueryCache",
    "QueryKey",
    "Role",
    "RuntimeMissingError",
    "load_catalog",
]
