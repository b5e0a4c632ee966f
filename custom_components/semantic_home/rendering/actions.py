"""What is done, in words, a step at a time."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .conditions import conditions
from .names import Reader
from .redaction import OMITTED
from .triggers import device_thing, device_words, triggers
from .values import duration, listed, mapping, number, slug, word

# What is told of an action's data. Everything else may be a message, an address or a code.
_NUMBERS = {
    "brightness": "brightness",
    "brightness_pct": "brightness",
    "brightness_step_pct": "brightness by",
    "color_temp_kelvin": "kelvin",
    "humidity": "humidity",
    "kelvin": "kelvin",
    "percentage": "percentage",
    "position": "position",
    "target_temp_high": "up to",
    "target_temp_low": "from",
    "temperature": "temperature",
    "tilt_position": "tilt position",
    "volume_level": "volume",
}
_WORDS = {
    "color_name": "colour",
    "effect": "effect",
    "fan_mode": "fan mode",
    "hvac_mode": "mode",
    "mode": "mode",
    "operation_mode": "mode",
    "option": "option",
    "preset": "preset",
    "preset_mode": "preset",
    "sound_mode": "sound mode",
    "source": "source",
    "swing_mode": "swing mode",
}
_PERCENT = {"brightness_pct", "brightness_step_pct", "humidity", "percentage", "position", "tilt_position"}
# Deeper than anybody nests, and less than Python bears.
_DEEPEST = 30


def actions(config: object, reader: Reader, depth: int = 0) -> Iterator[str]:
    """Describe actions in the order in which they happen, one text a step."""
    if depth > _DEEPEST:
        return
    for action in map(mapping, listed(config)):
        if action.get("enabled") is not False:
            yield from _steps(action, reader, depth + 1)


def settings(data: Mapping[str, Any]) -> str:
    """Tell of an action's data, or of a scene's attributes, what is harmless."""
    said = [
        f"{lead} {value}{'%' if name in _PERCENT else ''}"
        for name, lead in _NUMBERS.items()
        if (value := number(data.get(name))) is not None
    ]
    said += [f"{lead} {value}" for name, lead in _WORDS.items() if (value := word(data.get(name))) is not None]
    return ", ".join(said)


def _steps(action: Mapping[str, Any], reader: Reader, depth: int) -> Iterator[str]:
    # A step may have a condition for its key, as `if` has; what is called as an action comes before a device's.
    for key, describe in _STEPS.items():
        if key in action:
            yield from describe(action, reader, depth)
            return


def _call(action: Mapping[str, Any], reader: Reader, _: int) -> Iterator[str]:
    name = action.get("action", action.get("service"))
    domain, service = name.split(".", 1) if isinstance(name, str) and "." in name else ("", "")
    kind, verb = slug(domain), slug(service)
    if kind is None or verb is None:
        yield "run an action"
        return
    if OMITTED not in verb:
        reader.uses.actions.add(f"{domain}.{service}")
    if domain == "script" and (script := reader.entity_names(name)) and service not in _SCRIPT_VERBS:
        yield f"run {script}"
        return
    data = mapping(action.get("data"))
    targets = (action.get("target"), data, _only_entity(action))
    target, given = reader.target(*targets), settings(data)
    wide = any(mapping(one).keys() & {"area_id", "device_id", "floor_id", "label_id"} for one in targets)
    parts = (
        verb if target else f"{kind} {verb}",
        kind if target and wide else "",
        target,
        f"({given})" if given else "",
    )
    yield " ".join(part for part in parts if part)


def _scene(action: Mapping[str, Any], reader: Reader, _: int) -> Iterator[str]:
    yield f"turn on {reader.entity_names(action.get('scene')) or 'a scene'}"


def _device(action: Mapping[str, Any], reader: Reader, _: int) -> Iterator[str]:
    given = settings(action)
    said = (device_words(action), device_thing(action, reader), f"({given})" if given else "")
    if any(said):
        yield " ".join(part for part in said if part)


def _choose(action: Mapping[str, Any], reader: Reader, depth: int) -> Iterator[str]:
    for option in map(mapping, listed(action.get("choose"))):
        yield from _branch(_when("if", option.get("conditions"), reader), option.get("sequence"), reader, depth)
    yield from _branch("otherwise", action.get("default"), reader, depth)


def _if(action: Mapping[str, Any], reader: Reader, depth: int) -> Iterator[str]:
    yield from _branch(_when("if", action.get("if"), reader), action.get("then"), reader, depth)
    yield from _branch("otherwise", action.get("else"), reader, depth)


def _repeat(action: Mapping[str, Any], reader: Reader, depth: int) -> Iterator[str]:
    repeat = mapping(action.get("repeat"))
    count = number(repeat.get("count"))
    lead = f"repeat {count} times" if count else "repeat"
    for word_, key in (("while", "while"), ("until", "until")):
        if key in repeat:
            lead = f"repeat {_when(word_, repeat[key], reader)}"
    yield from _branch(lead, repeat.get("sequence"), reader, depth)


def _parallel(action: Mapping[str, Any], reader: Reader, depth: int) -> Iterator[str]:
    yield from actions(action.get("parallel"), reader, depth)


def _sequence(action: Mapping[str, Any], reader: Reader, depth: int) -> Iterator[str]:
    yield from actions(action.get("sequence"), reader, depth)


def _check(action: Mapping[str, Any], reader: Reader, _: int) -> Iterator[str]:
    if said := " and ".join(conditions(action, reader)):
        yield f"only if {said}"


def _delay(action: Mapping[str, Any], _: Reader, __: int) -> Iterator[str]:
    yield f"wait {length}" if (length := duration(action.get("delay"))) else "wait"


def _wait(action: Mapping[str, Any], reader: Reader, _: int) -> Iterator[str]:
    said = " or ".join(triggers(action.get("wait_for_trigger"), reader))
    yield f"wait until {said}" if said else "wait"


def _stop(_: Mapping[str, Any], __: Reader, ___: int) -> Iterator[str]:
    yield "stop"


def _event(_: Mapping[str, Any], __: Reader, ___: int) -> Iterator[str]:
    yield "fire an event"


def _answer(_: Mapping[str, Any], __: Reader, ___: int) -> Iterator[str]:
    yield "answer"


_SCRIPT_VERBS = {"reload", "toggle", "turn_off", "turn_on"}
_STEPS: dict[str, Callable[[Mapping[str, Any], Reader, int], Iterator[str]]] = {
    "action": _call,
    "service": _call,
    "service_template": _call,
    "scene": _scene,
    "choose": _choose,
    "if": _if,
    "repeat": _repeat,
    "parallel": _parallel,
    "sequence": _sequence,
    "delay": _delay,
    "wait_template": _wait,
    "wait_for_trigger": _wait,
    "stop": _stop,
    "event": _event,
    "set_conversation_response": _answer,
    "condition": _check,
    "and": _check,
    "or": _check,
    "not": _check,
    "device_id": _device,
}


def _branch(lead: str, config: object, reader: Reader, depth: int) -> Iterator[str]:
    """Describe the steps below a condition, which is said before the first."""
    first = True
    for step in actions(config, reader, depth):
        yield f"{lead}: {step}" if first else step
        first = False


def _when(lead: str, config: object, reader: Reader) -> str:
    said = " and ".join(conditions(config, reader))
    return f"{lead} {said}" if said else f"{lead} so"


def _only_entity(action: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the entity id that older actions have beside their data."""
    return {"entity_id": action["entity_id"]} if "entity_id" in action else {}
