"""What has to be so, in words."""

from collections.abc import Callable, Mapping
from typing import Any

from .names import Reader
from .triggers import SUN_EVENTS, about, described_kind, device_event, lasting, limits, offset_words, weekdays
from .values import clock_time, listed, listing, mapping, one_of

_TIES = {"and": " and ", "or": " or ", "not": " or "}
# A template is not told, and which trigger it was says nothing without its id.
_SILENT = {"template", "trigger"}


def conditions(config: object, reader: Reader) -> list[str]:
    """Describe conditions that all have to be met, one text each."""
    described = (_condition(mapping(condition), reader) for condition in listed(config))
    return [said for said in described if said]


def _condition(config: Mapping[str, Any], reader: Reader) -> str | None:
    if config.get("enabled") is False:
        return None
    kind: object = config.get("condition")
    inner: object = config.get("conditions")
    if isinstance(kind, list):
        kind, inner = "and", kind
    elif kind is None:
        kind = next((name for name in _TIES if name in config), None)
        inner = config.get(str(kind))
    if not isinstance(kind, str) or kind in _SILENT:
        return None
    if kind in _TIES:
        return _tied(kind, conditions(inner, reader))
    if kind in _CONDITIONS:
        return _CONDITIONS[kind](config, reader)
    return about(said, config, reader) if (said := described_kind(kind)) else None


def _tied(kind: str, parts: list[str]) -> str:
    said = _TIES[kind].join(parts)
    if kind == "not" and said:
        return f"not ({said})"
    return f"({said})" if len(parts) > 1 else said


def _state(config: Mapping[str, Any], reader: Reader) -> str:
    entities, attribute = reader.entities(config.get("entity_id")), config.get("attribute")
    between = " or " if config.get("match") == "any" else ", "
    names = listing((entity.full_name for entity in entities), between)
    states = reader.states(entities, config.get("state"), attribute)
    parts = (names, reader.attribute(attribute), "is" if names and states else "", states, lasting(config))
    return " ".join(part for part in parts if part)


def _numeric_state(config: Mapping[str, Any], reader: Reader) -> str:
    names, attribute = reader.entity_names(config.get("entity_id")), reader.attribute(config.get("attribute"))
    said = limits(config, reader, {"above": "is above", "below": "is below"})
    return " ".join(part for part in (names, attribute, said) if part)


def _sun(config: Mapping[str, Any], _: Reader) -> str:
    parts = []
    for side in ("after", "before"):
        if event := one_of(config.get(side), SUN_EVENTS):
            shift = offset_words(config.get(f"{side}_offset"))
            parts.append(" ".join(part for part in ("it is", side, shift, event) if part))
    return " and ".join(parts)


def _time(config: Mapping[str, Any], reader: Reader) -> str:
    times = {side: clock_time(value := config.get(side)) or reader.entity_names(value) for side in ("after", "before")}
    said = " and ".join(f"{side} {time}" for side, time in times.items() if time)
    days = weekdays(config)
    parts = (f"it is {said}" if said else "", f"on {days}" if days else "")
    return " ".join(part for part in parts if part)


def _zone(config: Mapping[str, Any], reader: Reader) -> str:
    return f"{reader.entity_names(config.get('entity_id'))} is in {reader.entity_names(config.get('zone')) or 'a zone'}"


_CONDITIONS: dict[str, Callable[[Mapping[str, Any], Reader], str]] = {
    "device": device_event,
    "numeric_state": _numeric_state,
    "state": _state,
    "sun": _sun,
    "time": _time,
    "zone": _zone,
}
