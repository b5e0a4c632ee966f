"""Runs cases: each home in an index of its own, each query through the call that the action makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
import json
from pathlib import Path
import time
from typing import Any, Self

from custom_components.semantic_home.describe import KIND_AREA, KIND_ENTITY, KIND_FLOOR, TEMPLATE_VERSION, place_id
from custom_components.semantic_home.engine import Encoded, Role
from custom_components.semantic_home.home_index import EntityFilter, HomeIndex
from custom_components.semantic_home.index import Stamp
from custom_components.semantic_home.matching import (
    Background,
    Caution,
    Evidence,
    Matcher,
    MatchRequest,
    MatchResult,
)

from .encoders import CachedEncoder, Told
from .homes import documents

# As many as the longest answer of the action.
_LIMIT = 50


@dataclass(frozen=True)
class Answer:
    """What came of a case, and how long matching took without encoding, in milliseconds."""

    case: Mapping[str, Any]
    result: MatchResult
    took_ms: float

    def prediction(self) -> dict[str, Any]:
        """Give the line that a scorer reads."""
        return {
            "id": self.case["id"],
            "ranked": [scored.candidate.entity_id for scored in self.result.ranking],
            "decision": str(self.result.decision),
            "targets": [scored.candidate.entity_id for scored in self.result.targets],
            "took_ms": round(self.took_ms, 3),
        }


class OpenHome:
    """A home file in an index, with a model or without."""

    def __init__(self, home: Mapping[str, Any], encoder: CachedEncoder | None, folder: Path) -> None:
        """Put the home into a new database in the folder, and embed it."""
        self._encoder = encoder
        self._index = HomeIndex.open(folder / f"{home['home']}.db")
        self._index.reconcile({KIND_ENTITY, KIND_AREA, KIND_FLOOR}, list(documents(home)))
        self._generation = self._embed(encoder) if encoder else None

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the database."""
        self._index.close()

    def match(self, case: Mapping[str, Any], *, caution: Caution, explain: bool = False) -> Answer:
        """Match a case as the action does."""
        query = self._query(case)
        started = time.perf_counter()
        request = replace(self._request(case, caution), explain=explain)
        result = self._index.match(request, EntityFilter(), query, self._generation)
        return Answer(case, result, (time.perf_counter() - started) * 1000)

    def prepare(self, case: Mapping[str, Any]) -> tuple[Matcher, MatchRequest, Evidence | None]:
        """Give what the matcher is asked, for the fit."""
        request = self._request(case, Caution.BALANCED)
        return self._index.prepare_match(request, EntityFilter(), self._query(case), self._generation)

    def _request(self, case: Mapping[str, Any], caution: Caution) -> MatchRequest:
        area = case.get("context_area")
        place = place_id(KIND_AREA, area) if area else None
        return MatchRequest(case["query"], limit=_LIMIT, context_place=place, caution=caution)

    def _query(self, case: Mapping[str, Any]) -> Encoded | None:
        return None if self._encoder is None else self._encoder.encode([case["query"]], Role.QUERY)

    def _embed(self, encoder: CachedEncoder) -> int:
        sentences = Background.sentences()
        background = encoder.encode(sentences, Role.QUERY)
        stamp = Stamp(encoder.name, "", "", "", "", "", TEMPLATE_VERSION, background.dense.shape[1])
        generation = self._index.prepare(stamp)
        self._index.use(generation, sentences, background)
        while texts := self._index.missing_texts(generation.id, 256):
            self._index.add_vectors(generation.id, texts, encoder.encode(texts, Role.PASSAGE))
        return generation.id


def read_cases(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Read cases from JSON lines; raises ValueError naming the line that is none."""
    cases = []
    for path in paths:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if line.strip():
                try:
                    cases.append(json.loads(line) | {"file": path.stem})
                except ValueError as err:
                    raise ValueError(f"{path}:{number}: {err}") from err
    return cases


def by_home(
    cases: Sequence[Mapping[str, Any]], homes: Path, encoder: CachedEncoder | None, folder: Path, told: Told
) -> Iterator[tuple[OpenHome, list[Mapping[str, Any]]]]:
    """Open the homes of the cases one by one; what the model has to encode is encoded first."""
    if encoder is not None:
        encoder.encode(list(dict.fromkeys(case["query"] for case in cases)), Role.QUERY, told)
    for name in sorted({case["home"] for case in cases}):
        home = json.loads((homes / f"{name}.json").read_text("utf-8"))
        with OpenHome(home, encoder, folder) as opened:
            yield opened, [case for case in cases if case["home"] == name]
