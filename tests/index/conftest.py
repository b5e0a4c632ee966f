"""An open store on a file of its own."""

from collections.abc import Generator
from pathlib import Path

import pytest

from custom_components.semantic_home.index import IndexStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "semantic_home.db"


@pytest.fixture
def store(path: Path) -> Generator[IndexStore]:
    opened = IndexStore.open(path)
    yield opened
    opened.close()
