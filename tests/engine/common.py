"""What the tests of the engine share."""

import numpy as np
from numpy.typing import NDArray

from tests.conftest import MINILM, MINILM_FOLDER, ROOT

__all__ = ["MINILM", "MINILM_FOLDER", "ROOT", "cosines"]


def cosines(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compare row with row, trusting neither side to be normalised."""
    a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
