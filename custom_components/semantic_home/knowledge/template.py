"""Turns a pattern whose roles are filled into an automation, as Home Assistant writes it."""

from collections.abc import Mapping
import json
from typing import Any

from .binding import Binding
from .pattern import DEGREES, NOTIFY, OF, ROLE_REFERENCE, TELL

_FAHRENHEIT = "°F"
_MOST_NAMES = 3


def automation_of(binding: Binding) -> dict[str, Any]:
    """Give the automation of a complete binding, without an id: that is for whoever creates it."""
    pattern = binding.pattern
    filling = _Filling(binding)
    return {
        "alias": title_of(binding),
        "description": pattern.description,
        **{part: filling.part(pattern.automation.get(part, [])) for part in ("triggers", "conditions", "actions")},
        "mode": pattern.automation.get("mode", "single"),
        **({"max": pattern.automation["max"]} if "max" in pattern.automation else {}),
    }


def title_of(binding: Binding) -> str:
    """Say in few words what it does, and where."""
    return f"{binding.pattern.name}: {binding.area}" if binding.area else binding.pattern.name


def why_of(binding: Binding) -> str:
    """Say what it is good for, by the names of what is bound."""
    return ROLE_REFERENCE.sub(lambda found: _names(binding, found[1]), binding.pattern.why)


class _NothingFillsItError(Exception):
    """A part refers to a role that is not bound."""


class _Filling:
    """Puts entity ids in the place of roles. Names never enter: Home Assistant would run templates that are in them."""

    def __init__(self, binding: Binding) -> None:
        self._bound = binding.bound
        self._roles = binding.pattern.roles

    def part(self, values: list[Any]) -> list[Any]:
        """Fill what can be filled, and leave out the rest; roles among entity ids become part of the list."""
        filled: list[Any] = []
        for value in values:
            try:
                found = self._fill(value)
            except _NothingFillsItError:
                continue
            filled += found if isinstance(value, str) and isinstance(found, list) else [found]
        return filled

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return self._object(value)
        if isinstance(value, list):
            filled = self.part(value)
            if value and not filled:
                # Without any of its steps there is nothing to do, without any entity nothing to do it to.
                raise _NothingFillsItError
            return filled
        return value

    def _object(self, value: Mapping[str, Any]) -> Any:
        if TELL in value:
            return self._tell(value[TELL])
        if DEGREES in value:
            return self._degrees(value[DEGREES], value[OF].removeprefix("$"))
        return {key: self._fill(inner) for key, inner in value.items()}

    def _text(self, text: str) -> str | list[str]:
        if whole := ROLE_REFERENCE.fullmatch(text):
            return self._value(whole[1])
        # Within a template, as a literal.
        return ROLE_REFERENCE.sub(lambda found: json.dumps(self._value(found[1])).replace('"', "'"), text)

    def _value(self, role: str) -> str | list[str]:
        if role not in self._bound:
            raise _NothingFillsItError
        ids = [entity.entity_id for entity in self._bound[role]]
        return ids if self._roles[role].several else ids[0]

    def _degrees(self, celsius: float, role: str) -> float:
        if role not in self._bound:
            raise _NothingFillsItError
        fahrenheit = self._bound[role][0].unit == _FAHRENHEIT
        return round(celsius * 9 / 5 + 32) if fahrenheit else celsius

    def _tell(self, what: Mapping[str, Any]) -> dict[str, Any]:
        data = {"title": self._text(what["title"]), "message": self._text(what["message"])}
        if NOTIFY in self._bound:
            return {"action": "notify.send_message", "target": {"entity_id": self._value(NOTIFY)}, "data": data}
        return {"action": "persistent_notification.create", "data": data}


def _names(binding: Binding, role: str) -> str:
    names = [entity.name for entity in binding.bound.get(role, ())]
    shown, more = names[:_MOST_NAMES], len(names) - _MOST_NAMES
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
