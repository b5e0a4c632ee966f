"""Fills the roles of a pattern with entities of a home, area by area, or says which nothing can fill."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .home import Home, HomeEntity
from .pattern import Kind, Pattern, Role

# What an optional role adds to how well a pattern fits, beside a required one.
_OPTIONAL_WORTH = 0.25
# Shorter words stand in others by chance: "iron" in "environment", "washer" in "dishwasher".
_IN_COMPOUNDS = 7


@dataclass(frozen=True, slots=True)
class Binding:
    """A pattern with the entities that fill its roles; a role that nothing fills is not among the `bound`."""

    pattern: Pattern
    bound: Mapping[str, tuple[HomeEntity, ...]]
    area_id: str | None = None
    area: str | None = None

    @property
    def missing(self) -> tuple[Role, ...]:
        """The required roles that nothing fills."""
        return tuple(role for role in self.pattern.required if role.name not in self.bound)

    @property
    def complete(self) -> bool:
        """Whether it can become an automation."""
        return not self.missing

    @property
    def fit(self) -> float:
        """How much of the pattern is filled, 0 to 1; what is optional counts a quarter of what is required."""
        worth = {name: _OPTIONAL_WORTH if role.optional else 1.0 for name, role in self.pattern.roles.items()}
        return sum(worth[name] for name in self.bound) / sum(worth.values())

    @property
    def entities(self) -> tuple[HomeEntity, ...]:
        """All entities in it, in the order of its roles."""
        return tuple(entity for entities in self.bound.values() for entity in entities)

    @property
    def guarded(self) -> bool:
        """Whether somebody has to agree first: something in it is never acted on by a guess."""
        return any(entity.guarded for entity in self.entities)


def bind(pattern: Pattern, home: Home) -> list[Binding]:
    """Give the ways to fill a pattern, the fullest first: one per place that has anything for it, or one for the home.

    There is always one at least, which may be empty.
    """
    able = {role.name: _able(role, home) for role in pattern.roles.values()}
    local = [role.name for role in pattern.roles.values() if role.near or role.name == pattern.anchor]
    by_place: dict[str, dict[str, list[HomeEntity]]] = {}
    for name in local:
        for entity in able.pop(name):
            by_place.setdefault(entity.place, {}).setdefault(name, []).append(entity)
    bindings = [_bind(pattern, {**able, **here}) for here in by_place.values() or ({},)]
    return sorted(
        bindings,
        key=lambda found: (not found.complete, -found.fit, found.area or "", [one.entity_id for one in found.entities]),
    )


def _bind(pattern: Pattern, able: Mapping[str, Sequence[HomeEntity]]) -> Binding:
    """Fill the roles with those who are able to, by role."""
    bound: dict[str, tuple[HomeEntity, ...]] = {}
    # Required roles choose first: what they take, no other role has.
    for role in sorted(pattern.roles.values(), key=lambda role: role.optional):
        taken = {entity.entity_id for found in bound.values() for entity in found}
        if found := _choose(role, [entity for entity in able.get(role.name, ()) if entity.entity_id not in taken]):
            bound[role.name] = found
    area_id, area = _area(pattern, bound)
    return Binding(pattern, {name: bound[name] for name in pattern.roles if name in bound}, area_id, area)


def _area(pattern: Pattern, bound: Mapping[str, Sequence[HomeEntity]]) -> tuple[str | None, str | None]:
    """Give the area that it is about: that of what has to be near one another, else of all if there is one alone."""
    near = {pattern.anchor, *(role.name for role in pattern.roles.values() if role.near)}
    placed = {
        (entity.area_id, entity.area)
        for name, entities in bound.items()
        for entity in entities
        if name in near or (pattern.anchor is None and not entity.everywhere)
    }
    return placed.pop() if len(placed) == 1 else (None, None)


def _choose(role: Role, entities: Sequence[HomeEntity]) -> tuple[HomeEntity, ...]:
    """Take all of the first kind that is there, or the first of them by id where the role is for one."""
    for kind in role.kinds:
        if found := [entity for entity in entities if _is_of(entity, kind)]:
            return tuple(found) if role.several else (found[0],)
    return ()


def _able(role: Role, home: Home) -> list[HomeEntity]:
    domains = dict.fromkeys(kind.domain for kind in role.kinds)
    return [entity for domain in domains for entity in home.by_domain.get(domain, ()) if _can_fill(entity, role)]


def _can_fill(entity: HomeEntity, role: Role) -> bool:
    return (
        any(_is_of(entity, kind) for kind in role.kinds)
        and (role.guarded or not entity.guarded)
        and (role.secondary or not entity.secondary)
        and entity.features & role.features == role.features
        and (not role.color_modes or not role.color_modes.isdisjoint(entity.color_modes))
        and (not role.units or entity.unit in role.units)
        and (not role.named or _is_called(entity, role.named))
    )


def _is_of(entity: HomeEntity, kind: Kind) -> bool:
    return entity.domain == kind.domain and (not kind.classes or entity.device_class in kind.classes)


def _is_called(entity: HomeEntity, words: Iterable[str]) -> bool:
    """Tell whether a word begins one in its names, or is part of a compound as in "Gartenbewässerung"."""
    called = [f" {name.casefold().replace('-', ' ')}" for name in (entity.name, *entity.called)]
    sought = [word.casefold() if len(word) >= _IN_COMPOUNDS else f" {word.casefold()}" for word in words]
    return any(word in name for name in called for word in sought)
