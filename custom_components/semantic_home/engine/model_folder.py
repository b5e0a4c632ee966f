"""A model on disk: which files it has, and what tells it from every other model.

The layout is what optimum-intel writes (`openvino_model.xml` with its `.bin`, `tokenizer.json`, `config.json`);
an ONNX graph in the place of the OpenVINO one is as good. `heads.safetensors` holds the heads that a graph lacks, or
else the two files that BAAI publishes with BGE-M3 do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

from .catalog import ModelSpec
from .encoder import ModelFilesError

_GRAPHS = ("openvino_model.xml", "model.onnx", "onnx/model.onnx")
_TOKENIZER = "tokenizer.json"
_CONFIG = "config.json"
_HEADS = "heads.safetensors"
_TORCH_HEADS = ("sparse_linear.pt", "colbert_linear.pt")

_WHOLE_BELOW = 64 * 2**20
_SAMPLES = 256
_SAMPLE_SIZE = 64 * 2**10


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The files of one model."""

    graph: Path
    weights: Path | None
    tokenizer: Path
    config: Path | None
    max_tokens: int | None
    heads: tuple[Path, ...] = ()

    @classmethod
    def open(cls, path: Path, spec: ModelSpec) -> ModelFolder:
        """Find the files below a folder and hold them against the spec. Blocking.

        Raises ModelFilesError: `folder_missing`, `file_missing`, `file_unreadable` or `wrong_dimension`.
        """
        if not path.is_dir():
            raise ModelFilesError("folder_missing", str(path))
        graph = next((path / name for name in _GRAPHS if (path / name).is_file()), None)
        if graph is None:
            raise ModelFilesError("file_missing", " / ".join(_GRAPHS))
        weights = graph.with_suffix(".bin") if graph.suffix == ".xml" else None
        tokenizer = path / _TOKENIZER
        for needed in filter(None, (weights, tokenizer)):
            if not needed.is_file():
                raise ModelFilesError("file_missing", needed.name)
        config = path / _CONFIG
        said = _read(config)
        if (size := said.get("hidden_size")) not in (None, spec.dimension):
            raise ModelFilesError("wrong_dimension", f"{size} ≠ {spec.dimension}")
        return cls(
            graph,
            weights,
            tokenizer,
            config if config.is_file() else None,
            _max_tokens(said),
            _existing(path, _HEADS) or _existing(path, *_TORCH_HEADS),
        )

    def fingerprint(self) -> str:
        """Hash what decides the vectors: graph, weights, tokenizer, config and heads, as 16 hex digits. Blocking.

        Small files are read whole. Of weights above 64 MiB 256 blocks of 64 KiB spread over the file are read, and
        its size: retrained or requantised weights differ everywhere, and a start must not read half a gigabyte.
        """
        digest = hashlib.sha256()
        for file in filter(None, (self.graph, self.weights, self.tokenizer, self.config, *self.heads)):
            digest.update(f"{file.name}:{file.stat().st_size};".encode())
            for block in _blocks(file):
                digest.update(block)
        return digest.hexdigest()[:16]


def _existing(path: Path, *names: str) -> tuple[Path, ...]:
    return tuple(path / name for name in names if (path / name).is_file())


def _read(config: Path) -> dict[str, Any]:
    if not config.is_file():
        return {}
    try:
        said = json.loads(config.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as err:
        raise ModelFilesError("file_unreadable", config.name) from err
    if not isinstance(said, dict):
        raise ModelFilesError("file_unreadable", config.name)
    return said


def _max_tokens(said: dict[str, Any]) -> int | None:
    """Tell how many tokens have a position; XLM-R leaves out those up to its padding token's number."""
    positions, pad_id = said.get("max_position_embeddings"), said.get("pad_token_id", 1)
    if not isinstance(positions, int) or not isinstance(pad_id, int):
        return None
    return positions - (pad_id + 1 if said.get("model_type") == "xlm-roberta" else 0)


def _blocks(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= _WHOLE_BELOW:
            while block := stream.read(2**20):
                yield block
            return
        for sample in range(_SAMPLES):
            stream.seek(sample * (size - _SAMPLE_SIZE) // (_SAMPLES - 1))
            yield stream.read(_SAMPLE_SIZE)
