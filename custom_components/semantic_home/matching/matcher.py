"""Scores the candidates of a home against a query and decides."""

from collections.abc import Mapping, Sequence
import math

from .lexicon import Found, Lexicon
from .types import Candidate, Decision, MatchRequest, MatchResult, Reason, Scored, Scores, Weights

# A place counts as named when this much of its name is in the query: inflected forms keep about this much.
_PLACE_NAMED = 0.75
# From here on the spelling is the better explanation of a match than the model's opinion.
_NAME_SAID = 0.6


class Matcher:
    """Knows the candidates of a home. Immutable: a changed home gets a new matcher."""

    def __init__(self, candidates: Sequence[Candidate], weights: Weights) -> None:
        """Index the names, places and kinds of all candidates; some 20 ms a thousand."""
        self._candidates = {candidate.entity_id: candidate for candidate in candidates}
        self._weights = weights
        self._names = Lexicon({candidate.entity_id: candidate.names for candidate in candidates})
        self._places = Lexicon({place: names for candidate in candidates for place, names in candidate.places.items()})
        self._kinds = Lexicon({candidate.kind_words: candidate.kind_words for candidate in candidates})

    def __len__(self) -> int:
        """Count the candidates."""
        return len(self._candidates)

    @property
    def entity_ids(self) -> frozenset[str]:
        """All candidates, for filters."""
        return frozenset(self._candidates)

    def match(self, request: MatchRequest, dense: Mapping[str, float] | None) -> MatchResult:
        """Rank the allowed candidates and decide; `dense` is None when no model answers."""
        ranking = self._rank(request, dense)
        decision, targets = self._decide(ranking, request)
        confidence = targets[0].confidence if targets else 1 - (ranking[0].confidence if ranking else 0.0)
        return MatchResult(decision, confidence, targets, tuple(ranking[: request.limit]))

    def _rank(self, request: MatchRequest, dense: Mapping[str, float] | None) -> list[Scored]:
        names = self._names.find(request.query)
        channels = self._channels(request, dense, names)
        scores = {
            entity_id: self._score(own, in_context=_in_context(self._candidates[entity_id], own, request.context_area))
            for entity_id, own in channels.items()
        }
        order = sorted(scores, key=lambda entity_id: (-scores[entity_id], entity_id))
        ranking = []
        for place, entity_id in enumerate(order):
            others = order[1:2] if place == 0 else order[:1]
            rival = max([self._weights.calibration.nobody, *(scores[other] for other in others)])
            candidate, own = self._candidates[entity_id], channels[entity_id]
            confidence = self._confidence(scores[entity_id], scores[entity_id] - rival)
            reason = _reason(candidate, own, names.get(entity_id))
            ranking.append(Scored(candidate, scores[entity_id], confidence, own, reason))
        return ranking

    def _channels(
        self, request: MatchRequest, dense: Mapping[str, float] | None, names: Mapping[str, Found]
    ) -> dict[str, Scores]:
        kinds = self._kinds.find(request.query)
        heard = self._places.find(request.query)
        places = {place: found for place, found in heard.items() if found.share >= _PLACE_NAMED}
        channels = {}
        for entity_id, candidate in self._candidates.items():
            if request.allowed is not None and entity_id not in request.allowed:
                continue
            name, kind = names.get(entity_id), kinds.get(candidate.kind_words)
            channels[entity_id] = Scores(
                dense=None if dense is None else dense.get(entity_id),
                lexical=name.share if name else 0.0,
                coverage=name.coverage if name else 0.0,
                place=_place_score(candidate, places),
                kind=kind.share if kind else 0.0,
            )
        return channels

    def _score(self, scores: Scores, *, in_context: bool) -> float:
        line = self._weights.without_model if scores.dense is None else self._weights.with_model
        return (
            line.bias
            + line.dense * (scores.dense or 0.0)
            + line.lexical * scores.lexical
            + line.coverage * scores.coverage
            + line.place * scores.place
            + line.kind * scores.kind
            + line.context * in_context
        )

    def _confidence(self, score: float, lead: float) -> float:
        calibration = self._weights.calibration
        counted = max(-calibration.farthest, min(calibration.farthest, lead))
        return 1 / (1 + math.exp(-calibration.bias - calibration.score * score - calibration.lead * counted))

    def _decide(self, ranking: Sequence[Scored], request: MatchRequest) -> tuple[Decision, tuple[Scored, ...]]:
        weights = self._weights
        if not ranking or ranking[0].confidence < (request.min_confidence or 0.0):
            return Decision.NONE, ()
        best = ranking[0]
        if best.confidence >= weights.match_at:
            return Decision.MATCH, (best,)
        if best.score < weights.ask_from:
            return Decision.NONE, ()
        near = [scored for scored in ranking if best.score - scored.score < weights.margin]
        return Decision.AMBIGUOUS, tuple(near[: request.limit])


def _place_score(candidate: Candidate, named: Mapping[str, Found]) -> float:
    """1 where a named place is the candidate's, -1 where only other places are named, 0 where none is."""
    if not named:
        return 0.0
    return 1.0 if any(place in named for place in candidate.places) else -1.0


def _in_context(candidate: Candidate, scores: Scores, area_id: str | None) -> bool:
    """Tell whether the candidate is where the asking device is; a place that was named counts instead."""
    return area_id is not None and candidate.area_id == area_id and scores.place == 0


def _reason(candidate: Candidate, scores: Scores, name: Found | None) -> Reason:
    if name is not None and (scores.dense is None or name.share >= _NAME_SAID):
        return Reason("lexical", name.name)
    return Reason("dense" if scores.dense is not None else "none", candidate.names[0])
