"""Measures matching without encoding: made-up homes of a thousand and of ten thousand entities."""

from collections.abc import Sequence
import json
from pathlib import Path
import random
import time

import numpy as np

from custom_components.semantic_home import matching
from custom_components.semantic_home.matching import Candidate, Evidence, Grammar, Matcher, MatchRequest, Place

_DOMAINS = ("light", "light", "switch", "sensor", "sensor", "binary_sensor", "cover", "climate", "media_player", "fan")
QUERIES = (
    "turn on the kitchen lights",
    "switch off the lamp next to the couch",
    "what is the temperature in the bedroom",
    "pause the music",
    "öffne die Rollläden im Wohnzimmer",
    "is the garage door open",
    "set the volume to 50 percent in the living room",
    "turn off everything upstairs except the desk lamp please",
    "what is the capital of France",
)
_ROUNDS = 20


def measure(sizes: Sequence[int]) -> list[dict[str, float]]:
    """Match every query some times in a home of each size; times in milliseconds."""
    grammar = Grammar.load("en")
    return [_measure(size, grammar) for size in sizes]


def _measure(size: int, grammar: Grammar | None) -> dict[str, float]:
    candidates, places = made_up_home(size)
    started = time.perf_counter()
    matcher = Matcher(candidates, places, grammar)
    built = time.perf_counter() - started
    evidence = _evidence(candidates, places)
    took = []
    for _ in range(_ROUNDS):
        for query in QUERIES:
            started = time.perf_counter()
            matcher.match(MatchRequest(query), evidence)
            took.append(time.perf_counter() - started)
    # The first round loads what is loaded once.
    half, most = np.percentile(took[len(QUERIES) :], (50, 95)) * 1000
    return {"entities": size, "build_ms": built * 1000, "p50_ms": float(half), "p95_ms": float(most)}


def made_up_home(size: int) -> tuple[list[Candidate], list[Place]]:
    """Make up a home of so many entities, always the same."""
    rng = random.Random(1)  # noqa: S311 - to be repeated, not to be secret
    vocabulary = json.loads((Path(matching.__file__).parent / "vocabulary.json").read_text("utf-8"))
    rooms, things = (
        [words["en"][0] for words in vocabulary[group].values() if "en" in words] for group in ("places", "things")
    )
    places = [Place(f"area:{number}", "area", (f"{rng.choice(rooms)} {number}",)) for number in range(size // 40)]
    candidates = []
    for number in range(size):
        domain, place = rng.choice(_DOMAINS), rng.choice(places)
        name = f"{place.names[0]} {rng.choice(things)} {number % 7}"
        device_class = "temperature" if domain == "sensor" else None
        area = place.names[0]
        candidates.append(Candidate(f"{domain}.e{number}", (name,), domain, device_class, area, (place.id,)))
    return candidates, places


def _evidence(candidates: Sequence[Candidate], places: Sequence[Place]) -> Evidence:
    rng = random.Random(2)  # noqa: S311 - the same
    deviations = {one.entity_id: rng.gauss(0, 1) for one in candidates}
    return Evidence(deviations, deviations, {place.id: rng.gauss(0, 1) for place in places})
