"""A process that is measured, seen from outside."""

from collections.abc import Callable, Sequence
import hashlib
import json
from pathlib import Path
import subprocess
import sys
from typing import Any, Self

from custom_components.semantic_home.engine.catalog import ModelSpec
from custom_components.semantic_home.engine.compute import default_threads

from .random_model import cached

ROOT = Path(__file__).resolve().parents[2]
_EXPORT_PYTHON = ROOT / ".venv-export/bin/python"
# Raise it when a change in onnx_graph.py changes the graph.
_ONNX_RECIPE = 1


class BenchmarkError(Exception):
    """Something that is to be measured is missing or has failed."""


class Subject:
    """Starts the process, asks it, and ends it."""

    def __init__(self, name: str, command: Sequence[str], weights: str | None = None) -> None:
        """Start the process; its errors go where ours do. The weights are described where they are not the folder's."""
        self.name = name
        self.weights = weights
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    @classmethod
    def ours(cls, engine: str, folder: Path, model: str, spec: ModelSpec, threads: int | None) -> Self:
        """Start a process for one of our encoders, with so many threads; None for as many as in Home Assistant."""
        module = "tests.benchmark.our_subject"
        arguments = [engine, str(folder), model, str(spec.dimension), str(spec.max_tokens)]
        return cls(engine, [sys.executable, "-m", module, *arguments, *([str(threads)] if threads else [])])

    @classmethod
    def torch(cls, folder: Path, threads: int | None) -> Self:
        """Start a process for the same network in PyTorch, with as many threads as ours."""
        command = [
            _export_python("torch"),
            "-m",
            "tests.benchmark.torch_subject",
            str(_xlmr_config(folder)),
            _threads(threads),
        ]
        return cls("torch", command, "fp32, random")

    @classmethod
    def onnxruntime(cls, folder: Path, threads: int | None, progress: Callable[[str], None]) -> Self:
        """Start a process for ONNX Runtime, with as many threads as ours.

        It runs the folder's model.onnx or else, made once, a graph of the same network.
        """
        python = _export_python("onnxruntime")
        graph, weights = folder / "model.onnx", None
        if not graph.is_file():
            graph, weights = _cached_onnx(_xlmr_config(folder), python, progress), "INT8 (quantize_dynamic), random"
        vocabulary = str(json.loads((folder / "config.json").read_text("utf-8"))["vocab_size"])
        command = [python, "-m", "tests.benchmark.onnxruntime_subject", str(graph), vocabulary, _threads(threads)]
        return cls("onnxruntime", command, weights)

    def ask(self, what: str, **arguments: Any) -> Any:
        """Have something done and return the answer. Raises BenchmarkError when the process dies of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise BenchmarkError(f"{self.name} failed at “{what}” (exit code {self._process.wait()})")
        return json.loads(answer)

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def exports_with(package: str) -> bool:
    """Tell whether .venv-export is there and has a package."""
    command = [str(_EXPORT_PYTHON), "-c", f"import {package}"]
    return _EXPORT_PYTHON.is_file() and not subprocess.run(command, capture_output=True, check=False).returncode


def _export_python(package: str) -> str:
    if not exports_with(package):
        raise BenchmarkError(
            f"{package} is measured in .venv-export (Python 3.11), which lacks it or is not there: "
            "run scripts/make_golden once"
        )
    return str(_EXPORT_PYTHON)


def _threads(threads: int | None) -> str:
    return str(threads or default_threads())


def _xlmr_config(folder: Path) -> Path:
    config = folder / "config.json"
    if not config.is_file() or json.loads(config.read_text("utf-8")).get("model_type") != "xlm-roberta":
        raise BenchmarkError("A network can only be made beside a model whose config.json says xlm-roberta")
    return config


def _cached_onnx(config: Path, python: str, progress: Callable[[str], None]) -> Path:
    digest = hashlib.sha256(config.read_bytes()).hexdigest()

    def make(folder: Path) -> None:
        progress(f"Making an INT8 ONNX graph with random weights (two minutes for BGE-M3's size) in {folder.parent}")
        folder.mkdir()
        command = [python, "-W", "ignore", "-m", "tests.benchmark.onnx_graph", str(config), str(folder / "model.onnx")]
        if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode:
            raise BenchmarkError("The ONNX graph could not be made")

    return cached(f"onnx-{digest[:8]}", {"recipe": _ONNX_RECIPE, "config": digest}, make) / "model.onnx"
