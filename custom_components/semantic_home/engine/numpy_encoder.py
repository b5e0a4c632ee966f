"""The encoder for machines that OpenVINO has no wheel for: the same model folder, computed with NumPy alone.

XLM-RoBERTa and BERT, as `transformers` 5.5 defines them (`models/xlm_roberta/modeling_xlm_roberta.py`,
`models/bert/modeling_bert.py`), from an OpenVINO IR of 8, 16 or 32 bits.
"""

from dataclasses import dataclass
from itertools import accumulate
import json
from pathlib import Path
from typing import Any, Self, override

import numpy as np
from numpy.typing import NDArray

from .catalog import ModelSpec
from .compute import DEFAULT, ComputeOptions
from .encoder import Encoded, EncoderError, ModelFilesError
from .folder_encoder import FolderEncoder
from .ir import IR, Norm, Weight
from .model_folder import ModelFolder
from .threads import BlasThreads
from .tokenizer import Batch

type Array = NDArray[np.float32]

_CONFIG = "config.json"
_WORDS = "embeddings.word_embeddings.weight"

# Stored weights become float32 in pieces of this many numbers, in one buffer.
_PIECE = 2**20
# Attention is computed for so many tokens at a time that this many numbers suffice: of 8192 tokens it has a billion.
_SCORES = 2**22
# Of the layers' weights so many bytes stay mapped between texts; the others leave memory once used, and the kernel
# keeps them as it sees fit. Mapping them anew takes 0.13 ms/MB (measured on x86-64): for BGE-M3 13 ms a batch.
_MAPPED = 192 * 2**20

# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: |error| <= 1.5e-7.
_ERF_P = np.float32(0.3275911)
_ERF_A = tuple(map(np.float32, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)))


class NumPyEncoder(FolderEncoder):
    """Runs a model folder with NumPy. Blocking; maps the weights on construction and reads them as it goes."""

    def __init__(self, folder: Path, spec: ModelSpec, options: ComputeOptions = DEFAULT) -> None:
        """Open and check the model. Of the options only the threads say anything here.

        Raises RuntimeMissingError without `tokenizers`, ModelFilesError for a folder that does not fit the spec, with
        the problem `layout_unknown` for a graph, ONNX among them, that only OpenVINO can run.
        """
        files = ModelFolder.open(folder, spec)
        if files.weights is None:
            raise ModelFilesError("layout_unknown", files.graph.name)
        self._model = Transformer.open(files.graph, files.weights, Config.read(folder / _CONFIG))
        if self._model.dimension != spec.dimension:
            raise ModelFilesError("wrong_dimension", f"{self._model.dimension} ≠ {spec.dimension}")
        super().__init__(files, spec, self._model.max_tokens)
        self._threads = BlasThreads(options.thread_count)
        self._probe()

    @override
    def close(self) -> None:
        del self._model, self._tokenizer, self._heads

    @override
    def _encode(self, batch: Batch) -> Encoded:
        with self._threads.limited():
            return self._heads(self._model(batch.input_ids, batch.attention_mask), batch)


@dataclass(frozen=True, slots=True)
class Config:
    """What `config.json` says of a model and its graph does not."""

    layers: int
    heads: int
    # The token that has no position, and the position before the first; None where tokens are simply counted from 0.
    pad_id: int | None

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the file. Raises ModelFilesError `file_missing`, `file_unreadable` or `layout_unknown`."""
        if not file.is_file():
            raise ModelFilesError("file_missing", file.name)
        try:
            raw: dict[str, Any] = json.loads(file.read_text("utf-8"))
            kind, layers, heads = raw["model_type"], raw["num_hidden_layers"], raw["num_attention_heads"]
        except (ValueError, KeyError, TypeError) as err:
            raise ModelFilesError("file_unreadable", file.name) from err
        if kind not in ("xlm-roberta", "bert") or raw.get("position_embedding_type", "absolute") != "absolute":
            raise ModelFilesError("layout_unknown", f"{file.name}: {kind}")
        pad_id = raw.get("pad_token_id", 1) if kind == "xlm-roberta" else None
        if not all(type(number) is int and number > 0 for number in (layers, heads)) or type(pad_id) not in (
            int,
            type(None),
        ):
            raise ModelFilesError("file_unreadable", file.name)
        return cls(layers, heads, pad_id)


@dataclass(frozen=True, slots=True)
class _Dense:
    """A linear layer with its weight as it is stored."""

    weight: Weight
    bias: Array | None

    def __call__(self, x: Array, buffer: Array) -> Array:
        """Map (rows, in) to (rows, out). The weight becomes float32 a piece at a time; it is scaled in the product.

        `buffer` holds a piece. The weight stands on the left: for a few tokens BLAS is two to three times as fast so.
        """
        outputs, inputs = self.weight.shape
        product = np.empty((outputs, len(x)), np.float32)
        step = max(1, _PIECE // inputs)
        for start in range(0, outputs, step):
            stored = self.weight.values[start : start + step]
            piece = buffer[: stored.size].reshape(stored.shape)
            if self.weight.zero_point is None:
                np.copyto(piece, stored, casting="same_kind")
            else:
                np.subtract(stored, self.weight.zero_point[start : start + step], out=piece)
            np.matmul(piece, x.T, out=product[start : start + step])
        if self.weight.scale is not None:
            product *= self.weight.scale
        if self.bias is not None:
            product += self.bias[:, None]
        return np.ascontiguousarray(product.T)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One transformer layer."""

    query: _Dense
    key: _Dense
    value: _Dense
    attended: _Dense
    attended_norm: Norm
    up: _Dense
    down: _Dense
    down_norm: Norm

    def weights(self) -> tuple[Weight, ...]:
        """List the matrices."""
        return tuple(dense.weight for dense in (self.query, self.key, self.value, self.attended, self.up, self.down))


class Transformer:
    """Token ids to token vectors."""

    def __init__(self, tables: tuple[Weight, Weight, Weight], norm: Norm, layers: list[_Layer], config: Config) -> None:
        """Take the tables of words, positions and token types, and what follows them."""
        self._words, self._positions, self._types = tables
        self._norm = norm
        self._layers = layers
        self._config = config
        matrices = [weight for layer in layers for weight in layer.weights()]
        self._buffer = np.empty(max(min(matrix.values.size, max(_PIECE, matrix.shape[1])) for matrix in matrices), "f4")
        sizes = accumulate(sum(weight.values.nbytes for weight in layer.weights()) for layer in layers)
        self._mapped_layers = sum(size <= _MAPPED for size in sizes)

    @classmethod
    def open(cls, graph: Path, weights: Path, config: Config) -> Self:
        """Find the model in an IR. Raises ModelFilesError `file_unreadable` or `layout_unknown`."""
        ir = IR.open(graph, weights)
        prefix = next((name.removesuffix(_WORDS) for name in ir.names() if name.endswith(_WORDS)), None)
        if prefix is None:
            raise ModelFilesError("layout_unknown", f"{graph.name}: {_WORDS}")
        if any(name.startswith(f"{prefix}encoder.layer.{config.layers}.") for name in ir.names()):
            raise ModelFilesError("layout_unknown", f"{_CONFIG}: {config.layers} layers")
        words, positions, types = (
            ir.table(f"{prefix}embeddings.{name}_embeddings.weight") for name in ("word", "position", "token_type")
        )
        # Wrong numbers would come out of a config that does not belong to the graph, and no error.
        split = ir.heads_behind(f"{prefix}encoder.layer.0.attention.self.query.weight")
        if split not in (None, config.heads):
            raise ModelFilesError("layout_unknown", f"{_CONFIG}: {config.heads} heads, but {split} in the graph")
        layers = [_layer(ir, f"{prefix}encoder.layer.{number}.") for number in range(config.layers)]
        model = cls((words, positions, types), ir.norm_behind(prefix + _WORDS), layers, config)
        model._check_shapes()
        return model

    @property
    def dimension(self) -> int:
        """Length of a token's vector."""
        return self._words.shape[1]

    @property
    def max_tokens(self) -> int:
        """How many tokens have a position."""
        return self._positions.shape[0] - (0 if self._config.pad_id is None else self._config.pad_id + 1)

    def __call__(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> Array:
        """Map int64 (n, tokens), the mask 1 where a token counts, to float32 (n, tokens, dimension).

        Raises EncoderError for a token id that the model does not have.
        """
        count, tokens = input_ids.shape
        try:
            x = self._words.rows(input_ids.ravel())
            x += self._positions.rows(self._position_ids(input_ids).ravel())
        except IndexError as err:
            raise EncoderError(str(err)) from err
        x += self._types.rows(np.zeros(1, np.intp))
        _normalize(x, self._norm)
        hidden = np.where(attention_mask > 0, np.float32(0), np.finfo(np.float32).min)[:, None, None, :]
        for number, layer in enumerate(self._layers):
            x = self._run(layer, x, hidden)
            if number >= self._mapped_layers:
                for weight in layer.weights():
                    weight.release()
        return x.reshape(count, tokens, self.dimension)

    def _position_ids(self, input_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        pad_id = self._config.pad_id
        if pad_id is None:
            return np.broadcast_to(np.arange(input_ids.shape[1]), input_ids.shape)
        counts = (input_ids != pad_id).astype(np.int64)
        return np.asarray(np.cumsum(counts, axis=1) * counts + pad_id, np.int64)

    def _run(self, layer: _Layer, x: Array, hidden: Array) -> Array:
        """Map (n * tokens, dimension) to the same shape; `hidden` (n, 1, 1, tokens) is added to the attention."""
        attended = layer.attended(self._attend(layer, x, hidden), self._buffer)
        attended += x
        _normalize(attended, layer.attended_norm)
        inner = layer.up(attended, self._buffer)
        gelu(inner)
        result = layer.down(inner, self._buffer)
        result += attended
        _normalize(result, layer.down_norm)
        return result

    def _attend(self, layer: _Layer, x: Array, hidden: Array) -> Array:
        count, tokens, heads = len(hidden), hidden.shape[-1], self._config.heads
        query, key, value = (
            dense(x, self._buffer).reshape(count, tokens, heads, -1).transpose(0, 2, 1, 3)
            for dense in (layer.query, layer.key, layer.value)
        )
        result = np.empty((count, tokens, heads, query.shape[-1]), np.float32)
        scale = np.float32(query.shape[-1] ** -0.5)
        step = max(1, _SCORES // (heads * tokens))
        for place in range(count):
            for start in range(0, tokens, step):
                some = slice(start, start + step)
                scores = np.matmul(query[place, :, some] * scale, key[place].swapaxes(1, 2))
                scores += hidden[place]
                _softmax(scores)
                np.matmul(scores, value[place], out=result[place, some].swapaxes(0, 1))
        return result.reshape(len(x), -1)

    def _check_shapes(self) -> None:
        size = self.dimension
        if self._positions.shape[1] != size or self._types.shape[1] != size or size % self._config.heads:
            raise ModelFilesError("layout_unknown", f"{size} / {self._config.heads} / {self._positions.shape}")
        for number, layer in enumerate(self._layers):
            square = {dense.weight.shape for dense in (layer.query, layer.key, layer.value, layer.attended)}
            if square != {(size, size)} or layer.up.weight.shape != layer.down.weight.shape[::-1]:
                raise ModelFilesError("layout_unknown", f"layer {number}")
            if layer.down.weight.shape[0] != size:
                raise ModelFilesError("layout_unknown", f"layer {number}")


def _layer(ir: IR, prefix: str) -> _Layer:
    up, down, attended = (f"{prefix}{name}.dense.weight" for name in ("intermediate", "output", "attention.output"))
    activation = ir.activation_behind(up)
    if activation not in ("Gelu ERF", "Gelu"):
        raise ModelFilesError("layout_unknown", f"{up}: {activation}")
    query, key, value = (
        _Dense(*ir.linear(f"{prefix}attention.self.{name}.weight")) for name in ("query", "key", "value")
    )
    return _Layer(
        query,
        key,
        value,
        _Dense(*ir.linear(attended)),
        ir.norm_behind(attended),
        _Dense(*ir.linear(up)),
        _Dense(*ir.linear(down)),
        ir.norm_behind(down),
    )


def erf(x: Array) -> Array:
    """Compute the error function of float32 values, to 1e-6."""
    size = np.abs(x)
    t = 1 / (1 + _ERF_P * size)
    result = np.full_like(x, _ERF_A[0])
    for factor in _ERF_A[1:]:
        result *= t
        result += factor
    result *= t
    result *= np.exp(-(size * size))
    np.subtract(1, result, out=result)
    return np.copysign(result, x)


def gelu(x: Array) -> None:
    """Replace float32 (rows, columns) by x * (1 + erf(x / sqrt 2)) / 2, a row at a time while it is in the cache."""
    for row in x:
        activated = erf(row * np.float32(0.5**0.5))
        activated += 1
        row *= activated  # noqa: PLW2901 - in place is what is meant
        row *= np.float32(0.5)  # noqa: PLW2901


def _softmax(scores: Array) -> None:
    """Replace the last axis by its softmax."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)


def _normalize(x: Array, norm: Norm) -> None:
    """Bring the rows of (rows, size) to mean 0 and variance 1, then apply gain and bias, in place."""
    x -= x.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", x, x) / np.float32(x.shape[1])
    x /= np.sqrt(variance + np.float32(norm.epsilon))[:, None]
    x *= norm.gain
    x += norm.bias
