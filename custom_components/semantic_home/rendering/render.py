"""Whole automations, scripts, scenes and blueprints: texts for the index, and what they use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .actions import actions, settings
from .conditions import conditions
from .names import Names, Reader, Uses
from .redaction import OMITTED, redacted
from .triggers import triggers
from .values import listed, mapping

MOST_CHARACTERS = 1000
# So much of an automation's text may tell of what starts it, and what has to be so, so that there is room for the rest.
_TRIGGERS_CHARACTERS = 400
_CONDITIONS_CHARACTERS = 250
_STEP_CHARACTERS = 300
_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a blueprint says of itself: a name, a description, and what it asks for."""

    name: str
    description: str | None
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rendering:
    """A name, a description if there is one, the texts that stand for the whole, and the ids of what it uses."""

    name: str
    description: str | None
    views: tuple[str, ...]
    uses: Uses


def render_automation(name: str, config: Mapping[str, Any], names: Names, blueprint: str | None = None) -> Rendering:
    """Describe an automation as it is written: `when ..., if ...: ...`."""
    reader = Reader(names)
    starts = bounded(triggers(_either(config, "triggers", "trigger"), reader), " or ", _TRIGGERS_CHARACTERS)
    holds = bounded(conditions(_either(config, "conditions", "condition"), reader), " and ", _CONDITIONS_CHARACTERS)
    lead = ", ".join([*([f"when {starts}"] if starts else []), *([f"if {holds}"] if holds else [])])
    text = _sentence(lead, actions(_either(config, "actions", "action"), reader), blueprint)
    return _rendering(name, config.get("description"), text, reader.uses)


def render_script(name: str, config: Mapping[str, Any], names: Names, blueprint: str | None = None) -> Rendering:
    """Describe a script: its steps."""
    reader = Reader(names)
    text = _sentence("", actions(config.get("sequence"), reader), blueprint)
    return _rendering(name, config.get("description"), text, reader.uses)


def render_scene(name: str, states: Mapping[str, tuple[object, Mapping[str, Any]]], names: Names) -> Rendering:
    """Describe a scene: the state and attributes that each entity gets."""
    reader = Reader(names)
    return _rendering(name, None, _sentence("", _scene_steps(states, reader)), reader.uses)


def render_blueprint(blueprint: Blueprint) -> Rendering:
    """Describe a blueprint: what it asks for says what it is about."""
    asked = bounded((said for one in blueprint.inputs if (said := redacted(one))), ", ")
    return _rendering(blueprint.name, blueprint.description, f"Asks for {asked}" if asked else "", Uses())


def bounded(steps: Iterable[str], between: str = "; ", most: int = MOST_CHARACTERS) -> str:
    """Join as many whole steps as there is room for, with `…` in place of the rest."""
    text = ""
    # All of them are read, though not all are told: reading notes what is used.
    for step in list(steps):
        longer = f"{text}{between}{_cut(step, _STEP_CHARACTERS)}" if text else _cut(step, min(most, _STEP_CHARACTERS))
        if len(longer) > most - len(between) - len(OMITTED):
            return f"{text}{between}{OMITTED}" if text else longer
        text = longer
    return text


def _rendering(name: str, description: object, text: str, uses: Uses) -> Rendering:
    title = _cut(redacted(name), _NAME_CHARACTERS) or OMITTED
    said = _cut(redacted(description), MOST_CHARACTERS) if isinstance(description, str) else ""
    views = (title, f"{title}. {said}" if said else "", text)
    return Rendering(title, said or None, tuple(_cut(view, MOST_CHARACTERS) for view in views if view), uses)


def _sentence(lead: str, steps: Iterable[str], blueprint: str | None = None) -> str:
    origin = f" (from blueprint {_cut(redacted(blueprint), _NAME_CHARACTERS)})" if blueprint else ""
    done = bounded(steps, "; ", MOST_CHARACTERS - len(lead) - len(origin))
    text = ": ".join(part for part in (lead, done) if part)
    return f"{text[:1].upper()}{text[1:]}{origin}".strip()


def _scene_steps(states: Mapping[str, tuple[object, Mapping[str, Any]]], reader: Reader) -> Iterable[str]:
    for entity_id, (state, attributes) in states.items():
        for entity in reader.entities(entity_id):
            said = reader.states([entity], state)
            given = settings(mapping(attributes))
            yield " ".join(part for part in (entity.full_name, said, f"({given})" if given else "") if part)


def _either(config: Mapping[str, Any], new: str, old: str) -> list[Any]:
    """Give what is under a key's new or old name."""
    return listed(config.get(new, config.get(old)))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - len(OMITTED)].rstrip()}{OMITTED}"
