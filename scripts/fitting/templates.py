"""Sentences of many languages with what they ask for, made from the templates of home-assistant-intents.

Their slots for names are filled with what the vocabulary has, in the sentence's language or now and then in another,
with proper names, and with made-up words, so that a name can be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
import random
from typing import Any

from hassil import Intents
from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)
from hassil.intents import RangeSlotList, TextSlotList
import home_assistant_intents

from custom_components.semantic_home.matching.text import fold

# A slot's filler stands between these in `marked`: one for what names something, one for what is only a value.
NAME, VALUE, END = "\x01", "\x03", "\x02"
NO_DEVICE = {
    *("HassBroadcast", "HassCancelAllTimers", "HassCancelTimer", "HassDecreaseTimer", "HassGetCurrentDate"),
    *("HassGetCurrentTime", "HassIncreaseTimer", "HassNevermind", "HassPauseTimer", "HassRespond"),
    *("HassShoppingListAddItem", "HassShoppingListCompleteItem", "HassShoppingListRemoveItem"),
    *("HassStartTimer", "HassTimerStatus", "HassUnpauseTimer"),
}
# Stands for an intent where there is none.
CHATTER = ""
_DEEPEST = 40
_SETTINGS = json.loads(Path(__file__).with_name("names.json").read_text("utf-8"))
_FLOORS = _SETTINGS["floors"]
_SPEAKS_THING_FIRST = set(_SETTINGS["thing_before_place"])


@dataclass(frozen=True)
class Sentence:
    """A sentence: its language, the text with marked slots, the kinds, form and intent that it stands for."""

    language: str
    marked: str
    kinds: tuple[str, ...]
    form: str
    intent: str

    @property
    def text(self) -> str:
        """The sentence as it is said."""
        return self.marked.translate(dict.fromkeys(map(ord, NAME + VALUE + END)))


class Names:
    """Makes up what a household could call its things and rooms."""

    def __init__(self, vocabulary: Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]) -> None:
        """Take vocabulary.json."""
        self._words = dict(vocabulary["places"]) | dict(vocabulary["things"])
        self._concepts = sorted(self._words)
        self._rooms = [place for place in vocabulary["places"] if place not in {*_FLOORS, "home", "inside", "shower"}]

    def places(self, language: str) -> Iterator[tuple[str, str]]:
        """Give what places are called in a language, and in English, as many households call them: form, name."""
        for spoken in (language, language.partition("-")[0], "en"):
            for form, places in (("area", self._rooms), ("floor", _FLOORS)):
                yield from ((form, word) for place in places for word in self._words[place].get(spoken, ()))

    def translated(self, room: str, language: str, rng: random.Random) -> str:
        """Say what a home calls a room in a language, or as the home says it if there is no word for it."""
        called = [
            one
            for one in self._rooms
            if fold(room) in (fold(word) for said in self._words[one].values() for word in said)
        ]
        return self._word(language, called[0], rng) if called else room

    def room(self, language: str, rng: random.Random) -> str:
        """Name a room."""
        return self._word(language, rng.choice(self._rooms), rng)

    def floor(self, language: str, rng: random.Random) -> str:
        """Name a floor."""
        return self._word(language, rng.choice(_FLOORS), rng)

    def thing(self, kind: str, language: str, rng: random.Random) -> str:
        """Name a thing of a kind."""
        chance = rng.random()
        if chance < 0.12:  # noqa: PLR2004 - the shares were chosen by hand
            return rng.choice(_SETTINGS["proper"])
        if chance < 0.22:  # noqa: PLR2004
            return self._made_up(language, rng)
        spoken = "en" if chance < 0.29 else language  # noqa: PLR2004
        domain, _, device_class = kind.partition(".")
        concepts = _SETTINGS["classes"].get(device_class) if domain == "cover" else None
        concepts = concepts or _SETTINGS["domains"].get(domain)
        if not concepts:
            return rng.choice(_SETTINGS["proper"])
        thing = self._word(spoken, rng.choice(concepts), rng)
        return self._decorated(thing, domain, spoken, rng)

    def _decorated(self, thing: str, domain: str, language: str, rng: random.Random) -> str:
        chance = rng.random()
        if domain in {"light", "switch"} and chance < 0.15:  # noqa: PLR2004
            return f"{self._word(language, rng.choice(_SETTINGS['furniture']), rng)} {thing}"
        if chance < 0.42:  # noqa: PLR2004
            return thing
        if chance < 0.5:  # noqa: PLR2004
            return self.room(language, rng)
        if chance < 0.8:  # noqa: PLR2004
            room = self.room(language, rng)
            return f"{thing} {room}" if language in _SPEAKS_THING_FIRST else f"{room} {thing}"
        if chance < 0.9:  # noqa: PLR2004
            which = self._word(language, rng.choice(_SETTINGS["which"]), rng)
            return f"{thing} {rng.choice(['1', '2', 'A', which])}"
        return f"{rng.choice(_SETTINGS['proper'])} {thing}"

    def _word(self, language: str, concept: str, rng: random.Random) -> str:
        own = self._words[concept]
        words = own.get(language) or own.get(language.partition("-")[0]) or own.get("en") or [concept.replace("_", " ")]
        # The usual word more often than the others.
        return words[min(len(words) - 1, int(rng.random() ** 2 * len(words)))]

    def _made_up(self, language: str, rng: random.Random) -> str:
        first, second = (self._word(language, rng.choice(self._concepts), rng) for _ in range(2))
        return first[: max(1, len(first) * 2 // 3)] + second[len(second) // 3 :]


def chatter(*, for_weights: bool) -> list[Sentence]:
    """Give what people say that is about no device: a fifth for the weights, which the request model never saw."""
    said = json.loads(Path(__file__).with_name("chatter.json").read_text("utf-8"))["sentences"]
    return [
        Sentence(language, text, ("none",), "none", CHATTER)
        for language, texts in said.items()
        for number, text in enumerate(texts)
        if (number % 5 == 0) is for_weights
    ]


def released() -> Path:
    """Find the templates of the installed release."""
    return Path(home_assistant_intents.__file__).with_name("data")


def sentences(folders: Sequence[Path], names: Names, each: int, seed: int) -> Iterator[Sentence]:
    """Make sentences, at most `each` of a group of templates; always the same ones."""
    rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            raw = json.loads(path.read_text("utf-8"))
            compiled = Intents.from_dict(raw)
            for intent, groups in raw["intents"].items():
                for group, data in zip(groups["data"], compiled.intents[intent].data, strict=True):
                    writer = _Writer(path.stem, compiled, data, names, rng)
                    for _ in range(max(3, min(each, 4 * len(data.sentences)))):
                        if (made := writer.write(intent, group)) is not None:
                            yield made


class _Writer:
    """Writes sentences of one group of templates."""

    def __init__(self, language: str, intents: Intents, data: Any, names: Names, rng: random.Random) -> None:
        self._language, self._names, self._rng = language, names, rng
        self._sentences = list(data.sentences)
        self._rules = {**intents.expansion_rules, **data.expansion_rules}
        self._lists = {**intents.slot_lists, **data.slot_lists}
        self._slots: dict[str, str] = {}
        self._kind = ""

    def write(self, intent: str, group: Mapping[str, Any]) -> Sentence | None:
        """Write one; None when a template refers to what is not there."""
        kinds = _kinds(intent, group)
        self._kind, self._slots = self._rng.choice(kinds), {}
        try:
            marked = " ".join(self._expand(self._rng.choice(self._sentences).expression).split())
        except KeyError, IndexError, RecursionError:
            return None
        if not marked:
            return None
        form = self._form(intent, group)
        return Sentence(self._language, marked, self._meant(group, kinds), form, intent)

    def _meant(self, group: Mapping[str, Any], kinds: list[str]) -> tuple[str, ...]:
        """Say what is meant, now that the slots are filled."""
        if (device_class := self._slots.get("device_class")) and "[" not in device_class:
            return (f"{_as_list(group.get('slots', {}).get('domain') or 'cover')[0]}.{device_class}",)
        if domain := self._slots.get("domain"):
            return (domain,)
        return (self._kind,) if "name" in self._slots else tuple(sorted(set(kinds)))

    def _form(self, intent: str, group: Mapping[str, Any]) -> str:
        if intent in NO_DEVICE:
            return "none"
        for slot in ("name", "area", "floor"):
            if slot in self._slots:
                return slot
        return "context" if "area" in group.get("requires_context", {}) else "home"

    def _expand(self, part: Expression, depth: int = 0) -> str:
        if depth > _DEEPEST:
            raise RecursionError
        if isinstance(part, TextChunk):
            return part.original_text
        if isinstance(part, Alternative):
            return self._expand(self._rng.choice(part.items), depth + 1)
        if isinstance(part, Permutation):
            items = list(part.items)
            self._rng.shuffle(items)
            return " ".join(self._expand(item, depth + 1) for item in items)
        if isinstance(part, Group):
            return "".join(self._expand(item, depth + 1) for item in part.items)
        if isinstance(part, RuleReference):
            return self._expand(self._rules[part.rule_name].expression, depth + 1)
        if isinstance(part, ListReference):
            return self._fill(part, depth)
        raise TypeError(f"hassil has a new kind of expression: {part}")

    def _fill(self, slot: ListReference, depth: int) -> str:
        named = {
            "name": lambda: self._names.thing(self._kind, self._language, self._rng),
            "area": lambda: self._names.room(self._language, self._rng),
            "floor": lambda: self._names.floor(self._language, self._rng),
        }
        if slot.list_name in named:
            self._slots[slot.slot_name] = filler = named[slot.list_name]()
            return f"{NAME}{filler}{END}"
        values = self._lists.get(slot.list_name)
        if isinstance(values, TextSlotList):
            value = self._rng.choice(values.values)
            self._slots[slot.slot_name] = str(value.value_out)
            text = value.text_in
            return text if isinstance(text, str) else self._expand(text, depth + 1)
        if isinstance(values, RangeSlotList):
            number = str(self._rng.randrange(values.start, values.stop + 1, values.step or 1))
            self._slots[slot.slot_name] = number
            return number
        self._slots[slot.slot_name] = ""
        return f"{VALUE}{self._rng.choice(_SETTINGS['values'])}{END}"


def _kinds(intent: str, group: Mapping[str, Any]) -> list[str]:
    """Say which kinds of things a group of templates can be about."""
    if intent in NO_DEVICE:
        return ["none"]
    slots, context = group.get("slots", {}), group.get("requires_context", {})
    domains = slots.get("domain") or context.get("domain") or _SETTINGS["intents"].get(intent)
    domains = domains or _SETTINGS["switched" if intent in {"HassTurnOn", "HassTurnOff"} else "asked"]
    classes = slots.get("device_class") or context.get("device_class")
    return [
        f"{domain}.{device_class}" if device_class and domain in {"binary_sensor", "cover", "sensor"} else domain
        for domain in _as_list(domains)
        for device_class in _as_list(classes or "")
    ]


def _as_list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
