"""What was measured, for people: one table, the encoder in question first and the others with their ratio to it."""

from collections.abc import Iterator, Mapping
import os
from pathlib import Path
import platform
from typing import Any

from .measure import BATCH_TEXTS, BATCH_TOKENS

# Instructions that decide the speed of 8-bit weights; a CPU without the first three computes in fp32 all the same.
_TELLING_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "avx512f", "avx2", "asimddp", "i8mm")

type Row = tuple[str, dict[str, float], bool]


def machine() -> dict[str, Any]:
    """Describe what this ran on. Memory in megabytes; load is the average number of busy processes before."""
    cpu = [line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
    facts = {key.strip(): value.strip() for key, value in cpu}
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    return {
        "cpu": facts.get("model name", platform.machine()),
        "architecture": platform.machine(),
        "cores": os.process_cpu_count(),
        "instructions": [flag for flag in _TELLING_FLAGS if flag in flags],
        "memory": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


def rows(results: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """Yield title, figure by subject, and whether a ratio says something."""

    def row(title: str, *path: str, ratio: bool = False) -> Row:
        figures: dict[str, Any] = dict(results)
        for step in path:
            figures = {name: figure[step] for name, figure in figures.items()}
        return title, figures, ratio

    yield row("load", "load")
    yield row("first query, 16 tokens", "first_query")
    for tokens in next(iter(results.values()))["tokens"]:
        yield row(f"{tokens} tokens, p50", "tokens", tokens, "p50", ratio=True)
        yield row(f"{tokens} tokens, p95", "tokens", tokens, "p95")
    yield row(f"a text of {BATCH_TEXTS} x {BATCH_TOKENS} tokens", "batch_ms_per_text", ratio=True)
    for title, when in (("idle", "idle"), ("loaded", "loaded"), ("after use", "used"), ("unloaded", "unloaded")):
        yield row(f"memory, {title}", "memory", when, "resident")
    yield row("memory, highest", "memory", "unloaded", "highest")


def ratios(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Say how many times as long as the first subject the others take: by title, by subject."""
    return {
        title: {name: round(figure / next(iter(figures.values())), 2) for name, figure in list(figures.items())[1:]}
        for title, figures, is_telling in rows(results)
        if is_telling
    }


def table(report: Mapping[str, Any]) -> str:
    """Lay the report out as text."""
    return "\n".join([*_heading(report), "", *_figures(report["results"]), "", *_indexing(report)])


def _heading(report: Mapping[str, Any]) -> Iterator[str]:
    on, model = report["machine"], report["model"]
    yield f"{model['name']}{', random weights' * model['random']}: {model['megabytes']:,.1f} MB on disk"
    instructions = " ".join(on["instructions"]) or "none that help"
    yield f"{on['cpu']} ({on['cores']} cores; {instructions}); load before: {on['load']}; threads: {report['threads']}"
    for name, result in report["results"].items():
        weights = f"; weights: {result['weights']}" if result["weights"] else ""
        yield f"{name}: " + ", ".join(f"{what} {version}" for what, version in result["versions"].items()) + weights


def _figures(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield " " * 28 + "".join(f"{name:>24}" for name in results)
    compared = ratios(results)
    for title, figures, _ in rows(results):
        unit = "MB" if title.startswith("memory") else "ms"
        cells = []
        for name, figure in figures.items():
            ratio = compared.get(title, {}).get(name)
            cells.append(f"{figure:11,.1f} {unit}  " + (f"{ratio:6.2f} x" if ratio is not None else " " * 8))
        yield f"{title:<28}" + "".join(cells)


def _indexing(report: Mapping[str, Any]) -> Iterator[str]:
    if indexing := report.get("indexing"):
        yield f"A query of {indexing['tokens']} tokens through the worker"
        for title, name in (("while nothing else is done", "idle"), ("while an index is made", "while_indexing")):
            figures = indexing[name]
            yield f"  {title:<28}p50 {figures['p50']:8.1f} ms   p95 {figures['p95']:8.1f} ms   ({figures['runs']})"
        times = indexing["times_idle"]
        yield f"  {'ratio':<28}p50 {times['p50']:8.2f} x    p95 {times['p95']:8.2f} x"
        took = indexing["indexing_seconds"]
        yield f"  {indexing['texts']} texts of {indexing['tokens']} tokens were indexed in {took} s meanwhile"
        home = indexing["home"]
        yield (
            f"  {home['texts_per_second']} texts/s of {home['tokens']} tokens while nobody asks, "
            f"measured over {home['measured_texts']}"
        )
        yield (
            f"  projected from that: {home['projected_minutes']} min for a home of {home['entities']} entities, "
            f"{home['texts_an_entity']} texts each"
        )
        yield f"  memory after the worker has stopped: {indexing['memory_after_stop']['resident']:.1f} MB"
