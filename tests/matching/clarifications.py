"""The homes of clarifications.yaml, and a conversation about one of them without Home Assistant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import yaml

from custom_components.semantic_home.engine import OpenVINOEncoder, Role
from custom_components.semantic_home.matching import (
    Background,
    Candidate,
    Evidence,
    Matched,
    Matcher,
    MatchRequest,
    MatchResult,
    Outcome,
    Place,
    Question,
    Thing,
    begin,
    compared,
    replies,
    reply,
    weigh,
)

SUITE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("clarifications.yaml").read_text("utf-8"))
LIMIT = 50

type FindEvidence = Callable[[str], Evidence | None]


class SmallHome:
    """One home of the suite with its matcher."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        floors: dict[str, str] = raw.get("floors", {})
        areas: dict[str, dict[str, str]] = {
            area: {"name": value} if isinstance(value, str) else value for area, value in raw.get("areas", {}).items()
        }
        self.places = [
            *(Place(f"area:{area}", "area", (value["name"],)) for area, value in areas.items()),
            *(Place(f"floor:{floor}", "floor", (name,)) for floor, name in floors.items()),
        ]
        self.candidates: list[Candidate] = []
        self.things: dict[str, Thing] = {}
        for entity_id, value in raw["entities"].items():
            area = areas.get(value.get("area"), {})
            self.add(entity_id, value, area.get("name"), area.get("floor"), floors)

    def add(
        self, entity_id: str, value: dict[str, Any], area: str | None, floor: str | None, floors: Mapping[str, str]
    ) -> None:
        domain = entity_id.partition(".")[0]
        where = (f"area:{value['area']}" if "area" in value else None, f"floor:{floor}" if floor else None)
        self.candidates.append(
            Candidate(
                entity_id,
                (value["name"], *value.get("aliases", ())),
                domain,
                value.get("class"),
                area,
                tuple(place for place in where if place),
                tuple(filter(None, [value.get("device")])),
            )
        )
        self.things[entity_id] = Thing(
            entity_id,
            value["name"],
            area,
            floors[floor] if floor else None,
            value.get("kind", domain),
            value.get("device"),
            value.get("class"),
        )

    @property
    def matcher(self) -> Matcher:
        return _matcher(tuple(self.candidates), tuple(self.places))


@cache
def _matcher(candidates: tuple[Candidate, ...], places: tuple[Place, ...]) -> Matcher:
    return Matcher(candidates, places)


class Conversation:
    """What is said and asked about one request, with the evidence of a model or with names only."""

    def __init__(self, home: SmallHome, language: str, evidence: FindEvidence = lambda _: None) -> None:
        self.home = home
        self.language = language
        self._evidence = evidence

    def say(self, query: str) -> Outcome:
        return begin(query, self.language, self._match(MatchRequest(query, limit=LIMIT)), self.home.things)

    def answer(self, question: Question, answer: str) -> Outcome:
        if (understood := reply(question, answer)) is not None:
            return understood
        asked = replies(question, answer, LIMIT, None)
        matched = Matched(
            within=self._match(replace(asked.within, allowed=question.entity_ids)),
            anew=self._match(asked.anew),
            joined=self._match(asked.joined),
        )
        return weigh(question, answer, matched, self.home.things)

    def _match(self, request: MatchRequest) -> MatchResult:
        return self.home.matcher.match(request, self._evidence(request.query))


class ModelEvidence:
    """What a real model finds of a query in a small home, with names and sentences as the index holds them."""

    def __init__(self, home: SmallHome, encoder: OpenVINOEncoder) -> None:
        self._encoder = encoder
        things = home.things.values()
        self._names = {thing.entity_id: thing.name for thing in things}
        around = ((thing, (thing.name, thing.kind, thing.area, thing.floor)) for thing in things)
        self._sentences = {thing.entity_id: ", ".join(filter(None, parts)) for thing, parts in around}
        self._places = {place.id: place.names[0] for place in home.places}

    def __call__(self, query: str) -> Evidence:
        return Evidence(*(self._of(query, texts) for texts in (self._names, self._sentences, self._places)))

    def _of(self, query: str, texts: dict[str, str]) -> dict[str, float]:
        vectors = self._encoder.encode(list(texts.values()), Role.PASSAGE).dense
        background = Background(list(texts), self._cosines(vectors, Background.sentences()))
        found = compared(background.corrected(list(texts), self._cosines(vectors, [query])[:, 0]))
        return dict(zip(texts, found.tolist(), strict=True))

    def _cosines(self, vectors: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float32]:
        return vectors @ self._encoder.encode(texts, Role.QUERY).dense.T
