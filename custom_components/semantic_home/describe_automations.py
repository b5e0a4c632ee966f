"""The home's automations, scripts, scenes and blueprints, as documents of the index.

Only what is written in them enters, never what happens: one that runs changes no text. What must not be told is left
out by the rendering.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
import logging
from typing import Any, Final

from homeassistant.components.blueprint.const import CONF_USE_BLUEPRINT, DOMAIN as BLUEPRINT_DOMAIN
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.const import CONF_DESCRIPTION, CONF_MODE, CONF_NAME, CONF_PATH
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_component import DATA_INSTANCES

from .home_names import HomeNames
from .index import Document, JsonValue
from .pattern_documents import KIND_PATTERN, pattern_documents
from .rendering import (
    Blueprint as PlainBlueprint,
    Rendering,
    render_automation,
    render_blueprint,
    render_scene,
    render_script,
)

_LOGGER = logging.getLogger(__name__)

KIND_AUTOMATION: Final = "automation"
KIND_SCRIPT: Final = "script"
KIND_SCENE: Final = "scene"
KIND_BLUEPRINT: Final = "blueprint"
ENTITY_KINDS: Final = (KIND_AUTOMATION, KIND_SCRIPT, KIND_SCENE)
AUTOMATION_KINDS: Final = (*ENTITY_KINDS, KIND_BLUEPRINT, KIND_PATTERN)

_SOURCE: Final = "home"
_MODES: Final = ("parallel", "queued", "restart", "single")
_AT_ONCE = 20


async def async_describe_automations(hass: HomeAssistant) -> list[Document]:
    """Make the documents of everything of these kinds that is loaded, and of the patterns that ship.

    One that cannot be described is left out, and reported.
    """
    blueprints = await _installed_blueprints(hass)
    titles = {(domain, path): blueprint.name for domain, path, blueprint in blueprints}
    describer = _Describer(hass, await HomeNames.async_load(hass), titles)
    documents = []
    for number, (kind, entity) in enumerate(_entities(hass)):
        try:
            documents.append(describer.document(kind, entity))
        except Exception:
            _LOGGER.exception("%s is left out of the index", entity.entity_id)
        if number % _AT_ONCE == _AT_ONCE - 1:
            # All of them in one go would hold up the event loop; what changes meanwhile is marked.
            await asyncio.sleep(0)
    patterns = await hass.async_add_executor_job(pattern_documents)
    return [*documents, *_blueprint_documents(blueprints, hass.config.language), *patterns]


@dataclass(frozen=True, slots=True)
class _Describer:
    """Knows the names of the home, and those of its blueprints by domain and path."""

    hass: HomeAssistant
    names: HomeNames
    blueprints: Mapping[tuple[str, str], str]

    @callback
    def document(self, kind: str, entity: Entity) -> Document:
        """Describe an automation, a script or a scene."""
        entry = er.async_get(self.hass).async_get(entity.entity_id)
        config = _written(entity)
        path = _blueprint_path(config, entity)
        rendering = self._render(kind, entity, config, path)
        own_area = er.async_get_effective_area_id(self.hass, entry) if entry else None
        area_ids = rendering.uses.area_ids | ({own_area} if own_area else set())
        return Document(
            kind=kind,
            source_id=entry.id if entry else entity.entity_id,
            views=rendering.views,
            metadata={
                "entity_id": entity.entity_id,
                "name": rendering.name,
                "description": rendering.description,
                "source": _SOURCE,
                "mode": mode if (mode := config.get(CONF_MODE)) in _MODES else None,
                "blueprint": f"{kind}/{path}" if path else None,
                "entity_ids": [*sorted(rendering.uses.entity_ids)],
                "device_ids": [*sorted(rendering.uses.device_ids)],
                "area_ids": [*sorted(area_ids)],
                "triggers": [*sorted(rendering.uses.triggers)],
                "actions": [*sorted(rendering.uses.actions)],
            },
            knowledge_type=kind,
            language=self.hass.config.language,
        )

    def _render(self, kind: str, entity: Entity, config: Mapping[str, Any], path: str | None) -> Rendering:
        known = self.names.entity(entity.entity_id)
        name = known.name if known else entity.entity_id
        if kind == KIND_SCENE:
            return render_scene(name, _scene_states(entity), self.names)
        render = render_automation if kind == KIND_AUTOMATION else render_script
        return render(name, config, self.names, self.blueprints.get((kind, path), path) if path else None)


def _entities(hass: HomeAssistant) -> list[tuple[str, Entity]]:
    """Give all automations, scripts and scenes that are loaded, whichever integration they come from."""
    components = hass.data.get(DATA_INSTANCES, {})
    return [(kind, entity) for kind in ENTITY_KINDS if kind in components for entity in components[kind].entities]


def _written(entity: Entity) -> Mapping[str, Any]:
    """Give the configuration as it is written, blueprints filled in; it may be anything when it is not valid."""
    config = getattr(entity, "raw_config", None)
    return config if isinstance(config, Mapping) else {}


def _blueprint_path(config: Mapping[str, Any], entity: Entity) -> str | None:
    """Give the blueprint that an automation or script is made from; one that failed has it in its configuration."""
    used = config.get(CONF_USE_BLUEPRINT)
    path = getattr(entity, "referenced_blueprint", None) or (used.get(CONF_PATH) if isinstance(used, Mapping) else None)
    return path if isinstance(path, str) else None


def _scene_states(entity: Entity) -> dict[str, tuple[object, Mapping[str, Any]]]:
    """Give what a scene sets; of scenes that live in a device or a cloud it is not known."""
    states = getattr(getattr(entity, "scene_config", None), "states", {})
    return {entity_id: (state.state, state.attributes) for entity_id, state in states.items()}


async def _installed_blueprints(hass: HomeAssistant) -> list[tuple[str, str, PlainBlueprint]]:
    """Give the blueprints that can be read, by domain and path."""
    found = []
    for domain, blueprints in sorted(hass.data.get(BLUEPRINT_DOMAIN, {}).items()):
        try:
            loaded = await blueprints.async_get_blueprints()
        except Exception:
            _LOGGER.exception("The blueprints for %s are left out of the index", domain)
            continue
        found += [(domain, path, _plain(one)) for path, one in sorted(loaded.items()) if isinstance(one, Blueprint)]
    return found


def _plain(blueprint: Blueprint) -> PlainBlueprint:
    inputs = (
        value[CONF_NAME]
        if isinstance(value, Mapping) and isinstance(value.get(CONF_NAME), str)
        else key.replace("_", " ")
        for key, value in blueprint.inputs.items()
    )
    return PlainBlueprint(blueprint.name, blueprint.metadata.get(CONF_DESCRIPTION), tuple(inputs))


def _blueprint_documents(blueprints: Iterable[tuple[str, str, PlainBlueprint]], language: str) -> list[Document]:
    documents = []
    for domain, path, blueprint in blueprints:
        rendering = render_blueprint(blueprint)
        metadata: dict[str, JsonValue] = {
            "name": rendering.name,
            "description": rendering.description,
            "source": _SOURCE,
            "domain": domain,
            "path": path,
        }
        documents.append(
            Document(KIND_BLUEPRINT, f"{domain}/{path}", rendering.views, metadata, KIND_BLUEPRINT, language=language)
        )
    return documents
