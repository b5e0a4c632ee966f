"""The fast encoder: an OpenVINO or ONNX graph, run by OpenVINO in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Any, override

import numpy as np

from .catalog import ModelSpec
from .compute import DEFAULT, ComputeOptions
from .encoder import Encoded, EncoderError, ModelFilesError, RuntimeMissingError
from .folder_encoder import FolderEncoder
from .heads import lexical_weights, token_vectors
from .memory import release_mapped
from .model_folder import ModelFolder
from .pooling import normalize
from .tokenizer import Batch

if TYPE_CHECKING:
    from openvino import CompiledModel, Core

_LOGGER = logging.getLogger(__name__)

_CPU, _AUTO = "CPU", "AUTO"
# OpenVINO would bind its threads to the first cores, and wait there for whoever else is at work while others are idle:
# a query took 1.9 times as long as unbound with the first of two cores busy, and as long with none or both busy.
_UNPINNED = {"ENABLE_CPU_PINNING": False}
# AUTO knows only the last of these, and hands it on to the device it chooses.
_EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
    "EXECUTION_MODE_HINT": "ACCURACY",
}

# What an output may be called: by optimum-intel, by FlagEmbedding (and who converted BGE-M3 with its heads), by others.
_NAMES = {
    "hidden": ("last_hidden_state", "token_embeddings"),
    "dense": ("dense_vecs", "dense_embeddings"),
    "sparse": ("sparse_vecs", "sparse_weights"),
    "multivector": ("colbert_vecs", "colbert_vectors"),
}


class OpenVINOEncoder(FolderEncoder):
    """Runs a model folder with OpenVINO. Blocking; loads on construction."""

    def __init__(self, folder: Path, spec: ModelSpec, options: ComputeOptions = DEFAULT) -> None:
        """Read, compile and check the model.

        Raises RuntimeMissingError without OpenVINO, ModelFilesError for a folder that does not fit the spec, with the
        problem `device_missing` for a device that is not there, `device_failed` for one that does not run the model.
        """
        files = ModelFolder.open(folder, spec)
        super().__init__(files, spec, files.max_tokens or spec.max_tokens)
        self._device = options.device
        self._model = _compile(files.graph, options)
        self._inputs = {name for port in self._model.inputs for name in port.get_names()}
        self._outputs = _find_outputs(self._model)
        self._check_dimension()
        self._probe()
        if files.weights:
            release_mapped(files.weights)

    @override
    def close(self) -> None:
        del self._model, self._tokenizer, self._heads

    @override
    def _does_not_answer(self) -> ModelFilesError:
        return _does_not_run(self._files.graph, self._device)

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
            raise self._does_not_answer() from err
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


def available_devices() -> tuple[str, ...]:
    """List what a model can run on here, by OpenVINO's names, the CPU among them. Blocking.

    "AUTO", which chooses among them, stands last where there is a choice. Raises RuntimeMissingError.
    """
    devices = _devices(_core())
    return devices if devices == (_CPU,) else (*devices, _AUTO)


def _core() -> Core:
    try:
        core: Core = _import_openvino().Core()
    except RuntimeError as err:
        raise RuntimeMissingError("openvino") from err
    return core


def _devices(core: Core) -> tuple[str, ...]:
    return tuple(core.available_devices)


def _compile(graph: Path, options: ComputeOptions) -> CompiledModel:
    core, device = _core(), options.device
    if not _is_there(device, present := _devices(core)):
        raise ModelFilesError("device_missing", f"{device} ({', '.join(present)})")
    try:
        model = core.read_model(graph)
    except RuntimeError as err:
        # OpenVINO's message is a page of C++; the log gets it whole, the user the file's name.
        _LOGGER.debug("OpenVINO could not read %s", graph, exc_info=err)
        raise ModelFilesError("file_unreadable", graph.name) from err
    try:
        compiled: CompiledModel = core.compile_model(model, device, _properties(core, options))
    except RuntimeError as err:
        _LOGGER.debug("OpenVINO could not compile %s for %s", graph, device, exc_info=err)
        raise _does_not_run(graph, device) from err
    return compiled


def _is_there(device: str, present: Sequence[str]) -> bool:
    """Say whether OpenVINO would know a device: of several GPUs, "GPU" is the first, and of one, "GPU.0" is it."""
    kinds = {name.partition(".")[0] for name in present}
    return device in {_AUTO, *present, *kinds, *(f"{kind}.0" for kind in kinds)}


def _properties(core: Core, options: ComputeOptions) -> dict[str, Any]:
    """Put the options into OpenVINO's words. A property that a device does not know would be an error."""
    wanted: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if options.device == _CPU:
        wanted |= {"INFERENCE_NUM_THREADS": options.thread_count} | _UNPINNED
    if options.exact:
        wanted |= _EXACT
    known = core.get_property(options.device, "SUPPORTED_PROPERTIES")
    return {name: value for name, value in wanted.items() if name in known}


def _does_not_run(graph: Path, device: str) -> ModelFilesError:
    """Blame the file where the CPU fails, which runs every model; else the device, and the file may be fine.

    An NPU, for one, takes no texts of different lengths.
    """
    if device == _CPU:
        return ModelFilesError("file_unreadable", graph.name)
    return ModelFilesError("device_failed", device)


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
