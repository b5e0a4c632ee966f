"""The home as patterns see it: entities that can fill roles, and what automations name them by."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

IGNORE_LABELS = frozenset(["semantic_home:ignore", "semantic_home_ignore"])
"""By its name or its id: what is labelled so is left alone."""

# People, the weather and where notifications go are in no room, and belong to all.
_EVERYWHERE = frozenset(["calendar", "device_tracker", "notify", "person", "weather"])


@dataclass(frozen=True, slots=True)
class HomeEntity:
    """What has to be known of an entity.

    `called`: whatever it may be called by: its names, its device's, its area's. `labels`: ids and names, those of its
    device and area, too. `guarded`: nobody wants it opened, disarmed or sounded by a misunderstanding.
    """

    entity_id: str
    name: str
    device_class: str | None = None
    area_id: str | None = None
    area: str | None = None
    floor_id: str | None = None
    device_id: str | None = None
    registry_id: str | None = None
    labels: frozenset[str] = frozenset()
    called: tuple[str, ...] = ()
    guarded: bool = False
    secondary: bool = False
    features: int = 0
    color_modes: frozenset[str] = frozenset()
    unit: str | None = None

    @property
    def domain(self) -> str:
        """What kind of entity it is."""
        return self.entity_id.partition(".")[0]

    @property
    def everywhere(self) -> bool:
        """Whether it belongs to all rooms, as people and the weather do."""
        return self.domain in _EVERYWHERE

    @property
    def place(self) -> str:
        """Where it is: in its area, else at its device, else somewhere of its own."""
        return self.area_id or self.device_id or self.entity_id


@dataclass(frozen=True, slots=True)
class Home:
    """Entities, in the order of their ids, and ways to find them."""

    entities: tuple[HomeEntity, ...]
    by_id: Mapping[str, HomeEntity] = field(repr=False)
    by_domain: Mapping[str, tuple[HomeEntity, ...]] = field(repr=False)
    by_place: Mapping[tuple[str, str], tuple[HomeEntity, ...]] = field(repr=False)

    @classmethod
    def of(cls, entities: Iterable[HomeEntity]) -> Home:
        """Take all but those that are labelled to be ignored."""
        kept = tuple(
            sorted(
                (entity for entity in entities if IGNORE_LABELS.isdisjoint(entity.labels)),
                key=lambda entity: entity.entity_id,
            )
        )
        by_domain = defaultdict[str, list[HomeEntity]](list)
        by_place = defaultdict[tuple[str, str], list[HomeEntity]](list)
        for entity in kept:
            by_domain[entity.domain].append(entity)
            for place in _places(entity):
                by_place[place].append(entity)
        return cls(
            kept,
            {name: entity for entity in kept for name in (entity.registry_id, entity.entity_id) if name},
            {domain: tuple(found) for domain, found in by_domain.items()},
            {place: tuple(found) for place, found in by_place.items()},
        )

    def within(self, area_ids: Collection[str]) -> Home:
        """Give what is in one of these areas or in none; all of it when there are no areas given."""
        if not area_ids:
            return self
        return Home.of(entity for entity in self.entities if entity.area_id in area_ids or entity.everywhere)


def _places(entity: HomeEntity) -> list[tuple[str, str]]:
    """Say by which fields of a target, with which value, an entity can be named."""
    fields = {"area_id": entity.area_id, "device_id": entity.device_id, "floor_id": entity.floor_id}
    return [
        *((field, value) for field, value in fields.items() if value),
        *(("label_id", label) for label in sorted(entity.labels)),
    ]
