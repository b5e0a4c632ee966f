"""Text to vectors. Knows models and hardware, nothing of Home Assistant."""

from .catalog import Catalog, ModelFile, ModelSpec, Pooling, load_catalog
from .compute import ComputeOptions
from .embedding_server import Server, ServerError, candidates
from .encoder import (
    Encoded,
    Encoder,
    EncoderAuthError,
    EncoderBusyError,
    EncoderClosedError,
    EncoderError,
    EncoderUnavailableError,
    ModelFilesError,
    Role,
    RuntimeMissingError,
)
from .http_encoder import HttpEncoder
from .numpy_encoder import NumPyEncoder
from .openvino_encoder import OpenVINOEncoder, available_devices
from .probe import Examination, UnfitModelError, examine
from .query_cache import QueryCache, QueryKey
from .worker import EncoderChangedError, EncoderWorker, Lane

__all__ = [
    "Catalog",
    "ComputeOptions",
    "Encoded",
    "Encoder",
    "EncoderAuthError",
    "EncoderBusyError",
    "EncoderChangedError",
    "EncoderClosedError",
    "EncoderError",
    "EncoderUnavailableError",
    "EncoderWorker",
    "Examination",
    "HttpEncoder",
    "Lane",
    "ModelFile",
    "ModelFilesError",
    "ModelSpec",
    "NumPyEncoder",
    "OpenVINOEncoder",
    "Pooling",
    "QueryCache",
    "QueryKey",
    "Role",
    "RuntimeMissingError",
    "Server",
    "ServerError",
    "UnfitModelError",
    "available_devices",
    "candidates",
    "examine",
    "load_catalog",
]
