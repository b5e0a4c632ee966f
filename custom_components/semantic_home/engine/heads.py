"""What a model says of a text, made from its token vectors: one dense vector, lexical weights, a vector a token.

BGE-M3's heads as BAAI's own code computes them (FlagEmbedding 1.4.2, `inference/embedder/encoder_only/m3.py` and
`finetune/embedder/encoder_only/m3/modeling.py`); any other model has the dense one alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .catalog import ModelSpec, Pooling
from .encoder import Encoded, EncoderError, ModelFilesError
from .pooling import normalize, pool
from .safetensors import read_safetensors
from .tokenizer import Batch
from .torch_file import read_torch

# Which tokens have no lexical weight: FlagEmbedding's cls, eos, pad and unk, by their names in XLM-R and in BERT.
UNWEIGHED_TOKENS = ("<s>", "</s>", "<pad>", "<unk>", "[CLS]", "[SEP]", "[PAD]", "[UNK]")

# BAAI's names for the layers of the heads; a `.pt` file of theirs has the layer's name and holds nothing else.
_LAYERS = {"sparse": "sparse_linear", "multivector": "colbert_linear"}

_PER_TOKEN = 3  # texts, tokens, values: the rank of what a head says of each token


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer: float32 `weight` (out, in) and `bias` (out,)."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __call__(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map float32 (..., in) to (..., out)."""
        return np.asarray(hidden @ self.weight.T + self.bias, np.float32)


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of one model; a head that it lacks, or that the spec does not list, is None."""

    pooling: Pooling
    unweighed: frozenset[int]
    sparse: Linear | None = None
    multivector: Linear | None = None

    @classmethod
    def load(cls, files: Sequence[Path], spec: ModelSpec, unweighed: frozenset[int]) -> Self:
        """Read the heads that the spec lists from a folder's files for them; without any there are none. Blocking.

        `files` is `heads.safetensors`, or BAAI's `.pt` files. Raises ModelFilesError `file_unreadable` for a file
        without them, `file_missing` where only the other `.pt` file is there, `wrong_dimension` for heads of another
        model.
        """
        layers = {head: layer for head, layer in _LAYERS.items() if head in spec.heads} if files else {}
        tensors = _read(files, layers.values())
        sparse, multivector = (
            _linear(tensors, layers[head], (outputs, spec.dimension), files) if head in layers else None
            for head, outputs in (("sparse", 1), ("multivector", None))
        )
        return cls(spec.pooling, unweighed, sparse, multivector)

    def __call__(self, hidden: NDArray[np.float32], batch: Batch) -> Encoded:
        """Encode a batch from its token vectors, float32 (n, tokens, dimension); rows in the order of the batch."""
        return Encoded(
            pool(hidden, batch.attention_mask, self.pooling),
            lexical_weights(self.sparse(hidden), batch, self.unweighed) if self.sparse else None,
            token_vectors(self.multivector(hidden), batch) if self.multivector else None,
        )


def lexical_weights(
    weights: NDArray[np.float32], batch: Batch, unweighed: frozenset[int]
) -> tuple[dict[int, float], ...]:
    """Keep the positive weights of the tokens that count, the greatest for each token id.

    `weights` is (n, tokens, 1) or (n, tokens), a weight a token; or (n, vocabulary), a weight a token id.
    Raises EncoderError for any other shape.
    """
    if weights.ndim == _PER_TOKEN and weights.shape[2] == 1:
        weights = weights[:, :, 0]
    if weights.shape == batch.input_ids.shape:
        pairs = [
            (ids[mask > 0], row[mask > 0])
            for ids, row, mask in zip(batch.input_ids, weights, batch.attention_mask, strict=True)
        ]
    elif weights.ndim == 2 and len(weights) == len(batch.rows) and weights.shape[1] > batch.input_ids.max():  # noqa: PLR2004
        pairs = [(np.flatnonzero(row > 0), row[row > 0]) for row in weights]
    else:
        raise EncoderError(f"Lexical weights of an unknown shape: {weights.shape}")
    return tuple(_greatest(ids, row, unweighed) for ids, row in pairs)


def token_vectors(vectors: NDArray[np.float32], batch: Batch) -> tuple[NDArray[np.float32], ...]:
    """Keep the vectors of all tokens but the first (CLS) and the padding, scaled to length 1.

    `vectors` is (n, tokens, size), or (n, tokens - 1, size) where a graph left CLS out already.
    Raises EncoderError for any other shape.
    """
    count, tokens = batch.input_ids.shape
    if vectors.ndim != _PER_TOKEN or len(vectors) != count or vectors.shape[1] not in (tokens, tokens - 1):
        raise EncoderError(f"Token vectors of an unknown shape: {vectors.shape}")
    first = vectors.shape[1] - tokens + 1
    lengths = batch.attention_mask.sum(axis=1)
    return tuple(normalize(row[first : first + length - 1]) for row, length in zip(vectors, lengths, strict=True))


def collect(batches: Iterable[tuple[Batch, Encoded]], count: int, empty: Encoded) -> Encoded:
    """Put encoded batches together in the order of their rows, `count` texts in all.

    `empty` is what no texts give: it says which heads there are. Raises EncoderError for values that are not finite.
    """
    dense = np.empty((count, empty.dense.shape[1]), np.float32)
    sparse: list[dict[int, float]] = [{}] * count
    multivector: list[NDArray[np.float32]] = [empty.dense] * count
    for batch, encoded in batches:
        dense[batch.rows] = encoded.dense
        for place, row in enumerate(batch.rows):
            if encoded.sparse is not None:
                sparse[row] = encoded.sparse[place]
            if encoded.multivector is not None:
                multivector[row] = encoded.multivector[place]
    if not np.isfinite(dense).all():
        raise EncoderError("The model's vectors are not finite")
    return Encoded(
        dense,
        None if empty.sparse is None else tuple(sparse),
        None if empty.multivector is None else tuple(multivector),
    )


def nothing_like(encoded: Encoded) -> Encoded:
    """Return what no texts give, with the heads of what some text gave."""
    return Encoded(
        encoded.dense[:0].copy(),
        None if encoded.sparse is None else (),
        None if encoded.multivector is None else (),
    )


def _read(files: Sequence[Path], layers: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    by_layer = {file.stem: file for file in files if file.suffix == ".pt"}
    if not by_layer:
        return {name: tensor for file in files for name, tensor in read_safetensors(file).items()}
    tensors: dict[str, NDArray[np.float32]] = {}
    for layer in layers:
        if layer not in by_layer:
            raise ModelFilesError("file_missing", f"{layer}.pt")
        tensors |= {f"{layer}.{part}": tensor for part, tensor in read_torch(by_layer[layer]).items()}
    return tensors


def _linear(
    tensors: dict[str, NDArray[np.float32]], layer: str, shape: tuple[int | None, int], files: Sequence[Path]
) -> Linear:
    weight, bias = (tensors.get(f"{layer}.{part}") for part in ("weight", "bias"))
    if weight is None or bias is None or weight.ndim != len(shape) or bias.shape != weight.shape[:1]:
        raise ModelFilesError("file_unreadable", f"{', '.join(file.name for file in files)} ({layer})")
    if weight.shape[1] != shape[1] or shape[0] not in (None, weight.shape[0]):
        raise ModelFilesError("wrong_dimension", f"{layer}: {weight.shape[1]} ≠ {shape[1]}")
    return Linear(weight, bias)


def _greatest(ids: NDArray[np.integer], weights: NDArray[np.float32], unweighed: frozenset[int]) -> dict[int, float]:
    found: dict[int, float] = {}
    for token, weight in zip(ids.tolist(), weights.tolist(), strict=True):
        if weight > found.get(token, 0) and token not in unweighed:
            found[token] = weight
    return found
