"""The questions that wait for an answer: in memory alone, few, and not for long."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import secrets

from homeassistant.util import dt as dt_util

from .home_index import EntityFilter
from .matching import (
    Matched,
    MatchRequest,
    MatchResult,
    Outcome,
    Question,
    Thing,
    begin,
    missing,
    replies,
    reply,
    weigh,
)

MAX_OPEN = 50
LIFETIME = timedelta(minutes=5)
# So many entities may be left to choose from; a question offers few of them, but an answer may be any.
MAX_CANDIDATES = 50

type Match = Callable[[MatchRequest, EntityFilter], Awaitable[MatchResult]]
type FindThings = Callable[[Collection[str]], Awaitable[Mapping[str, Thing]]]


class UnknownClarificationError(Exception):
    """No such question waits for this user's answer: it was never asked, was answered, or was given up."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what limits the answer; the device that heard it stands in `context_place`."""

    user_id: str | None
    limits: EntityFilter
    context_place: str | None = None


@dataclass(frozen=True, slots=True)
class Clarified:
    """How a clarification stands. `id` and `expires` are those of its question, if it asks one.

    `missing`: what else the request leaves open.
    """

    outcome: Outcome
    missing: tuple[str, ...]
    id: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    question: Question
    asker: Asker
    expires: datetime


class Clarifications:
    """Asks, and remembers what was asked until it is answered."""

    def __init__(self, match: Match, things: FindThings) -> None:
        """Take what matches a request, and what knows entities by their ids."""
        self._match = match
        self._find_things = things
        # The oldest first.
        self._open: dict[str, _Open] = {}

    def __len__(self) -> int:
        """Count the questions that are open."""
        return len(self._open)

    def clear(self) -> None:
        """Forget all questions."""
        self._open.clear()

    async def async_begin(self, request: MatchRequest, language: str, asker: Asker) -> Clarified:
        """Match a request, and ask if it may mean several things. Raises as matching does."""
        request = replace(request, limit=MAX_CANDIDATES, context_place=asker.context_place)
        result = await self._match(request, asker.limits)
        outcome = begin(request.query, language, result, await self._things(result))
        return self._clarified(outcome, request.query, language, asker, secrets.token_urlsafe(12))

    async def async_answer(self, clarification_id: str, answer: str, asker: Asker) -> Clarified:
        """Take the answer to a question. Of the asker the user and the right to read count, the rest is as it was.

        Raises UnknownClarificationError; as matching does, and then the question stays open.
        """
        waiting = self._take(clarification_id, asker.user_id)
        asker = replace(waiting.asker, limits=replace(waiting.asker.limits, permits=asker.limits.permits))
        try:
            outcome = reply(waiting.question, answer) or await self._weigh(waiting.question, answer, asker)
        except BaseException:
            self._open[clarification_id] = waiting
            raise
        query = outcome.question.query if outcome.question else waiting.question.query
        return self._clarified(outcome, query, waiting.question.language, asker, clarification_id)

    async def _weigh(self, question: Question, answer: str, asker: Asker) -> Outcome:
        asked = replies(question, answer, MAX_CANDIDATES, asker.context_place)
        matched = Matched(
            within=await self._match(asked.within, replace(asker.limits, entity_ids=question.entity_ids)),
            anew=await self._match(asked.anew, asker.limits),
            joined=await self._match(asked.joined, asker.limits),
        )
        return weigh(question, answer, matched, await self._things(matched.within, matched.anew, matched.joined))

    async def _things(self, *results: MatchResult) -> Mapping[str, Thing]:
        found = {one for result in results for _, members in result.options for one in members}
        found |= {scored.candidate.entity_id for result in results for scored in result.targets}
        return await self._find_things(found)

    def _clarified(self, outcome: Outcome, query: str, language: str, asker: Asker, number: str) -> Clarified:
        open_too = missing(query, language)
        if outcome.question is None:
            return Clarified(outcome, open_too)
        expires = dt_util.utcnow() + LIFETIME
        self._open[number] = _Open(outcome.question, asker, expires)
        if len(self._open) > MAX_OPEN:
            del self._open[next(iter(self._open))]
        return Clarified(outcome, open_too, number, expires)

    def _take(self, clarification_id: str, user_id: str | None) -> _Open:
        """Take a question out, so that it is answered once. Another user's is as unknown as one that never was."""
        now = dt_util.utcnow()
        self._open = {number: waiting for number, waiting in self._open.items() if waiting.expires > now}
        waiting = self._open.get(clarification_id)
        if waiting is None or waiting.asker.user_id != user_id:
            raise UnknownClarificationError(clarification_id)
        return self._open.pop(clarification_id)
