"""What an automation listens to and what it does, whatever way it was written: to tell whether two do the same."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
import re
from typing import Any

from .home import Home, HomeEntity
from .pattern import ACTING_ENTITY

# What stands for triggers that are no entity of their own, and for a notification wherever it goes.
_TIME, _SUN, _PRESENCE, _NOTIFICATION = "time", "sun", "presence", "notification"
_PEOPLE = frozenset(["device_tracker", "person", "zone"])
_KINDS = {"time": _TIME, "time_pattern": _TIME, "sun": _SUN, "zone": _PRESENCE, "geo_location": _PRESENCE}
TELLING = frozenset(["notify", "persistent_notification"])
"""The domains of actions that notify."""
# Setting a temperature, a mode or turning it off are ways to the same end.
_SET = frozenset(["climate", "humidifier", "water_heater"])
_BOTH_WAYS = {"toggle": frozenset(["turn_on", "turn_off"])}
_ANY_DOMAIN = "homeassistant"
_PLACES = frozenset(["area_id", "device_id", "floor_id", "label_id"])
_ENTITY_ID = re.compile(r"\b[a-z_]+\.[a-z0-9_]+\b")
# Where actions hold other actions.
_NESTED = frozenset(["choose", "default", "then", "else", "repeat", "sequence", "parallel"])


@dataclass(frozen=True, slots=True)
class Footprint:
    """The triggers, entity ids or what stands for them, and the acts: upon which entity id, in which way."""

    triggers: frozenset[str]
    acts: frozenset[tuple[str, str]]

    @property
    def acted_on(self) -> frozenset[str]:
        """The entities that are acted on."""
        return frozenset(target for target, _ in self.acts)

    def covered_by(self, other: Footprint) -> float:
        """Say which share of what this one acts on the other acts on in the same way, at one of the same triggers."""
        return self.acts_as(other) if self.triggers & other.triggers else 0.0

    def acts_as(self, other: Footprint) -> float:
        """Say which share of what this one acts on the other acts on in the same way."""
        same = {target for target, _ in self.acts & other.acts}
        return len(same) / len(self.acted_on) if self.acts else 0.0


def footprint(config: Mapping[str, Any], home: Home) -> Footprint:
    """Read an automation's configuration, in today's or yesterday's words; what cannot be read is not in it."""
    listened = _items(config.get("triggers", config.get("trigger")))
    triggers = frozenset(trigger for item in listened for trigger in _triggers(item, home))
    done = _items(config.get("actions", config.get("action")))
    acts = frozenset(act for item in done for act in _acts(item, home, triggers))
    return Footprint(triggers, acts)


def _triggers(item: Any, home: Home) -> Iterator[str]:
    if not isinstance(item, Mapping) or item.get("enabled") is False:
        return
    if "triggers" in item:
        for inner in _items(item["triggers"]):
            yield from _triggers(inner, home)
        return
    kind = str(item.get("trigger", item.get("platform", "")))
    if kind in _KINDS:
        yield _KINDS[kind]
        return
    if "sun.sun" in str(item.get("entity_id")):
        yield _SUN
    if "zone.home" in str(item.get("entity_id")):
        yield _PRESENCE
    # "motion.detected" in an area listens to the motion sensors there.
    about = kind.partition(".")[0]
    for entity_id in _mentioned(item, home, lambda entity: about in {entity.domain, entity.device_class}):
        yield _PRESENCE if entity_id.partition(".")[0] in _PEOPLE else entity_id


def _acts(item: Any, home: Home, triggers: frozenset[str]) -> Iterator[tuple[str, str]]:
    if not isinstance(item, Mapping) or item.get("enabled") is False:
        return
    for key in _NESTED & item.keys():
        for inner in _items(item[key]):
            yield from _acts(inner, home, triggers)
    service = item.get("action", item.get("service"))
    if isinstance(service, str):
        yield from _service_acts(service, item, home, triggers)
    elif "type" in item and "device_id" in item and "condition" not in item:
        # An action of a device, which says by its type what it does.
        for target in _mentioned(item.get("entity_id"), home, lambda _: True):
            yield target, _way(target.partition(".")[0], str(item["type"]))
    elif "scene" in item:
        for target in _mentioned(item["scene"], home, lambda _: True):
            yield target, "turn_on"


def _service_acts(
    service: str, item: Mapping[str, Any], home: Home, triggers: frozenset[str]
) -> Iterator[tuple[str, str]]:
    domain, _, name = service.partition(".")
    if domain in TELLING:
        yield _NOTIFICATION, "tell"
        return
    said = [item.get(key) for key in ("target", "data", "data_template", "entity_id")]
    named = set(_mentioned(said, home, lambda entity: domain in {entity.domain, _ANY_DOMAIN}))
    if ACTING_ENTITY.search(str(said)):
        named |= {trigger for trigger in triggers if trigger in home.by_id}
    for target in named:
        for way in _BOTH_WAYS.get(name, {name}):
            yield target, _way(target.partition(".")[0], way)


def _way(domain: str, name: str) -> str:
    return "set" if domain in _SET else name


def _mentioned(value: Any, home: Home, admits: Callable[[HomeEntity], bool]) -> Iterator[str]:
    """Give the entities that are named somewhere in it, and those of a place that is, if they are admitted."""
    if isinstance(value, str):
        found = home.by_id.get(value)
        names = [found.entity_id] if found else _ENTITY_ID.findall(value)
        yield from (name for name in names if name in home.by_id)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _mentioned(inner, home, admits)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _PLACES and "entity_id" not in value:
                there = (entity for place in _items(inner) for entity in home.by_place.get((key, str(place)), ()))
                yield from (entity.entity_id for entity in there if admits(entity))
            else:
                yield from _mentioned(inner, home, admits)


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
