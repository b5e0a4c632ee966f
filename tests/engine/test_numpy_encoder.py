"""The encoder that needs NumPy alone, against OpenVINO on the same files and against BAAI's own code."""

from collections.abc import Callable
from dataclasses import replace
import json
import math
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.typing import NDArray
import openvino
import pytest

from custom_components.semantic_home.engine import (
    Encoded,
    Encoder,
    EncoderError,
    ModelFilesError,
    ModelSpec,
    NumPyEncoder,
    OpenVINOEncoder,
    Role,
    RuntimeMissingError,
    numpy_encoder,
)
from custom_components.semantic_home.engine.ir import IR, Weight
from custom_components.semantic_home.engine.numpy_encoder import erf, gelu

from .common import MINILM_FOLDER, MODELS, ROOT, cosines, tiny_spec

_MODELS = ("tiny-xlmr-fp32", "tiny-xlmr-int8", "tiny-bert-fp32", "tiny-bert-int8")
_GOLDEN = json.loads((ROOT / "tests/engine/golden/tiny-xlmr.json").read_text("utf-8"))
_WORDS = "self.embeddings.word_embeddings.weight"
_EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}

_TEXTS = [
    "turn off the lamp next to the couch",
    "a",
    "Küchenlicht",
    "关掉客厅的灯",
    "",
    "the big old brass floor lamp that grandmother gave us, behind the green armchair in the corner",
    "lamp <pad> couch",
    "make it warmer in the bathroom",
    "is the garage still open?",
    "lampe du salon",
    "все лампы в спальне",
    "turn off the lamp next to the couch",
]
_LONG = " ".join(f"lamp {number} on shelf {number}" for number in range(60))


@pytest.fixture(scope="module")
def xlmr() -> NumPyEncoder:
    return NumPyEncoder(MODELS / "tiny-xlmr-int8", tiny_spec("tiny-xlmr-int8"))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS / "tiny-xlmr-int8", tmp_path / "model"))


def _pair(name: str, *, exact: bool) -> tuple[Encoded, Encoded]:
    spec = tiny_spec(name)
    ours, theirs = NumPyEncoder(MODELS / name, spec), OpenVINOEncoder(MODELS / name, spec)
    assert ours.revision == theirs.revision
    assert ours.dimension == theirs.dimension == spec.dimension
    if exact:
        theirs._model = openvino.Core().compile_model(MODELS / name / "openvino_model.xml", "CPU", _EXACT)
    texts = [*_TEXTS, _LONG]
    return ours.encode(texts, Role.QUERY), theirs.encode(texts, Role.QUERY)


@pytest.mark.parametrize("name", _MODELS)
@pytest.mark.parametrize("exact", [True, False])
def test_agrees_with_openvino_on_the_same_files(name: str, *, exact: bool) -> None:
    """Measured on x86-64: 1 - cosine is below 2e-7 either way."""
    ours, theirs = _pair(name, exact=exact)
    limit = 0.9999 if exact else 0.999
    assert cosines(ours.dense, theirs.dense).min() >= limit
    for mine, other in zip(ours.multivector or (), theirs.multivector or (), strict=True):
        assert mine.shape == other.shape
        assert cosines(mine, other).min() >= limit
    for weights, others in zip(ours.sparse or (), theirs.sparse or (), strict=True):
        for token in weights.keys() | others.keys():
            assert weights.get(token, 0) == pytest.approx(others.get(token, 0), abs=1e-4 if exact else 1e-2)
    assert (ours.sparse is None) == ("bert" in name)
    order, expected = (np.argsort(-(vectors @ vectors.T), axis=1)[:, :10] for vectors in (ours.dense, theirs.dense))
    scores = theirs.dense @ theirs.dense.T
    # Equal texts may trade places; what is kept is the similarity at each place.
    np.testing.assert_allclose(
        np.take_along_axis(scores, order, 1), np.take_along_axis(scores, expected, 1), atol=1e-5 if exact else 1e-3
    )


def _reference() -> tuple[list[str], NDArray[np.float64]]:
    texts = _GOLDEN["texts"]
    return [row["text"] for row in texts], np.array([row["dense"] for row in texts])


@pytest.mark.parametrize("kind", [NumPyEncoder, OpenVINOEncoder])
def test_all_heads_are_what_flagembedding_gives(kind: Callable[[Path, ModelSpec], Encoder]) -> None:
    texts, dense = _reference()
    found = kind(MODELS / "tiny-xlmr-fp32", tiny_spec("tiny-xlmr-fp32")).encode(texts, Role.QUERY)
    np.testing.assert_allclose(found.dense, dense, atol=1e-4)
    for row, weights, vectors in zip(_GOLDEN["texts"], found.sparse or (), found.multivector or (), strict=True):
        expected = {int(token): weight for token, weight in row["sparse"].items()}
        for token in weights.keys() | expected.keys():
            assert weights.get(token, 0) == pytest.approx(expected.get(token, 0), abs=1e-4)
        assert len(vectors) == row["multivector_length"]
        kept = np.array(row["multivector"]).reshape(-1, vectors.shape[1])
        np.testing.assert_allclose(vectors[: len(kept)], kept, atol=1e-4)


def test_int8_stays_near_flagembedding(xlmr: NumPyEncoder) -> None:
    """Random weights do not forgive rounding as trained ones do. Measured: median 0.9967, lowest 0.926."""
    texts, dense = _reference()
    agreement = cosines(xlmr.encode(texts, Role.QUERY).dense, dense)
    assert np.median(agreement) >= 0.99
    assert agreement.min() >= 0.9


def _same(left: Encoded, right: Encoded) -> None:
    np.testing.assert_allclose(left.dense, right.dense, atol=1e-5)
    for mine, other in zip(left.multivector or (), right.multivector or (), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)
    for weights, others in zip(left.sparse or (), right.sparse or (), strict=True):
        assert weights == pytest.approx(others, abs=5e-5)


@pytest.mark.parametrize("name", ["tiny-xlmr-int8", "tiny-bert-int8"])
def test_same_text_same_vector_whatever_stands_beside_it(name: str) -> None:
    encoder = NumPyEncoder(MODELS / name, tiny_spec(name))
    together = encoder.encode([*_TEXTS, _LONG], Role.QUERY)
    for place, text in enumerate(_TEXTS):
        alone = encoder.encode([text], Role.QUERY)
        multivector = together.multivector
        _same(
            alone,
            Encoded(
                together.dense[place : place + 1],
                None if together.sparse is None else together.sparse[place : place + 1],
                None if multivector is None else multivector[place : place + 1],
            ),
        )


@settings(deadline=None, max_examples=25)
@given(st.lists(st.text(st.characters(), max_size=60), max_size=20))
def test_any_text_has_a_vector(xlmr: NumPyEncoder, texts: list[str]) -> None:
    encoded = xlmr.encode(texts, Role.QUERY)
    assert encoded.dense.shape == (len(texts), 64)
    np.testing.assert_allclose(np.linalg.norm(encoded.dense, axis=1), 1, atol=1e-5)
    assert encoded.sparse is not None
    assert len(encoded.sparse) == len(texts)
    assert all(weight > 0 and token > 3 for weights in encoded.sparse for token, weight in weights.items())


def test_no_texts(xlmr: NumPyEncoder) -> None:
    encoded = xlmr.encode([], Role.QUERY)
    assert encoded.dense.shape == (0, 64)
    assert encoded.sparse == encoded.multivector == ()


def test_prefix_by_role(xlmr: NumPyEncoder) -> None:
    spec = replace(tiny_spec("tiny-xlmr-int8"), query_prefix="query: ", passage_prefix="passage: ")
    prefixed = NumPyEncoder(MODELS / "tiny-xlmr-int8", spec)
    for role in Role:
        _same(prefixed.encode(["lamp"], role), xlmr.encode([f"{role}: lamp"], Role.QUERY))


def test_no_more_tokens_than_there_are_positions() -> None:
    """The small model knows 128 positions, whatever the spec allows."""
    wide = NumPyEncoder(MODELS / "tiny-xlmr-int8", replace(tiny_spec("tiny-xlmr-int8"), max_tokens=8192))
    vectors = wide.encode([_LONG * 3], Role.QUERY).multivector
    assert vectors is not None
    assert len(vectors[0]) == 127


def test_pieces_do_not_show(xlmr: NumPyEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and attention are computed in pieces, here in small ones that do not come out even."""
    whole = xlmr.encode([*_TEXTS, _LONG], Role.QUERY)
    monkeypatch.setattr(numpy_encoder, "_PIECE", 700)
    monkeypatch.setattr(numpy_encoder, "_SCORES", 1000)
    _same(xlmr.encode([*_TEXTS, _LONG], Role.QUERY), whole)


def test_weights_that_leave_memory_come_back(xlmr: NumPyEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_encoder, "_MAPPED", 0)
    encoder = NumPyEncoder(MODELS / "tiny-xlmr-int8", tiny_spec("tiny-xlmr-int8"))
    assert encoder._model._mapped_layers == 0
    assert xlmr._model._mapped_layers == 3
    for _ in range(2):
        left, right = (each.encode(_TEXTS, Role.QUERY).dense for each in (encoder, xlmr))
        np.testing.assert_array_equal(left, right)


def _resident(weight: Weight) -> int:
    """Count the kilobytes of a mapped weight's file that are in this process."""
    address, end, found = weight.values.ctypes.data, 0, 0
    for line in Path("/proc/self/smaps").read_text("utf-8").splitlines():
        if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            end, found = int(bounds[2], 16), int(bounds[1], 16)
        elif line.startswith("Rss:") and found <= address < end:
            return int(line.split()[1])
    raise AssertionError


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_released_weights_leave_memory() -> None:
    folder = MODELS / "tiny-xlmr-int8"
    weight = IR.open(folder / "openvino_model.xml", folder / "openvino_model.bin").table(_WORDS)
    whole = weight.values.copy()
    before = _resident(weight)
    weight.release()
    assert _resident(weight) <= before - weight.values.nbytes // 1024
    np.testing.assert_array_equal(weight.values, whole)


@settings(max_examples=200)
@given(st.floats(-8, 8, width=32))
def test_erf_is_pythons(value: float) -> None:
    assert abs(float(erf(np.array([value], np.float32))[0]) - math.erf(value)) < 1e-6


def test_erf_and_gelu_everywhere() -> None:
    x = np.linspace(-12, 12, 20_001, dtype=np.float32).reshape(3, -1)
    exact = np.vectorize(math.erf)(x.astype(np.float64))
    np.testing.assert_allclose(erf(x), exact, atol=5e-7)
    activated = x.copy()
    gelu(activated)
    halves = np.vectorize(math.erf)(x.astype(np.float64) / math.sqrt(2))
    np.testing.assert_allclose(activated, x * (1 + halves) / 2, atol=3e-6)
    np.testing.assert_array_equal(erf(np.array([-np.inf, 0, np.inf], np.float32)), [-1, 0, 1])


def _problem(folder: Path, spec: ModelSpec | None = None) -> str:
    with pytest.raises(ModelFilesError) as caught:
        NumPyEncoder(folder, spec or tiny_spec("tiny-xlmr-int8"))
    return caught.value.problem


def _configure(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model_type": "mpnet"}, "layout_unknown"),
        ({"position_embedding_type": "relative_key"}, "layout_unknown"),
        ({"num_hidden_layers": 2}, "layout_unknown"),
        ({"num_hidden_layers": 4}, "layout_unknown"),
        ({"num_attention_heads": 7}, "layout_unknown"),
        ({"num_attention_heads": 2}, "layout_unknown"),
        ({"num_attention_heads": 0}, "file_unreadable"),
        ({"num_attention_heads": "4"}, "file_unreadable"),
        ({"pad_token_id": "1"}, "file_unreadable"),
        ({"hidden_size": 32}, "wrong_dimension"),
    ],
)
def test_config_that_does_not_fit(copied: Path, changes: dict[str, Any], problem: str) -> None:
    _configure(copied, **changes)
    assert _problem(copied) == problem


def test_config_that_is_missing_or_damaged(copied: Path) -> None:
    config = copied / "config.json"
    config.write_text('{"hidden_size": 64}')
    assert _problem(copied) == "file_unreadable"
    config.unlink()
    assert _problem(copied) == "file_missing"
    assert _problem(MODELS / "tiny-xlmr-int8", replace(tiny_spec("tiny-xlmr-int8"), dimension=32)) == "wrong_dimension"


@pytest.mark.parametrize("size", [0, 1000, -10])
@pytest.mark.parametrize("name", ["openvino_model.xml", "openvino_model.bin", "heads.safetensors", "tokenizer.json"])
def test_truncated_files(copied: Path, name: str, size: int) -> None:
    (copied / name).write_bytes((copied / name).read_bytes()[:size])
    assert _problem(copied) == "file_unreadable"


def test_onnx_is_for_openvino(spec: ModelSpec) -> None:
    assert _problem(MINILM_FOLDER, spec) == "layout_unknown"


def test_other_activation(copied: Path) -> None:
    graph = copied / "openvino_model.xml"
    graph.write_text(graph.read_text("utf-8").replace('approximation_mode="ERF"', 'approximation_mode="TANH"'), "utf-8")
    assert _problem(copied) == "layout_unknown"


def test_what_stands_in_the_place_of_a_bias_is_not_left_out(copied: Path) -> None:
    graph = copied / "openvino_model.xml"
    root = ET.parse(graph)  # noqa: S314 - our own
    path = "encoder.layer.0.attention.self.query/aten::linear/Add"
    (bias,) = (layer for layer in root.iterfind("layers/layer") if layer.attrib["name"].endswith(path))
    bias.attrib["type"] = "Subtract"
    root.write(graph)
    assert _problem(copied) == "layout_unknown"


def test_graph_that_leads_into_itself(copied: Path) -> None:
    graph = copied / "openvino_model.xml"
    root = ET.parse(graph)  # noqa: S314 - our own
    path = "embeddings.word_embeddings.weight/fq_weights_0"
    (scaled,) = (layer for layer in root.iterfind("layers/layer") if layer.attrib["name"].endswith(path))
    (behind,) = (edge for edge in root.iterfind("edges/edge") if edge.attrib["from-layer"] == scaled.attrib["id"])
    (before,) = (
        edge
        for edge in root.iterfind("edges/edge")
        if edge.attrib["to-layer"] == scaled.attrib["id"] and edge.attrib["to-port"] == "0"
    )
    behind.attrib.update({"to-layer": before.attrib["from-layer"], "to-port": "0"})
    root.write(graph)
    assert _problem(copied) == "layout_unknown"


def test_token_that_the_model_does_not_have(xlmr: NumPyEncoder) -> None:
    ids = np.array([[0, xlmr._model._words.shape[0], 2]])
    with pytest.raises(EncoderError):
        xlmr._model(ids, np.ones_like(ids))


def test_tokenizers_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(RuntimeMissingError, match="tokenizers"):
        NumPyEncoder(MODELS / "tiny-xlmr-int8", tiny_spec("tiny-xlmr-int8"))


def test_closed_encoder_lets_go_of_the_file() -> None:
    encoder = NumPyEncoder(MODELS / "tiny-xlmr-int8", tiny_spec("tiny-xlmr-int8"))
    maps = Path("/proc/self/maps")
    if maps.exists():
        before = maps.read_text().count("tiny-xlmr-int8/openvino_model.bin")
        encoder.close()
        assert maps.read_text().count("tiny-xlmr-int8/openvino_model.bin") == before - 1


_ALONE = """
import dataclasses, json, pathlib, sys
sys.modules["openvino"] = None
sys.path.insert(0, sys.argv[1])
from engine import NumPyEncoder, Role, load_catalog
spec = dataclasses.replace(load_catalog()["bge-m3"], dimension=64, max_tokens=128)
dense = NumPyEncoder(pathlib.Path(sys.argv[2]), spec).encode(["lamp"], Role.QUERY).dense
print(json.dumps({"dense": dense.tolist(), "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def test_needs_neither_openvino_nor_home_assistant(xlmr: NumPyEncoder, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _ALONE, ROOT / "custom_components/semantic_home", MODELS / "tiny-xlmr-int8"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    result = json.loads(finished.stdout)
    np.testing.assert_allclose(result["dense"], xlmr.encode(["lamp"], Role.QUERY).dense, atol=1e-6)
    assert not {"homeassistant", "torch", "scipy", "openvino_telemetry", "safetensors"} & set(result["modules"])
