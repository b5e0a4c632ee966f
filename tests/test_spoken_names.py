"""Names as LLMs write them, whatever they are."""

from hypothesis import given, strategies as st
import pytest

from custom_components.semantic_home.exposure import SpokenEntity
from custom_components.semantic_home.spoken_names import SpokenNames

LAMP = SpokenEntity("light.lamp", ("Lamp", "Leselampe"), None)
OTHER = SpokenEntity("light.other", ("Lamp", "Wohnzimmer, links"), None)
FLAME = SpokenEntity("switch.flame", ("🔥",), None)
KNOWN = SpokenNames((LAMP, OTHER, FLAME), lambda _: True)


@pytest.mark.parametrize(
    ("heard", "found", "sure"),
    [
        ("lamp", [LAMP, OTHER], False),
        ("LESELAMPE.", [LAMP], True),
        ("Lamp, Leselampe", [LAMP], True),
        ("Leselampe | light.other", [LAMP, OTHER], True),
        ("Lamp, light.other", [OTHER], True),
        ("Lamp, switch.flame", [LAMP, OTHER, FLAME], False),
        ("Wohnzimmer, links", [OTHER], True),
        ("Lamp, Wohnzimmer, links", None, None),
        (" 🔥 ", [FLAME], True),
        ("(light.lamp)", [LAMP], True),
        (", ;", None, None),
        ("", None, None),
    ],
)
def test_find(heard: str, found: list[SpokenEntity] | None, sure: object) -> None:
    answer = KNOWN.find(heard)
    assert (answer and [*answer.entities], answer and answer.sure) == (found, sure)


def test_who_is_not_admitted_is_known_by_the_id_alone() -> None:
    known = SpokenNames((LAMP, OTHER), lambda entity: entity is OTHER)
    for heard, entity in (("light.lamp", LAMP), ("Lamp", OTHER)):
        answer = known.find(heard)
        assert answer is not None
        assert answer.entities == (entity,)
    assert known.find("Leselampe") is None


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4), st.text(), st.sampled_from("\"'`*"))
def test_every_name_is_found(names: list[str], other: str, quote: str) -> None:
    entity = SpokenEntity("light.one", tuple(names), None)
    known = SpokenNames((entity, SpokenEntity("light.two", (other,), None)), lambda _: True)
    for heard in (*names, *names[:1], f"{quote}light.one{quote}"):
        answer = known.find(heard)
        assert answer is not None
        assert entity in answer.entities


@given(st.text())
def test_nothing_else_is_ever_told(heard: str) -> None:
    answer = KNOWN.find(heard)
    assert answer is None or {LAMP, OTHER, FLAME}.issuperset(answer.entities)
