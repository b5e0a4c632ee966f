"""An OpenVINO IR read without OpenVINO, against what OpenVINO reads."""

from collections.abc import Callable
from pathlib import Path
import re
import shutil

import numpy as np
from numpy.typing import NDArray
import openvino
import pytest

from custom_components.semantic_home.engine import ModelFilesError
from custom_components.semantic_home.engine.ir import IR, Weight

from .common import MODELS

_MODELS = ("tiny-xlmr-fp32", "tiny-xlmr-int8", "tiny-bert-fp32", "tiny-bert-int8")
_QUERY = "self.encoder.layer.0.attention.self.query.weight"
_UP = "self.encoder.layer.0.intermediate.dense.weight"
_DOWN = "self.encoder.layer.0.output.dense.weight"
_WORDS = "self.embeddings.word_embeddings.weight"


def _open(folder: Path) -> IR:
    return IR.open(folder / "openvino_model.xml", folder / "openvino_model.bin")


def _whole(weight: Weight) -> NDArray[np.float32]:
    return weight.rows(np.arange(weight.shape[0]))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS / "tiny-xlmr-int8", tmp_path / "model"))


@pytest.mark.parametrize("name", _MODELS)
def test_constants_are_what_openvino_reads(name: str) -> None:
    ir = _open(MODELS / name)
    model = openvino.Core().read_model(MODELS / name / "openvino_model.xml")
    theirs = {
        node.get_friendly_name(): node.get_data() for node in model.get_ops() if node.get_type_name() == "Constant"
    }
    for weight, found in ((_QUERY, ir.linear(_QUERY)[0]), (_DOWN, ir.linear(_DOWN)[0]), (_WORDS, ir.table(_WORDS))):
        expected = theirs[weight].astype(np.float32)
        if f"{weight}/zero_point" in theirs:
            expected -= theirs[f"{weight}/zero_point"]
        if f"{weight}/scale" in theirs:
            expected *= theirs[f"{weight}/scale"].astype(np.float32)
        np.testing.assert_array_equal(_whole(found), expected)
    assert (ir.table(_WORDS).scale is None) == name.endswith("fp32")


@pytest.mark.parametrize("family", ["xlmr", "bert"])
def test_quantised_weights_are_near_the_exact_ones(family: str) -> None:
    exact, rounded = (_open(MODELS / f"tiny-{family}-{precision}") for precision in ("fp32", "int8"))
    for name in (_QUERY, _UP, _DOWN):
        (weight, bias), (near, same) = exact.linear(name), rounded.linear(name)
        np.testing.assert_allclose(_whole(near), _whole(weight), atol=np.abs(_whole(weight)).max() / 100)
        assert (bias is None) == (same is None)
        if bias is not None and same is not None:
            np.testing.assert_array_equal(bias, same)
    for name in (_WORDS, _DOWN):
        np.testing.assert_array_equal(exact.norm_behind(name).gain, rounded.norm_behind(name).gain)
        np.testing.assert_array_equal(exact.norm_behind(name).bias, rounded.norm_behind(name).bias)
    assert exact.norm_behind(_WORDS).epsilon == pytest.approx(1e-5 if family == "xlmr" else 1e-12)
    assert exact.activation_behind(_UP) == "Gelu ERF"


def test_weights_are_mapped_and_not_read() -> None:
    values = _open(MODELS / "tiny-xlmr-int8").table(_WORDS).values
    assert values.dtype.itemsize == 1
    assert not values.flags.owndata
    assert not values.flags.writeable


def _edit(folder: Path, pattern: str, replacement: str) -> None:
    file = folder / "openvino_model.xml"
    text, count = re.subn(pattern, replacement, file.read_text("utf-8"), count=1, flags=re.DOTALL)
    assert count == 1
    file.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (f'name="{_QUERY}"', 'name="onnx::MatMul_7"'),
        (f'(name="{_QUERY}" .*?element_type=)"[a-z0-9]+"', r'\1"u4"'),
        (f'(name="{_QUERY}" .*?element_type="[a-z0-9]+" shape=)"64, 64"', r'\1"64, 2, 32"'),
        (f'(name="{_QUERY}" .*?element_type="[a-z0-9]+" shape=)"64, 64"', r'\1"64, 65"'),
        (f'(name="{_QUERY}" .*?element_type="[a-z0-9]+" shape=)"64, 64"', r'\1"x"'),
        (f'(name="{_QUERY}/scale" .*?shape=)"64, 1"', r'\1"1, 64"'),
        ('(attention.self.query/aten::linear/MatMul".*?transpose_b=)"true"', r'\1"false"'),
        ('(attention.self.query/aten::linear/MatMul" type=)"MatMul"', r'\1"FullyConnected"'),
    ],
)
def test_layout_it_does_not_know(copied: Path, pattern: str, replacement: str) -> None:
    _edit(copied, pattern, replacement)
    with pytest.raises(ModelFilesError) as caught:
        _open(copied).linear(_QUERY)
    assert caught.value.problem == "layout_unknown"
    assert _QUERY in caught.value.detail


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        ('type="MVN"', 'type="GroupNormalization"'),
        ('eps_mode="INSIDE_SQRT"', 'eps_mode="OUTSIDE_SQRT"'),
        ('normalize_variance="true"', 'normalize_variance="false"'),
    ],
)
def test_normalisation_it_does_not_know(copied: Path, pattern: str, replacement: str) -> None:
    _edit(copied, pattern, replacement)
    with pytest.raises(ModelFilesError) as caught:
        _open(copied).norm_behind(_WORDS)
    assert caught.value.problem == "layout_unknown"


def test_table_is_no_layer_and_a_layer_no_table() -> None:
    ir = _open(MODELS / "tiny-xlmr-int8")
    for read, name in ((ir.table, _QUERY), (ir.linear, _WORDS)):
        with pytest.raises(ModelFilesError, match="layout_unknown"):
            read(name)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda folder: (folder / "openvino_model.xml").write_text("<net><layers>"), "openvino_model.xml"),
        (lambda folder: (folder / "openvino_model.xml").write_bytes(b"\x00\xff"), "openvino_model.xml"),
        (lambda folder: _edit(folder, 'from-layer="[0-9]+"', 'from-layer="999999"'), "openvino_model.xml"),
        (lambda folder: _edit(folder, 'to-port="[0-9]+"', 'to-port="first"'), "openvino_model.xml"),
        (lambda folder: (folder / "openvino_model.bin").write_bytes(b""), "openvino_model.bin"),
    ],
)
def test_damaged_files(copied: Path, spoil: Callable[[Path], object], name: str) -> None:
    spoil(copied)
    with pytest.raises(ModelFilesError) as caught:
        _open(copied)
    assert (caught.value.problem, caught.value.detail) == ("file_unreadable", name)


@pytest.mark.parametrize("offset", ["600000000", "-1"])
def test_constant_beyond_the_file(copied: Path, offset: str) -> None:
    _edit(copied, f'(name="{_QUERY}" .*?offset=)"[0-9]+"', rf'\1"{offset}"')
    with pytest.raises(ModelFilesError) as caught:
        _open(copied).linear(_QUERY)
    assert caught.value.problem == "file_unreadable"
