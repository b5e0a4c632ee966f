"""A reader for the few tensors of a `.pt` file that heads consist of. It can load numbers and nothing else.

What torch.save writes (PyTorch 1.6 and later, `torch/serialization.py`): a ZIP archive, nothing in it compressed, with
`NAME/data.pkl`, a pickle that says which tensors there are, and `NAME/data/KEY`, their bytes.

A pickle is a program. Here it is not run but read: of its instructions those are followed that say "a dictionary from
names to tensors", on strings, numbers, tuples and dictionaries alone. There is no call, no import and no attribute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
import math
from pathlib import Path
import pickletools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoder import ModelFilesError

type _Array = NDArray[np.float32]

_MAX_FILE = 2**24
_MAX_PICKLE = 2**16
_MAX_ENTRIES = 64
_MAX_TENSORS = 16
_ENTRY_SIGNATURE = b"PK\x01\x02"

_DICT, _TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
# bfloat16 is the upper half of a float32, which NumPy knows only as a whole number.
_DTYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch BFloat16Storage": np.dtype("<u2"),
}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


def read_torch(file: Path) -> dict[str, _Array]:
    """Read the state dict in a file of at most 16 MiB: name to float32 array. Blocking.

    Tensors of 32 and 16 bits (both kinds) are known. Raises ModelFilesError `file_unreadable` for anything else, what
    PyTorch before 1.6 wrote included.
    """
    try:
        with file.open("rb") as stream:
            return _parse(stream.read(_MAX_FILE + 1))
    # RuntimeError: an encrypted entry. NotImplementedError: a ZIP of a kind that the library does not know.
    except (OSError, EOFError, ValueError, KeyError, IndexError, OverflowError, RuntimeError) as err:
        raise ModelFilesError("file_unreadable", f"{file.name} ({err})") from err


@dataclass(frozen=True, slots=True)
class _Global:
    """The name of something in a module. Nobody looks it up."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """The numbers that tensors are cut from."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A cut through a storage: where it begins, its shape, and the steps from one number to the next by axis."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _parse(content: bytes) -> dict[str, _Array]:
    if len(content) > _MAX_FILE:
        raise ValueError("too large")
    entries = _read_entries(content)
    (prefix,) = (name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl"))
    if entries.get(f"{prefix}byteorder", b"little") != b"little":
        raise ValueError("big-endian")
    numbers = {name.removeprefix(f"{prefix}data/"): data for name, data in entries.items()}
    return {name: _cut(tensor, numbers) for name, tensor in _read_pickle(entries[f"{prefix}data.pkl"]).items()}


def _read_entries(content: bytes) -> dict[str, bytes]:
    """Read everything. Entries may overlap, so that their sizes together say nothing of the file's."""
    import zipfile  # noqa: PLC0415 - it loads libraries for compression, and few folders have such a file

    # Each becomes an object, and a file could list hundreds of thousands.
    if content.count(_ENTRY_SIGNATURE) > _MAX_ENTRIES:
        raise ValueError("too many entries")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("compressed")
            if sum(entry.file_size for entry in entries) > _MAX_FILE:
                raise ValueError("too large")
            return {entry.filename: archive.read(entry) for entry in entries}
    except zipfile.BadZipFile as err:
        raise ValueError(f"not a ZIP archive, as torch.save writes: {err}") from err


def _read_pickle(content: bytes) -> Mapping[str, _Tensor]:
    if len(content) > _MAX_PICKLE:
        raise ValueError("too large")
    reader = _PickleReader()
    for instruction, argument, _ in pickletools.genops(content):
        reader.follow(instruction.name, argument)
    (tensors,) = reader.stack
    if type(tensors) is not dict or len(tensors) > _MAX_TENSORS:
        raise ValueError("not a dictionary of a few tensors")
    if not all(type(tensor) is _Tensor for tensor in tensors.values()):
        raise ValueError("something else than tensors")
    return tensors


class _PickleReader:
    """Follows a pickle's instructions as far as they are known, and raises ValueError where they are not.

    Of what stands on the stack nothing is called or compared, and only strings are hashed: tuples that contain one
    another twice over and over would take for ever.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def follow(self, name: str, argument: Any) -> None:
        """Follow one instruction, by pickletools' name."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _LITERALS or name == "MARK":
            self.stack.append(_MARK if name == "MARK" else argument)
        elif name in _TUPLES:
            self._push_tuple(self._pop(_TUPLES[name]))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self._memo[argument])
        elif name == "GLOBAL":
            self._push_global(argument)
        elif name not in ("PROTO", "FRAME", "STOP"):
            self._follow_structure(name)

    def _follow_structure(self, name: str) -> None:
        match name:
            case "EMPTY_DICT":
                self.stack.append({})
            case "TUPLE":
                self._push_tuple(self._pop_to_mark())
            case "STACK_GLOBAL":
                self._push_global(" ".join(map(_string, self._pop(2))))
            case "BINPERSID":
                self.stack.append(_storage(*self._pop(1)))
            case "REDUCE":
                self.stack.append(_made(*self._pop(2)))
            case "SETITEM":
                self._set_items(self._pop(2))
            case "SETITEMS":
                self._set_items(self._pop_to_mark())
            case "BUILD":
                # An OrderedDict's attributes: the versions of torch's modules.
                self._pop(1)
                _dictionary(self.stack[-1])
            case _:
                raise ValueError(f"{name} in the pickle")

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("a pickle that takes more than there is")
        popped, self.stack[-count:] = self.stack[-count:], []
        return popped

    def _pop_to_mark(self) -> list[Any]:
        popped: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            popped.append(item)
        return popped[::-1]

    def _push_tuple(self, items: list[Any]) -> None:
        self.stack.append(tuple(items))

    def _push_global(self, name: str) -> None:
        if name not in (_DICT, _TENSOR, *_DTYPES):
            raise ValueError(f"{name} in the pickle")
        self.stack.append(_Global(name))

    def _set_items(self, items: list[Any]) -> None:
        target = _dictionary(self.stack[-1])
        if len(items) % 2:
            raise ValueError("a name without a value")
        target.update(zip(map(_string, items[::2]), items[1::2], strict=True))


def _made(maker: object, arguments: object) -> dict[str, Any] | _Tensor:
    """Make what a call would: an empty dictionary, or a tensor."""
    if type(maker) is not _Global or type(arguments) is not tuple:
        raise ValueError("a call in the pickle")
    if maker.name == _DICT and not arguments:
        return {}
    # storage, offset, shape, strides, requires_grad, hooks: the last two are for training.
    if maker.name != _TENSOR or len(arguments) != 6 or type(arguments[0]) is not _Storage:  # noqa: PLR2004
        raise ValueError(f"a call of {maker.name}")
    storage, offset, shape, strides = arguments[:4]
    return _Tensor(storage, _number(offset), _numbers(shape), _numbers(strides))


def _storage(reference: object) -> _Storage:
    """Read ("storage", its type, its key, the device it was on, how many numbers)."""
    if type(reference) is not tuple or len(reference) != 5:  # noqa: PLR2004
        raise ValueError("something else than a storage")
    kind, dtype, key, _, count = reference
    if _string(kind) != "storage" or type(dtype) is not _Global or dtype.name not in _DTYPES:
        raise ValueError("a storage of an unknown type")
    return _Storage(dtype.name, _string(key), _number(count))


def _cut(tensor: _Tensor, numbers: Mapping[str, bytes]) -> _Array:
    storage, data = tensor.storage, numbers[tensor.storage.key]
    dtype = _DTYPES[storage.dtype]
    if len(data) != storage.count * dtype.itemsize:
        raise ValueError("a storage of another size")
    if len(tensor.shape) != len(tensor.strides) or math.prod(tensor.shape) > storage.count:
        raise ValueError("a tensor larger than its storage")
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    if 0 in tensor.shape or last >= storage.count:
        raise ValueError("a tensor outside its storage")
    values: NDArray[Any] = np.frombuffer(data, dtype)[tensor.offset :]
    view = np.lib.stride_tricks.as_strided(
        values, tensor.shape, [step * dtype.itemsize for step in tensor.strides], writeable=False
    )
    if storage.dtype == "torch BFloat16Storage":
        return (view.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return view.astype(np.float32, order="C")


def _dictionary(value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError("something else than a dictionary")
    return value


def _string(value: object) -> str:
    if type(value) is not str:
        raise ValueError("something else than a name")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_FILE:
        raise ValueError("something else than a size")
    return value


def _numbers(value: object) -> tuple[int, ...]:
    """Read a shape or strides. Nothing that heads consist of has more than two axes."""
    if type(value) is not tuple or len(value) > 4:  # noqa: PLR2004
        raise ValueError("something else than sizes")
    return tuple(map(_number, value))
