"""What is to be done with what a request means: one of Home Assistant's intents, with its values.

Read from Home Assistant's own sentences (hassil over home-assistant-intents), in which anything may stand for a name:
which thing is meant is found out elsewhere, by meaning. What no sentence fits the request model guesses, by letters.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
import re
from typing import Any

from .grammar import NO_DEVICE, Grammar
from .request_model import Reading, RequestModel
from .text import fold, tokens

ASKS = frozenset({"HassGetState", "HassClimateGetTemperature"})
"""Intents that change nothing."""

# Below this the request model contradicts a sentence that fits; from the other on it is believed without any.
_CONTRADICTED, _BELIEVED = 0.02, 0.9
# Of less than this for all that can be done with a thing nothing follows.
_WEIGHED_FROM = 0.3
# What stands for something of the home, and may be anything here.
_NAMES = ("name", "area", "floor")
# What says which things are meant, not what is to be done with them.
_NO_VALUES = frozenset({*_NAMES, "domain", "device_class", "preferred_area_id", "preferred_floor_id"})
# The value without which an intent says nothing, where a number is one.
_VALUE = {
    "HassClimateSetTemperature": "temperature",
    "HassFanSetSpeed": "percentage",
    "HassLightSet": "brightness",
    "HassSetPosition": "position",
    "HassSetVolume": "volume_level",
}
# Their value is more than a number.
_UNREADABLE = frozenset({"HassClimateSetFanMode", "HassMediaSearchAndPlay", "HassSetVolumeRelative"})
# What is about no thing, or about what is written on a list.
_NOT_DONE_TO_THINGS = (*NO_DEVICE, "HassList", "HassGetWeather")
# Forms of a word have at least so many letters in common, and differ in so many at its end.
_STEM, _ENDING = 4, 2
_NUMBER = re.compile(r"\d+")
_SWITCHED = ("HassTurnOn", "HassTurnOff")
# Of these people say what sentences say of switches alone. For a lock or a cover "on" means something else.
_LIKE_A_SWITCH = "switch"
_SWITCHABLE = frozenset(
    {"automation", "climate", "fan", "group", "humidifier", "input_boolean", "lawn_mower", "light", "media_player"}
    | {"remote", "switch", "vacuum", "water_heater"}
)
_SWITCHED_AS = {
    ("lawn_mower", "HassTurnOff"): "HassLawnMowerDock",
    ("lawn_mower", "HassTurnOn"): "HassLawnMowerStartMowing",
    ("vacuum", "HassTurnOff"): "HassVacuumReturnToBase",
    ("vacuum", "HassTurnOn"): "HassVacuumStart",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """An intent and its values. `said`: the values in the request's own words. `response`: which answer suits it.

    `certain`: said in the words of Home Assistant's own sentences, not guessed.
    """

    intent: str
    values: Mapping[str, Any] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    response: str | None = None
    certain: bool = True

    @property
    def asks(self) -> bool:
        """Tell whether it changes nothing."""
        return self.intent in ASKS


def read_wish(query: str, language: str, domains: Collection[str], names: Collection[str] = ()) -> Wish | None:
    """Say what a request wants done with things of these domains; None when that is not clear. Blocking.

    `names`: what the things are called, numbers in which are no values.
    """
    grammar = Grammar.load(language)
    reading = RequestModel.load().read(fold(query))
    numbers = set(_NUMBER.findall(fold(query))) - {found for name in names for found in _NUMBER.findall(fold(name))}
    found = None if grammar is None else _spoken(query, grammar, reading, domains, numbers)
    return found or _guessed(grammar, reading, domains, sorted(numbers))


def toggles(query: str, words: Collection[str]) -> bool:
    """Tell whether a request has all words with which an action to toggle something is named, or forms of them."""
    said = tokens(fold(query))
    stems = [fold(word)[: max(_STEM, len(fold(word)) - _ENDING)] for word in words]
    return bool(stems) and all(any(word.startswith(stem) for word in said) for stem in stems)


def _spoken(
    query: str, grammar: Grammar, reading: Reading, domains: Collection[str], numbers: Collection[str]
) -> Wish | None:
    """Find the sentence that fits best: the one that leaves the least to names."""
    best: tuple[tuple[bool, int, int], Wish] | None = None
    for domain, stands_for in _spoken_of(grammar, domains):
        for result in _fitting(query, grammar, domain):
            held = [entity.text or "" for entity in result.entities_list if entity.is_wildcard]
            if reading.actions.get(result.intent.name, 0.0) < _CONTRADICTED:
                continue
            if any(number in _NUMBER.findall(fold(text)) for text in held for number in numbers):
                # A value was taken for a part of a name.
                continue
            rank = (domain != stands_for, sum(map(len, held)), -int(result.text_chunks_matched))
            if best is None or rank < best[0]:
                best = rank, _wish_of(result, stands_for)
    return None if best is None else best[1]


def _fitting(query: str, grammar: Grammar, domain: str) -> Iterator[Any]:
    """Give all ways in which a query is a sentence about things of a domain."""
    from hassil import recognize_all  # noqa: PLC0415
    from hassil.intents import WildcardSlotList  # noqa: PLC0415

    intents = grammar.intents
    tried = {
        name: replace(intent, data=[block for block in intent.data if domain in grammar.domains_of(name, block)])
        for name, intent in intents.intents.items()
        if not any(part in name for part in _NOT_DONE_TO_THINGS)
    }
    results = recognize_all(
        query,
        replace(intents, intents={name: intent for name, intent in tried.items() if intent.data}),
        slot_lists={name: WildcardSlotList(name) for name in _NAMES},
        # Of a thing of the domain, and heard by a satellite in some area.
        intent_context={"domain": domain, "area": ""},
        language=intents.language,
    )
    # A sentence that may be a name and nothing else says nothing of what is to be done.
    rules = intents.expansion_rules
    return (one for one in results if one.intent_sentence and one.intent_sentence.get_required_clauses(rules))


def _spoken_of(grammar: Grammar, domains: Collection[str]) -> list[tuple[str, str]]:
    """Give the domains that sentences are about, each with what it stands for: people switch what sentences do not."""
    spoken = {(domain, domain) for domain in domains if domain in grammar.domains}
    return sorted(spoken | {(_LIKE_A_SWITCH, domain) for domain in domains if domain in _SWITCHABLE})


def _wish_of(result: Any, domain: str) -> Wish:
    values = {slot: entity for slot, entity in result.entities.items() if slot not in _NO_VALUES}
    return Wish(
        intent=_SWITCHED_AS.get((domain, result.intent.name), result.intent.name),
        values={slot: entity.value for slot, entity in values.items()},
        said={slot: (entity.text or str(entity.value)).strip() for slot, entity in result.entities.items()},
        response=result.response,
    )


def _guessed(grammar: Grammar | None, reading: Reading, domains: Collection[str], numbers: list[str]) -> Wish | None:
    possible = {
        intent: share for intent, share in reading.actions.items() if intent and _acts_on(grammar, intent, domains)
    }
    intent = max(possible, key=lambda one: possible[one], default="")
    # What else is asked for as often cannot be asked of such a thing: nobody dims a television.
    together = max(sum(possible.values()), _WEIGHED_FROM)
    if possible.get(intent, 0.0) < _BELIEVED * together or intent in _UNREADABLE:
        return None
    values: dict[str, Any] = {}
    if (slot := _VALUE.get(intent)) is not None:
        if len(numbers) != 1:
            return None
        values = {slot: int(numbers[0])}
    said = {slot: str(value) for slot, value in values.items()}
    response = slot if intent == "HassLightSet" else _response(grammar, intent, domains)
    return Wish(intent, values, said, response, certain=False)


def _acts_on(grammar: Grammar | None, intent: str, domains: Collection[str]) -> bool:
    if grammar is None or intent not in grammar.intents.intents:
        return intent in {*_SWITCHED, *ASKS}
    about = {domain for block in grammar.intents.intents[intent].data for domain in grammar.domains_of(intent, block)}
    return not about.isdisjoint(spoken for spoken, _ in _spoken_of(grammar, domains))


def _response(grammar: Grammar | None, intent: str, domains: Collection[str]) -> str | None:
    """Choose the answer of the sentences that name one thing of such a domain."""
    if grammar is None or intent not in grammar.intents.intents:
        return None
    about = {spoken for spoken, _ in _spoken_of(grammar, domains)}
    said = [
        block.response
        for block in grammar.intents.intents[intent].data
        if block.requires_context and about & set(grammar.domains_of(intent, block)) and block.response
    ]
    return next(iter(said), None)
