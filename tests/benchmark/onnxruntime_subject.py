"""A process with an ONNX graph in ONNX Runtime, on the CPU, to be measured beside ours. Runs in .venv-export.

`python -m tests.benchmark.onnxruntime_subject MODEL_ONNX VOCABULARY THREADS`; see serving.py for the rest.
"""

from pathlib import Path
import platform
import sys
from typing import Any

import numpy as np

from .serving import memory, milliseconds, repeat, serve


class OnnxRuntimeSubject:
    """What can be asked of it, the same as of ours."""

    def __init__(self, graph: Path, vocabulary: int, threads: int) -> None:
        # Of an environment that mypy does not see.
        import onnxruntime  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

        self._onnxruntime = onnxruntime
        self._graph = graph
        self._vocabulary = vocabulary
        self._threads = threads
        self._session: Any = None

    def load(self) -> float:
        def make() -> None:
            options = self._onnxruntime.SessionOptions()
            options.intra_op_num_threads = self._threads
            providers = ["CPUExecutionProvider"]
            self._session = self._onnxruntime.InferenceSession(str(self._graph), options, providers=providers)

        return milliseconds(make)

    def encode(self, texts: list[str], tokens: int, seconds: float, least: int) -> list[float]:
        ids = np.random.default_rng(1).integers(4, self._vocabulary, (len(texts), tokens))
        known = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        given = {wanted.name: known[wanted.name] for wanted in self._session.get_inputs()}
        return repeat(lambda: self._session.run(None, given), seconds, least)

    def unload(self) -> None:
        self._session = None

    def versions(self) -> dict[str, str]:
        return {"python": platform.python_version(), "onnxruntime": self._onnxruntime.__version__}


def main() -> None:
    subject = OnnxRuntimeSubject(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    commands = (subject.load, subject.encode, subject.unload, subject.versions, memory)
    serve({command.__name__: command for command in commands})


if __name__ == "__main__":
    main()
