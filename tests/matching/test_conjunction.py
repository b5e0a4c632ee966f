"""Sentences parted where two requests may be joined."""

import pytest

from custom_components.semantic_home.matching import halves


@pytest.mark.parametrize(
    ("query", "language", "expected"),
    [
        ("turn on the lamp and close the blinds", "en", [("turn on the lamp", "close the blinds")]),
        ("turn on the lamp, and then close the blinds", "en-GB", [("turn on the lamp", "close the blinds")]),
        ("Licht an und Sandra rufen", "de", [("Licht an", "Sandra rufen")]),
        ("打开灯然后关上窗帘", "zh-CN", [("打开灯", "关上窗帘")]),
        (
            "turn on lamp and radio and fan",
            "en",
            [("turn on lamp", "radio and fan"), ("turn on lamp and radio", "fan")],
        ),
        ("sandbox and", "en", []),
        ("the sand", "en", []),
        ("turn on and off", "tlh", []),
        ("", "en", []),
    ],
)
def test_halves(query: str, language: str, expected: list[tuple[str, str]]) -> None:
    assert list(halves(query, language)) == expected
