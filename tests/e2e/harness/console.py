"""What the demo shows on a terminal: how far it is, and a table of answers."""

from collections.abc import Sequence
import sys
import time
import unicodedata

REMINDER_SECONDS = 10


class Progress:
    """Lines that say what is going on and how many seconds have passed since the beginning."""

    def __init__(self, started_at: float) -> None:
        """Count from a moment of the wall clock, which the calling script may have read before."""
        self._started_at = started_at
        self._said = ""
        self._said_at = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return max(0.0, time.time() - self._started_at)

    def say(self, what: str) -> None:
        """Show a new line; the same words again only after a while."""
        now = self.seconds
        if what == self._said:
            if now - self._said_at < REMINDER_SECONDS:
                return
            what, self._said = f"... still: {what}", what
        else:
            self._said = what
        self._said_at = now
        print(f"[{now:6.1f} s] {what}", file=sys.stderr, flush=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Align columns by the cells that characters take on a terminal."""
    widths = [max(_width(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(row, widths, right) for row in (headings, rule, *rows))


def _line(row: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    cells = []
    for column, (text, width) in enumerate(zip(row, widths, strict=True)):
        padding = " " * (width - _width(text))
        cells.append(padding + text if column in right else text + padding)
    return "  ".join(cells).rstrip()


def _width(text: str) -> int:
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"F", "W"} else 1
