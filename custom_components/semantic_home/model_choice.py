"""What an entry says of its model, as Home Assistant keeps it: who runs which model, and where its files come from."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .const import CONF_ENGINE, CONF_FILES, CONF_FOLDER, CONF_HUB, CONF_MODEL, CONF_SERVER, CONF_SIGNATURE, CONF_SPEC
from .engine import Catalog, EncoderError, ModelFile, ModelSpec, Pooling, Server
from .hub import DEFAULT_ENDPOINT


class Engine(StrEnum):
    """Who computes the vectors.

    The first two read the same files, and what they differ in is rounding, hence neither is in the stamp: cosine
    between them 0.9999999 with AVX2, and at least 0.999 where OpenVINO rounds activations too (the tests).
    """

    OPENVINO = "openvino"
    NUMPY = "numpy"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Who runs which model, and where that is.

    `folder`: of the user's own files, relative to the configuration directory; None where they are downloaded, from
    the hub at `endpoint`. `server`: the one that runs it, for Engine.SERVER alone, and `signature` HttpEncoder's, from
    when it was set up: by it the server's model is known again.
    """

    engine: Engine
    spec: ModelSpec
    folder: str | None = None
    endpoint: str = DEFAULT_ENDPOINT
    server: Server | None = None
    signature: NDArray[np.float32] | None = None

    @classmethod
    def from_data(cls, data: Mapping[str, Any], catalog: Catalog) -> Self | None:
        """Read an entry's data; None for an entry without a model.

        Raises EncoderError for a model, or an engine, that this version does not know.
        """
        if (model := data[CONF_MODEL]) is None:
            return None
        try:
            # Entries of the first version, which knew no other, do not name it.
            engine = Engine(data.get(CONF_ENGINE, Engine.OPENVINO))
        except ValueError as err:
            raise EncoderError(f"This version knows no engine {data[CONF_ENGINE]}") from err
        if CONF_SPEC in data:
            spec = own_spec(model, **data[CONF_SPEC])
        elif model in catalog:
            spec = catalog[model]
        else:
            raise EncoderError(f"This version knows no model {model}")
        if CONF_FILES in data:
            spec = replace(spec, files=tuple(ModelFile(**file) for file in data[CONF_FILES]))
        return cls(
            engine,
            spec,
            data.get(CONF_FOLDER),
            data.get(CONF_HUB, DEFAULT_ENDPOINT),
            Server(**server) if (server := data.get(CONF_SERVER)) else None,
            _vector(data.get(CONF_SIGNATURE)),
        )

    def is_own(self, catalog: Catalog) -> bool:
        """Tell whether the model is described by the user, and not by the catalog."""
        known = catalog.get(self.spec.id)
        return known is None or replace(self.spec, files=known.files) != known

    def to_data(self, catalog: Catalog) -> dict[str, Any]:
        """Write the data of an entry: what the catalog says is not repeated, so that it can be mended there."""
        data: dict[str, Any] = {CONF_ENGINE: self.engine, CONF_MODEL: self.spec.id}
        known = catalog.get(self.spec.id)
        if self.is_own(catalog):
            data[CONF_SPEC] = own_settings(self.spec)
        if self.folder is not None:
            data[CONF_FOLDER] = self.folder
        elif self.server is None:
            data[CONF_HUB] = self.endpoint
            if known is None or self.spec.files != known.files:
                data[CONF_FILES] = [asdict(file) for file in self.spec.files]
        if self.server is not None:
            data[CONF_SERVER] = asdict(self.server)
        if self.signature is not None:
            data[CONF_SIGNATURE] = self.signature_data
        return data

    @property
    def signature_data(self) -> str | None:
        """The signature as an entry keeps it."""
        if self.signature is None:
            return None
        return base64.b64encode(self.signature.astype("<f4").tobytes()).decode("ascii")


def own_spec(  # noqa: PLR0913, PLR0917 - as many as a model has settings
    model: str,
    dimension: int,
    pooling: str,
    query_prefix: str = "",
    passage_prefix: str = "",
    max_tokens: int = 512,
    precision: str = "unknown",
) -> ModelSpec:
    """Describe a model that is not in the catalog, of which nobody measured anything."""
    return ModelSpec(
        id=model,
        title=model,
        dimension=dimension,
        pooling=Pooling(pooling),
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
        max_tokens=max_tokens,
        precision=precision,
        # As many of them as its files bring: only there can one see which.
        heads=("dense", "sparse", "multivector"),
        languages=0,
        license="",
        memory_mb=0,
        portable_memory_mb=0,
        query_ms=0,
        portable_query_ms=0,
        recommended=False,
        files=(),
    )


def own_settings(spec: ModelSpec) -> dict[str, Any]:
    """Give what own_spec() was told, but for the name."""
    return {
        "dimension": spec.dimension,
        "pooling": str(spec.pooling),
        "query_prefix": spec.query_prefix,
        "passage_prefix": spec.passage_prefix,
        "max_tokens": spec.max_tokens,
        "precision": spec.precision,
    }


def _vector(encoded: str | None) -> NDArray[np.float32] | None:
    return None if encoded is None else np.frombuffer(base64.b64decode(encoded), "<f4").astype(np.float32)
