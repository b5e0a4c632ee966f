"""What a request asks for, before it is known which devices there are: in any language, from its letters alone.

Two small linear models, trained by scripts/fit_matcher.py on sentences made from the templates of
home-assistant-intents. Like fastText's classifier (Joulin et al., 2016, "Bag of Tricks for Efficient Text
Classification"), the first averages a vector for every hashed group of letters, and reads from the average what kind
of thing is meant, in which form it is named, and what is to be done. The second tells, word by word, what names
something from what would be said in any home.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
import zlib

import numpy as np
from numpy.typing import NDArray

from .place_names import PlaceNames
from .text import tokens

type Floats = NDArray[np.float64]

NOTHING = "none"
# A word of a place's name names something, whatever it looks like.
_OF_PLACE = 0.9
_HOW_WARM, _THERMOMETER, _AS_WELL = "HassClimateGetTemperature", "sensor.temperature", 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """What a request says, as probabilities.

    `kinds`: a domain, or a domain and a device class ("cover.blind"), or "none" for what no device is asked about.
    `forms`: how it is named: "name", "area", "floor", "home" (everywhere), "context" (where it is said), "none".
    `actions`: Home Assistant's intents. `domains`: what the action can act on, as the intents' templates have it.
    `by_domain`: the kinds of each domain together. `every`: that all of a kind are asked for, in so many words.
    `words`: the request's tokens; `content`: for each, that it names something.
    """

    kinds: dict[str, float]
    forms: dict[str, float]
    actions: dict[str, float]
    domains: dict[str, float]
    by_domain: dict[str, float]
    every: float
    words: tuple[str, ...]
    content: Floats

    def kind(self, kind: str) -> float:
        """Give the probability that a thing of this kind is meant: by its domain alone, or by its class as well."""
        domain, _, device_class = kind.partition(".")
        return self.kinds.get(domain, 0.0) + (self.kinds.get(kind, 0.0) if device_class else 0.0)


class RequestModel:
    """Reads requests. Immutable."""

    @staticmethod
    @cache
    def load() -> RequestModel:
        """Read the committed model, once. Blocking."""
        with np.load(Path(__file__).with_name("request_model.npz"), allow_pickle=False) as data:
            return RequestModel(dict(data))

    def __init__(self, data: dict[str, NDArray[np.generic]]) -> None:
        """Take the arrays that scripts/fit_matcher.py writes.

        `table` (buckets, dimension) int8 with `scale`, `output` (dimension, classes) and `bias` (classes,) float32,
        the names of the classes in `kinds`, `forms` and `actions`, in this order, and then whether all of a kind are
        asked for; `acts_on` (actions, domains) with `domains`; `word_weights` (buckets,) float32 and `word_bias`.
        """
        self._data = data
        self._table = data["table"]
        self._output = data["output"].astype(np.float32)
        self._bias = data["bias"].astype(np.float32)
        self._acts_on = data["acts_on"].astype(np.float64)
        self._kinds, self._forms, self._actions, self._domains = (
            [str(name) for name in data[field]] for field in ("kinds", "forms", "actions", "domains")
        )
        self._scale = float(data["scale"])
        self._word_weights = data["word_weights"].astype(np.float32)
        self._word_bias = float(data["word_bias"])

    def read(self, folded: str, places: PlaceNames | None = None) -> Reading:
        """Read a folded request in a home that has these places."""
        kinds, forms, actions, every = self._classes(folded)
        said, placed = tokens(folded), frozenset[str]()
        content = np.array([self._content(said, place) for place in range(len(said))])
        if places is not None and (placed := places.words(folded)):
            # A name tells something of the kind, too ("garage"), and without it the sentence is like others.
            hidden = self._classes(places.hide(folded))
            plain = (kinds, forms, actions, every)
            kinds, forms, actions, every = ((one + other) / 2 for one, other in zip(plain, hidden, strict=True))
            content = np.maximum(content, [_OF_PLACE if word in placed else 0.0 for word in said])
        by_kind = dict(zip(self._kinds, kinds.tolist(), strict=True))
        doing = dict(zip(self._actions, actions.tolist(), strict=True))
        acted_on = dict(zip(self._domains, (actions @ self._acts_on).tolist(), strict=True))
        # Home Assistant's sentences ask a thermostat how warm it is; a thermometer knows it as well.
        asked = doing.get(_HOW_WARM, 0.0)
        thermometer = by_kind.get(_THERMOMETER, 0.0)
        by_kind[_THERMOMETER] = max(thermometer, _AS_WELL * asked * by_kind.get("climate", 0.0))
        acted_on["sensor"] = min(1.0, acted_on.get("sensor", 0.0) + asked)
        total = sum(by_kind.values())
        by_kind = {kind: probability / total for kind, probability in by_kind.items()}
        by_domain: defaultdict[str, float] = defaultdict(float)
        for kind, probability in by_kind.items():
            by_domain[kind.partition(".")[0]] += probability
        return Reading(
            by_kind,
            dict(zip(self._forms, forms.tolist(), strict=True)),
            doing,
            acted_on,
            dict(by_domain),
            float(every[1]),
            tuple(said),
            content,
        )

    def _classes(self, folded: str) -> list[Floats]:
        """Give the probabilities of the kinds, the forms and the actions, and of "not all", "all"."""
        rows = buckets(request_features(folded), len(self._table))
        mean = self._table[rows].astype(np.float32).sum(axis=0) * (self._scale / np.sqrt(max(len(rows), 1)))
        logits = mean @ self._output + self._bias
        ends = np.cumsum([len(self._kinds), len(self._forms), len(self._actions)])
        return [_softmax(part) for part in np.split(logits, ends)]

    def _content(self, said: list[str], place: int) -> float:
        if said[place].isdigit():
            return 0.0
        rows = buckets(word_features(said, place), len(self._word_weights))
        logit = float(self._word_weights[rows].sum()) / np.sqrt(len(rows)) + self._word_bias
        return float(1 / (1 + np.exp(-logit)))


def request_features(folded: str) -> set[str]:
    """Give a request's groups of 2 to 4 letters, its words and pairs of words, and how it begins and ends."""
    words = folded.split()
    found = {gram for word in words for gram in _groups(word)}
    found |= {f"w:{word}" for word in words}
    found |= {f"b:{left} {right}" for left, right in pairwise(words)}
    return found | ({f"^{words[0]}", f"${words[-1]}"} if words else set())


def word_features(said: list[str], place: int) -> set[str]:
    """Give a token's groups of letters, itself and its neighbours; for a single character, two neighbours."""
    word = said[place]
    before = said[place - 1] if place else "^"
    after = said[place + 1] if place + 1 < len(said) else "$"
    found = {f"w:{word}", f"p:{before}", f"n:{after}", f"pw:{before} {word}", f"wn:{word} {after}", *_groups(word)}
    if len(word) == 1:
        found.add("pp:" + (said[place - 2] if place > 1 else "^") + before)
        found.add("nn:" + after + (said[place + 2] if place + 2 < len(said) else "$"))
    return found


def buckets(features: Iterable[str], count: int) -> list[int]:
    """Hash features to the rows of a table; sorted, because a sum of floats depends on its order."""
    return sorted({zlib.crc32(feature.encode()) % count for feature in features})


def _groups(word: str) -> Iterable[str]:
    padded = f" {word} "
    return (padded[start : start + size] for size in (2, 3, 4) for start in range(len(padded) - size + 1))


def _softmax(logits: NDArray[np.float32]) -> Floats:
    shifted = np.exp((logits - logits.max()).astype(np.float64))
    result: Floats = shifted / shifted.sum()
    return result
