"""Which files make a model, and what tells it from every other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from custom_components.semantic_home.engine import ModelFilesError, ModelSpec
from custom_components.semantic_home.engine.model_folder import ModelFolder

_MIB = 2**20


def _problem(path: Path, spec: ModelSpec) -> tuple[str, str]:
    with pytest.raises(ModelFilesError) as caught:
        ModelFolder.open(path, spec)
    assert caught.value.problem in str(caught.value)
    return caught.value.problem, caught.value.detail


def _made(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(name.encode())
    return path


def test_finds_the_files(folder: Path, spec: ModelSpec) -> None:
    found = ModelFolder.open(folder, spec)
    assert found == ModelFolder(folder / "model.onnx", None, folder / "tokenizer.json", folder / "config.json", 512)


def test_openvino_goes_before_onnx(tmp_path: Path, spec: ModelSpec) -> None:
    names = ("onnx/model.onnx", "tokenizer.json", "openvino_model.bin", "openvino_model.xml")
    found = ModelFolder.open(_made(tmp_path, *names), spec)
    assert found.graph.name == "openvino_model.xml"
    assert found.weights == tmp_path / "openvino_model.bin"
    assert found.max_tokens is None
    (tmp_path / "openvino_model.xml").unlink()
    assert ModelFolder.open(tmp_path, spec).graph == tmp_path / "onnx/model.onnx"


@pytest.mark.parametrize(
    ("spoil", "problem", "detail"),
    [
        (lambda folder: folder.rename(folder.with_name("away")), "folder_missing", "model"),
        (lambda folder: (folder / "model.onnx").unlink(), "file_missing", "model.onnx"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "file_missing", "tokenizer.json"),
        (lambda folder: _made(folder, "openvino_model.xml"), "file_missing", "openvino_model.bin"),
        (lambda folder: (folder / "config.json").write_text("{"), "file_unreadable", "config.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), "file_unreadable", "config.json"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff"), "file_unreadable", "config.json"),
        (lambda folder: (folder / "config.json").write_text('{"hidden_size": 768}'), "wrong_dimension", "768 ≠ 384"),
    ],
)
def test_folder_that_does_not_fit(
    folder: Path, spec: ModelSpec, spoil: Callable[[Path], object], problem: str, detail: str
) -> None:
    spoil(folder)
    found = _problem(folder, spec)
    assert found[0] == problem
    assert detail in found[1]


def test_file_in_place_of_a_folder(tmp_path: Path, spec: ModelSpec) -> None:
    assert _problem(_made(tmp_path, "model") / "model", spec)[0] == "folder_missing"


def test_config_without_a_size_says_nothing(folder: Path, spec: ModelSpec) -> None:
    (folder / "config.json").write_text("{}")
    assert ModelFolder.open(folder, spec).max_tokens is None


def test_config_says_how_many_tokens_have_a_position(folder: Path, spec: ModelSpec) -> None:
    (folder / "config.json").write_text(
        '{"model_type": "xlm-roberta", "max_position_embeddings": 8194, "pad_token_id": 1}'
    )
    assert ModelFolder.open(folder, spec).max_tokens == 8192


def _flip(file: Path, at: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))


def test_fingerprint_is_of_the_content_and_not_the_place(folder: Path, spec: ModelSpec) -> None:
    before = ModelFolder.open(folder, spec).fingerprint()
    assert int(before, 16) >= 0
    assert len(before) == 16
    moved = folder.rename(folder.with_name("elsewhere"))
    assert ModelFolder.open(moved, spec).fingerprint() == before
    (moved / "README.md").write_text("of no matter")
    assert ModelFolder.open(moved, spec).fingerprint() == before


@pytest.mark.parametrize(("name", "at"), [("model.onnx", 12_345_678), ("model.onnx", 0), ("tokenizer.json", 400_000)])
def test_fingerprint_of_another_byte(folder: Path, spec: ModelSpec, name: str, at: int) -> None:
    before = ModelFolder.open(folder, spec).fingerprint()
    _flip(folder / name, at)
    assert ModelFolder.open(folder, spec).fingerprint() != before
    _flip(folder / name, at)
    assert ModelFolder.open(folder, spec).fingerprint() == before


def test_fingerprint_knows_where_a_file_ends(tmp_path: Path) -> None:
    """A byte that moves from the end of one file to the start of the next is another model."""
    left, right = (
        ModelFolder(folder / "model.xml", folder / "model.bin", folder / "tokenizer.json", None, None)
        for folder in (_made(tmp_path / "left", "tokenizer.json"), _made(tmp_path / "right", "tokenizer.json"))
    )
    left.graph.write_bytes(b"ab")
    (tmp_path / "left/model.bin").write_bytes(b"c")
    right.graph.write_bytes(b"a")
    (tmp_path / "right/model.bin").write_bytes(b"bc")
    assert left.fingerprint() != right.fingerprint()


@pytest.fixture
def large(folder: Path, spec: ModelSpec) -> ModelFolder:
    """An OpenVINO model whose weights are a sparse file of 600 MiB."""
    _made(folder, "openvino_model.xml")
    with (folder / "openvino_model.bin").open("wb") as stream:
        stream.truncate(600 * _MIB)
    return ModelFolder.open(folder, spec)


def test_large_weights_are_sampled_to_both_ends(large: ModelFolder) -> None:
    assert large.weights is not None
    before = large.fingerprint()
    for at in (0, 600 * _MIB - 1):
        _flip(large.weights, at)
        assert large.fingerprint() != before
        _flip(large.weights, at)
    assert large.fingerprint() == before


def test_large_weights_of_another_size(large: ModelFolder) -> None:
    assert large.weights is not None
    before = large.fingerprint()
    with large.weights.open("r+b") as stream:
        stream.truncate(601 * _MIB)
    assert large.fingerprint() != before


def test_large_weights_that_differ_in_one_layer(large: ModelFolder) -> None:
    """The samples are 2.4 MiB apart: no run of 3 MiB stays unseen, and a layer of BGE-M3 has 12."""
    assert large.weights is not None
    before = large.fingerprint()
    for start in (3, 111, 250, 597):
        with large.weights.open("r+b") as stream:
            stream.seek(start * _MIB)
            stream.write(b"\1" * (3 * _MIB))
        after = large.fingerprint()
        assert after != before
        before = after


def test_every_byte_counts_up_to_64_mib(folder: Path, spec: ModelSpec) -> None:
    _made(folder, "openvino_model.xml")
    weights = folder / "openvino_model.bin"
    with weights.open("wb") as stream:
        stream.truncate(64 * _MIB)
    model = ModelFolder.open(folder, spec)
    before = model.fingerprint()
    _flip(weights, 33_333_333)
    assert model.fingerprint() != before
