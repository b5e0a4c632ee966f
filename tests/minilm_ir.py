"""all-MiniLM-L6-v2 as an INT8 OpenVINO IR, from its published fp32 weights: what the portable engine runs in tests.

  python -m tests.minilm_ir SOURCE TARGET

scripts/export_model.py does this for any model, with PyTorch and optimum-intel, two gigabytes that a test run need not
install; this lays the same file out with OpenVINO alone.
"""

import json
from pathlib import Path
import shutil
import sys
from typing import override

import numpy as np
from numpy.typing import NDArray
from openvino import Node, serialize
import openvino.opset13 as ops

from custom_components.semantic_home.engine.safetensors import read_safetensors

from .benchmark.random_graph import GraphBuilder, Shape

_LARGEST = 127


class _MiniLM(GraphBuilder):
    """BERT's graph with the weights of a checkpoint, rounded symmetrically by row."""

    kinds = 2
    epsilon = 1e-12

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        sizes = ("hidden_size", "num_attention_heads", "intermediate_size", "vocab_size", "max_position_embeddings")
        super().__init__(Shape(config["num_hidden_layers"], *(config[size] for size in sizes)), lambda _: None)
        self._tensors = read_safetensors(folder / "model.safetensors")

    @override
    def positions(self, ids: Node) -> Node:
        ones = ops.broadcast(ops.constant(np.int64(1)), ops.shape_of(ids))
        return ops.cum_sum(ones, ops.constant(np.int64(1)), exclusive=True)

    @override
    def matrix(self, path: str, size: tuple[int, int]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
        weight = self._tensor(path).reshape(size)
        scale = (np.abs(weight).max(axis=1, keepdims=True) / _LARGEST).astype(np.float16)
        # A row of zeros has a scale of 0, and is as it is whatever it is divided by.
        divisor = np.where(scale > 0, scale, 1).astype(np.float32)
        return np.clip(np.rint(weight / divisor), -_LARGEST, _LARGEST).astype(np.int8), scale

    @override
    def vector(self, path: str, size: int) -> NDArray[np.float32]:
        return self._tensor(path).reshape(1, 1, size)

    def _tensor(self, path: str) -> NDArray[np.float32]:
        return self._tensors[path] if path in self._tensors else self._tensors[f"bert.{path}"]


def write(source: Path, target: Path) -> None:
    """Make a model folder from one that holds `model.safetensors`, `config.json` and `tokenizer.json`. Blocking."""
    target.mkdir(parents=True, exist_ok=True)
    serialize(_MiniLM(source).model(), target / "openvino_model.xml")
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(source / name, target / name)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
