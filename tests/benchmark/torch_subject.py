"""A process with XLM-R in PyTorch, fp32, random weights, to be measured beside ours. Runs in .venv-export.

`python -m tests.benchmark.torch_subject CONFIG_JSON THREADS`; see serving.py for the rest.
"""

from pathlib import Path
import platform
import sys
from typing import Any

from .serving import memory, milliseconds, repeat, serve


class TorchSubject:
    """What can be asked of it, the same as of ours."""

    def __init__(self, config: Path, threads: int) -> None:
        # Of an environment that mypy does not see.
        import torch  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415
        import transformers  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

        self._torch = torch
        self._transformers = transformers
        self._config = transformers.XLMRobertaConfig.from_json_file(config)
        self._network: Any = None
        torch.set_num_threads(threads)
        torch.manual_seed(1)

    def load(self) -> float:
        def make() -> None:
            self._network = self._transformers.XLMRobertaModel(self._config, add_pooling_layer=False).eval()

        return milliseconds(make)

    def encode(self, texts: list[str], tokens: int, seconds: float, least: int) -> list[float]:
        torch = self._torch
        ids = torch.randint(4, self._config.vocab_size, (len(texts), tokens))
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            return repeat(lambda: self._network(input_ids=ids, attention_mask=mask), seconds, least)

    def unload(self) -> None:
        self._network = None

    def versions(self) -> dict[str, str]:
        packages = {package.__name__: package.__version__ for package in (self._torch, self._transformers)}
        return {"python": platform.python_version(), **packages}


def main() -> None:
    subject = TorchSubject(Path(sys.argv[1]), int(sys.argv[2]))
    commands = (subject.load, subject.encode, subject.unload, subject.versions, memory)
    serve({command.__name__: command for command in commands})


if __name__ == "__main__":
    main()
