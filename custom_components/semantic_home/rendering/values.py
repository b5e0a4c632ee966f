"""Values of a configuration that are told, and only if they have the form that they should have."""

from collections.abc import Iterable, Mapping
import math
import re
from typing import Any

from .redaction import OMITTED, redacted

_WORD = re.compile(r"[^\W\d_][\w .&/'+-]{0,39}")
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{1,6})?")
_CLOCK = re.compile(r"([+-]?)(\d{1,3}):([0-5]?\d)(?::([0-5]?\d)(?:\.\d+)?)?")
_UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1, "milliseconds": 0.001}
_MOST_NAMES = 12
_LARGEST_STATE = 1000


def listed(value: object) -> list[Any]:
    """Give what may be one thing or several as several, lists in lists as one."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [one for part in value for one in listed(part)]
    return [value]


def mapping(value: object) -> Mapping[str, Any]:
    """Give an object, or an empty one for what is none; keys that are not text are left out."""
    return {key: one for key, one in value.items() if isinstance(key, str)} if isinstance(value, Mapping) else {}


def one_of(value: object, known: Iterable[str]) -> str | None:
    """Give a value if it is one of the known ones."""
    return next((one for one in known if one == value), None)


def word(value: object) -> str | None:
    """Give a short plain word such as a state, a mode or an option; in YAML, `on` may have become true."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, str) or not _WORD.fullmatch(value) or redacted(value) != value:
        return None
    return value.replace("_", " ").strip()


def slug(value: object) -> str | None:
    """Give the words of an identifier such as an action's or a trigger's."""
    if not isinstance(value, str) or not _SLUG.fullmatch(value):
        return None
    return redacted(value.replace("_", " ").strip()) or None


def number(value: object) -> str | None:
    """Give a number, which may be written as text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return f"{value:.10g}"


def state_value(value: object) -> str | None:
    """Give a state: a word, or a number of three digits at most, for one of four may be what was typed at a keypad."""
    if (said := number(value)) is not None:
        return said if abs(float(said)) < _LARGEST_STATE else None
    return word(value)


def seconds(value: object) -> float | None:
    """Read a duration: seconds, `hh:mm:ss`, or an object of units."""
    if isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
        sign, hours, minutes, rest = clock.groups(default="0")
        return (-1 if sign == "-" else 1) * (int(hours) * 3600 + int(minutes) * 60 + int(rest))
    if isinstance(value, Mapping):
        parts = {unit: number(value[unit]) for unit in _UNITS if unit in value}
        if not parts or None in parts.values():
            return None
        return sum(float(part) * _UNITS[unit] for unit, part in parts.items() if part)
    said = number(value)
    return None if said is None else float(said)


def duration(value: object) -> str | None:
    """Give a duration, regardless of its sign, in words."""
    if not (length := seconds(value)):
        return None
    left, parts = abs(length), []
    for unit in ("days", "hours", "minutes"):
        count, left = divmod(left, _UNITS[unit])
        if count:
            parts.append(_counted(count, unit))
    return " ".join([*parts, *([_counted(left, "seconds")] if left else [])])


def clock_time(value: object) -> str | None:
    """Give a time of day as hours and minutes."""
    if not isinstance(value, str) or not (clock := _CLOCK.fullmatch(value.strip())):
        return None
    return f"{int(clock[2]):02}:{int(clock[3]):02}"


def listing(names: Iterable[str | None], between: str = ", ") -> str:
    """Join names, each once; of very many only the first are named."""
    distinct = list(dict.fromkeys(name for name in names if name))
    return between.join(distinct[:_MOST_NAMES] + [OMITTED] * (len(distinct) > _MOST_NAMES))


def _counted(count: float, unit: str) -> str:
    return f"{count:g} {unit[:-1] if count == 1 else unit}"
