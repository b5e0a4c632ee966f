"""The reader of heads: what it accepts, and that it refuses everything else."""

import contextlib
import json
from pathlib import Path
import struct
from typing import Any

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

from custom_components.semantic_home.engine import ModelFilesError
from custom_components.semantic_home.engine.safetensors import read_safetensors


def _file(path: Path, header: Any, data: bytes = b"") -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    file = path / "heads.safetensors"
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return file


def _entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def test_reads_both_precisions_and_skips_metadata(tmp_path: Path) -> None:
    matrix, half = np.arange(6, dtype="<f4").reshape(2, 3) / 7, np.array([0.5, -2], "<f2")
    header = {
        "__metadata__": {"format": "pt"},
        "half": {"dtype": "F16", "shape": [2], "data_offsets": [24, 28]},
        "matrix": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "scalar": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
    }
    found = read_safetensors(_file(tmp_path, header, matrix.tobytes() + half.tobytes()))
    assert set(found) == {"half", "matrix", "scalar"}
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(found["matrix"], matrix)
    np.testing.assert_array_equal(found["half"], half)
    assert found["scalar"].shape == ()


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        {"a": None},
        {"a": {}},
        _entry(dtype="BF16"),
        _entry(dtype="O"),
        _entry(shape=[3]),
        _entry(shape=[-2]),
        _entry(shape=[-1, -2]),
        _entry(shape=[2.0]),
        _entry(shape=[True, 2]),
        _entry(shape="2"),
        _entry(offsets=[0, 12], shape=[3]),
        _entry(offsets=[8, 0]),
        _entry(offsets=[-8, 0]),
        _entry(offsets=[0]),
        _entry(offsets=[0, 2**70], shape=[2**68]),
    ],
)
def test_header_that_does_not_fit(tmp_path: Path, header: Any) -> None:
    with pytest.raises(ModelFilesError) as caught:
        read_safetensors(_file(tmp_path, header, bytes(8)))
    assert caught.value.problem == "file_unreadable"
    assert "heads.safetensors" in caught.value.detail


@settings(deadline=None, max_examples=60)
@given(st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda raw: struct.pack("<Q", len(raw)) + raw)))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    file.write_bytes(content)
    with contextlib.suppress(ModelFilesError):
        assert read_safetensors(file) == {}


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError):
        read_safetensors(tmp_path / "heads.safetensors")
