"""The random model that scripts/benchmark.py measures, in its smallest size, and the script itself."""

from collections.abc import Sequence
import json
from pathlib import Path
import shutil
import subprocess
import sys
from typing import Any, override

import numpy as np
from openvino import Core, Node, serialize
import openvino.opset13 as ops
import pytest

from custom_components.semantic_home.engine import Encoder, NumPyEncoder, OpenVINOEncoder, Role
from tests.benchmark.measure import LENGTHS
from tests.benchmark.random_graph import GraphBuilder, Shape
from tests.benchmark.random_model import SHAPES, cached_model, spec_of, write_model
from tests.benchmark.subject import exports_with
from tests.benchmark.texts import TextMaker

from .common import MINILM_FOLDER, ROOT, cosines

_TINY = SHAPES["tiny"]
needs_onnxruntime = pytest.mark.skipif(
    not exports_with("onnxruntime"), reason="needs ONNX Runtime: scripts/make_golden makes .venv-export"
)


def _silent(message: str) -> None:
    pass


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random") / "tiny"
    write_model(folder, _TINY, _silent)
    return folder


@pytest.fixture(scope="module")
def random_encoder(random_folder: Path) -> Encoder:
    return OpenVINOEncoder(random_folder, spec_of(_TINY))


@pytest.fixture(scope="module")
def texts(random_folder: Path) -> list[str]:
    maker = TextMaker(random_folder / "tokenizer.json")
    return [text for length in (3, 8, 16, 64, 128) for text in maker.texts(2, length)]


def test_our_encoder_runs_it(random_encoder: Encoder, texts: Sequence[str]) -> None:
    together = random_encoder.encode(texts, Role.QUERY).dense
    assert together.shape == (10, 64)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    # Different texts stay apart, and a text's neighbours do not matter.
    assert (together @ together.T)[~np.eye(10, dtype=bool)].max() < 0.999
    alone = np.concatenate([random_encoder.encode([text], Role.QUERY).dense for text in texts])
    assert cosines(together, alone).min() > 0.9999


def test_both_our_encoders_agree_on_it(random_folder: Path, random_encoder: Encoder, texts: Sequence[str]) -> None:
    other = NumPyEncoder(random_folder, spec_of(_TINY))
    assert cosines(random_encoder.encode(texts, Role.QUERY).dense, other.encode(texts, Role.QUERY).dense).min() > 0.999


class _Asymmetric(GraphBuilder):
    """As NNCF's INT8_ASYM leaves it, optimum-cli's INT8: u8, from which a zero point is subtracted."""

    @override
    def _compressed(self, path: str, size: tuple[int, int], port: int) -> Node:
        name = f"self.{path}.weight"
        values, scales = self.matrix(f"{path}.weight", size)
        zero_points = np.arange(size[0], dtype=np.uint8)[:, None] % 9 + 120
        stored = ops.constant((values.astype(np.int16) + 127).astype(np.uint8), name=name)
        zero = ops.convert(ops.constant(zero_points, name=f"{name}/zero_point"), "f16")
        shifted = ops.subtract(ops.convert(stored, "f16"), zero)
        scaled = ops.multiply(shifted, ops.constant(scales, name=f"{name}/scale"), name=f"{name}/fq_weights_{port}")
        return ops.convert(scaled, "f32", name=f"{name}/fq_weights_{port}/convert")


def test_both_our_encoders_agree_on_zero_points(tmp_path: Path, random_folder: Path, texts: Sequence[str]) -> None:
    folder = Path(shutil.copytree(random_folder, tmp_path / "asymmetric"))
    serialize(_Asymmetric(_TINY, _silent).model(), folder / "openvino_model.xml")
    assert 'element_type="u8"' in (folder / "openvino_model.xml").read_text("utf-8")
    spec = spec_of(_TINY)
    ours, portable = (
        engine(folder, spec).encode(texts, Role.QUERY).dense for engine in (OpenVINOEncoder, NumPyEncoder)
    )
    assert cosines(ours, portable).min() > 0.999
    symmetric = OpenVINOEncoder(random_folder, spec).encode(texts, Role.QUERY).dense
    assert cosines(ours, symmetric).min() < 0.99, "the zero points change the model"


def test_weights_are_laid_out_as_by_nncf(random_folder: Path) -> None:
    model = Core().read_model(random_folder / "openvino_model.xml")
    types: dict[str, Any] = {node.get_friendly_name(): node.get_element_type().to_string() for node in model.get_ops()}
    matrices = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
    matrices += ["intermediate.dense", "output.dense"]
    names = [f"self.encoder.layer.{layer}.{matrix}.weight" for layer in range(2) for matrix in matrices]
    names += [f"self.embeddings.{table}_embeddings.weight" for table in ("word", "position", "token_type")]
    assert {types[name] for name in names} == {"i8"}
    assert {types[f"{name}/scale"] for name in names} == {"f16"}
    size = (random_folder / "openvino_model.bin").stat().st_size
    assert _TINY.int8_bytes < size < 1.5 * _TINY.int8_bytes


def test_full_size_has_the_size_of_the_real_one() -> None:
    # 302 MB of encoder, 256 MB of vocabulary, 8 MB of positions.
    assert round(SHAPES["bge-m3"].int8_bytes / 1e6) == 566
    assert SHAPES["bge-m3-compact"].int8_bytes < 150e6


def test_the_same_in_every_run(random_folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "again", _TINY, _silent)
    for name in ("openvino_model.bin", "tokenizer.json", "config.json", "heads.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (random_folder / name).read_bytes()


def test_heads_are_safetensors(random_folder: Path) -> None:
    raw = (random_folder / "heads.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    assert {name: entry["shape"] for name, entry in header.items()} == {
        "colbert_linear.weight": [64, 64],
        "colbert_linear.bias": [64],
        "sparse_linear.weight": [1, 64],
        "sparse_linear.bias": [1],
    }
    assert max(entry["data_offsets"][1] for entry in header.values()) == len(raw) - 8 - length


def test_made_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    cache = tmp_path / "semantic-home/random-models"
    # What an earlier run left when it was killed is in nobody's way.
    (cache / "tiny.unfinished").mkdir(parents=True)
    (cache / "tiny").mkdir()
    folder = cached_model("tiny", said.append)
    assert folder == cache / "tiny" and (folder / "openvino_model.bin").is_file()
    assert not (cache / "tiny.unfinished").exists()
    assert said
    said.clear()
    assert cached_model("tiny", said.append) == folder
    assert said == []
    monkeypatch.setitem(SHAPES, "tiny", Shape(1, 64, 4, 128, 2000, 130))
    assert json.loads((cached_model("tiny", said.append) / "config.json").read_text())["num_hidden_layers"] == 1


def test_texts_have_the_length_asked_for_with_any_tokenizer() -> None:
    maker = TextMaker(MINILM_FOLDER / "tokenizer.json")
    for length in LENGTHS:
        assert len(set(maker.texts(3, length))) == 3


def test_the_script_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = _benchmark("--random", "tiny", "--seconds", "0", "--texts", "50", "--json", str(tmp_path / "report.json"))
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    measured = report["results"]["openvino"]
    assert list(measured["tokens"]) == ["8", "16", "32", "64", "128"]
    assert set(measured["memory"]) == {"idle", "loaded", "used", "unloaded"}
    assert report["indexing"]["texts"] == 50
    assert report["indexing"]["while_indexing"]["runs"] >= 1
    home = report["indexing"]["home"]
    assert home["measured_texts"] == 50
    assert home["projected_minutes"] == pytest.approx(1000 / home["texts_per_second"] / 60, abs=0.01)
    for shown in ("128 tokens, p95", "memory, unloaded", "50 texts of 16 tokens were indexed", "home of 500 entities"):
        assert shown in run.stdout


@needs_onnxruntime
def test_the_script_compares_with_onnx_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arguments = ("--random", "tiny", "--seconds", "0", "--texts", "0", "--tokens", "8", "--against", "onnxruntime")
    run = _benchmark(*arguments, "--json", str(tmp_path / "report.json"))
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ratios"]["8 tokens, p50"]["onnxruntime"] > 0
    assert "weights: INT8 (quantize_dynamic), random" in run.stdout
    (graph,) = (tmp_path / "semantic-home/random-models").glob("onnx-*/model.onnx")
    assert _TINY.int8_bytes < graph.stat().st_size < 2 * _TINY.int8_bytes
    # What fp32 took is gone, and the second time the graph is there.
    assert {file.name for file in graph.parent.iterdir()} == {"model.onnx", "made-from"}
    again = _benchmark(*arguments)
    assert again.returncode == 0 and "Making" not in again.stderr


def test_the_script_fails_when_measuring_does(random_folder: Path) -> None:
    # The folder is not what it is said to hold.
    run = _benchmark(str(random_folder), "--model", "bge-m3", "--texts", "0")
    assert run.returncode == 1
    assert "wrong_dimension" in run.stderr and "openvino failed at “load”" in run.stderr
    for arguments in ((), (str(random_folder), "--random", "tiny")):
        assert _benchmark(*arguments).returncode == 2


def _benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts/benchmark.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
