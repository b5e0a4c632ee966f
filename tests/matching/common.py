"""The home of cases.json, and what the real model thinks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.engine import OpenVINOEncoder, Role
from custom_components.semantic_home.matching import Background, Candidate

CASES: dict[str, Any] = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))


def home() -> list[Candidate]:
    """Make the candidates of cases.json."""
    return [_candidate(entity_id, raw) for entity_id, raw in CASES["entities"].items()]


def _candidate(entity_id: str, raw: Mapping[str, Any]) -> Candidate:
    area_id: str | None = raw["area"]
    places: dict[str, tuple[str, ...]] = {}
    area = CASES["areas"][area_id] if area_id else None
    if area:
        places = {
            f"area.{area_id}": tuple(area["names"]),
            f"floor.{area['floor']}": tuple(CASES["floors"][area["floor"]]),
        }
    return Candidate(
        entity_id,
        tuple(raw["names"]),
        area_id=area_id,
        area=area["names"][0] if area else None,
        places=places,
        kind_words=tuple(raw["kinds"]),
    )


@dataclass(frozen=True)
class Model:
    """The real model's evidence, from all views of each candidate as the index would hold them."""

    encoder: OpenVINOEncoder
    candidates: Sequence[Candidate]

    def evidence(self, query: str) -> dict[str, float]:
        cosines = self._nearest(self.encoder.encode([query], Role.QUERY).dense)[:, 0]
        ids = [candidate.entity_id for candidate in self.candidates]
        return self._background.evidence(dict(zip(ids, cosines.tolist(), strict=True)))

    @cached_property
    def _background(self) -> Background:
        sentences = self.encoder.encode(Background.sentences(), Role.QUERY).dense
        return Background([candidate.entity_id for candidate in self.candidates], self._nearest(sentences))

    @cached_property
    def _views(self) -> list[NDArray[np.float32]]:
        return [
            self.encoder.encode([*candidate.names, ", ".join(_sentence(candidate))], Role.PASSAGE).dense
            for candidate in self.candidates
        ]

    def _nearest(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array([(views @ queries.T).max(axis=0) for views in self._views])


def _sentence(candidate: Candidate) -> list[str]:
    name = candidate.names[0]
    context = [candidate.kind_words[0], *(names[0] for names in candidate.places.values())]
    return [name, *(word for word in context if word.casefold() not in name.casefold())]
