"""Token vectors to one unit vector a text."""

import numpy as np
from numpy.typing import NDArray

from .catalog import Pooling


def pool(hidden: NDArray[np.float32], attention_mask: NDArray[np.int64], pooling: Pooling) -> NDArray[np.float32]:
    """Pool (n, tokens, dimension) to L2-normalised float32 (n, dimension); padding has no part in it."""
    if pooling is Pooling.CLS:
        pooled = hidden[:, 0]
    else:
        mask = attention_mask[:, :, None].astype(np.float32)
        pooled = (hidden * mask).sum(axis=1) / mask.sum(axis=1)
    return normalize(pooled)


def normalize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale the rows of (n, dimension) to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
