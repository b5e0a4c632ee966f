"""The home of cases.json and the real model. Nothing here needs Home Assistant."""

from collections.abc import Generator

import pytest

from custom_components.semantic_home.engine import OpenVINOEncoder, load_catalog
from custom_components.semantic_home.matching import Weights
from tests.conftest import MINILM, MINILM_FOLDER


@pytest.fixture(scope="session")
def encoder() -> Generator[OpenVINOEncoder]:
    loaded = OpenVINOEncoder(MINILM_FOLDER, load_catalog()[MINILM])
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def weights() -> Weights:
    return Weights.load()
