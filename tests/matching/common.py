"""The home of cases.json, and what the real model thinks of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.engine import Role
from custom_components.semantic_home.matching import Background, Candidate, Evidence, MatchResult, Place, compared

CASES: dict[str, Any] = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))

type Vectors = NDArray[np.float32]
type Encode = Callable[[Sequence[str], Role], Vectors]
"""What a test needs of a model, ours or a server's: texts to (texts, dimension), L2-normalised."""


def home(*, without: Sequence[str] = ()) -> list[Candidate]:
    """Make the candidates of cases.json, but for some."""
    return [_candidate(entity_id, raw) for entity_id, raw in CASES["entities"].items() if entity_id not in without]


def places() -> list[Place]:
    """Make the places of cases.json."""
    floors = [Place(f"floor:{floor}", "floor", tuple(names)) for floor, names in CASES["floors"].items()]
    return [*(Place(f"area:{area}", "area", tuple(raw["names"])) for area, raw in CASES["areas"].items()), *floors]


def target_ids(result: MatchResult) -> list[str]:
    """Give what an answer is about."""
    return [scored.candidate.entity_id for scored in result.targets]


def _candidate(entity_id: str, raw: Mapping[str, Any]) -> Candidate:
    area_id: str | None = raw["area"]
    area = CASES["areas"][area_id] if area_id else None
    return Candidate(
        entity_id,
        tuple(raw["names"]),
        entity_id.partition(".")[0],
        raw.get("class"),
        area["names"][0] if area else None,
        (f"area:{area_id}", f"floor:{area['floor']}") if area else (),
    )


@dataclass(frozen=True)
class Model:
    """A real model's evidence, from the views that the index would hold of each candidate and place."""

    encode: Encode
    candidates: Sequence[Candidate]
    places: Sequence[Place] = ()

    def evidence(self, query: str) -> Evidence:
        vector = self.encode([query], Role.QUERY)
        return Evidence(*(channel.find(vector) for channel in self._channels))

    @cached_property
    def _channels(self) -> tuple[_Channel, _Channel, _Channel]:
        ids = [one.entity_id for one in self.candidates]
        return (
            _Channel(self.encode, ids, [one.names for one in self.candidates]),
            _Channel(self.encode, ids, [(_sentence(one),) for one in self.candidates]),
            _Channel(self.encode, [place.id for place in self.places], [place.names for place in self.places]),
        )


class _Channel:
    def __init__(self, encode: Encode, ids: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
        self._ids = ids
        self._views = [encode(list(some), Role.PASSAGE) for some in texts]
        if ids:
            self._background = Background(ids, self._nearest(encode(Background.sentences(), Role.QUERY)))

    def find(self, vector: Vectors) -> dict[str, float]:
        if not self._ids:
            return {}
        found = compared(self._background.corrected(self._ids, self._nearest(vector)[:, 0]))
        return dict(zip(self._ids, found.tolist(), strict=True))

    def _nearest(self, queries: Vectors) -> Vectors:
        return np.array([(views @ queries.T).max(axis=0) for views in self._views])


def _sentence(candidate: Candidate) -> str:
    """Say what entity_document says of it, in English."""
    kind = (candidate.device_class or candidate.domain).replace("_", " ").capitalize()
    raw = CASES["entities"].get(candidate.entity_id, {})
    area = CASES["areas"].get(raw.get("area"), {})
    floor = CASES["floors"][area["floor"]][0] if area else None
    name = candidate.names[0]
    context = (word for word in (kind, candidate.area, floor) if word)
    return ", ".join([name, *(word for word in context if word.casefold() not in name.casefold())])
