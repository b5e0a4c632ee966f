"""Requests that say what is not to be done."""

import pytest

from custom_components.semantic_home.matching import negates


@pytest.mark.parametrize(
    ("query", "language", "names", "expected"),
    [
        ("don't turn off the TV", "en", (), True),
        ("Don\u2019t turn off the TV", "en-GB", (), True),
        ("do not turn off the TV", "en", (), True),
        ("turn off the TV", "en", (), False),
        ("turn on all lights but not the desk lamp", "en", (), False),
        ("don't turn on all lights but not the desk lamp", "en", (), True),
        ("turn on the do not disturb sign", "en", ("Do not disturb sign",), False),
        ("don't turn on the do not disturb sign", "en", ("Do not disturb sign",), True),
        ("turn off the knot light", "en", (), False),
        ("schalte den Fernseher nicht aus", "de-AT", (), True),
        ("mach keine Lampe an", "de", (), True),
        ("n'éteins pas la télé", "fr", (), True),
        ("no apagues la tele", "es", (), True),
        ("nezhasínej lampu", "cs", (), True),
        ("älä sammuta televisiota", "fi", (), True),
        ("Televizyonu kapatma", "tr", (), True),
        ("klimayı aç", "tr", (), False),
        ("टीवी बंद मत करो", "hi", (), True),
        ("テレビを消さないで", "ja", (), True),
        ("电视不要关", "zh-CN", (), True),
        ("텔레비전 끄지 마", "ko", (), True),
        ("đừng tắt tivi", "vi", (), True),
        ("dừng máy hút bụi", "vi", (), False),
        ("tlvision yIchu'Qo'", "tlh", (), False),
    ],
)
def test_negates(query: str, language: str, names: tuple[str, ...], *, expected: bool) -> None:
    assert negates(query, language, names) is expected
