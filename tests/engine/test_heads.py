"""From token vectors to what a model says of a text, and the two ways OpenVINO gives it."""

from dataclasses import replace
import json
from pathlib import Path
import shutil
import struct

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.typing import NDArray
import openvino
import openvino.opset13 as op
import pytest

from custom_components.semantic_home.engine import (
    Encoded,
    EncoderError,
    ModelFilesError,
    ModelSpec,
    OpenVINOEncoder,
    Pooling,
    Role,
)
from custom_components.semantic_home.engine.heads import Heads, Linear, collect, lexical_weights, token_vectors
from custom_components.semantic_home.engine.model_folder import ModelFolder
from custom_components.semantic_home.engine.safetensors import read_safetensors
from custom_components.semantic_home.engine.tokenizer import Batch

from .common import MODELS, tiny_spec

_UNWEIGHED = frozenset({0, 1, 2, 3})
_TEXTS = ["turn off the lamp next to the couch", "lamp", "", "lamp lamp lamp"]


def _batch(*ids: list[int]) -> Batch:
    longest = max(map(len, ids))
    padded = np.array([row + [1] * (longest - len(row)) for row in ids], np.int64)
    mask = (np.arange(longest) < np.array([len(row) for row in ids])[:, None]).astype(np.int64)
    return Batch(np.arange(len(ids)), padded, mask)


def test_lexical_weights_by_hand() -> None:
    batch = _batch([0, 7, 8, 7, 3, 2], [0, 9, 2])
    weights = np.array([[9, 0.5, -1, 0.75, 9, 9], [9, 0, 9, 9, 9, 9]], np.float32)
    expected = ({7: 0.75}, {})
    assert lexical_weights(weights, batch, _UNWEIGHED) == expected
    assert lexical_weights(weights[:, :, None], batch, _UNWEIGHED) == expected
    by_id = np.zeros((2, 10), np.float32)
    by_id[0, 7] = 0.75
    by_id[:, :4] = 9
    assert lexical_weights(by_id, batch, _UNWEIGHED) == expected


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-2, 2, width=32)), min_size=1, max_size=12))
def test_lexical_weights_agree_with_loops(pairs: list[tuple[int, float]]) -> None:
    best: dict[int, float] = {}
    for token, weight in pairs:
        if token > 3 and weight > 0:
            best[token] = max(weight, best.get(token, 0))
    weights = np.array([[weight for _, weight in pairs]], np.float32)
    assert lexical_weights(weights, _batch([token for token, _ in pairs]), _UNWEIGHED) == (best,)


def test_token_vectors_leave_out_the_first_and_the_padding() -> None:
    batch = _batch([0, 7, 8, 2], [0, 2])
    vectors = np.arange(1, 17, dtype=np.float32).reshape(2, 4, 2)
    for given_vectors in (vectors, vectors[:, 1:]):
        found = token_vectors(given_vectors, batch)
        assert [rows.shape for rows in found] == [(3, 2), (1, 2)]
        np.testing.assert_allclose(found[0][0], np.array([3, 4]) / 5, rtol=1e-6)
        np.testing.assert_allclose(found[1][0], np.array([11, 12]) / np.hypot(11, 12), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 4, 2), (2, 3, 1), (3, 4), (2, 9), (2,)])
def test_weights_of_an_unknown_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(EncoderError, match="unknown shape"):
        lexical_weights(np.zeros(shape, np.float32), _batch([0, 9, 8, 2], [0, 2]), _UNWEIGHED)


@pytest.mark.parametrize("shape", [(2, 4), (2, 2, 4), (2, 5, 4), (1, 4, 4)])
def test_vectors_of_an_unknown_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(EncoderError, match="unknown shape"):
        token_vectors(np.zeros(shape, np.float32), _batch([0, 9, 8, 2], [0, 2]))


def test_collect_puts_rows_where_they_belong() -> None:
    one = _batch([0, 2])
    parts = [
        (replace(one, rows=np.array([row])), Encoded(np.full((1, 2), row, np.float32), ({row: 1.0},)))
        for row in (2, 0, 1)
    ]
    found = collect(parts, 3, Encoded(np.empty((0, 2), np.float32), ()))
    np.testing.assert_array_equal(found.dense[:, 0], [0, 1, 2])
    assert found.sparse == ({0: 1.0}, {1: 1.0}, {2: 1.0})
    assert found.multivector is None


def test_collect_refuses_what_is_not_finite() -> None:
    broken = Encoded(np.array([[np.nan]], np.float32))
    with pytest.raises(EncoderError, match="not finite"):
        collect([(_batch([0, 2]), broken)], 1, Encoded(np.empty((0, 1), np.float32)))


def _write(file: Path, tensors: dict[str, NDArray[np.float32]]) -> None:
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    raw = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + b"".join(tensor.tobytes() for tensor in tensors.values()))


@pytest.fixture
def tiny() -> ModelSpec:
    return tiny_spec("tiny-xlmr-fp32")


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS / "tiny-xlmr-fp32", tmp_path / "model"))


@pytest.mark.parametrize(
    ("name", "tensor", "problem"),
    [
        ("sparse_linear.weight", None, "file_unreadable"),
        ("sparse_linear.bias", np.zeros(2, np.float32), "file_unreadable"),
        ("sparse_linear.weight", np.zeros(64, np.float32), "file_unreadable"),
        ("colbert_linear.weight", np.zeros((64, 32), np.float32), "wrong_dimension"),
    ],
)
def test_heads_of_another_model(
    tiny: ModelSpec, tiny_folder: Path, name: str, tensor: NDArray[np.float32] | None, problem: str
) -> None:
    file = tiny_folder / "heads.safetensors"
    tensors = read_safetensors(file)
    _write(file, tensors | {name: tensor} if tensor is not None else {k: v for k, v in tensors.items() if k != name})
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(tiny_folder, tiny)
    assert caught.value.problem == problem


def test_heads_are_part_of_the_revision(tiny: ModelSpec, tiny_folder: Path) -> None:
    before = ModelFolder.open(tiny_folder, tiny).fingerprint()
    (tiny_folder / "heads.safetensors").unlink()
    assert ModelFolder.open(tiny_folder, tiny).fingerprint() != before


def test_only_what_the_spec_lists_and_the_folder_has(tiny: ModelSpec, tiny_folder: Path) -> None:
    listed = OpenVINOEncoder(tiny_folder, replace(tiny, heads=("dense", "sparse")))
    encoded = listed.encode(_TEXTS, Role.QUERY)
    assert encoded.sparse is not None
    assert encoded.multivector is None
    assert listed.encode([], Role.QUERY).sparse == ()
    (tiny_folder / "heads.safetensors").unlink()
    bare = OpenVINOEncoder(tiny_folder, tiny).encode(_TEXTS, Role.QUERY)
    assert bare.sparse is None
    assert bare.multivector is None
    np.testing.assert_array_equal(bare.dense, encoded.dense)


@pytest.mark.parametrize("with_hidden_state", [True, False])
@pytest.mark.parametrize("drop_first", [True, False])
@pytest.mark.parametrize("by_vocabulary", [True, False])
def test_heads_inside_the_graph_give_what_heads_beside_it_give(
    tiny: ModelSpec, tiny_folder: Path, *, with_hidden_state: bool, drop_first: bool, by_vocabulary: bool
) -> None:
    beside = OpenVINOEncoder(tiny_folder, tiny).encode(_TEXTS, Role.QUERY)
    _put_heads_inside(
        tiny_folder, with_hidden_state=with_hidden_state, drop_first=drop_first, by_vocabulary=by_vocabulary
    )
    inside = OpenVINOEncoder(tiny_folder, tiny)
    found = inside.encode(_TEXTS, Role.QUERY)
    np.testing.assert_allclose(found.dense, beside.dense, atol=1e-6)
    assert found.sparse is not None
    assert beside.sparse is not None
    for mine, theirs in zip(found.sparse, beside.sparse, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)
    for vectors, expected in zip(found.multivector or (), beside.multivector or (), strict=True):
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
    dense_only = OpenVINOEncoder(tiny_folder, replace(tiny, heads=("dense",))).encode(_TEXTS, Role.QUERY)
    assert (dense_only.sparse, dense_only.multivector) == (None, None)


def _put_heads_inside(folder: Path, *, with_hidden_state: bool, drop_first: bool, by_vocabulary: bool) -> None:
    """Rebuild the graph as the community's conversions of BGE-M3 have it."""
    tensors = read_safetensors(folder / "heads.safetensors")
    graph = openvino.Core().read_model(folder / "openvino_model.xml")
    hidden = graph.output(0).node.input_value(0)
    (ids,) = (item for item in graph.get_parameters() if item.friendly_name == "input_ids")
    vocabulary = json.loads((folder / "config.json").read_text("utf-8"))["vocab_size"]
    zero, one, two, end = (op.constant(np.array([number])) for number in (0, 1, 2, 2**31 - 1))

    def linear(name: str) -> openvino.Node:
        product = op.matmul(hidden, op.constant(tensors[f"{name}.weight"]), False, True)
        return op.add(product, op.constant(tensors[f"{name}.bias"]))

    first = op.squeeze(op.slice(hidden, zero, one, one, one), one)
    weights = op.relu(linear("sparse_linear"))
    if by_vocabulary:
        hot = op.one_hot(
            ids, *(op.constant(np.array(value)) for value in (vocabulary, np.float32(1), np.float32(0))), -1
        )
        weights = op.reduce_max(op.multiply(hot, weights), one)
    vectors = linear("colbert_linear")
    if drop_first:
        vectors = op.slice(vectors, one, end, one, one)
    outputs = {
        "dense_vecs": op.normalize_l2(first, one, 1e-12, "add"),
        "sparse_vecs": weights,
        "colbert_vecs": op.normalize_l2(vectors, two, 1e-12, "add"),
    }
    for name, node in outputs.items():
        node.output(0).set_names({name})
    results = [*outputs.values(), *([hidden.node] if with_hidden_state else [])]
    model = openvino.Model(results, graph.get_parameters())
    openvino.save_model(model, folder / "other.xml", compress_to_fp16=False)
    del graph, model
    (folder / "heads.safetensors").unlink()
    for suffix in (".xml", ".bin"):
        (folder / f"other{suffix}").rename(folder / f"openvino_model{suffix}")


def test_absent_heads_are_none() -> None:
    heads = Heads(Pooling.MEAN, _UNWEIGHED, multivector=Linear(np.eye(2, dtype=np.float32), np.zeros(2, np.float32)))
    encoded = heads(np.ones((1, 3, 2), np.float32), _batch([0, 9, 2]))
    assert encoded.sparse is None
    assert encoded.multivector is not None
    assert encoded.multivector[0].shape == (2, 2)
