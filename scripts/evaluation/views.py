"""Which texts of an entity a model should be given: for each choice, homes are asked sentences by the model alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.describe import EntityFacts, entity_document
from custom_components.semantic_home.engine import Role
from custom_components.semantic_home.index import VectorIndex
from custom_components.semantic_home.matching import Background, compared

from .encoders import CachedEncoder, Told
from .homes import entities

type Floats = NDArray[np.float64]
type Channel = tuple[str, ...]
"""Views whose texts stand for one another: the best of them counts."""
type _Device = Mapping[str, Any]

_NAMES, _AREA, _SENTENCE, _MODEL = "names", "name, area", "sentence", "sentence, model"


@dataclass(frozen=True)
class Choice:
    """Which views are embedded: what their channels find, as deviations, is added."""

    title: str
    channels: tuple[Channel, ...]


IN_USE = Choice("names + sentence", ((_NAMES,), (_SENTENCE,)))
CHOICES = (
    IN_USE,
    Choice("name", (("name",),)),
    Choice("names", ((_NAMES,),)),
    Choice("name, area", ((_AREA,),)),
    Choice("name, domain, area", (("name, domain, area",),)),
    Choice("sentence", ((_SENTENCE,),)),
    Choice("sentence, model", ((_MODEL,),)),
    Choice("best of names, sentence", ((_NAMES, _SENTENCE),)),
    Choice('best of names, sentence, "name, area"', ((_NAMES, _SENTENCE, _AREA),)),
    Choice('names + "name, area"', ((_NAMES,), (_AREA,))),
    Choice('names + sentence + "name, area"', ((_NAMES,), (_SENTENCE,), (_AREA,))),
    Choice("names + sentence, model", ((_NAMES,), (_MODEL,))),
)
METRICS = ("R@1", "MRR")
SCOPES = "scopes"


@dataclass(frozen=True)
class Asked:
    """What a case is counted under; the thing that it is about, of which there are other cases; and METRICS of it."""

    group: str
    thing: tuple[str, ...]
    measures: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Cost:
    """What entities cost by a choice: the different texts of a home, how long they are, and what their vectors take."""

    entities: int = 0
    texts: int = 0
    letters: int = 0
    vectors: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Add another home's."""
        return Cost(*(mine + others for mine, others in zip(astuple(self), astuple(other), strict=True)))


class ViewedHome:
    """A home file with every view of its entities embedded."""

    def __init__(self, home: Mapping[str, Any], encoder: CachedEncoder) -> None:
        """Embed the home; what was embedded before is remembered."""
        self._name = home["home"]
        self._encoder = encoder
        self._texts = texts(home)
        self._ids = [entity["entity_id"] for entity in home["entities"]]
        wanted = list(dict.fromkeys(text for view in self._texts.values() for some in view for text in some))
        vectors = dict(zip(wanted, encoder.encode(wanted, Role.PASSAGE).dense, strict=True))
        background = encoder.encode(Background.sentences(), Role.QUERY).dense
        self._index = VectorIndex(background.shape[1])
        self._usual: dict[Channel, Background] = {}
        for channel in dict.fromkeys(channel for choice in CHOICES for channel in choice.channels):
            for one, some in zip(self._ids, self._of(channel), strict=True):
                self._index.put(_kind(channel), one, np.array([vectors[text] for text in some]))
            rows = self._index.best_cosines(_kind(channel), background)
            self._usual[channel] = Background(rows, np.array(list(rows.values())))

    def find(self, query: str) -> dict[Channel, Floats]:
        """Hold a query against the entities: by channel, their deviations in the order of the home file."""
        vector = self._encoder.encode([query], Role.QUERY).dense[0]
        found = {}
        for channel, usual in self._usual.items():
            ids, cosines = self._index.scores(vector, _kind(channel))
            found[channel] = compared(usual.corrected(ids, cosines))
        return found

    def ask(self, case: Mapping[str, Any]) -> Asked:
        """Rank the home for a case that counts, by every choice."""
        found = self.find(case["query"])
        right = np.isin(self._ids, case["expected"])
        judged = {
            choice.title: measures(np.sum([found[channel] for channel in choice.channels], axis=0), right)
            for choice in CHOICES
        }
        return Asked(counted_under(case) or "", (self._name, *case["expected"]), judged)

    def cost(self, choice: Choice) -> Cost:
        """Count what has to be embedded and kept by a choice."""
        found = {text for channel in choice.channels for some in self._of(channel) for text in some}
        vectors = len(found) * self._index.dimension * np.dtype(np.float32).itemsize
        return Cost(len(self._ids), len(found), sum(map(len, found)), vectors)

    def _of(self, channel: Channel) -> list[tuple[str, ...]]:
        parts = zip(*(self._texts[view] for view in channel), strict=True)
        return [tuple(dict.fromkeys(text for some in part for text in some)) for part in parts]


def texts(home: Mapping[str, Any]) -> dict[str, list[tuple[str, ...]]]:
    """Give the texts of each view of each entity of a home file."""
    devices = {device["id"]: device for device in home.get("devices", [])}
    known = [
        (facts, devices.get(entity.get("device"), {}))
        for facts, entity in zip(entities(home), home["entities"], strict=True)
    ]
    return {view: [make(facts, device) for facts, device in known] for view, make in _VIEWS.items()}


def measures(values: Floats, right: NDArray[np.bool_]) -> tuple[float, float]:
    """Judge one ranking, in the order of METRICS, as what can be expected when ties fall by chance.

    The first is the share of what is right among so many first ones; the second is of the best of them.
    """
    count = int(right.sum())
    last = np.sort(values)[-count]
    above, at = values > last, values == last
    hits = (right & above).sum() + (right & at).sum() * (count - above.sum()) / at.sum()
    best = values[right].max()
    before, equal = int((values > best).sum()), int((values == best).sum())
    return float(hits / count), float(np.mean(1 / np.arange(before + 1, before + equal + 1)))


def counted_under(case: Mapping[str, Any]) -> str | None:
    """Tell where a case counts: named things by their set, rooms and the like together; None where no thing is sure."""
    named = {"name": case["file"], "scope": SCOPES}
    return named.get(case["task"]) if case["expected"] else None


def ask_all(
    cases: Sequence[Mapping[str, Any]], homes: Path, encoder: CachedEncoder, told: Told
) -> tuple[list[Asked], dict[str, Cost]]:
    """Ask cases that count of their homes; gives what came of them, and what each choice costs by its title."""
    encoder.encode(list(dict.fromkeys(case["query"] for case in cases)), Role.QUERY, told)
    asked: dict[int, Asked] = {}
    costs = {choice.title: Cost() for choice in CHOICES}
    names = sorted({case["home"] for case in cases})
    for number, name in enumerate(names, 1):
        home = ViewedHome(json.loads((homes / f"{name}.json").read_text("utf-8")), encoder)
        asked |= {place: home.ask(case) for place, case in enumerate(cases) if case["home"] == name}
        costs |= {choice.title: costs[choice.title] + home.cost(choice) for choice in CHOICES}
        told(number, len(names))
    return [asked[place] for place in range(len(cases))], costs


def _kind(channel: Channel) -> str:
    return " or ".join(channel)


def _sentence(facts: EntityFacts, **other: Any) -> tuple[str, ...]:
    """Give the sentence that describe.py makes of an entity, or would if other things were known of it."""
    return entity_document(replace(facts, **other), "").views[-1:]


_NOTHING: dict[str, Any] = {"kind_words": (), "floor": None, "device": None, "labels": {}}
_VIEWS: Mapping[str, Callable[[EntityFacts, _Device], tuple[str, ...]]] = {
    "name": lambda facts, _: facts.names[:1],
    _NAMES: lambda facts, _: facts.names,
    _AREA: lambda facts, _: _sentence(facts, **_NOTHING),
    "name, domain, area": lambda facts, _: _sentence(facts, **_NOTHING | {"kind_words": facts.kind_words[-1:]}),
    _SENTENCE: lambda facts, _: _sentence(facts),
    # Labels come last, as the model would.
    _MODEL: lambda facts, device: _sentence(facts, labels=_made_as(device)),
}


def _made_as(device: _Device) -> dict[str, str]:
    return {what: device[what] for what in ("manufacturer", "model") if device.get(what)}
