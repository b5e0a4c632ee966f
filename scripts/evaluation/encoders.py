"""Models that evaluation asks, with everything they have said kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import hashlib
from http import HTTPStatus
import json
from pathlib import Path
import sqlite3
from typing import Any
import urllib.error
import urllib.request

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.engine import (
    ComputeOptions,
    Encoder,
    HttpEncoder,
    NumPyEncoder,
    OpenVINOEncoder,
    Role,
    Server,
    candidates,
    load_catalog,
)
from custom_components.semantic_home.engine.embeddings_api import request, vectors
from custom_components.semantic_home.engine.transport import Response, Transport, TransportError
from custom_components.semantic_home.model_choice import own_spec

_AT_ONCE = 32

type Vectors = NDArray[np.float32]
type Told = Callable[[int, int], None]


class CachedEncoder:
    """Encodes with a model, but nothing twice: an interrupted run goes on where it was."""

    def __init__(self, name: str, encoder: Encoder, cache: Path) -> None:
        """Take what to call the model, its encoder, and the file that keeps its vectors."""
        self.name = name
        self._encoder = encoder
        cache.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(cache)
        self._database.execute("CREATE TABLE IF NOT EXISTS vector (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def encode(self, texts: Sequence[str], role: Role, told: Told | None = None) -> Vectors:
        """Encode texts to float32 (texts, dimension), L2-normalised; `told` hears how many of how many are done."""
        keys = [hashlib.sha256(f"{self._encoder.revision}\0{role}\0{text}".encode()).digest() for text in texts]
        missing = [number for number, key in enumerate(keys) if self._find(key) is None]
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            found = self._encoder.encode([texts[number] for number in some], role).dense
            rows = [(keys[number], vector.tobytes()) for number, vector in zip(some, found, strict=True)]
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)", rows)
            if told is not None:
                told(start + len(some), len(missing))
        kept = [self._find(key) for key in keys]
        return np.array([vector for vector in kept if vector is not None], np.float32)

    def close(self) -> None:
        """Let the model and the file go."""
        self._encoder.close()
        self._database.close()

    def _find(self, key: bytes) -> Vectors | None:
        row = self._database.execute("SELECT vector FROM vector WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32)


def of_folder(folder: Path, model: str | None, engine: str, cache: Path) -> CachedEncoder:
    """Open a model's folder. Raises ModelFilesError, and KeyError when the catalog does not know the model."""
    name = model or folder.name
    encode = {"openvino": OpenVINOEncoder, "numpy": NumPyEncoder}[engine]
    return CachedEncoder(name, encode(folder, load_catalog()[name], ComputeOptions()), cache)


def of_server(server: Server, cache: Path) -> CachedEncoder:
    """Ask a server. Raises ServerError."""
    transport = _Urllib()
    for url in candidates(server.url):
        answer = transport.post(url, request(server.model, ["hello"]), {}, server.timeout)
        if answer.status == HTTPStatus.OK:
            break
    dimension = vectors(answer.body, 1).shape[1]
    return CachedEncoder(server.model, HttpEncoder(server, own_spec(server.model, dimension, "mean"), transport), cache)


class _Urllib(Transport):
    """Requests without Home Assistant's HTTP client."""

    def post(self, url: str, payload: Mapping[str, Any], headers: Mapping[str, str], timeout: float) -> Response:
        asked = urllib.request.Request(  # noqa: S310 - the caller chose the address
            url, json.dumps(payload).encode(), {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(asked, timeout=timeout) as answer:  # noqa: S310
                return Response(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as err:
            return Response(err.code, {k.lower(): v for k, v in err.headers.items()}, err.read())
        except OSError as err:
            raise TransportError(str(err)) from err

    def interrupt(self) -> None:
        """Do nothing: a command is interrupted as a whole."""
