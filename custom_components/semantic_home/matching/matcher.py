"""Finds what a request means in a home, and decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .decision import Option, decide, options, probabilities
from .exclusion import Exclusions
from .grammar import Grammar, Parse
from .heard import Heard, listen
from .home import Home
from .hypotheses import FEATURES, Hypotheses, Targets, suppose
from .learned import favour, recall
from .request_model import Reading, RequestModel
from .text import fold, trigrams
from .types import (
    Candidate,
    Decision,
    Evidence,
    Explanation,
    MatchRequest,
    MatchResult,
    Place,
    Reason,
    Scored,
    Scores,
)
from .weights import Weights

# From here on the spelling is the better explanation of a match than the model's opinion.
_NAME_SAID = 0.6
_EXPLAINED = 10
# Less probable readings are not added up: in a home of ten thousand things most are there in name only.
_IMPROBABLE, _MOST_WEIGHED = 1e-6, 200
_KINDS_SHOWN = 5
# Sets that something can be taken out of: so probable must they be together, and one of them among them.
_AT_ALL, _CLEARLY = 0.2, 0.8


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A request with the probabilities of what it may mean (`found`, by hypothesis), and what comes to the same.

    `learned`: what such a request meant before, and what that is worth (`worth`, by hypothesis).
    """

    reading: Reading
    parse: Parse | None
    hypotheses: Hypotheses
    weights: NDArray[np.float64]
    learned: Targets
    worth: NDArray[np.float64]
    found: NDArray[np.float64]
    options: list[Option]


class Matcher:
    """Knows the candidates and places of a home. Immutable: a changed home gets a new matcher."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        places: Sequence[Place] = (),
        grammar: Grammar | None = None,
        weights: Weights | None = None,
    ) -> None:
        """Index the home; some 0.1 s a thousand candidates."""
        self._home = Home(candidates, places)
        self._grammar = grammar
        self._weights = weights or Weights.load()
        self._requests = RequestModel.load()
        self._exclusions = Exclusions.load()

    def __len__(self) -> int:
        """Count the candidates."""
        return len(self._home)

    @property
    def home(self) -> Home:
        """What it knows."""
        return self._home

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All candidates, in the order of their numbers."""
        return self._home.candidates

    @property
    def entity_ids(self) -> frozenset[str]:
        """All candidates, for filters."""
        return frozenset(self._home.entity_ids)

    def suppose(
        self, request: MatchRequest, evidence: Evidence | None, *, parsed: bool = True
    ) -> tuple[Reading, Parse | None, Hypotheses]:
        """Make every hypothesis about a request: how it was read, what the grammar says if asked, and the features."""
        reading = self._read(request)
        heard = listen(self._home, request, reading, evidence)
        parse = None
        if self._grammar is not None and parsed:
            said = (heard.containment, heard.named_places)
            parse = self._grammar.parse(request.query, self._home, reading, said, heard.context)
        return reading, parse, suppose(self._home, heard, reading, self._allowed(request), parse)

    def match(self, request: MatchRequest, evidence: Evidence | None) -> MatchResult:
        """Weigh what a request may mean and decide; `evidence` is None when no model answers."""
        parts = self._exclusions.split(request.query)
        if parts is not None and (result := self._match_without(request, *parts)) is not None:
            return result
        # No sentence of Home Assistant's takes anything out, and not to fit takes the longest.
        seen = self._weigh(request, evidence, parsed=parts is None)
        if not seen.reading.words:
            return MatchResult(Decision.NONE, 1.0, (), ())
        weighed = seen.options
        decision, confidence, chosen = decide(weighed, self._weights.costs[request.caution])
        if decision is not Decision.NONE and weighed[0][0] < (request.min_confidence or 0.0):
            decision, confidence, chosen = Decision.NONE, 1 - weighed[0][0], []
        if decision is Decision.MATCH and parts is not None and chosen[0] <= self._excluded(request, *parts):
            # What is to be left alone was understood, and nothing else: to act on that is the worst answer.
            decision, chosen = Decision.NONE, []
        ranking, meant = self._rank(weighed)
        acted_on = frozenset[int]().union(*chosen)
        targets = [number for number in ranking if number in acted_on]
        if decision is Decision.AMBIGUOUS:
            targets = targets[: request.limit]
        scored = partial(self._scored, trigrams(fold(request.query)), seen, meant)
        if evidence is not None and evidence.heads:
            scored = partial(_with_heads, scored, evidence.heads)
        return MatchResult(
            decision,
            confidence,
            tuple(map(scored, targets)),
            tuple(map(scored, ranking[: request.limit])),
            self._named(weighed),
            self._explain(seen) if request.explain else None,
        )

    def _weigh(self, request: MatchRequest, evidence: Evidence | None, *, parsed: bool = True) -> _Weighed:
        """Find how probable each thing is that a request may mean."""
        reading, parse, hypotheses = self.suppose(request, evidence, parsed=parsed)
        weights = self._weights.without_model if evidence is None else self._weights.with_model
        learned = recall(self._home, request, reading, hypotheses)
        hypotheses, worth = favour(hypotheses, learned)
        found = probabilities(hypotheses.scores(weights) + worth)
        order = np.argsort(-found, kind="stable")
        likely = order[: max(min(int((found > _IMPROBABLE).sum()), _MOST_WEIGHED), request.limit)].tolist()
        weighed = options([(float(found[number]), hypotheses.targets(number)) for number in likely])
        return _Weighed(reading, parse, hypotheses, weights, learned, worth, found, weighed)

    def _match_without(self, request: MatchRequest, meant: str, excluded: str) -> MatchResult | None:
        """Match what is meant, and among that what is taken out; None when either is not clear.

        The model's evidence is of the whole sentence, in which what is excluded is nearest: only names tell the parts.
        """
        whole = self._weigh(replace(request, query=meant), None)
        # What something is taken out of are several: "all lights" alone may as well be the name of one.
        several = [(found, members) for found, members in whole.options if len(members) > 1]
        together = sum(found for found, _ in several)
        if together < _AT_ALL or several[0][0] < _CLEARLY * together:
            return None
        among = several[0][1]
        allowed = frozenset(self._home.candidates[number].entity_id for number in among)
        out = self.match(replace(request, query=excluded, previous=meant, allowed=allowed), None)
        without = {scored.candidate.entity_id for scored in out.targets}
        if out.decision is not Decision.MATCH or not without < allowed:
            return None
        order, probable = self._rank(whole.options)
        left = [number for number in order if number in among]
        left = [number for number in left if self._home.candidates[number].entity_id not in without]
        scored = partial(self._scored, trigrams(fold(meant)), whole, probable)
        targets = tuple(map(scored, left))
        ranking = [*left, *(number for number in order if number not in left)][: request.limit]
        confidence = several[0][0] / together * out.confidence
        weighed = self._named([(confidence, frozenset(left))])
        shown = self._explain(whole) if request.explain else None
        return MatchResult(Decision.MATCH, confidence, targets, tuple(map(scored, ranking)), weighed, shown)

    def _excluded(self, request: MatchRequest, meant: str, excluded: str) -> frozenset[int]:
        out = self.match(replace(request, query=excluded, previous=meant), None)
        ids = {scored.candidate.entity_id for scored in out.targets}
        return frozenset(number for number, one in enumerate(self._home.candidates) if one.entity_id in ids)

    def _read(self, request: MatchRequest) -> Reading:
        reading = self._requests.read(fold(request.query), self._home.named)
        if request.previous is None:
            return reading
        # "And the one in the bedroom" says where, what was asked before says what; its words were answered already.
        whole = self._requests.read(fold(f"{request.previous} {request.query}"), self._home.named)
        return replace(whole, words=reading.words, content=reading.content)

    def _allowed(self, request: MatchRequest) -> NDArray[np.bool_]:
        if request.allowed is None:
            return np.ones(len(self._home), np.bool_)
        return np.fromiter(map(request.allowed.__contains__, self._home.entity_ids), np.bool_, len(self._home))

    def _rank(self, weighed: Sequence[Option]) -> tuple[list[int], NDArray[np.float64]]:
        """Order the candidates by the probability that they are among what is meant, which is given, too.

        In the order, many that are meant together share theirs: what is said of one thing comes before.
        """
        meant, share = np.zeros(len(self._home)), np.zeros(len(self._home))
        singles = {number: found for found, members in weighed if len(members) == 1 for number in members}
        meant[list(singles)] = share[list(singles)] = list(singles.values())
        for found, members in weighed:
            if len(members) > 1:
                numbers = list(members)
                meant[numbers] += found
                share[numbers] += found / len(numbers) ** 0.5
        shared = np.flatnonzero(share)
        return shared[np.argsort(-share[shared], kind="stable")].tolist(), meant

    def _scored(self, said: frozenset[str], seen: _Weighed, meant: NDArray[np.float64], number: int) -> Scored:
        return Scored(
            self._home.candidates[number],
            min(float(meant[number]), 1.0),
            self._scores(seen, number),
            self._reason(said, seen, number),
        )

    def _scores(self, seen: _Weighed, number: int) -> Scores:
        one, heard = self._home.candidates[number], seen.hypotheses.heard
        left = heard.unexplained_by(heard.explained, [number]) / heard.said if heard.said else 0.0
        return Scores(
            dense=None if heard.evidence_sentence is None else float(heard.evidence_sentence[number]),
            lexical=float(max(heard.containment[number], heard.spelling[number])),
            coverage=max(0.0, 1 - left),
            place=(1.0 if self._is_there(heard, number) else -1.0) if heard.somewhere else 0.0,
            kind=seen.reading.kind(one.kind),
        )

    def _reason(self, said: frozenset[str], seen: _Weighed, number: int) -> Reason:
        """Say which channel carried a candidate, the plainest first; `said` are the request's trigrams."""
        one, heard = self._home.candidates[number], seen.hypotheses.heard
        if number in seen.learned:
            return Reason("learned", one.names[0])
        if max(heard.containment[number], heard.spelling[number]) >= _NAME_SAID:
            return Reason("lexical", max(one.names, key=lambda name: _share(trigrams(fold(name)), said)))
        if heard.concepts[number] >= _NAME_SAID:
            return Reason("vocabulary", one.names[0])
        if self._is_there(heard, number):
            return Reason("place", one.area or one.names[0])
        return Reason("kind" if heard.evidence_sentence is None else "dense", one.names[0])

    def _is_there(self, heard: Heard, number: int) -> bool:
        """Tell whether a candidate is in a place that is named."""
        return any(self._home.within[place, number] for place, _ in heard.said_places)

    def _named(self, weighed: Sequence[Option]) -> tuple[tuple[float, tuple[str, ...]], ...]:
        return tuple(
            (found, tuple(self._home.candidates[number].entity_id for number in sorted(members)))
            for found, members in weighed[:_EXPLAINED]
        )

    def _explain(self, weighed: _Weighed) -> Explanation:
        readings, features = [], weighed.hypotheses.features
        for number in np.argsort(-weighed.found, kind="stable")[:_EXPLAINED].tolist():
            parts = features[number] * weighed.weights
            shown = {FEATURES[column]: round(float(parts[column]), 3) for column in np.flatnonzero(parts).tolist()}
            if weighed.worth[number]:
                shown["learned"] = float(weighed.worth[number])
            ids = tuple(self._home.candidates[one].entity_id for one in sorted(weighed.hypotheses.targets(number)))
            readings.append((float(weighed.found[number]), ids, shown))
        reading, parse = weighed.reading, weighed.parse
        return Explanation(
            _probable(reading.kinds),
            _probable(reading.forms),
            dict(zip(reading.words, reading.content.round(3).tolist(), strict=True)),
            parse.intent if parse else None,
            tuple(readings),
        )


def _with_heads(scored: Callable[[int], Scored], heads: Mapping[str, Mapping[str, float]], number: int) -> Scored:
    found = scored(number)
    one = found.candidate.entity_id
    said = {head: deviations[one] for head, deviations in heads.items() if one in deviations}
    return replace(found, scores=replace(found.scores, heads=said))


def _share(grams: frozenset[str], said: frozenset[str]) -> float:
    return len(grams & said) / max(len(grams), 1)


def _probable(found: dict[str, float]) -> dict[str, float]:
    first = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:_KINDS_SHOWN]
    return {name: round(probability, 4) for name, probability in first}
