"""XLM-R as an ONNX graph, random weights, in 8 bits as most such graphs are published. Runs in .venv-export.

`python -m tests.benchmark.onnx_graph CONFIG_JSON MODEL_ONNX`. For BGE-M3's size that took two minutes, 12 GB of memory
and, while it lasted, 3 GB of disk.

8 bits means ONNX Runtime's own quantize_dynamic as it comes: matrices and tables INT8, a scale for each; what goes
through them is rounded at every run.
"""

from pathlib import Path
import sys
import tempfile
from typing import Any

# Of an environment that mypy does not see.
from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-not-found, unused-ignore]
import torch  # type: ignore[import-not-found, unused-ignore]
import transformers  # type: ignore[import-not-found, unused-ignore]


def write_fp32(config: Path, graph: Path) -> None:
    """Trace transformers' own network into input_ids, attention_mask → last_hidden_state."""
    torch.manual_seed(1)
    settings = transformers.XLMRobertaConfig.from_json_file(config)
    network = transformers.XLMRobertaModel(settings, add_pooling_layer=False).eval()
    forward = network.forward

    def traced(ids: Any, mask: Any) -> Any:
        # The mask as it comes is more than the tracer understands of transformers 5.5; one of four dimensions is kept.
        far = (1 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        return forward(input_ids=ids, attention_mask=far).last_hidden_state

    network.forward = traced
    ids = torch.randint(4, settings.vocab_size, (2, 7))
    inputs, outputs = ["input_ids", "attention_mask"], ["last_hidden_state"]
    torch.onnx.export(
        network,
        (ids, torch.ones_like(ids)),
        str(graph),
        dynamo=False,  # the other exporter needs more packages
        opset_version=17,
        input_names=inputs,
        output_names=outputs,
        dynamic_axes={name: {0: "texts", 1: "tokens"} for name in (*inputs, *outputs)},
    )


def main() -> None:
    """Write fp32 beside the result, where there is room for it, and round that."""
    config, graph = (Path(argument) for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory(dir=graph.parent) as folder:
        # Beyond 2 GB the exporter lays each weight into a file of its own there.
        write_fp32(config, Path(folder) / "fp32.onnx")
        quantize_dynamic(Path(folder) / "fp32.onnx", graph, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    main()
