"""Text to vectors. Knows models and hardware, nothing of Home Assistant."""

from .catalog import Catalog, ModelFile, ModelSpec, Pooling, load_catalog
from .circuit_breaker import CircuitBreaker
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
from .http_encoder import HttpEncoder, revision_of_server
from .model_folder import ModelFolder
from .numpy_encoder import NumPyEncoder
from .openvino_encoder import OpenVINOEncoder, available_devices
from .probe import Examination, UnfitModelError, examine
from .query_cache import QueryCache, QueryKey
from .session_transport import SessionTransport
from .worker import EncoderChangedError, EncoderWorker, Lane

__all__ = [
    "Catalog",
    "CircuitBreaker",
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
    "ModelFolder",
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
    "SessionTransport",
    "UnfitModelError",
    "available_devices",
    "candidates",
    "examine",
    "load_catalog",
    "revision_of_server",
]
