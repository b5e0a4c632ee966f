"""Running an exported folder beside the fp32 graph that it was made from, on OpenVINO."""

from __future__ import annotations

from pathlib import Path
import statistics
import sys
import time
from typing import Any

SAMPLES = [
    "turn off the lamp next to the couch",
    "Mach es im Bad wärmer",
    "éteins la lumière de la cuisine",
    "выключи свет на кухне",
    "关掉客厅的灯",
    "أطفئ ضوء المطبخ",
    "Washing machine, laundry room, switch. Measures power, has finished when it falls below two watts.",
]
TOKEN_LENGTHS = (8, 16, 64)


def verify(graph: Path, full: Any, manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Compare the written graph with OpenVINO's model in fp32, and time both; give rows of label and value."""
    import openvino  # noqa: PLC0415 - of the environment
    from tokenizers import Tokenizer  # noqa: PLC0415

    print("Verifying ...", file=sys.stderr, flush=True)
    core = openvino.Core()
    latency = {"PERFORMANCE_HINT": "LATENCY"}
    models = {
        "fp32": core.compile_model(full, "CPU", latency),
        manifest["precision"]: core.compile_model(core.read_model(graph), "CPU", latency),
    }
    tokenizer = Tokenizer.from_file(str(graph.with_name("tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(manifest["max_tokens"])
    return [_agreement(models, tokenizer, manifest), *_latencies(models, manifest["max_tokens"])]


def _agreement(models: dict[str, Any], tokenizer: Any, manifest: dict[str, Any]) -> tuple[str, str]:
    cosines = []
    for text in SAMPLES:
        ids = tokenizer.encode(text).ids
        left, right = (_dense(models[name], ids, manifest["pooling"]) for name in ("fp32", manifest["precision"]))
        cosines.append(float(left @ right))
    said = f"{min(cosines):.5f} worst, {statistics.mean(cosines):.5f} mean of {len(cosines)} texts"
    return "cosine to fp32", said


def _dense(model: Any, ids: list[int], pooling: str) -> Any:
    import numpy as np  # noqa: PLC0415 - of the environment

    hidden = model(_feeds(model, ids))[0][0]
    vector = hidden[0] if pooling == "cls" else hidden.mean(axis=0)
    return vector / np.linalg.norm(vector)


def _latencies(models: dict[str, Any], max_tokens: int) -> list[tuple[str, str]]:
    rows = []
    for length in TOKEN_LENGTHS:
        if length > max_tokens:
            continue
        ids = [5 + number % 50 for number in range(length)]
        times = {name: _latency(model, _feeds(model, ids)) for name, model in models.items()}
        rows.append((f"{length} tokens", ", ".join(f"{name} {value:.2f} ms" for name, value in times.items())))
    return rows


def _feeds(model: Any, ids: list[int]) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - of the environment

    row = np.array([ids], np.int64)
    feeds = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
    named = {name for port in model.inputs for name in port.get_names()}
    return {name: value for name, value in feeds.items() if name in named}


def _latency(model: Any, feeds: dict[str, Any], runs: int = 20) -> float:
    """Measure the median milliseconds of a run, after some to warm up."""
    times = []
    for number in range(runs + 3):
        start = time.perf_counter()
        model(feeds)
        if number >= 3:  # noqa: PLR2004 - the warm-up
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000
