"""What a model says of a text beside its one vector, and how that is stored: weights of tokens, and a vector a token.

A vector a token is many times what the rest of a row takes: they are stored as 8-bit numbers and a scale for each, an
error of 0.4 % of the largest component at most. Half the bytes of float16, and read at least twice as fast (measured).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
import itertools

import numpy as np
from numpy.typing import NDArray

from .model import StoreError

# Who has more tokens is no name but a note, which nobody looks for word by word, and would take up megabytes.
_MOST_TOKENS = 64

_WEIGHT = np.dtype([("token", "<u4"), ("weight", "<f4")])
_LENGTH = np.dtype("<u4")
_SCALE = np.dtype("<f4")
_LARGEST = 127


@dataclass(frozen=True, slots=True)
class TextHeads:
    """One text's `sparse`, weights (> 0) by token id, and `multivector`, float32 (tokens, size), L2-normalised.

    Stored, a text of more than 64 tokens has no multivector.
    """

    sparse: Mapping[int, float]
    multivector: NDArray[np.float32] | None


def sparse_blob(weights: Mapping[int, float]) -> bytes:
    """Return weights as they are stored; raises ValueError unless they are finite."""
    stored = np.array(list(weights.items()), _WEIGHT)
    if not np.isfinite(stored["weight"]).all():
        raise ValueError("A weight of a token is not finite")
    return stored.tobytes()


def sparse_of(blob: bytes) -> dict[int, float]:
    """Read weights; raises StoreError for what was never stored."""
    if len(blob) % _WEIGHT.itemsize:
        raise StoreError(f"Weights of tokens have {len(blob)} bytes")
    stored = np.frombuffer(blob, _WEIGHT)
    return dict(zip(stored["token"].tolist(), stored["weight"].tolist(), strict=True))


def multivector_blob(vectors: NDArray[np.float32] | None) -> bytes | None:
    """Return vectors as they are stored: how many, their scales, their components; None where none are to be.

    Raises ValueError unless they are (tokens, size) and finite.
    """
    if vectors is None or not 0 < len(vectors) <= _MOST_TOKENS:
        return None
    if vectors.ndim != 2 or not np.isfinite(vectors).all():  # noqa: PLR2004
        raise ValueError(f"Vectors of tokens, {vectors.shape}, are not finite or of another shape")
    scales = np.maximum(np.abs(vectors).max(axis=1), np.finfo(np.float32).tiny) / _LARGEST
    components = np.rint(vectors / scales[:, None]).astype(np.int8)
    return b"".join((np.array(len(vectors), _LENGTH).tobytes(), scales.astype(_SCALE).tobytes(), components.tobytes()))


def multivector_of(blob: bytes) -> NDArray[np.float32]:
    """Read vectors, float32 (tokens, size); raises StoreError for what was never stored."""
    count = int.from_bytes(blob[: _LENGTH.itemsize], "little")
    first = _LENGTH.itemsize + count * _SCALE.itemsize
    if not count or len(blob) <= first or (len(blob) - first) % count:
        raise StoreError(f"Vectors of {count} tokens have {len(blob)} bytes")
    scales = np.frombuffer(blob, _SCALE, count, _LENGTH.itemsize)
    return np.frombuffer(blob, np.int8, offset=first).reshape(count, -1) * scales[:, None]


def joined(blobs: Iterable[bytes | None]) -> bytes:
    """Put blobs that are read together into one, each behind its length; none is one without bytes."""
    return b"".join(np.array(len(blob or b""), _LENGTH).tobytes() + (blob or b"") for blob in blobs)


def parted(blob: bytes, count: int) -> list[bytes]:
    """Take so many blobs apart again; raises StoreError when they are not as many."""
    parts, start = [], 0
    for _ in itertools.repeat(None, count):
        end = start + _LENGTH.itemsize + int.from_bytes(blob[start : start + _LENGTH.itemsize], "little")
        parts.append(blob[start + _LENGTH.itemsize : end])
        start = end
    if start != len(blob):
        raise StoreError(f"{count} blobs have {len(blob)} bytes, not {start}")
    return parts
