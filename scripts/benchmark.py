#!/usr/bin/env python3
"""Measure how fast an encoder is on this machine, and what memory it takes.

That is the time to load, of a query by its length and of batches, and how long a query waits while an index is made.

  scripts/benchmark.py FOLDER [--model ID]      the model in a folder
  scripts/benchmark.py --random bge-m3          a model of BGE-M3's size with random weights, made in seconds
                                                (568 MB below the user's cache directory), nothing downloaded
  scripts/benchmark.py ... --engine numpy       our other encoder, for where OpenVINO cannot go
  scripts/benchmark.py ... --threads 2          with so many threads, and not with as many as in Home Assistant
  scripts/benchmark.py ... --against torch      PyTorch fp32 beside it in the same run, with ratios
  scripts/benchmark.py ... --against onnxruntime   the same with ONNX Runtime: FOLDER's model.onnx or else a graph of
                                                the same size, INT8, random weights, made once in two minutes

--against also takes numpy, and more than one by naming it again. PyTorch and ONNX Runtime need .venv-export, which
scripts/make_golden makes.

Encoders that are compared take turns at each length. Times are those of this machine at this hour; ratios carry
further. Everything runs in processes of its own, without Home Assistant, so that memory is the encoder's alone.
"""

import sys

from development import enter


def main() -> int:
    """Measure in the development environment."""
    enter()
    from tests.benchmark import cli  # noqa: PLC0415 - of the environment

    return cli.main(sys.argv[1:], __doc__ or "")


if __name__ == "__main__":
    sys.exit(main())
