"""The fast encoder: an OpenVINO or ONNX graph, run by OpenVINO in this process."""

from collections.abc import Sequence
import logging
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Any, override

import numpy as np
from numpy.typing import NDArray

from .catalog import ModelSpec
from .encoder import Encoded, Encoder, EncoderError, ModelFilesError, Role, RuntimeMissingError
from .model_folder import ModelFolder
from .pooling import pool
from .tokenizer import Batch, Tokenizer

if TYPE_CHECKING:
    from openvino import CompiledModel

_LOGGER = logging.getLogger(__name__)

_HIDDEN_STATE = "last_hidden_state"


class OpenVINOEncoder(Encoder):
    """Runs a model folder with OpenVINO. Blocking; loads on construction."""

    def __init__(self, folder: Path, spec: ModelSpec, *, device: str = "CPU") -> None:
        """Read, compile and check the model.

        Raises RuntimeMissingError without OpenVINO, ModelFilesError for a folder that does not fit the spec.
        """
        files = ModelFolder.open(folder, spec)
        self._spec = spec
        self._tokenizer = Tokenizer(files.tokenizer, spec.max_tokens)
        self._model = _compile(files.graph, device)
        self._inputs = {name for port in self._model.inputs for name in port.get_names()}
        self._output = _hidden_state_port(self._model)
        self._revision = files.fingerprint()
        self._check(files.graph)

    @property
    @override
    def dimension(self) -> int:
        return self._spec.dimension

    @property
    @override
    def revision(self) -> str:
        return self._revision

    @override
    def encode(self, texts: Sequence[str], role: Role) -> Encoded:
        prefix = self._spec.query_prefix if role is Role.QUERY else self._spec.passage_prefix
        dense = np.empty((len(texts), self._spec.dimension), np.float32)
        if texts:
            for batch in self._tokenizer.batches([prefix + text for text in texts]):
                dense[batch.rows] = pool(self._hidden_state(batch), batch.attention_mask, self._spec.pooling)
            if not np.isfinite(dense).all():
                raise EncoderError("The model's vectors are not finite")
        return Encoded(dense)

    @override
    def close(self) -> None:
        del self._model, self._tokenizer

    def _hidden_state(self, batch: Batch) -> NDArray[np.float32]:
        feeds = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(batch.input_ids)
        try:
            result: NDArray[np.float32] = self._model(feeds)[self._output]
        except RuntimeError as err:
            raise EncoderError(str(err)) from err
        return result

    def _check(self, graph: Path) -> None:
        """Run the model once: a graph may leave its shapes open, and one that compiles may be of another kind."""
        (batch,) = self._tokenizer.batches(["1"])
        try:
            size = self._hidden_state(batch).shape[-1]
        except EncoderError as err:
            raise ModelFilesError("file_unreadable", graph.name) from err
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
        model: CompiledModel = core.compile_model(core.read_model(graph), device, {"PERFORMANCE_HINT": "LATENCY"})
    except RuntimeError as err:
        # OpenVINO's message is a page of C++; the log gets it whole, the user the file's name.
        _LOGGER.debug("OpenVINO could not read %s", graph, exc_info=err)
        raise ModelFilesError("file_unreadable", graph.name) from err
    return model


def _hidden_state_port(model: CompiledModel) -> int:
    """Find the token vectors among the outputs: by their usual name, else the first of rank 3."""
    for number, port in enumerate(model.outputs):
        if _HIDDEN_STATE in port.get_names():
            return number
    for number, port in enumerate(model.outputs):
        if port.get_partial_shape().rank.get_length() == 3:  # noqa: PLR2004 - texts, tokens, dimension
            return number
    raise ModelFilesError("file_unreadable", _HIDDEN_STATE)
