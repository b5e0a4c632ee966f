"""Cases made up for the fit: what nobody labels because it is plain, but the matcher has to learn.

Sentences about no device; sentences that name none ("next track"), which mean the only thing of their kind, or one of
several, or nothing that is there; and sentences in other languages than the home's, which Home Assistant's own do not
understand there, about all of a kind in a room.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import json
from pathlib import Path
import random
import re
from typing import Any

from custom_components.semantic_home.matching.text import fold

from .templates import END, NAME, NO_DEVICE, VALUE, Names, Sentence, chatter, released, sentences

_SETTINGS = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
_VOCABULARY = Path(__file__).resolve().parents[2] / "custom_components/semantic_home/matching/vocabulary.json"
# Of more than so many, nobody asks which one.
_MOST_ASKED = 5
# So many say a room's name in the language of the sentence; so many rooms with but one of a kind are asked about.
_TRANSLATED, _ONLY_ONE = 0.5, 0.15


def made(homes: Path) -> list[dict[str, Any]]:
    """Make cases for the homes, each in its own language; always the same ones."""
    rng = random.Random(_SETTINGS["seed"])  # noqa: S311 - to be repeated, not to be secret
    by_language: dict[str, list[Mapping[str, Any]]] = {}
    for path in sorted(homes.glob("*.json")):
        home = json.loads(path.read_text("utf-8"))
        by_language.setdefault(home["language"], []).append(home)
    names = Names(json.loads(_VOCABULARY.read_text("utf-8")))
    of_all = list(sentences([released()], names, 3, _SETTINGS["seed"]))
    written = [one for one in of_all if one.language in by_language]
    cases = [
        *_some(_about_nothing(written, by_language, rng), _SETTINGS["made"]["nothing"], rng),
        *_some(_about_nothing(chatter(for_weights=True), by_language, rng), _SETTINGS["made"]["chatter"], rng),
        *_some(_without_name(written, by_language, rng), _SETTINGS["made"]["without_name"], rng),
        *_some(_in_a_room(of_all, by_language, names, rng), _SETTINGS["made"]["in_a_room"], rng),
    ]
    return [case | {"id": f"made-{number}", "file": "made"} for number, case in enumerate(cases)]


def said_elsewhere(cases: Sequence[Mapping[str, Any]], homes: Path) -> list[dict[str, Any]]:
    """Repeat cases that name a thing or a place in full, as said in some other room: what is said counts, not where."""
    rng = random.Random(_SETTINGS["seed"])  # noqa: S311 - to be repeated, not to be secret
    known: dict[str, Mapping[str, Any]] = {}
    repeated = []
    for case in cases:
        name = case["home"]
        known.setdefault(name, json.loads((homes / f"{name}.json").read_text("utf-8")))
        home, said = known[name], fold(case["query"])
        areas = [area["id"] for area in home["areas"]]
        if not case.get("context_area") and case["expected"] and areas and _named_in_full(home, case, said):
            repeated.append(dict(case) | {"context_area": rng.choice(areas), "file": "made"})
    some = rng.sample(repeated, min(_SETTINGS["made"]["said_elsewhere"], len(repeated)))
    return [case | {"id": f"elsewhere-{number}"} for number, case in enumerate(some)]


def _named_in_full(home: Mapping[str, Any], case: Mapping[str, Any], said: str) -> bool:
    """Tell whether the only thing that is meant is named, or a place of several."""
    if case["task"] == "name":
        meant = [entity for entity in home["entities"] if entity["entity_id"] in case["expected"]]
        return any(fold(name) in said for entity in meant for name in (entity["name"], *entity["aliases"]))
    places = [*home["areas"], *home["floors"]]
    return case["task"] == "scope" and any(fold(place["name"]) in said for place in places)


def _about_nothing(
    written: Sequence[Sentence], homes: Mapping[str, Sequence[Mapping[str, Any]]], rng: random.Random
) -> Iterator[dict[str, Any]]:
    for one in written:
        if one.language in homes and one.intent in NO_DEVICE:
            home = rng.choice(homes[one.language])
            yield {"home": home["home"], "query": one.text, "task": "none", "expected": []}


def _without_name(
    written: Sequence[Sentence], homes: Mapping[str, Sequence[Mapping[str, Any]]], rng: random.Random
) -> Iterator[dict[str, Any]]:
    for one in written:
        if one.form == "context" and set(one.kinds) <= set(_SETTINGS["implicit"]):
            home = rng.choice(homes[one.language])
            there = [entity["entity_id"] for entity in home["entities"] if entity["domain"] in one.kinds]
            if len(there) <= _MOST_ASKED:
                task = "ambig" if len(there) > 1 else "name" if there else "absent"
                yield {"home": home["home"], "query": one.text, "task": task, "expected": there}


def _in_a_room(
    written: Sequence[Sentence], homes: Mapping[str, Sequence[Mapping[str, Any]]], names: Names, rng: random.Random
) -> Iterator[dict[str, Any]]:
    known = [home for some in homes.values() for home in some if home["areas"]]
    for one in written:
        home = rng.choice(known)
        area = rng.choice(home["areas"])
        there = [
            entity["entity_id"]
            for entity in home["entities"]
            if entity["area"] == area["id"] and not set(one.kinds).isdisjoint(_kinds(entity))
        ]
        enough = len(there) > 1 or (there and rng.random() < _ONLY_ONE)
        if one.form == "area" and one.language != home["language"] and enough:
            called = names.translated(area["name"], one.language, rng) if rng.random() < _TRANSLATED else area["name"]
            query = re.sub(f"{NAME}.*?{END}", f"{NAME}{called}{END}", one.marked)
            said = query.translate(dict.fromkeys(map(ord, NAME + VALUE + END)))
            yield {"home": home["home"], "query": said, "task": "scope", "expected": there}


def _kinds(entity: Mapping[str, Any]) -> tuple[str, str]:
    return entity["domain"], f"{entity['domain']}.{entity['device_class']}"


def _some(cases: Iterator[dict[str, Any]], count: int, rng: random.Random) -> list[dict[str, Any]]:
    unique = list({(case["home"], case["query"]): case for case in cases}.values())
    return rng.sample(unique, min(count, len(unique)))
