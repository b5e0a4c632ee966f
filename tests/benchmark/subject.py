"""A process that is measured, seen from outside."""

from collections.abc import Sequence
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any, Self

from custom_components.semantic_home.engine.catalog import ModelSpec

ROOT = Path(__file__).resolve().parents[2]
_TORCH_PYTHON = ROOT / ".venv-export/bin/python"


class BenchmarkError(Exception):
    """Something that is to be measured is missing or has failed."""


class Subject:
    """Starts the process, asks it, and ends it."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        """Start the process; its errors go where ours do."""
        self.name = name
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    @classmethod
    def ours(cls, engine: str, folder: Path, model: str, spec: ModelSpec) -> Self:
        """Start a process for one of our encoders."""
        module = "tests.benchmark.our_subject"
        spec_arguments = (model, str(spec.dimension), str(spec.max_tokens))
        return cls(engine, [sys.executable, "-m", module, engine, str(folder), *spec_arguments])

    @classmethod
    def torch(cls, folder: Path) -> Self:
        """Start a process for the same network in PyTorch, with as many threads as there are cores."""
        if not (_TORCH_PYTHON.parent.parent / "made-from").is_file():
            raise BenchmarkError(
                "PyTorch is measured in .venv-export (Python 3.11), which is not there: run scripts/make_golden once"
            )
        config = folder / "config.json"
        if not config.is_file() or json.loads(config.read_text("utf-8")).get("model_type") != "xlm-roberta":
            raise BenchmarkError("PyTorch is only measured beside a model whose config.json says xlm-roberta")
        threads = str(os.process_cpu_count() or 1)
        return cls("torch", [str(_TORCH_PYTHON), "-m", "tests.benchmark.torch_subject", str(config), threads])

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
