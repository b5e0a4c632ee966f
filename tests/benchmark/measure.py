"""What is measured, and in which order. Times are in milliseconds, memory in megabytes (10^6 bytes)."""

from collections.abc import Callable, Sequence
import statistics
from typing import Any

import numpy as np

from .subject import Subject
from .texts import TextMaker

LENGTHS = (8, 16, 32, 64, 128, 256)
BATCH_TEXTS, BATCH_TOKENS = 32, 16
_INDEX_TOKENS = 16
# A home whose index is projected: an entity's name and its sentence (describe.py) make two texts of some ten tokens.
_ENTITIES, _VIEWS, _VIEW_TOKENS = 500, 2, 10
# The subjects take turns, so that what else the machine does meanwhile does not fall on one alone.
_TURNS = 3
_LEAST_RUNS = 2

type Result = dict[str, Any]


def measure_side_by_side(
    subjects: Sequence[Subject],
    texts: TextMaker,
    lengths: Sequence[int],
    seconds: float,
    progress: Callable[[str], None],
) -> dict[str, Result]:
    """Measure speed and memory of all subjects on the same shapes, each length for about so many seconds each."""
    results: dict[str, Result] = {subject.name: {"memory": {}} for subject in subjects}
    for subject in subjects:
        progress(f"{subject.name}: loading")
        results[subject.name] |= _load(subject, texts)
    for tokens in lengths:
        progress(f"{tokens} tokens")
        times = _in_turns(subjects, texts.texts(1, tokens), tokens, seconds)
        for name, result in results.items():
            result.setdefault("tokens", {})[str(tokens)] = percentiles(times[name])
    progress(f"{BATCH_TEXTS} texts of {BATCH_TOKENS} tokens at once")
    times = _in_turns(subjects, texts.texts(BATCH_TEXTS, BATCH_TOKENS), BATCH_TOKENS, seconds)
    for name, result in results.items():
        result["batch_ms_per_text"] = round(statistics.median(times[name]) / BATCH_TEXTS, 2)
    for subject in subjects:
        results[subject.name]["memory"] |= _unload(subject)
    return results


def measure_indexing(subject: Subject, texts: TextMaker, count: int, progress: Callable[[str], None]) -> Result:
    """Measure what a query waits while an index is made of so many texts, and while nothing else is done.

    And how fast an index is made while nobody asks.
    """
    progress(f"{subject.name}: queries, and then queries while {count} texts are indexed")
    passages, queries = texts.texts(count, _INDEX_TOKENS), texts.texts(200, _INDEX_TOKENS)
    views = texts.texts(min(count, _ENTITIES * _VIEWS), _VIEW_TOKENS)
    raw = subject.ask("index", texts=passages, queries=queries, views=views)
    result: Result = (
        raw
        | {"home": _home(**raw.pop("alone"))}
        | {name: percentiles(raw[name]) for name in ("idle", "while_indexing")}
    )
    result["tokens"] = _INDEX_TOKENS
    result["memory_after_stop"] = subject.ask("memory")
    result["times_idle"] = {
        name: round(result["while_indexing"][name] / result["idle"][name], 2) for name in ("p50", "p95")
    }
    return result


def _home(texts: int, seconds: float) -> Result:
    """Project from what was measured how many minutes the index of a home takes."""
    rate = texts / seconds
    minutes = round(_ENTITIES * _VIEWS / rate / 60, 2)
    sizes = {"entities": _ENTITIES, "texts_an_entity": _VIEWS, "tokens": _VIEW_TOKENS}
    return sizes | {"measured_texts": texts, "texts_per_second": round(rate, 1), "projected_minutes": minutes}


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Summarise times in milliseconds."""
    p50, p95 = np.percentile(times, (50, 95))
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "runs": len(times)}


def _load(subject: Subject, texts: TextMaker) -> Result:
    versions = subject.ask("versions")
    idle = subject.ask("memory")
    load = subject.ask("load")
    (first,) = subject.ask("encode", texts=texts.texts(1, 16), tokens=16, seconds=0, least=1)
    memory = {"idle": idle, "loaded": subject.ask("memory")}
    return {
        "versions": versions,
        "weights": subject.weights,
        "load": round(load, 1),
        "first_query": round(first, 1),
        "memory": memory,
    }


def _unload(subject: Subject) -> Result:
    used = subject.ask("memory")
    subject.ask("unload")
    return {"used": used, "unloaded": subject.ask("memory")}


def _in_turns(subjects: Sequence[Subject], texts: list[str], tokens: int, seconds: float) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for subject in subjects:
        subject.ask("encode", texts=texts, tokens=tokens, seconds=0, least=1)
    for _ in range(_TURNS):
        for subject in subjects:
            times[subject.name] += subject.ask(
                "encode", texts=texts, tokens=tokens, seconds=seconds / _TURNS, least=_LEAST_RUNS
            )
    return times
