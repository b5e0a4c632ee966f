"""The models this project knows, described by data (catalog.json)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
import json
from pathlib import Path
from typing import Any

type Catalog = Mapping[str, ModelSpec]

_CATALOG_FILE = Path(__file__).with_name("catalog.json")


class Pooling(StrEnum):
    """How the token vectors of a text become one vector."""

    CLS = "cls"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One published file of a model: its name in the folder, size in bytes and SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What has to be known of a model to run it and to offer it.

    `disk_mb`, `memory_mb` and `portable_memory_mb` are megabytes (10^6 bytes): the files, and the resident size of a
    process that has answered queries, with OpenVINO and with NumPy. `files` is empty where the published files could
    not be pinned yet.
    """

    id: str
    title: str
    dimension: int
    pooling: Pooling
    query_prefix: str
    passage_prefix: str
    max_tokens: int
    precision: str
    heads: tuple[str, ...]
    languages: int
    license: str
    disk_mb: int
    memory_mb: int
    portable_memory_mb: int
    recommended: bool
    files: tuple[ModelFile, ...]


def load_catalog() -> Catalog:
    """Read the catalog from its data file: model id to spec, in the order of the file. Blocking."""
    return {spec.id: spec for spec in map(_spec, json.loads(_CATALOG_FILE.read_text("utf-8")))}


def _spec(raw: dict[str, Any]) -> ModelSpec:
    return ModelSpec(
        **raw
        | {
            "pooling": Pooling(raw["pooling"]),
            "heads": tuple(raw["heads"]),
            "files": tuple(ModelFile(**file) for file in raw["files"]),
        }
    )
