"""What the tests of the engine share."""

from dataclasses import replace
import json

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.engine import ModelSpec, load_catalog
from tests.conftest import MINILM, MINILM_FOLDER, MINILM_IR_FOLDER, ROOT

__all__ = ["MINILM", "MINILM_FOLDER", "MINILM_IR_FOLDER", "MODELS", "ROOT", "cosines", "tiny_spec"]

# Small random models in the layouts that optimum-intel writes (scripts/make_tiny_models).
MODELS = ROOT / "tests/engine/models"


def tiny_spec(name: str) -> ModelSpec:
    """Describe one of the small random models: BGE-M3's heads for XLM-R, MiniLM's for BERT."""
    config = json.loads((MODELS / name / "config.json").read_text("utf-8"))
    known = load_catalog()["bge-m3" if config["model_type"] == "xlm-roberta" else MINILM]
    return replace(known, dimension=config["hidden_size"], max_tokens=128)


def cosines(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compare row with row, trusting neither side to be normalised."""
    a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
