"""Pooling, against loops."""

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.typing import NDArray
import pytest

from custom_components.semantic_home.engine import Pooling
from custom_components.semantic_home.engine.pooling import normalize, pool


def _naive(hidden: NDArray[np.float32], lengths: list[int], pooling: Pooling) -> list[list[float]]:
    rows = []
    for tokens, length in zip(hidden.astype(float).tolist(), lengths, strict=True):
        counted = tokens[:1] if pooling is Pooling.CLS else tokens[:length]
        mean = [sum(column) / len(counted) for column in zip(*counted, strict=True)]
        size = sum(value**2 for value in mean) ** 0.5
        rows.append([value / size for value in mean])
    return rows


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    dimension=st.integers(1, 8),
    pooling=st.sampled_from(Pooling),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_loops(lengths: list[int], dimension: int, pooling: Pooling, seed: int) -> None:
    random = np.random.default_rng(seed)
    hidden = (random.normal(size=(len(lengths), max(lengths), dimension)) + 3).astype(np.float32)
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    found = pool(hidden, mask, pooling)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, _naive(hidden, lengths, pooling), rtol=1e-4, atol=1e-6)
    # Whatever the model wrote where padding was, it has no part in it.
    hidden[mask == 0] = 1e6
    np.testing.assert_array_equal(pool(hidden, mask, pooling), found)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 1e15])
def test_normalize(scale: float) -> None:
    rows = np.array([[3, 4], [0, 0], [-1, 0]], np.float32) * np.float32(scale)
    found = normalize(rows)
    assert found.dtype == np.float32
    if scale == 1e-30:
        # Squares below float32 vanish; what matters is that nothing is divided by zero.
        assert np.isfinite(found).all()
    else:
        np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
