"""What an automation waits for, in words."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .names import Reader
from .values import clock_time, duration, listed, listing, mapping, number, one_of, seconds, slug, word

# Of these nothing is told but that they are there: what they hold is an address, a message or a template.
_OPAQUE = {
    "conversation": "somebody says a sentence",
    "event": "an event happens",
    "mqtt": "an MQTT message arrives",
    "persistent_notification": "a notification appears",
    "tag": "a tag is scanned",
    "template": "a template becomes true",
    "webhook": "a webhook is called",
}
_DAYS = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}
SUN_EVENTS = ("sunrise", "sunset")
_THRESHOLDS = ("above", "below", "between", "outside")
# Of the options of triggers and conditions such as `light.turned_on`, those whose values are words of a fixed list.
_WORDS = ("hvac_mode", "mode", "operation_mode", "option", "period", "phase", "type")


def triggers(config: object, reader: Reader) -> list[str]:
    """Describe triggers, one text each; lists of triggers may lie in one another."""
    found = list[str]()
    for trigger in map(mapping, listed(config)):
        if "triggers" in trigger:
            found += triggers(trigger["triggers"], reader)
        elif trigger.get("enabled") is not False and (said := _trigger(trigger, reader)):
            found.append(said)
    return found


def described_kind(kind: object) -> str | None:
    """Give the words of a kind such as `light.turned_on`."""
    parts = [slug(part) for part in kind.split(".", 1)] if isinstance(kind, str) else []
    return " ".join(part for part in parts if part) if parts and all(parts) else None


def about(kind: str, config: Mapping[str, Any], reader: Reader) -> str:
    """Describe a trigger or condition of the newer form: what, of which things, with which options."""
    options = mapping(config.get("options"))
    target = reader.target(config.get("target"), options, config)
    zone = reader.entity_names(options.get("zone"))
    words = [listing(map(word, listed(options.get(name))), " or ") for name in _WORDS]
    parts = (
        kind,
        f"({target})" if target else "",
        zone,
        _threshold(mapping(options.get("threshold")), reader),
        *words,
        offset_words(options.get("offset"), options.get("offset_type")),
        lasting(options),
    )
    return " ".join(part for part in parts if part)


def lasting(config: Mapping[str, Any]) -> str:
    """Say for how long something has to be so."""
    return f"for {length}" if (length := duration(config.get("for"))) else ""


def limits(config: Mapping[str, Any], reader: Reader, words: Mapping[str, str]) -> str:
    """Say between which limits a number is, which `words` lead in."""
    said = ((lead, reader.limit(config.get(name))) for name, lead in words.items())
    return " and ".join(f"{lead} {limit}" for lead, limit in said if limit)


def offset_words(offset: object, kind: object = None) -> str:
    """Say how long before or after something, which may be told by a sign or by the `kind`."""
    if not (length := duration(offset)):
        return ""
    return f"{length} before" if (seconds(offset) or 0) < 0 or kind == "before" else f"{length} after"


def weekdays(config: Mapping[str, Any]) -> str:
    """Name the days of the week, or none."""
    return listing(_DAYS.get(str(day).casefold()) for day in listed(config.get("weekday")))


def device_event(config: Mapping[str, Any], reader: Reader) -> str:
    """Describe a device's own trigger or condition: the thing, and what of it in the device's words."""
    said = limits(config, reader, {"above": "above", "below": "below"})
    parts = (device_thing(config, reader), device_words(config), said, lasting(config))
    return " ".join(part for part in parts if part)


def device_thing(config: Mapping[str, Any], reader: Reader) -> str:
    """Name what a device's own trigger, condition or action is about."""
    # The entity says more than its device, and both are noted.
    device, entity = reader.devices(config.get("device_id")), reader.entity_names(config.get("entity_id"))
    return entity or device


def device_words(config: Mapping[str, Any]) -> str:
    """Say which of its triggers, conditions or actions it is."""
    return " ".join(said for name in ("type", "subtype") if (said := word(config.get(name))))


def _trigger(config: Mapping[str, Any], reader: Reader) -> str | None:
    kind = config.get("trigger", config.get("platform"))
    if not isinstance(kind, str) or (said := described_kind(kind)) is None:
        return None
    reader.uses.triggers.add(kind)
    if kind in _OPAQUE:
        return _OPAQUE[kind]
    if kind in _TRIGGERS:
        return _TRIGGERS[kind](config, reader) or said
    return about(said, config, reader)


def _state(config: Mapping[str, Any], reader: Reader) -> str:
    entities, attribute = reader.entities(config.get("entity_id")), config.get("attribute")
    parts = [listing(entity.full_name for entity in entities), reader.attribute(attribute), "changes"]
    for name, lead in (("from", "from"), ("not_from", "from other than"), ("to", "to"), ("not_to", "to other than")):
        if said := reader.states(entities, config.get(name), attribute):
            parts.append(f"{lead} {said}")
    return " ".join(part for part in (*parts, lasting(config)) if part)


def _numeric_state(config: Mapping[str, Any], reader: Reader) -> str:
    names, attribute = reader.entity_names(config.get("entity_id")), reader.attribute(config.get("attribute"))
    said = limits(config, reader, {"above": "rises above", "below": "falls below"})
    return " ".join(part for part in (names, attribute, said, lasting(config)) if part)


def _sun(config: Mapping[str, Any], _: Reader) -> str:
    event = one_of(config.get("event"), SUN_EVENTS)
    return f"{offset_words(config.get('offset')) or 'at'} {event}" if event else ""


def _time(config: Mapping[str, Any], reader: Reader) -> str:
    times = listing(_times(config.get("at"), reader), " or ")
    days = weekdays(config)
    return " ".join((f"at {times}" if times else "at a time", *([f"on {days}"] if days else [])))


def _times(value: object, reader: Reader) -> Iterator[str | None]:
    for at in listed(value):
        entity = mapping(at)
        if entity:
            before = offset_words(entity.get("offset"))
            yield " ".join(part for part in (before, reader.entity_names(entity.get("entity_id"))) if part)
        else:
            yield clock_time(at) or reader.entity_names(at)


def _time_pattern(config: Mapping[str, Any], _: Reader) -> str:
    said = []
    for unit in ("hours", "minutes", "seconds"):
        value = str(config.get(unit, ""))
        if (count := number(value.removeprefix("/"))) is not None:
            said.append(f"every {count} {unit}" if value.startswith("/") else f"at {unit[:-1]} {count}")
    return " ".join(said) or "every so often"


def _zone(config: Mapping[str, Any], reader: Reader) -> str:
    event = {"enter": "enters", "leave": "leaves"}.get(str(config.get("event")), "enters or leaves")
    names = reader.entity_names(config.get("entity_id")) or "something"
    return f"{names} {event} {reader.entity_names(config.get('zone')) or 'a zone'}"


def _homeassistant(config: Mapping[str, Any], _: Reader) -> str:
    return "Home Assistant stops" if config.get("event") == "shutdown" else "Home Assistant starts"


def _calendar(config: Mapping[str, Any], reader: Reader) -> str:
    event = "ends" if config.get("event") == "end" else "starts"
    names = reader.entity_names(config.get("entity_id"))
    return " ".join(
        part for part in (offset_words(config.get("offset")), f"an event of {names or 'a calendar'} {event}") if part
    )


_TRIGGERS: dict[str, Callable[[Mapping[str, Any], Reader], str]] = {
    "calendar": _calendar,
    "device": device_event,
    "geo_location": _zone,
    "homeassistant": _homeassistant,
    "numeric_state": _numeric_state,
    "state": _state,
    "sun": _sun,
    "time": _time,
    "time_pattern": _time_pattern,
    "zone": _zone,
}


def _threshold(config: Mapping[str, Any], reader: Reader) -> str:
    if (kind := one_of(config.get("type"), _THRESHOLDS)) is None:
        return ""
    values = [mapping(config.get(name)) for name in ("value", "value_min", "value_max")]
    said = [limit for value in values if (limit := reader.limit(value.get("number", value.get("entity"))))]
    return f"{kind} {' and '.join(said)}" if said else ""
