"""The library is sound: every pattern is whole, and can be filled."""

from collections import Counter
from importlib import import_module
import json
import re

import pytest

from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.cover import CoverDeviceClass
from homeassistant.components.event import EventDeviceClass
from homeassistant.components.humidifier import HumidifierDeviceClass
from homeassistant.components.light import ColorMode
from homeassistant.components.media_player import MediaPlayerDeviceClass
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.components.switch import SwitchDeviceClass
from homeassistant.components.valve import ValveDeviceClass
from homeassistant.const import Platform

from custom_components.semantic_home.knowledge import Category, Pattern, bind, library, load_library

from .full_home import full_home

PATTERNS = list(load_library().values())
CLASSES = {
    "binary_sensor": BinarySensorDeviceClass,
    "cover": CoverDeviceClass,
    "event": EventDeviceClass,
    "humidifier": HumidifierDeviceClass,
    "media_player": MediaPlayerDeviceClass,
    "sensor": SensorDeviceClass,
    "switch": SwitchDeviceClass,
    "valve": ValveDeviceClass,
}
GUARDED_DOMAINS = {"lock", "alarm_control_panel", "valve", "siren"}
GUARDED_COVERS = {"garage", "gate", "door"}


def test_there_are_many_patterns_of_every_category() -> None:
    assert len(PATTERNS) >= 40
    count = Counter(pattern.category for pattern in PATTERNS)
    assert count.keys() == set(Category) - {Category.USER}
    assert min(count.values()) >= 3
    assert len({pattern.name for pattern in PATTERNS}) == len(PATTERNS)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.id)
def test_pattern_is_told_as_people_would_ask_for_it(pattern: Pattern) -> None:
    assert 3 <= len(pattern.utterances) <= 6
    assert len(set(pattern.texts)) == len(pattern.texts)
    assert pattern.description.endswith(".") and pattern.why.endswith(".")
    assert set(re.findall(r"\$(\w+)", pattern.why)), "the reason names something of the home"


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.id)
def test_roles_ask_for_what_home_assistant_has(pattern: Pattern) -> None:
    domains = {*Platform, "person"}
    for role in pattern.roles.values():
        for kind in role.kinds:
            assert kind.domain in domains
            assert kind.classes <= set(CLASSES.get(kind.domain, ())), role.name
            guarded = kind.domain in GUARDED_DOMAINS or (
                kind.domain == "cover" and (not kind.classes or kind.classes & GUARDED_COVERS)
            )
            assert role.guarded or not guarded, "a role for guarded things has to say so"
        assert role.color_modes <= set(ColorMode)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.id)
def test_a_home_that_has_everything_fills_every_role(pattern: Pattern) -> None:
    binding = bind(pattern, full_home())[0]
    assert binding.bound.keys() == pattern.roles.keys()
    assert binding.fit == 1


def test_features_are_home_assistants() -> None:
    """The file calls each feature by its name; the number is that of Home Assistant's enumeration."""
    seen = set()
    for file in sorted(library._FOLDER.glob("*.json")):
        for pattern in json.loads(file.read_text("utf-8")).values():
            for role in pattern["roles"].values():
                for name, bit in role.get("features", {}).items():
                    domain = role["kinds"][0].partition(":")[0]
                    seen.add((domain, name, bit))
    assert seen
    for domain, name, bit in seen:
        component = import_module(f"homeassistant.components.{domain}")
        features = next(
            getattr(component, attribute)
            for attribute in dir(component)
            if attribute.endswith("EntityFeature") and attribute.lower().startswith(domain.replace("_", "")[:5])
        )
        assert features[name.upper()] == bit, (domain, name)
