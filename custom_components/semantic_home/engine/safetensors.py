"""A reader for the few tensors of a `.safetensors` file that heads consist of. It can load numbers and nothing else.

The format (huggingface/safetensors, README): eight bytes with the header's length, a JSON header that gives each
tensor's dtype, shape and place, and the tensors' bytes, little-endian and in C order.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoder import ModelFilesError

_LENGTH_BYTES = 8
_MAX_HEADER = 2**20
_MAX_FILE = 2**28
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8")}


def read_safetensors(file: Path) -> dict[str, NDArray[np.float32]]:
    """Read all tensors of a file below 256 MiB: name to float32 array in the shape the header gives. Blocking.

    Only F32, F16 and I64 are known. Raises ModelFilesError `file_unreadable` for anything else, and for a header that
    does not fit the file.
    """
    try:
        with file.open("rb") as stream:
            return _parse(stream.read(_MAX_FILE + 1))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise ModelFilesError("file_unreadable", f"{file.name} ({err})") from err


def _parse(content: bytes) -> dict[str, NDArray[np.float32]]:
    if len(content) > _MAX_FILE:
        raise ValueError("too large")
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if length > _MAX_HEADER or start > len(content):
        raise ValueError("the header does not fit")
    header = json.loads(content[_LENGTH_BYTES:start])
    data = memoryview(content)[start:]
    return {name: _tensor(data, entry) for name, entry in header.items() if name != "__metadata__"}


def _tensor(data: memoryview, entry: dict[str, Any]) -> NDArray[np.float32]:
    dtype = _DTYPES[entry["dtype"]]
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError("sizes and offsets are whole numbers")
    if not begin <= end <= len(data) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError("a tensor does not fit its place")
    values: NDArray[Any] = np.frombuffer(data[begin:end], dtype)
    return values.reshape(shape).astype(np.float32)
