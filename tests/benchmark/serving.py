"""What a process that is measured says and hears: a line of JSON each. Also run by Python 3.11, for PyTorch."""

from collections.abc import Callable
import json
import os
from pathlib import Path
import sys
import time
from typing import Any


def serve(commands: dict[str, Callable[..., Any]]) -> None:
    """Do what comes in, {"do": name, argument: value, ...}, until the input ends. Whatever fails ends the process."""
    answers = os.fdopen(os.dup(1), "w")
    # Whatever a library prints must not come between the answers.
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = commands[request.pop("do")](**request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def memory() -> dict[str, float]:
    """Return this process's memory in megabytes: resident, of that its own (not mapped from files), highest so far."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    kib = {words[0]: int(words[1]) for words in lines if words[0] in ("VmRSS:", "RssAnon:", "VmHWM:")}
    return {
        name: round(kib[field] * 1024 / 1e6, 1)
        for name, field in (("resident", "VmRSS:"), ("own", "RssAnon:"), ("highest", "VmHWM:"))
    }


def milliseconds(run: Callable[[], object]) -> float:
    """Run once and return how long it took."""
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1e3


def repeat(run: Callable[[], object], seconds: float, least: int) -> list[float]:
    """Run for so many seconds, but so often at least; return the times in milliseconds."""
    end = time.perf_counter() + seconds
    times: list[float] = []
    while len(times) < least or time.perf_counter() < end:
        times.append(milliseconds(run))
    return times
