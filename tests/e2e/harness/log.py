"""What in Home Assistant's log is ours to answer for."""

from collections.abc import Iterator
from pathlib import Path
import re

_START = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\S* (?P<level>[A-Z]+) \(")
_LOUD = {"WARNING", "ERROR", "CRITICAL"}
_OURS = ("semantic_home", "Semantic Home")
_BLOCKING = "blocking call"
# Home Assistant says this of every custom integration.
_EXPECTED = "We found a custom integration semantic_home which has not been tested"


def complaints(log: Path) -> list[str]:
    """Return the warnings and errors about this integration, and every report of a blocking call."""
    return [record for record in records(log) if _is_complaint(record)]


def records(log: Path) -> Iterator[str]:
    """Yield the log's records, each with the lines of its traceback."""
    lines: list[str] = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if _START.match(line) and lines:
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    if lines:
        yield "\n".join(lines)


def _is_complaint(record: str) -> bool:
    start = _START.match(record)
    # Lines before the first record are not from the logger: a traceback of the interpreter itself.
    loud = start is None or start["level"] in _LOUD
    return loud and _EXPECTED not in record and (_BLOCKING in record or any(name in record for name in _OURS))
