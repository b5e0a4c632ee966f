"""The models this project knows, described by data (catalog.json)."""

from collections.abc import Iterable, Iterator, Mapping
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
    REMOTE = "remote"  # by a server, which keeps to itself how


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model, as a hub publishes it.

    `name`: what it is called in the model's folder. `repository`, `revision` and `path`: where the hub has it. `size`
    in bytes. What it must hash to: `sha256`, or for a small file of which a hub tells no more, `git_id`, the SHA-1 that
    git gives it. The catalog's own files all have a SHA-256.
    """

    name: str
    repository: str
    revision: str
    path: str
    size: int
    sha256: str | None
    git_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What has to be known of a model to run it and to offer it.

    `memory_mb` and `portable_memory_mb` are megabytes (10^6 bytes), the resident size of a process that has answered
    queries, and `query_ms` and `portable_query_ms` milliseconds for a query of 8 tokens, as scripts/benchmark.py
    measures them: with OpenVINO and with NumPy. All four are 0 where nobody measured, as for a user's own model.
    `files` is empty for a model that is no hub's.
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
    memory_mb: int
    portable_memory_mb: int
    query_ms: int
    portable_query_ms: int
    recommended: bool
    files: tuple[ModelFile, ...]

    @property
    def disk_mb(self) -> int:
        """The size of the published files, in megabytes (10^6 bytes)."""
        return round(sum(file.size for file in self.files) / 1e6)


def load_catalog() -> Catalog:
    """Read the catalog from its data file: model id to spec, in the order of the file. Blocking."""
    return {spec.id: spec for spec in map(_spec, json.loads(_CATALOG_FILE.read_text("utf-8")))}


def _spec(raw: dict[str, Any]) -> ModelSpec:
    return ModelSpec(
        **raw | {"pooling": Pooling(raw["pooling"]), "heads": tuple(raw["heads"]), "files": tuple(_files(raw["files"]))}
    )


def _files(sources: Iterable[dict[str, Any]]) -> Iterator[ModelFile]:
    for source in sources:
        for file in source["files"]:
            yield ModelFile(repository=source["repository"], revision=source["revision"], **file)
