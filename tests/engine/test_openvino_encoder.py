"""The encoder that runs in this process, on the real model."""

from dataclasses import replace
from pathlib import Path
import shutil
import sys

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.typing import NDArray
import openvino
import openvino.opset13 as op
import pytest

from custom_components.semantic_home.engine import (
    EncoderError,
    ModelFilesError,
    ModelSpec,
    OpenVINOEncoder,
    Pooling,
    Role,
    RuntimeMissingError,
    load_catalog,
)

from .common import MINILM_FOLDER, cosines

_SENTENCES = [
    "turn off the lamp next to the couch",
    "a",
    "Küchenlicht",
    "关掉客厅的灯",
    "",
    "the big old brass floor lamp that grandmother gave us, behind the green armchair in the corner",
    "turn off the lamp next to the couch",
]
_LONG = " ".join(f"lamp {number} on shelf {number}" for number in range(100))


def _vector(encoder: OpenVINOEncoder, text: str) -> NDArray[np.float32]:
    return encoder.encode([text], Role.QUERY).dense[0]


def test_shape_and_length(encoder: OpenVINOEncoder, spec: ModelSpec) -> None:
    encoded = encoder.encode(_SENTENCES, Role.PASSAGE)
    assert encoded.dense.dtype == np.float32
    assert encoded.dense.shape == (len(_SENTENCES), spec.dimension) == (7, encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(encoded.dense, axis=1), 1, atol=1e-6)
    assert encoded.sparse is None
    assert encoded.multivector is None


def test_no_texts(encoder: OpenVINOEncoder, spec: ModelSpec) -> None:
    dense = encoder.encode([], Role.QUERY).dense
    assert dense.shape == (0, spec.dimension)
    assert dense.dtype == np.float32


def test_same_text_same_vector_whatever_stands_beside_it(encoder: OpenVINOEncoder) -> None:
    alone = np.array([_vector(encoder, text) for text in _SENTENCES])
    together = encoder.encode(_SENTENCES, Role.QUERY).dense
    beside_long = encoder.encode([*_SENTENCES, _LONG], Role.QUERY).dense[:-1]
    # 40 texts are three batches, made in the order of their length.
    many = encoder.encode([*_SENTENCES, *(f"lamp {'x' * number}" for number in range(33))], Role.QUERY).dense
    for other in (together, beside_long, many[: len(_SENTENCES)]):
        np.testing.assert_allclose(other, alone, atol=2e-6)
    # ... and the rows are where they belong: no other text comes as near.
    assert (cosines(alone[:-1], np.roll(alone[:-1], 1, axis=0)) < 0.9).all()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.text(st.characters(), max_size=60), max_size=20))
def test_any_text_has_a_vector(encoder: OpenVINOEncoder, texts: list[str]) -> None:
    dense = encoder.encode(texts, Role.QUERY).dense
    assert dense.shape == (len(texts), encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(dense, axis=1), 1, atol=1e-6)


def test_broken_unicode_costs_nobody_else(encoder: OpenVINOEncoder) -> None:
    dense = encoder.encode(["lamp", "lamp \ud800", "desk"], Role.PASSAGE).dense
    np.testing.assert_allclose(dense[0], _vector(encoder, "lamp"), atol=2e-6)
    np.testing.assert_allclose(dense[2], _vector(encoder, "desk"), atol=2e-6)


def test_what_stands_behind_the_limit_does_not_count(encoder: OpenVINOEncoder, spec: ModelSpec) -> None:
    full = "lamp " * (spec.max_tokens - 2)  # the model's own two tokens count
    np.testing.assert_array_equal(_vector(encoder, full), _vector(encoder, full + " and then the garage door"))
    assert cosines(encoder.encode([full], Role.QUERY).dense, encoder.encode(["lamp"], Role.QUERY).dense)[0] < 0.999
    shorter = OpenVINOEncoder(MINILM_FOLDER, replace(spec, max_tokens=5))
    np.testing.assert_allclose(
        _vector(shorter, "the kitchen lamp beside the window"), _vector(encoder, "the kitchen lamp"), atol=2e-6
    )


def test_openvino_files_give_what_the_onnx_file_gives(
    encoder: OpenVINOEncoder, spec: ModelSpec, tmp_path: Path
) -> None:
    graph = openvino.Core().read_model(MINILM_FOLDER / "model.onnx")
    openvino.save_model(graph, tmp_path / "openvino_model.xml", compress_to_fp16=False)
    shutil.copy(MINILM_FOLDER / "tokenizer.json", tmp_path)
    converted = OpenVINOEncoder(tmp_path, spec)
    np.testing.assert_allclose(
        converted.encode(_SENTENCES, Role.QUERY).dense, encoder.encode(_SENTENCES, Role.QUERY).dense, atol=1e-6
    )
    assert converted.revision != encoder.revision


def test_hidden_state_is_found_by_rank_where_it_has_another_name(
    encoder: OpenVINOEncoder, spec: ModelSpec, tmp_path: Path
) -> None:
    graph = openvino.Core().read_model(MINILM_FOLDER / "model.onnx")
    hidden = graph.output(0).node.input_value(0)
    hidden.set_names({"token_embeddings"})
    flat = op.reduce_mean(hidden, op.constant(np.array([1])), keep_dims=False)
    renamed = openvino.Model([flat, hidden.node], graph.get_parameters())
    openvino.save_model(renamed, tmp_path / "openvino_model.xml", compress_to_fp16=False)
    shutil.copy(MINILM_FOLDER / "tokenizer.json", tmp_path)
    found = OpenVINOEncoder(tmp_path, spec)
    np.testing.assert_allclose(_vector(found, "lamp"), _vector(encoder, "lamp"), atol=1e-6)


@pytest.mark.parametrize("pooling", Pooling)
def test_pooling_is_what_the_spec_says(spec: ModelSpec, pooling: Pooling) -> None:
    encoder = OpenVINOEncoder(MINILM_FOLDER, replace(spec, pooling=pooling))
    text = "turn off the lamp next to the couch"
    (batch,) = encoder._tokenizer.batches([text])
    hidden = encoder._run(batch)[encoder._outputs.hidden][0].astype(np.float64)
    by_hand = hidden[0] if pooling is Pooling.CLS else sum(hidden) / len(hidden)
    by_hand /= np.sqrt(sum(by_hand**2))
    # Beside a longer text, so that there is padding to leave out.
    found = encoder.encode([text, _LONG], Role.QUERY).dense[0]
    np.testing.assert_allclose(found, by_hand, atol=2e-6)


def test_poolings_differ(spec: ModelSpec, encoder: OpenVINOEncoder) -> None:
    cls = OpenVINOEncoder(MINILM_FOLDER, replace(spec, pooling=Pooling.CLS))
    assert cosines([_vector(cls, "the sofa lamp")], [_vector(encoder, "the sofa lamp")])[0] < 0.95


def test_prefix_by_role(encoder: OpenVINOEncoder, spec: ModelSpec) -> None:
    prefixed = OpenVINOEncoder(MINILM_FOLDER, replace(spec, query_prefix="query: ", passage_prefix="passage: "))
    query, passage = (prefixed.encode(["the lamp"], role).dense[0] for role in (Role.QUERY, Role.PASSAGE))
    np.testing.assert_array_equal(query, _vector(encoder, "query: the lamp"))
    np.testing.assert_array_equal(passage, _vector(encoder, "passage: the lamp"))
    assert not np.array_equal(query, passage)


def test_vectors_that_are_not_finite_are_refused(spec: ModelSpec, tmp_path: Path) -> None:
    """A graph whose result is 0/0 for one token id: requantised weights have been seen to do that."""
    shutil.copy(MINILM_FOLDER / "tokenizer.json", tmp_path)
    encoder = OpenVINOEncoder(MINILM_FOLDER, spec)
    (lamp,) = encoder._tokenizer.batches(["lamp"])
    _save_graph(tmp_path, broken_id=int(lamp.input_ids[0, 1]))
    broken = OpenVINOEncoder(tmp_path, replace(spec, dimension=1))
    broken.encode(["desk"], Role.QUERY)
    with pytest.raises(EncoderError, match="not finite"):
        broken.encode(["desk", "lamp"], Role.QUERY)


def _save_graph(folder: Path, *, inputs: str = "input_ids", rank: int = 3, broken_id: int = -1) -> None:
    """Save a graph that gives the token ids back, as numbers."""
    ids, mask = (op.parameter(openvino.PartialShape([-1, -1]), openvino.Type.i64) for _ in range(2))
    ids.output(0).set_names({inputs})
    mask.output(0).set_names({"attention_mask"})
    numbers = op.convert(op.multiply(ids, mask), "f32")
    broken = op.equal(ids, op.constant(np.array(broken_id, np.int64)))
    numbers = op.select(broken, op.constant(np.array(np.nan, np.float32)), numbers)
    result = op.unsqueeze(numbers, op.constant(np.array([2]))) if rank == 3 else numbers
    openvino.save_model(openvino.Model([result], [ids, mask]), folder / "openvino_model.xml", compress_to_fp16=False)


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        ({"inputs": "pixels"}, "file_unreadable"),
        ({"rank": 2}, "file_unreadable"),
        ({}, "wrong_dimension"),
    ],
)
def test_graph_of_another_kind(spec: ModelSpec, tmp_path: Path, graph: dict[str, str], problem: str) -> None:
    shutil.copy(MINILM_FOLDER / "tokenizer.json", tmp_path)
    _save_graph(tmp_path, **graph)  # type: ignore[arg-type]
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(tmp_path, replace(spec, dimension=7))
    assert caught.value.problem == problem


def _problem(folder: Path, spec: ModelSpec) -> tuple[str, str]:
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(folder, spec)
    return caught.value.problem, caught.value.detail


@pytest.mark.parametrize("size", [0, 100, 10**6, -1])
def test_truncated_onnx(folder: Path, spec: ModelSpec, size: int) -> None:
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:size])
    assert _problem(folder, spec) == ("file_unreadable", "model.onnx")


def test_graph_that_is_something_else(folder: Path, spec: ModelSpec) -> None:
    (folder / "model.onnx").write_text("<html>404 Not Found</html>")
    assert _problem(folder, spec) == ("file_unreadable", "model.onnx")


@pytest.mark.parametrize("size", [0, 1000, -10])
@pytest.mark.parametrize("name", ["openvino_model.xml", "openvino_model.bin"])
def test_truncated_openvino_files(folder: Path, spec: ModelSpec, name: str, size: int) -> None:
    graph = openvino.Core().read_model(folder / "model.onnx")
    openvino.save_model(graph, folder / "openvino_model.xml")
    del graph
    (folder / name).write_bytes((folder / name).read_bytes()[:size])
    assert _problem(folder, spec) == ("file_unreadable", "openvino_model.xml")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"version": "1.0", "model": null}'])
def test_corrupt_tokenizer(folder: Path, spec: ModelSpec, content: bytes) -> None:
    (folder / "tokenizer.json").write_bytes(content)
    assert _problem(folder, spec) == ("file_unreadable", "tokenizer.json")


def test_other_dimension_than_the_spec_has(folder: Path) -> None:
    bge = load_catalog()["bge-m3"]
    assert _problem(folder, bge) == ("wrong_dimension", "384 ≠ 1024")
    # Without a config.json the first run tells.
    (folder / "config.json").unlink()
    assert _problem(folder, bge) == ("wrong_dimension", "384 ≠ 1024")


@pytest.mark.parametrize("package", ["openvino", "tokenizers"])
def test_package_is_not_installed(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RuntimeMissingError, match=package):
        OpenVINOEncoder(MINILM_FOLDER, spec)


def test_revision_is_of_the_files(folder: Path, spec: ModelSpec, encoder: OpenVINOEncoder) -> None:
    assert OpenVINOEncoder(folder, spec).revision == encoder.revision
    assert len(encoder.revision) == 16
