"""The reader of BAAI's `.pt` files: it gives what PyTorch gives, and of a hostile file nothing is run."""

from collections import OrderedDict
from collections.abc import Callable
import contextlib
from io import BytesIO
import os
from pathlib import Path
import pickle
import shutil
import struct
import subprocess
import time
from typing import Any, override
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.typing import NDArray
import pytest

from custom_components.semantic_home.engine import ModelFilesError, ModelSpec, OpenVINOEncoder, Role
from custom_components.semantic_home.engine.model_folder import ModelFolder
from custom_components.semantic_home.engine.safetensors import read_safetensors
from custom_components.semantic_home.engine.torch_file import read_torch

from .common import MODELS, ROOT, tiny_spec

_HEADS = MODELS / "tiny-xlmr-heads"
_LAYERS = ("sparse_linear", "colbert_linear")
_EXPORT_PYTHON = ROOT / ".venv-export/bin/python"
_NUMBERS = np.arange(12, dtype="<f4") / 7


def _zip(path: Path, pickled: bytes, *, storage: bytes = _NUMBERS.tobytes(), **others: bytes) -> Path:
    """Write an archive as torch.save does, with one storage, "0"."""
    file = path / "head.pt"
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, content in {"data.pkl": pickled, "data/0": storage, **others}.items():
            archive.writestr(f"head/{name}", content)
    return file


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _int(number: int) -> bytes:
    raw = number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _tensor(
    shape: tuple[int, ...] = (3, 4),
    strides: tuple[int, ...] = (4, 1),
    *,
    offset: int = 0,
    count: int = 12,
    dtype: str = "FloatStorage",
    key: str = "0",
) -> bytes:
    """Write a tensor as torch.save does, instruction by instruction."""
    storage = _tuple(_text("storage"), f"ctorch\n{dtype}\n".encode(), _text(key), _text("cpu"), _int(count)) + b"Q"
    sizes = (_tuple(*map(_int, numbers)) for numbers in (shape, strides))
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + _tuple(storage, _int(offset), *sizes, b"\x89", hooks) + b"R"


def _pickle(*values: bytes) -> bytes:
    items = b"".join(_text(f"a{number or ''}") + value for number, value in enumerate(values))
    return b"\x80\x02}(" + items + b"u."


def _refused(file: Path) -> str:
    with pytest.raises(ModelFilesError) as caught:
        read_torch(file)
    assert caught.value.problem == "file_unreadable"
    assert file.name in caught.value.detail
    return caught.value.detail


def test_reads_what_pytorch_has_written() -> None:
    expected = read_safetensors(MODELS / "tiny-xlmr-fp32/heads.safetensors")
    found = {
        f"{layer}.{name}": array for layer in _LAYERS for name, array in read_torch(_HEADS / f"{layer}.pt").items()
    }
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected[name])


_WRITE = """
import sys, torch
layer = torch.nn.Linear(5, 3)
whole = torch.arange(24, dtype=torch.float32) / 7
states = {
    "fp32": layer.state_dict(),
    "fp16": layer.half().state_dict(),
    "bf16": layer.to(torch.bfloat16).state_dict(),
    "views": {"turned": whole.view(4, 6).T, "part": whole.view(4, 6)[1:3, ::2], "scalar": whole[3]},
}
for name, state in states.items():
    torch.save(state, f"{sys.argv[1]}/{name}.pt")
    torch.save({key: value.float().contiguous().numpy().tobytes() for key, value in state.items()}, f"{name}.raw")
torch.save(states["fp32"], "fp32-4.pt", pickle_protocol=4)
torch.save(states["fp32"], "old.pt", _use_new_zipfile_serialization=False)
"""


@pytest.mark.skipif(not _EXPORT_PYTHON.is_file(), reason="needs PyTorch: scripts/make_golden makes .venv-export")
def test_reads_what_pytorch_writes_now(tmp_path: Path) -> None:
    subprocess.run([_EXPORT_PYTHON, "-W", "ignore", "-c", _WRITE, tmp_path], cwd=tmp_path, check=True, timeout=120)
    for name in ("fp32", "fp16", "bf16", "views"):
        with ZipFile(tmp_path / f"{name}.raw") as archive:
            expected = pickle.loads(archive.read(f"{name}/data.pkl"))  # noqa: S301 - our own
        found = read_torch(tmp_path / f"{name}.pt")
        assert {key: array.tobytes() for key, array in found.items()} == expected
    shapes = {key: array.shape for key, array in found.items()}
    assert shapes == {"turned": (6, 4), "part": (2, 3), "scalar": ()}
    weight = read_torch(tmp_path / "fp32-4.pt")["weight"]
    assert weight.shape == (3, 5)
    np.testing.assert_array_equal(weight, read_torch(tmp_path / "fp32.pt")["weight"])
    assert "not a ZIP archive" in _refused(tmp_path / "old.pt")


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (_tensor(), _NUMBERS.reshape(3, 4)),
        (_tensor((4, 3), (1, 4)), _NUMBERS.reshape(3, 4).T),
        (_tensor((2, 2), (6, 3), offset=1), _NUMBERS[[[1, 4], [7, 10]]]),
        (_tensor((2,), (1,), offset=10), _NUMBERS[10:]),
        (_tensor((), (), offset=11), _NUMBERS[11]),
        (_tensor((3,), (0,)), _NUMBERS[[0, 0, 0]]),
    ],
)
def test_strides_and_offsets(tmp_path: Path, tensor: bytes, expected: NDArray[np.float32]) -> None:
    found = read_torch(_zip(tmp_path, _pickle(tensor)))["a"]
    np.testing.assert_array_equal(found, expected)
    assert found.shape == expected.shape and found.flags.c_contiguous and found.flags.writeable


def test_sixteen_bits(tmp_path: Path) -> None:
    half = np.array([0.5, -2, 1e-7, np.inf], "<f2")
    file = _zip(tmp_path, _pickle(_tensor((4,), (1,), count=4, dtype="HalfStorage")), storage=half.tobytes())
    np.testing.assert_array_equal(read_torch(file)["a"], half.astype("f4"))
    # The upper halves of 1, -2.5 and 3.140625.
    upper = bytes.fromhex("803f 20c0 4940")
    file = _zip(tmp_path, _pickle(_tensor((3,), (1,), count=3, dtype="BFloat16Storage")), storage=upper)
    np.testing.assert_array_equal(read_torch(file)["a"], np.array([1, -2.5, 3.140625], "f4"))


@pytest.mark.parametrize(
    "tensor",
    [
        _tensor(count=13),
        _tensor(count=11),
        _tensor(count=2**40),
        _tensor(count=-12),
        _tensor((3, 5), (5, 1)),
        _tensor(offset=1),
        _tensor(offset=-1),
        _tensor(offset=2**62),
        _tensor((3, 4), (5, 1)),
        _tensor((3, 4), (-4, 1)),
        _tensor((3, 4), (4, 2**70)),
        _tensor((-3, -4)),
        _tensor((0, 4)),
        _tensor((3, 4), (4,)),
        _tensor((2**23, 2), (0, 0)),
        _tensor((1,) * 5, (1,) * 5),
        _tensor(key="1"),
        _tensor(key="../data.pkl"),
        _tensor(dtype="DoubleStorage"),
        _tensor(dtype="load"),
        _text("no tensor"),
        b"K\x01",
        b"N",
        b"}",
        b"ctorch\nFloatStorage\n",
    ],
)
def test_tensors_that_are_none(tmp_path: Path, tensor: bytes) -> None:
    _refused(_zip(tmp_path, _pickle(tensor)))


class _Runs:
    """Leaves a mark where it is unpickled."""

    def __init__(self, call: tuple[Any, ...]) -> None:
        self._call = call

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


_HOSTILE: dict[str, Callable[[str], Any]] = {
    "a call": lambda mark: _Runs((os.mkdir, (mark,))),
    "a shell": lambda mark: _Runs((os.system, (f"mkdir {mark}",))),
    "eval": lambda mark: _Runs((eval, (f"__import__('os').mkdir({mark!r})",))),
    "getattr": lambda _: _Runs((getattr, (_Runs((__import__, ("os",))), "mkdir"))),
    "nested": lambda mark: OrderedDict(weight=OrderedDict(deep=(1, [_Runs((os.mkdir, (mark,)))]))),
    "a state": lambda mark: _Runs((OrderedDict, (), {"_metadata": _Runs((os.mkdir, (mark,)))})),
    "items": lambda mark: _Runs((OrderedDict, (), None, None, iter([("a", _Runs((os.mkdir, (mark,))))]))),
    "arguments": lambda mark: _Runs((OrderedDict, ([("a", _Runs((os.mkdir, (mark,))))],))),
    "a setter": lambda _: _Runs((OrderedDict, (), {"a": 1}, None, None, setattr)),
    "an object": Path,
    "an array": lambda _: np.zeros(3),
    "bytes": lambda _: bytearray(9),
}


@pytest.mark.parametrize("name", _HOSTILE)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_run(tmp_path: Path, name: str, protocol: int) -> None:
    mark = tmp_path / "mark"
    pickled = pickle.dumps({"weight": _HOSTILE[name](str(mark))}, protocol)
    _refused(_zip(tmp_path, pickled))
    _refused(_zip(tmp_path, _pickle(_tensor()), **{"other/data.pkl": pickled}))
    assert not mark.exists()


def test_the_hostile_would_run_elsewhere(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(_HOSTILE["a call"](str(mark))))  # noqa: S301 - our own
    assert mark.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b".",
        b"\x80\x02",
        b"\x80\x02}",
        b"}}.",
        b"(.",
        b"0.",
        b"u.",
        b"}u.",
        b"}(K\x01u.",
        b"}K\x01K\x02s.",
        b"K\x01(u.",
        b"R.",
        b"NNR.",
        b"ccollections\nOrderedDict\nNR.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"ccollections\nOrderedDict\n}b.",
        b"ctorch._utils\n_rebuild_tensor_v2\n}b.",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"ctorch\nFloatStorage\n)R.",
        b"ccollections\nOrderedDict\n(cos\nsystem\n" + _text("true") + b"tR.",
        _text("os") + _text("system") + b"\x93.",
        _text("collections") + _text("OrderedDict") + b"\x93K\x01\x85R.",
        _text("collections") + b"N\x93.",
        b"(S'true'\nios\nsystem\n.",
        b"Nq\x00h\x01.",
        b"h\x00.",
        b"NQ.",
        b")Q.",
        b"Pstorage\n.",
        b"\x82\x01.",
        b"\x97.",
        b"\x8b\xff\xff\xff\x7f.",
        b"\x8e" + b"\xff" * 8 + b".",
        b"X\xff\xff\xff\xff.",
        b"I" + b"9" * 5000 + b"\n.",
        b"L" + b"9" * 5000 + b"L\n.",
        # A list within itself, and a dictionary that is: nobody may walk through either.
        b"]q\x00h\x00a.",
        b"}q\x00(" + _text("a") + b"h\x00u.",
        b"\x80\x02}(" + _text("a") + b"(u.",
        b"N" * 2**16 + b".",
    ],
)
def test_pickles_that_are_none(tmp_path: Path, pickled: bytes) -> None:
    _refused(_zip(tmp_path, pickled))


def test_tuples_within_one_another_take_no_time(tmp_path: Path) -> None:
    """Twice the one before, 5000 times: hashing or comparing or printing that would never end."""
    doubled = b")" + b"".join(b"r" + struct.pack("<I", 0) + b"j" + struct.pack("<I", 0) + b"\x86" for _ in range(5000))
    begin = time.perf_counter()
    for pickled in (
        b"}" + doubled + b"Ns.",
        b"}" + _text("a") + doubled + b"s.",
        doubled + b"Q.",
        doubled + doubled + b"R.",
    ):
        _refused(_zip(tmp_path, pickled))
    many = b"".join(_tensor((2**20,), (0,)) + b"q\x01" for _ in range(400))
    _refused(_zip(tmp_path, many + b"."))
    assert time.perf_counter() - begin < 20


def _bomb(path: Path) -> Path:
    with ZipFile(file := path / "head.pt", "w", ZIP_DEFLATED) as archive:
        archive.writestr("head/data.pkl", _pickle(_tensor()))
        archive.writestr("head/data/0", bytes(2**28))
    return file


def _overlapping(path: Path) -> Path:
    """Sixty entries that are all the same megabyte."""
    file = _zip(path, _pickle(_tensor()), storage=bytes(2**20))
    content = file.read_bytes()
    begin, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    listed = content[begin:end]
    entry = listed[listed.rindex(b"PK\1\2") :]
    listed += b"".join(entry.replace(b"data/0", f"data/{number:c}".encode()) for number in range(0x30, 0x30 + 58))
    size, count = len(listed), listed.count(b"PK\1\2")
    file.write_bytes(content[:begin] + listed + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, begin, 0))
    return file


def _many(path: Path) -> Path:
    return _zip(path, _pickle(_tensor()), **{f"data/{number}": b"" for number in range(1, 80)})


def _lying(path: Path) -> Path:
    """Claims that a storage has 4 GB."""
    file = _zip(path, _pickle(_tensor(count=2**24)))
    content = file.read_bytes()
    file.write_bytes(content.replace(struct.pack("<2I", 48, 48), struct.pack("<2I", 2**32 - 2, 2**32 - 2)))
    return file


def _encrypted(path: Path) -> Path:
    file = path / "head.pt"
    with ZipFile(file, "w") as archive:
        archive.writestr(info := ZipInfo("head/data.pkl"), _pickle(_tensor()))
        info.flag_bits |= 1
    return file


def _large(path: Path) -> Path:
    return _zip(path, _pickle(_tensor()), storage=bytes(2**24))


@pytest.mark.parametrize(
    "make",
    [
        _bomb,
        _overlapping,
        _many,
        _lying,
        _encrypted,
        _large,
        lambda path: path / "head.pt",
        lambda path: _zip(path, _pickle(_tensor()), byteorder=b"big"),
        lambda path: _zip(path, _pickle(_tensor()), **{"a/data.pkl": b"}."}),
        lambda path: _zip(path, _pickle(*[_tensor()] * 17)),
        lambda path: _zip(path, _pickle(_tensor()).ljust(2**16 + 1, b".")),
    ],
)
def test_archives_that_are_none(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    _refused(make(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"PK\5\6" + bytes(18), b"PK\3\4", b"x" * 100])
def test_files_that_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "head.pt").write_bytes(content)
    _refused(tmp_path / "head.pt")


@pytest.mark.parametrize("size", [0, 100, 1000, 1500, -1])
def test_truncated(tmp_path: Path, size: int) -> None:
    file = tmp_path / "sparse_linear.pt"
    file.write_bytes((_HEADS / file.name).read_bytes()[:size])
    _refused(file)


_VALID = (_HEADS / "sparse_linear.pt").read_bytes()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(_VALID) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_other_byte_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(_VALID)
    for at, byte in changes:
        content[at] = byte
    file = tmp_path_factory.getbasetemp() / "any.pt"
    file.write_bytes(content)
    with contextlib.suppress(ModelFilesError):
        assert all(array.dtype == np.float32 for array in read_torch(file).values())


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([*b"()}].0NRQbcsut\x85\x86\x87\x88\x89\x93\x94q\0h\0K\x01"]), max_size=30).map(bytes))
def test_any_instructions_are_followed_or_refused(tmp_path_factory: pytest.TempPathFactory, pickled: bytes) -> None:
    with contextlib.suppress(ModelFilesError):
        assert read_torch(_zip(tmp_path_factory.getbasetemp(), b"}" + pickled + b".")) == {}


@pytest.fixture
def spec() -> ModelSpec:
    return tiny_spec("tiny-xlmr-fp32")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as BAAI publishes its heads."""
    made = Path(shutil.copytree(MODELS / "tiny-xlmr-fp32", tmp_path / "model"))
    (made / "heads.safetensors").unlink()
    return Path(shutil.copytree(_HEADS, made, dirs_exist_ok=True))


def test_model_with_such_heads_is_the_same_model(folder: Path, spec: ModelSpec) -> None:
    texts = ["turn off the lamp next to the couch", "lamp", ""]
    ours = OpenVINOEncoder(folder, spec).encode(texts, Role.QUERY)
    expected = OpenVINOEncoder(MODELS / "tiny-xlmr-fp32", spec).encode(texts, Role.QUERY)
    assert ours.sparse == expected.sparse
    for mine, theirs in zip(ours.multivector or (), expected.multivector or (), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_such_heads_are_part_of_the_revision(folder: Path, spec: ModelSpec) -> None:
    found = ModelFolder.open(folder, spec)
    assert [file.name for file in found.heads] == ["sparse_linear.pt", "colbert_linear.pt"]
    before = found.fingerprint()
    shutil.copy(folder / "colbert_linear.pt", folder / "sparse_linear.pt")
    assert found.fingerprint() != before
    # Where both are there, ours counts alone.
    shutil.copy(MODELS / "tiny-xlmr-fp32/heads.safetensors", folder)
    assert [file.name for file in ModelFolder.open(folder, spec).heads] == ["heads.safetensors"]


@pytest.mark.parametrize("layer", _LAYERS)
def test_only_one_of_the_files(folder: Path, spec: ModelSpec, layer: str) -> None:
    (folder / f"{layer}.pt").unlink()
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(folder, spec)
    assert (caught.value.problem, caught.value.detail) == ("file_missing", f"{layer}.pt")


def test_heads_that_stand_in_each_others_place(folder: Path, spec: ModelSpec) -> None:
    shutil.copy(folder / "colbert_linear.pt", folder / "sparse_linear.pt")
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(folder, spec)
    assert caught.value.problem == "wrong_dimension"
    with ZipFile(BytesIO(_VALID)) as archive, ZipFile(folder / "sparse_linear.pt", "w") as other:
        for entry in archive.infolist():
            other.writestr(entry, archive.read(entry).replace(b"weight", b"height"))
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(folder, spec)
    assert caught.value.problem == "file_unreadable"
    assert "sparse_linear" in caught.value.detail
