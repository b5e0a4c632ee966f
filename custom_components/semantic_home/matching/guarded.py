"""What nobody wants opened, disarmed or sounded by a misunderstanding: it is never acted on by a guess."""

from collections.abc import Iterable
from functools import lru_cache

from .text import fold, tokens
from .vocabulary import Vocabulary

_DOMAINS = frozenset(["lock", "alarm_control_panel", "valve", "siren"])
_CLASSES = frozenset(["door", "garage", "garage_door", "gate"])
# Anything can be behind these: what they are called tells.
_MAY_OPEN = frozenset(["automation", "button", "cover", "input_boolean", "input_button", "scene", "script", "switch"])
_CONCEPTS = frozenset(["alarm", "back_door", "door", "front_door", "garage_door", "gate", "lock", "siren"])
_SHORTEST_PART = 3


def is_guarded(entity_id: str, device_class: str | None, called: Iterable[str]) -> bool:
    """Tell whether an entity is; `called`: its names, its aliases and its device's name."""
    domain = entity_id.partition(".")[0]
    if domain in _DOMAINS:
        return True
    if domain == "cover" and device_class is not None:
        return device_class in _CLASSES
    return domain in _MAY_OPEN and any(map(_names_a_guarded_thing, called))


@lru_cache(maxsize=4096)
def _names_a_guarded_thing(name: str) -> bool:
    folded = fold(name)
    if Vocabulary.load().find(folded) & _CONCEPTS:
        return True
    return any(_joins_one(word) for word in tokens(folded))


def _joins_one(word: str) -> bool:
    """Tell whether a word is made of two, of which one is guarded: a "Balkontür" stands in no list, its parts do."""
    find = Vocabulary.load().find
    for cut in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
        first, last = find(word[:cut]), find(word[cut:])
        if first and last and (first | last) & _CONCEPTS:
            return True
    return False
