"""Reads patterns, the library's and those of users, and refuses what could not become an automation."""

from collections.abc import Callable, Mapping
import math
import re
from typing import Any

from .pattern import (
    ACTING_ENTITY,
    DEGREES,
    NOTIFY,
    OF,
    TELL,
    Category,
    Kind,
    Pattern,
    PatternError,
    Role,
    references,
)

_NOTIFY_ROLE = Role(NOTIFY, "where notifications go", (Kind("notify"),), optional=True)

_NAME = re.compile(r"[a-z][a-z_]{0,31}")
_KIND = re.compile(r"[a-z_]+(:[a-z0-9_]+(\|[a-z0-9_]+)*)?")
_WHOLE_ROLE = re.compile(r"\$[a-z_]+")
# What a template could name an entity by, without a role: then nobody would have checked who may know of it.
_NAMED_ENTITY = re.compile(r"""["'][a-z_]+\.[a-z0-9_]+["']|\bstates\.[a-z_]+\.""")
_ELSEWHERE = {"area_id", "device_id", "floor_id", "label_id", "entity", "scene", "snapshot_entities"}
_PARTS = {"triggers", "conditions", "actions", "mode", "max"}
_MODES = {"single", "restart", "queued", "parallel"}
_NO_FEATURE = 1 << 32
_ROLE_HAS = {"what", "kinds"}
_MOST_ROLES, _MOST_UTTERANCES, _LONGEST, _DEEPEST, _LARGEST = 12, 20, 500, 16, 500


def read_pattern(pattern_id: str, data: Mapping[str, Any]) -> Pattern:
    """Give the pattern that the data describe; raises PatternError."""
    automation = _part(data, "automation", dict)
    _check_automation(automation)
    found = set(references(automation))
    described = _part(data, "roles", dict)
    if not 1 <= len(described) <= _MOST_ROLES:
        raise PatternError(f"it has {len(described)} roles, not 1 to {_MOST_ROLES}")
    roles = {name: _role(name, role) for name, role in described.items()}
    if NOTIFY in found:
        roles[NOTIFY] = _NOTIFY_ROLE
    _check_roles(roles, found)
    pattern = Pattern(
        id=pattern_id,
        name=_text(data, "name"),
        description=_text(data, "description"),
        why=_text(data, "why"),
        category=_category(data),
        priority=_share(data, "priority"),
        utterances=_texts(data, "utterances"),
        roles=roles,
        automation=automation,
    )
    if unknown := set(references(pattern.why)) - {role.name for role in pattern.required}:
        raise PatternError(f"why refers to {_listed(unknown)}, which may be missing")
    return pattern


def _role(name: Any, data: Any) -> Role:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == NOTIFY:
        raise PatternError(f"a role cannot be called {str(name)[:40]!r}")
    if not isinstance(data, Mapping):
        raise PatternError(f"the role {name} is no object")
    if unknown := data.keys() - _ROLE_FIELDS.keys():
        raise PatternError(f"the role {name}: there is no {_listed(unknown)}")
    try:
        given = {key: read(data, key) for key, read in _ROLE_FIELDS.items() if key in data or key in _ROLE_HAS}
    except PatternError as err:
        raise PatternError(f"the role {name}: {err}") from err
    return Role(name, **given)


def _check_roles(roles: Mapping[str, Role], found: set[str]) -> None:
    if unknown := found - roles.keys():
        raise PatternError(f"the automation refers to {_listed(unknown)}, which is no role")
    if idle := roles.keys() - found:
        raise PatternError(f"the automation does not refer to the role {_listed(idle)}")
    if all(role.optional for role in roles.values()):
        raise PatternError("no role is required")
    anchors = {role.near for role in roles.values() if role.near}
    if len(anchors) > 1:
        raise PatternError(f"roles are near {_listed(anchors)}, but it can only be one")
    for anchor in anchors:
        if anchor not in roles or roles[anchor].optional or roles[anchor].near:
            raise PatternError(f"nothing can be near {anchor}: it is no required role, or near another one itself")


def _check_automation(automation: Mapping[str, Any]) -> None:
    if unknown := automation.keys() - _PARTS:
        raise PatternError(f"there is no {_listed(unknown)} in an automation")
    if automation.get("mode", "single") not in _MODES:
        raise PatternError(f"the mode is none of {_listed(_MODES)}")
    for part in ("triggers", "actions"):
        if not isinstance(automation.get(part), list) or not automation[part]:
            raise PatternError(f"there are no {part}")
    if not isinstance(automation.get("conditions", []), list):
        raise PatternError("the conditions are no list")
    if _check_value(automation, 0) > _LARGEST:
        raise PatternError(f"the automation has more than {_LARGEST} parts")


def _check_value(value: Any, depth: int) -> int:
    """Refuse what names entities without a role; give how many values there are."""
    if depth > _DEEPEST:
        raise PatternError(f"the automation is deeper than {_DEEPEST}")
    if isinstance(value, str):
        if _NAMED_ENTITY.search(value):
            raise PatternError("a template names an entity; only roles can be named")
        return 1
    if isinstance(value, list):
        return 1 + sum(_check_value(inner, depth + 1) for inner in value)
    if not isinstance(value, Mapping):
        return 1
    for key, inner in value.items():
        if key in _ELSEWHERE or (key == "entity_id" and not _is_role(inner)):
            raise PatternError(f"{key} has to be an entity_id that is a role, such as $lights")
        if key == TELL:
            _check_tell(inner)
        if key == DEGREES:
            _check_degrees(value)
    return 1 + sum(_check_value(inner, depth + 1) for inner in value.values())


def _check_tell(value: Any) -> None:
    if not isinstance(value, Mapping) or value.keys() != {"title", "message"}:
        raise PatternError(f"{TELL} takes a title and a message")
    for key in value:
        _text(value, key)


def _check_degrees(value: Mapping[str, Any]) -> None:
    degrees = value[DEGREES]
    number = isinstance(degrees, int | float) and not isinstance(degrees, bool) and math.isfinite(degrees)
    if value.keys() != {DEGREES, OF} or not number or not _WHOLE_ROLE.fullmatch(str(value[OF])):
        raise PatternError(f"{DEGREES} takes a number, and the role {OF} which it is")


def _is_role(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(inner, str) and _is_role(inner) for inner in value)
    return isinstance(value, str) and bool(_WHOLE_ROLE.fullmatch(value) or ACTING_ENTITY.fullmatch(value))


def _kinds(data: Mapping[str, Any], key: str) -> tuple[Kind, ...]:
    kinds = _texts(data, key)
    if wrong := {kind for kind in kinds if not _KIND.fullmatch(kind)}:
        raise PatternError(f"{_listed(wrong)} is no kind such as light or binary_sensor:door|window")
    parts = [kind.partition(":") for kind in kinds]
    return tuple(
        Kind(domain, frozenset(classes.split("|")) if classes else frozenset()) for domain, _, classes in parts
    )


def _features(data: Mapping[str, Any], key: str) -> int:
    features = _part(data, key, dict).values()
    if not all(isinstance(bit, int) and not isinstance(bit, bool) and 0 < bit < _NO_FEATURE for bit in features):
        raise PatternError(f"{key} are no bits by name")
    return sum(set(features))


def _category(data: Mapping[str, Any]) -> Category:
    try:
        return Category(_text(data, "category"))
    except ValueError as err:
        raise PatternError(f"the category is none of {_listed(set(Category))}") from err


def _share(data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise PatternError(f"{key} is not between 0 and 1")
    return float(value)


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    texts = _part(data, key, list)
    if not 1 <= len(texts) <= max(_MOST_UTTERANCES, len(texts) if key == "named" else 0):
        raise PatternError(f"{key} are {len(texts)}, not 1 to {_MOST_UTTERANCES}")
    return tuple(_text({key: text}, key) for text in texts)


def _text(data: Mapping[str, Any], key: str) -> str:
    text: str = _part(data, key, str)
    if not 1 <= len(text.strip()) <= _LONGEST:
        raise PatternError(f"{key} is empty or longer than {_LONGEST} characters")
    return text.strip()


def _part[T](data: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = data.get(key)
    if not isinstance(value, kind):
        raise PatternError(f"{key} is missing or no {kind.__name__}")
    return value


def _flag(data: Mapping[str, Any], key: str) -> bool:
    return _part(data, key, bool)


def _set(data: Mapping[str, Any], key: str) -> frozenset[str]:
    return frozenset(_texts(data, key))


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(str(name)[:40] for name in names))


_ROLE_FIELDS: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
    "what": _text,
    "kinds": _kinds,
    "several": _flag,
    "optional": _flag,
    "near": _text,
    "guarded": _flag,
    "secondary": _flag,
    "named": _texts,
    "features": _features,
    "color_modes": _set,
    "units": _set,
}
