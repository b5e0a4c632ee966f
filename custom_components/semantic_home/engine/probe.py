"""What any encoder is asked before it is trusted, whether it runs here or on a server."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from statistics import median
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoder import Encoder, EncoderError, Role

_TEXTS_FILE = Path(__file__).with_name("probe_texts.json")
# Below this, a text's vector depends on its neighbours; rounding alone leaves more.
_SAME = 0.99
# Some good models give any two texts a cosine of 0.8; this is no difference at all.
_INDISTINCT = 0.9999


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found of an encoder.

    `query_ms`: milliseconds for one short query, the way to a server included. `languages`: codes of those in which it
    found the right one of three English device names for each request: of en, de, fr, es, ru, zh, ja and ar.
    """

    dimension: int
    query_ms: float
    languages: tuple[str, ...]


class UnfitModelError(EncoderError):
    """An encoder answers, but its vectors are of no use.

    `problem` is one of the translation keys that the config flow shows.
    """

    def __init__(self, problem: str, detail: str) -> None:
        """Keep the problem's key and a detail for the log and the placeholder."""
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail


def examine(encoder: Encoder, clock: Callable[[], float] = time.perf_counter) -> Examination:
    """Ask some fifty short texts. Blocking; the clock is in seconds.

    Raises UnfitModelError `model_meaningless` when all texts are the same to the encoder, `model_pads` when a text's
    vector depends on what else is in its batch, and what encode() raises.
    """
    texts = json.loads(_TEXTS_FILE.read_text("utf-8"))
    languages = _understood(encoder, texts["languages"])
    _check_batches(encoder, texts["short"][0], texts["long"])
    return Examination(encoder.dimension, _query_ms(encoder, texts["short"], clock), languages)


def _understood(encoder: Encoder, languages: dict[str, list[dict[str, Any]]]) -> tuple[str, ...]:
    items = [item for items in languages.values() for item in items]
    names = _unique(name for item in items for name in (item["right"], *item["wrong"]))
    requests = _unique(item["request"] for item in items)
    vectors = encoder.encode(names, Role.PASSAGE).dense
    _check_distinct(vectors)
    scores = encoder.encode(requests, Role.QUERY).dense @ vectors.T

    def right(item: dict[str, Any]) -> bool:
        row = scores[requests.index(item["request"])]
        return all(row[names.index(item["right"])] > row[names.index(name)] for name in item["wrong"])

    return tuple(language for language, items in languages.items() if all(map(right, items)))


def _check_distinct(vectors: NDArray[np.float32]) -> None:
    cosines = vectors @ vectors.T
    if not np.isfinite(cosines).all() or cosines.min() >= _INDISTINCT:
        raise UnfitModelError("model_meaningless", f"{len(vectors)} texts have the same vector, or none")


def _check_batches(encoder: Encoder, short: str, long: str) -> None:
    """Find a server that takes the mean over padding too: a short text has another vector beside a long one."""
    alone = encoder.encode([short], Role.PASSAGE).dense[0]
    beside = encoder.encode([short, long], Role.PASSAGE).dense[0]
    if (cosine := float(alone @ beside)) < _SAME:
        raise UnfitModelError("model_pads", f"cosine {cosine:.3f} between a text alone and beside a longer one")


def _query_ms(encoder: Encoder, texts: Sequence[str], clock: Callable[[], float]) -> float:
    times = []
    for text in texts:
        begin = clock()
        encoder.encode([text], Role.QUERY)
        times.append(clock() - begin)
    return 1000 * median(times)


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
