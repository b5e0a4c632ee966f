"""An XLM-R encoder as an OpenVINO graph, INT8 by channel, with random weights: the size and speed of the real one.

Operations, their names and the compressed weights (i8 → f16 → by scale → f32) are laid out as optimum-intel and NNCF
write them, so that whatever reads their files reads these. Neither of them is needed, nor PyTorch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openvino import Model, Node, serialize
import openvino.opset13 as ops

_SEED = 20_261_123
# The weights are even over all 255 values, whose standard deviation this is.
_INT8_SPREAD = 73.6
# A matrix makes what goes through it this much larger. Above 1, else all texts would come out alike.
_GAIN = 1.5
_FAR = float(np.finfo(np.float32).min)


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the network is. `positions` counts the two that XLM-R leaves out: tokens + 2."""

    layers: int
    hidden: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int

    @property
    def int8_bytes(self) -> int:
        """Size of the compressed tables and matrices, without scales and biases."""
        tables = (self.vocabulary + self.positions + 1) * self.hidden
        return tables + self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.feed_forward)


def write_graph(xml: Path, shape: Shape, progress: Callable[[str], None]) -> None:
    """Write the graph and its `.bin` beside it; the same shape always gives the same weights.

    Takes about the size of the weights in memory: OpenVINO shares the arrays they are made in.
    """
    serialize(GraphBuilder(shape, progress).model(), xml)


class GraphBuilder:
    """Lays the operations out; where the weights come from, and what BERT has otherwise, a subclass can say."""

    kinds = 1
    epsilon = 1e-5

    def __init__(self, shape: Shape, progress: Callable[[str], None]) -> None:
        """Take what to build, and whom to tell what is being made."""
        self._shape = shape
        self._progress = progress
        self._random = np.random.default_rng(_SEED)

    def model(self) -> Model:
        """Assemble input_ids, attention_mask → last_hidden_state."""
        ids = ops.parameter([-1, -1], np.int64, name="input_ids")
        mask = ops.parameter([-1, -1], np.int64, name="attention_mask")
        for parameter in (ids, mask):
            parameter.output(0).set_names({parameter.get_friendly_name()})
        far = self._attention_mask(mask)
        hidden = self._embeddings(ids)
        for layer in range(self._shape.layers):
            if not layer % 8:
                self._progress(f"layers from {layer + 1} of {self._shape.layers}")
            hidden = self._layer(hidden, far, f"encoder.layer.{layer}")
        hidden.output(0).set_names({"last_hidden_state"})
        return Model([ops.result(hidden)], [ids, mask], "Model0")

    def _embeddings(self, ids: Node) -> Node:
        self._progress(f"a vocabulary of {self._shape.vocabulary:,}")
        words = self._lookup("word", self._shape.vocabulary, ids)
        kinds = self._lookup("token_type", self.kinds, ops.multiply(ids, _scalar(0)))
        places = self._lookup("position", self._shape.positions, self.positions(ids))
        return self._layer_norm(ops.add(ops.add(words, kinds), places), "embeddings.LayerNorm")

    def positions(self, ids: Node) -> Node:
        """Number the tokens: padding keeps position 1; the others count from 2."""
        real = ops.convert(ops.not_equal(ids, _scalar(1)), "i32")
        counted = ops.multiply(ops.cum_sum(real, _scalar(1)), real)
        return ops.add(ops.convert(counted, "i64"), _scalar(1))

    def matrix(self, path: str, size: tuple[int, int]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:  # noqa: ARG002 - for a subclass
        """Return a table or matrix rounded to 8 bits, and the scale (rows, 1) of each of its rows."""
        values = self._random.integers(-127, 128, size, np.int8)
        scale = _GAIN / self._shape.hidden**0.5 / _INT8_SPREAD
        return values, (scale * self._random.uniform(0.5, 1.5, (size[0], 1))).astype(np.float16)

    def vector(self, path: str, size: int) -> NDArray[np.float32]:
        """Return a bias, or the gain of a normalisation, as (1, 1, size)."""
        around = 1 if path.endswith("LayerNorm.weight") else 0
        return np.float32(around) + self._random.normal(0, 0.02, (1, 1, size)).astype(np.float32)

    def _lookup(self, kind: str, rows: int, indices: Node) -> Node:
        path = f"embeddings.{kind}_embeddings"
        table = self._compressed(path, (rows, self._shape.hidden), port=0)
        name = f"__module.{path}/aten::embedding/Gather"
        return ops.gather(table, ops.convert(indices, "i32"), _scalar(0), name=name)

    @staticmethod
    def _attention_mask(mask: Node) -> Node:
        """Turn 1 and 0 of (texts, tokens) into 0 and the farthest negative of (texts, 1, 1, tokens)."""
        absent = ops.subtract(np.float32(1), ops.convert(mask, "f32"))
        return ops.unsqueeze(ops.multiply(absent, np.float32(_FAR)), _vector(1, 2))

    def _layer(self, hidden: Node, far: Node, path: str) -> Node:
        size, wide = self._shape.hidden, self._shape.feed_forward
        query, key, value = (
            self._heads(self._linear(hidden, f"{path}.attention.self.{part}", size, size))
            for part in ("query", "key", "value")
        )
        attended = ops.scaled_dot_product_attention(query, key, value, far)
        joined = ops.reshape(ops.transpose(attended, _vector(0, 2, 1, 3)), _vector(0, 0, size), special_zero=True)
        mixed = self._linear(joined, f"{path}.attention.output.dense", size, size)
        hidden = self._layer_norm(ops.add(mixed, hidden), f"{path}.attention.output.LayerNorm")
        widened = ops.gelu(self._linear(hidden, f"{path}.intermediate.dense", size, wide), "erf")
        narrowed = self._linear(widened, f"{path}.output.dense", wide, size)
        return self._layer_norm(ops.add(narrowed, hidden), f"{path}.output.LayerNorm")

    def _heads(self, vectors: Node) -> Node:
        split = _vector(0, 0, self._shape.heads, self._shape.hidden // self._shape.heads)
        return ops.transpose(ops.reshape(vectors, split, special_zero=True), _vector(0, 2, 1, 3))

    def _linear(self, vectors: Node, path: str, inputs: int, outputs: int) -> Node:
        weight = self._compressed(path, (outputs, inputs), port=1)
        name = f"__module.{path}/aten::linear"
        product = ops.matmul(vectors, weight, transpose_a=False, transpose_b=True, name=f"{name}/MatMul")
        return ops.add(product, self.vector(f"{path}.bias", outputs), name=f"{name}/Add")

    def _layer_norm(self, vectors: Node, path: str) -> Node:
        name = f"__module.{path}/aten::layer_norm"
        normal = ops.mvn(vectors, _vector(-1), True, self.epsilon, "INSIDE_SQRT", name=f"{name}/MVN")
        size = self._shape.hidden
        scaled = ops.multiply(normal, self.vector(f"{path}.weight", size), name=f"{name}/Multiply_1")
        return ops.add(scaled, self.vector(f"{path}.bias", size), name=f"{name}/Add")

    def _compressed(self, path: str, size: tuple[int, int], port: int) -> Node:
        """Make a table or matrix as NNCF's INT8_SYM leaves it: a scale for each row (output channel)."""
        name = f"self.{path}.weight"
        values, scales = self.matrix(f"{path}.weight", size)
        whole = ops.convert(ops.constant(values, name=name, shared_memory=True), "f16")
        scaled = ops.multiply(whole, ops.constant(scales, name=f"{name}/scale"), name=f"{name}/fq_weights_{port}")
        return ops.convert(scaled, "f32", name=f"{name}/fq_weights_{port}/convert")


def _scalar(value: int) -> Node:
    return ops.constant(np.int64(value))


def _vector(*values: int) -> Node:
    return ops.constant(np.array(values, np.int64))
