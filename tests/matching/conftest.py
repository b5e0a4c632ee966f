"""The home of cases.json and the real model. Nothing here needs Home Assistant."""

from collections.abc import Generator

import pytest

from custom_components.semantic_home.engine import OpenVINOEncoder, load_catalog
from custom_components.semantic_home.matching import Grammar, Matcher
from tests.conftest import MINILM, MINILM_FOLDER

from .common import Encode, home, places


@pytest.fixture(scope="session")
def encoder() -> Generator[OpenVINOEncoder]:
    loaded = OpenVINOEncoder(MINILM_FOLDER, load_catalog()[MINILM])
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def encode(encoder: OpenVINOEncoder) -> Encode:
    return lambda texts, role: encoder.encode(texts, role).dense


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    loaded = Grammar.load("en")
    assert loaded, "hassil and home-assistant-intents are among the tests' packages"
    return loaded


@pytest.fixture(scope="session")
def matcher(grammar: Grammar) -> Matcher:
    """The whole home of cases.json, by its names alone unless it is given evidence."""
    return Matcher(home(), places(), grammar)
