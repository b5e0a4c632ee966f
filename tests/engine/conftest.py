"""The real model, loaded once. Nothing here needs Home Assistant."""

from collections.abc import Generator
from pathlib import Path
import shutil

import pytest

from custom_components.semantic_home.engine import ModelSpec, OpenVINOEncoder, load_catalog

from .common import MINILM, MINILM_FOLDER


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return load_catalog()[MINILM]


@pytest.fixture(scope="session")
def encoder(spec: ModelSpec) -> Generator[OpenVINOEncoder]:
    loaded = OpenVINOEncoder(MINILM_FOLDER, spec)
    yield loaded
    loaded.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the model to where a test may spoil it."""
    return Path(shutil.copytree(MINILM_FOLDER, tmp_path / "model"))
