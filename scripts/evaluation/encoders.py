"""Models that evaluation asks, with everything they have said kept on disk."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
import hashlib
from http import HTTPStatus
from io import BytesIO
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
    Encoded,
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
from custom_components.semantic_home.index.heads import sparse_blob, sparse_of
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
        self._database.execute("CREATE TABLE IF NOT EXISTS heads (key BLOB PRIMARY KEY, sparse BLOB, multivector BLOB)")

    def encode(self, texts: Sequence[str], role: Role, told: Told | None = None) -> Encoded:
        """Encode texts, with all heads that the model has; `told` hears how many of how many are done."""
        keys = [hashlib.sha256(f"{self._encoder.revision}\0{role}\0{text}".encode()).digest() for text in texts]
        missing = [number for number, key in enumerate(keys) if not self._is_kept(key)]
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            self._keep(
                [keys[number] for number in some], self._encoder.encode([texts[number] for number in some], role)
            )
            if told is not None:
                told(start + len(some), len(missing))
        dense = np.array([np.frombuffer(self._find("vector", key)[1], np.float32) for key in keys], np.float32)
        if not self._encoder.has_heads:
            return Encoded(dense)
        heads = [self._find("heads", key) for key in keys]
        return Encoded(dense, tuple(sparse_of(row[1]) for row in heads), tuple(_array(row[2]) for row in heads))

    def close(self) -> None:
        """Let the model and the file go."""
        self._encoder.close()
        self._database.close()

    def _keep(self, keys: Sequence[bytes], encoded: Encoded) -> None:
        with self._database:
            rows = zip(keys, (vector.tobytes() for vector in encoded.dense), strict=True)
            self._database.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)", rows)
            if encoded.sparse is not None and encoded.multivector is not None:
                heads = zip(keys, map(sparse_blob, encoded.sparse), map(_blob, encoded.multivector), strict=True)
                self._database.executemany("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", heads)

    def _is_kept(self, key: bytes) -> bool:
        return bool(self._find("vector", key) and (not self._encoder.has_heads or self._find("heads", key)))

    def _find(self, table: str, key: bytes) -> Any:
        return self._database.execute(f"SELECT * FROM {table} WHERE key = ?", (key,)).fetchone()  # noqa: S608 - ours


def named(options: Namespace, cache: Path) -> Iterator[CachedEncoder]:
    """Open the models that a command's options name: a folder's, a server's, or both. Raises as the two below do."""
    if options.model:
        yield of_folder(options.model, options.model_id, options.engine, cache)
    if options.server:
        yield of_server(Server(options.server, options.server_model, options.passage_model), cache)


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


def _blob(vectors: Vectors) -> bytes:
    stream = BytesIO()
    np.save(stream, vectors.astype(np.float16), allow_pickle=False)
    return stream.getvalue()


def _array(blob: bytes) -> Vectors:
    return np.asarray(np.load(BytesIO(blob), allow_pickle=False), np.float32)


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
