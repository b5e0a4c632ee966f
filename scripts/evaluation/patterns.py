"""How well the patterns that ship are found: each asked for by an utterance that was taken out of its texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from custom_components.semantic_home.dense_index import CORRECTED
from custom_components.semantic_home.engine import Role
from custom_components.semantic_home.knowledge import Pattern, load_library
from custom_components.semantic_home.matching import Background, compared
from custom_components.semantic_home.pattern_documents import document_of
from custom_components.semantic_home.relevance import relevance, together

from .encoders import CachedEncoder

_RESAMPLED = 2000

type Floats = NDArray[np.float64]


def report(encoder: CachedEncoder, elsewhere: Sequence[str]) -> Iterator[str]:
    """Say how often the right pattern is first, and among five, by letters, by the model and by both."""
    library = dict(load_library())
    ranks: dict[str, list[int]] = {"letters": [], "model": [], "together": []}
    right = []
    for pattern, said in [(one, said) for one in library.values() for said in one.utterances]:
        utterances = tuple(other for other in pattern.utterances if other != said)
        known = library | {pattern.id: replace(pattern, utterances=utterances)}
        by_letters = relevance([said], {one.id: one.texts for one in known.values()})[0]
        by_model = _deviations(encoder, said, known)
        right.append(by_model[pattern.id])
        for way, found in (
            ("letters", by_letters),
            ("model", by_model),
            ("together", together(by_letters, by_model)),
        ):
            ranks[way].append(_rank(found, pattern.id))
    yield f"{len(library)} patterns, {len(right)} utterances [95 % interval]"
    for way, found_at in ranks.items():
        places = np.array(found_at)
        yield f"{way:9} first {_share(places < 1)}, among five {_share(places < 5)}"  # noqa: PLR2004
    most = [max(_deviations(encoder, said, library).values()) for said in elsewhere]
    low, middle = np.percentile(right, (5, 50))
    yield f"deviations of the right one: {middle:.1f} in the middle, {low:.1f} in one of twenty"
    yield f"deviations of the first one for what is about no automation: {max(most):.1f} at most"


def _deviations(encoder: CachedEncoder, said: str, patterns: Mapping[str, Pattern]) -> dict[str, float]:
    ids = list(patterns)
    vectors = encoder.encode([document_of(patterns[one]).views[0] for one in ids], Role.PASSAGE).dense
    usual = vectors @ encoder.encode(Background.sentences(), Role.QUERY).dense.T
    near = vectors @ encoder.encode([said], Role.QUERY).dense[0]
    found = compared(Background(ids, usual).corrected(ids, near, CORRECTED))
    return dict(zip(ids, found.tolist(), strict=True))


def _rank(found: Mapping[str, float], wanted: str) -> int:
    """Count what is before it; what is not found is behind everything."""
    return sum(value >= found[wanted] for value in found.values()) - 1 if wanted in found else len(load_library())


def _share(hits: NDArray[np.bool_]) -> str:
    drawn = np.random.default_rng(0).choice(hits, (_RESAMPLED, len(hits))).mean(axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5)) * 100
    return f"{hits.mean() * 100:.1f} % [{low:.1f}-{high:.1f}]"
