"""What the installed Home Assistant says of its triggers, conditions, actions and blueprints; and who might ask for it.

The descriptions are read where they are installed. Of the integrations those count that are Home Assistant's own by
their manifests (kinds of entities, helpers, the system), and those that have triggers or conditions, such as the sun;
not the thousand that are about one product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from custom_components.semantic_home.index import KIND_KNOWLEDGE, Document

QUESTIONS = Path(__file__).with_name("knowledge_queries.yaml")
_OWN = {"entity", "helper", "system"}
_TYPES = {"triggers": "trigger", "conditions": "condition", "services": "action"}


@dataclass(frozen=True)
class Question:
    """What is asked, in which language, and the ids of what is right."""

    query: str
    language: str
    right: frozenset[str]

    @property
    def is_for_fitting(self) -> bool:
        """Tell which half it belongs to: one is fitted on, the other tests."""
        return hashlib.sha256(self.query.encode()).digest()[0] % 2 == 0


def descriptions() -> list[Document]:
    """Read the descriptions, each a piece of knowledge called by its type and name ("trigger/sun.sunset")."""
    import homeassistant  # noqa: PLC0415 - for where it is

    components = Path(homeassistant.__file__).parent / "components"
    found = []
    for manifest in sorted(components.glob("*/manifest.json")):
        path = manifest.with_name("translations") / "en.json"
        texts = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        is_own = json.loads(manifest.read_text("utf-8")).get("integration_type") in _OWN
        if is_own or not texts.keys().isdisjoint({"triggers", "conditions"}):
            found += [*_of_translations(manifest.parent.name, texts), *_of_blueprints(manifest.parent)]
    return found


def questions(path: Path = QUESTIONS) -> list[Question]:
    """Read the questions, by language."""
    raw = yaml.safe_load(path.read_text("utf-8"))
    return [Question(one["query"], language, frozenset(one["right"])) for language in raw for one in raw[language]]


def _of_translations(integration: str, texts: dict[str, Any]) -> Iterator[Document]:
    for section, knowledge_type in _TYPES.items():
        for name, one in texts.get(section, {}).items():
            yield _document(knowledge_type, f"{integration}.{name}", one)


def _of_blueprints(integration: Path) -> Iterator[Document]:
    for path in sorted(integration.glob("blueprints/*.yaml")):
        one = yaml.load(path.read_text("utf-8"), _Blueprints)["blueprint"]  # noqa: S506 - a safe loader
        yield _document("blueprint", f"{integration.name}.{path.stem}", one)


def _document(knowledge_type: str, name: str, described: dict[str, Any]) -> Document:
    text = ". ".join(described[part].strip().rstrip(".") for part in ("name", "description") if described.get(part))
    return Document(KIND_KNOWLEDGE, f"{knowledge_type}/{name}", (text,), knowledge_type=knowledge_type, language="en")


class _Blueprints(yaml.SafeLoader):
    """Reads `!input` as nothing: where a blueprint uses what it asks for does not matter here."""


_Blueprints.add_constructor("!input", lambda _loader, _node: None)
