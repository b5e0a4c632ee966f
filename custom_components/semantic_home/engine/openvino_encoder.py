"""The fast encoder: an OpenVINO or ONNX graph, run by OpenVINO in this process."""

from dataclasses import dataclass
import logging
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Any, override

import numpy as np

from .catalog import ModelSpec
from .encoder import Encoded, EncoderError, ModelFilesError, RuntimeMissingError
from .folder_encoder import FolderEncoder
from .heads import lexical_weights, token_vectors
from .memory import release_mapped
from .model_folder import ModelFolder
from .pooling import normalize
from .tokenizer import Batch

if TYPE_CHECKING:
    from openvino import CompiledModel

_LOGGER = logging.getLogger(__name__)

# What an output may be called: by optimum-intel, by FlagEmbedding (and who converted BGE-M3 with its heads), by others.
_NAMES = {
    "hidden": ("last_hidden_state", "token_embeddings"),
    "dense": ("dense_vecs", "dense_embeddings"),
    "sparse": ("sparse_vecs", "sparse_weights"),
    "multivector": ("colbert_vecs", "colbert_vectors"),
}


class OpenVINOEncoder(FolderEncoder):
    """Runs a model folder with OpenVINO. Blocking; loads on construction."""

    def __init__(self, folder: Path, spec: ModelSpec, *, device: str = "CPU") -> None:
        """Read, compile and check the model.

        Raises RuntimeMissingError without OpenVINO, ModelFilesError for a folder that does not fit the spec.
        """
        files = ModelFolder.open(folder, spec)
        super().__init__(files, spec, files.max_tokens or spec.max_tokens)
        self._model = _compile(files.graph, device)
        self._inputs = {name for port in self._model.inputs for name in port.get_names()}
        self._outputs = _find_outputs(self._model)
        self._check_dimension()
        self._probe()
        if files.weights:
            release_mapped(files.weights)

    @override
    def close(self) -> None:
        del self._model, self._tokenizer

    @override
    def _encode(self, batch: Batch) -> Encoded:
        """Take each head from the graph where it has it, else compute it from the token vectors."""
        raw, outputs, wanted = self._run(batch), self._outputs, self._spec.heads
        beside = Encoded(self._empty.dense) if outputs.hidden is None else self._heads(raw[outputs.hidden], batch)
        dense, sparse, multivector = beside.dense, beside.sparse, beside.multivector
        if outputs.dense is not None:
            dense = normalize(raw[outputs.dense])
        if outputs.sparse is not None and "sparse" in wanted:
            sparse = lexical_weights(raw[outputs.sparse], batch, self._heads.unweighed)
        if outputs.multivector is not None and "multivector" in wanted:
            multivector = token_vectors(raw[outputs.multivector], batch)
        return Encoded(dense, sparse, multivector)

    def _run(self, batch: Batch) -> Any:
        """Return what OpenVINO does: float32 arrays by the number of the output, good until the next run."""
        feeds = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(batch.input_ids)
        try:
            return self._model(feeds)
        except RuntimeError as err:
            raise EncoderError(str(err)) from err

    def _check_dimension(self) -> None:
        """Run the graph once: it may leave its shapes open, and one that compiles may be of another kind."""
        output = self._outputs.hidden if self._outputs.dense is None else self._outputs.dense
        try:
            size = self._run(self._probe_batch())[output].shape[-1]
        except EncoderError as err:
            raise ModelFilesError("file_unreadable", self._files.graph.name) from err
        if size != self._spec.dimension:
            raise ModelFilesError("wrong_dimension", f"{size} ≠ {self._spec.dimension}")


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    Importing it reports to Google Analytics, from worker threads and a child process, unless its telemetry package is
    absent; then it uses a stub of its own. So to it the package is absent, and nothing in the user's home is written.
    """
    # None is how Python says that a module cannot be imported; the type stubs do not know.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino  # noqa: PLC0415 - installed on demand, and slow to import
    except ImportError as err:
        raise RuntimeMissingError("openvino") from err
    return openvino


def _compile(graph: Path, device: str) -> CompiledModel:
    openvino = _import_openvino()
    try:
        core = openvino.Core()
    except RuntimeError as err:
        raise RuntimeMissingError("openvino") from err
    try:
        model: CompiledModel = core.compile_model(core.read_model(graph), device, {"PERFORMANCE_HINT": "LATENCY"})
    except RuntimeError as err:
        # OpenVINO's message is a page of C++; the log gets it whole, the user the file's name.
        _LOGGER.debug("OpenVINO could not read %s", graph, exc_info=err)
        raise ModelFilesError("file_unreadable", graph.name) from err
    return model


@dataclass(frozen=True, slots=True)
class _Outputs:
    """The numbers of a graph's outputs; it has at least one of the first two."""

    hidden: int | None
    dense: int | None
    sparse: int | None
    multivector: int | None


def _find_outputs(model: CompiledModel) -> _Outputs:
    """Find the outputs by their usual names; else the first of rank 3 that is not a head has the token vectors."""
    ports = [(number, port.get_names(), port.get_partial_shape().rank) for number, port in enumerate(model.outputs)]
    found = {
        key: next((number for number, called, _ in ports if called.intersection(names)), None)
        for key, names in _NAMES.items()
    }
    if found["hidden"] is None and found["dense"] is None:
        free = (number for number, _, rank in ports if number not in found.values() and rank.get_length() == 3)  # noqa: PLR2004 - texts, tokens, dimension
        found["hidden"] = next(free, None)
        if found["hidden"] is None:
            raise ModelFilesError("file_unreadable", _NAMES["hidden"][0])
    return _Outputs(**found)
