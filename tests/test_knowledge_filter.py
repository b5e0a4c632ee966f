"""Which knowledge is admitted: every operator with every type of value, and whose knowledge it is."""

from typing import Any

import pytest

from custom_components.semantic_home.index import Document
from custom_components.semantic_home.knowledge_filter import Condition, KnowledgeFilter, Operator, entities_of

METADATA: dict[str, Any] = {
    "room": "Kitchen",
    "level": 2,
    "share": 0.5,
    "on": True,
    "tags": ["Warm", 3, True],
    "place": {"floor": 1, "wing": {"side": "east"}},
    "place.floor": "its own name",
    "nothing": None,
}


@pytest.mark.parametrize(
    ("path", "operator", "value", "holds"),
    [
        ("room", "eq", "Kitchen", True),
        ("room", "eq", "kitchen", False),
        ("level", "eq", 2, True),
        ("level", "eq", 2.0, True),
        ("level", "eq", "2", False),
        ("on", "eq", True, True),
        ("on", "eq", 1, False),
        ("nothing", "eq", None, True),
        ("missing", "eq", None, False),
        ("room", "ne", "Hall", True),
        ("room", "ne", "Kitchen", False),
        ("missing", "ne", "Hall", True),
        ("room", "in", ["Hall", "Kitchen"], True),
        ("room", "in", ["Hall"], False),
        ("room", "in", "Kitchen", False),
        ("on", "in", [1], False),
        ("room", "not_in", ["Hall"], True),
        ("room", "not_in", ["Kitchen"], False),
        ("missing", "not_in", ["Hall"], True),
        ("level", "lt", 3, True),
        ("level", "lt", 2, False),
        ("level", "lte", 2, True),
        ("share", "gt", 0, True),
        ("share", "gt", 0.5, False),
        ("share", "gte", 0.5, True),
        ("room", "lt", "L", True),
        ("room", "lt", 3, False),
        ("level", "gt", "1", False),
        ("on", "gt", 0, False),
        ("level", "gt", False, False),
        ("missing", "lt", 3, False),
        ("tags", "gt", 0, False),
        ("room", "contains", "KITCH", True),
        ("room", "contains", 3, False),
        ("tags", "contains", "Warm", True),
        ("tags", "contains", "warm", False),
        ("tags", "contains", 1, False),
        ("place", "contains", "floor", True),
        ("place", "contains", 1, False),
        ("level", "contains", 2, False),
        ("missing", "contains", "x", False),
        ("nothing", "exists", True, True),
        ("missing", "exists", True, False),
        ("missing", "exists", False, True),
        ("place.wing.side", "eq", "east", True),
        ("place.wing.side.further", "exists", False, True),
        ("room.part", "exists", True, False),
        ("place.floor", "eq", "its own name", True),
    ],
)
def test_condition(path: str, operator: str, value: Any, *, holds: bool) -> None:
    assert Condition(path, Operator(operator), value).holds(METADATA) is holds


def piece(name: str, **more: Any) -> Document:
    return Document("knowledge", name, (name,), **more)


PIECES = {
    one.source_id: one
    for one in (
        piece("note", knowledge_type="note", language="en", metadata={"room": "hall"}),
        piece("german", knowledge_type="note", metadata={"language": "de"}),
        piece("pattern", knowledge_type="pattern", metadata={"room": "hall", "entity_id": "light.hall"}),
        piece("several", knowledge_type="pattern", metadata={"entity_ids": ["light.hall", "light.attic", 7]}),
        piece("device", knowledge_type="note", metadata={"device_ids": ["abc"]}),
    )
}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (KnowledgeFilter(), list(PIECES)),
        (KnowledgeFilter(types=("note",)), ["note", "german", "device"]),
        (KnowledgeFilter(types=("note", "pattern")), list(PIECES)),
        (KnowledgeFilter(types=("other",)), []),
        (KnowledgeFilter(language="en"), ["note"]),
        (KnowledgeFilter(language="de"), ["german"]),
        (KnowledgeFilter(conditions=[Condition("room", Operator.EQ, "hall")]), ["note", "pattern"]),
        (
            KnowledgeFilter(types=("pattern",), conditions=[Condition("room", Operator.EXISTS, value=True)]),
            ["pattern"],
        ),
        (KnowledgeFilter(permits={"light.hall"}.__contains__), ["note", "german", "pattern"]),
        (KnowledgeFilter(permits=lambda _: True), ["note", "german", "pattern", "several"]),
    ],
)
def test_select(limits: KnowledgeFilter, expected: list[str]) -> None:
    assert limits.select(PIECES) == expected
    assert limits.admits_all is (limits == KnowledgeFilter())


def test_entities_are_those_that_the_metadata_name() -> None:
    assert entities_of(PIECES["several"]) == {"light.hall", "light.attic"}
    assert entities_of(PIECES["pattern"]) == {"light.hall"}
    assert entities_of(PIECES["note"]) == set()
