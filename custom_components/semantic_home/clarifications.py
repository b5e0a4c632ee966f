"""The questions that wait for an answer: in memory alone, few, and not for long."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import secrets

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .home_index import EntityFilter
from .learned_requests import Lesson
from .matching import (
    Matched,
    MatchRequest,
    MatchResult,
    Outcome,
    Question,
    Status,
    Thing,
    begin,
    confirm,
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
type Learn = Callable[[Lesson], None]

# What an answer comes to that chose among what was offered.
_CHOSEN = frozenset(["answered", "confirmed"])


class UnknownClarificationError(Exception):
    """No such question waits for this user's answer: it was never asked, was answered, or was given up."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what limits the answer; the device that heard it stands in `context_place`.

    `teaches`: what is chosen is learnt from.
    """

    user_id: str | None
    limits: EntityFilter
    context_place: str | None = None
    teaches: bool = False


@dataclass(frozen=True, slots=True)
class Clarified:
    """How a clarification stands. `id` and `expires` are those of its question, if it asks one.

    `missing`: what else the request leaves open. `lesson`: what there is to learn of it once somebody says it is right.
    """

    outcome: Outcome
    missing: tuple[str, ...]
    id: str | None = None
    expires: datetime | None = None
    lesson: Lesson | None = None


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a clarification began with, whatever becomes of it."""

    id: str
    request: str
    language: str
    asker: Asker


@dataclass(frozen=True, slots=True)
class _Open:
    begun: _Begun
    question: Question
    expires: datetime


class Clarifications:
    """Asks, and remembers what was asked until it is answered."""

    def __init__(self, match: Match, match_answer: Match, things: FindThings, learn: Learn) -> None:
        """Take what matches a request, and an answer; what knows entities by their ids; what learns from answers."""
        self._match = match
        self._match_answer = match_answer
        self._find_things = things
        self._learn = learn
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
        outcome = await self.async_outcome(request, language, asker)
        return self._clarified(
            outcome, request.query, _Begun(secrets.token_urlsafe(12), request.query, language, asker)
        )

    async def async_outcome(self, request: MatchRequest, language: str, asker: Asker) -> Outcome:
        """Say what a request comes to; a question of it is not remembered. Raises as matching does."""
        request = replace(request, limit=MAX_CANDIDATES, context_place=asker.context_place)
        result = await self._match(request, asker.limits)
        return begin(request.query, language, result, await self._things(result))

    @callback
    def async_confirm(self, query: str, language: str, asker: Asker, things: Sequence[Thing]) -> Clarified:
        """Ask whether these are meant by a request that was understood so, before something is done that must be meant.

        Nothing is learnt from a yes.
        """
        outcome = Outcome(Status.QUESTION, "not_certain", question=confirm(query, language, things))
        asker = replace(asker, teaches=False)
        return self._clarified(outcome, query, _Begun(secrets.token_urlsafe(12), query, language, asker))

    async def async_answer(self, clarification_id: str, answer: str, asker: Asker) -> Clarified:
        """Take the answer to a question. Of the asker the user and the rights count, the rest is as it was.

        Raises UnknownClarificationError; as matching does, and then the question stays open.
        """
        waiting = self._take(clarification_id, asker)
        begun, question = waiting.begun, waiting.question
        limits = replace(begun.asker.limits, permits=asker.limits.permits)
        asker = replace(begun.asker, limits=limits, teaches=asker.teaches)
        try:
            outcome = reply(question, answer) or await self._weigh(question, answer, asker)
        except BaseException:
            self._open[clarification_id] = waiting
            raise
        begun = replace(begun, asker=asker)
        # What replaced the request meanwhile was never asked like that, or not in these words.
        if outcome.status is Status.RESOLVED and outcome.reason in _CHOSEN and question.query == begun.request:
            self._teach(question, outcome.entity_ids, asker)
        return self._clarified(outcome, (outcome.question or question).query, begun)

    def _teach(self, question: Question, entity_ids: tuple[str, ...], asker: Asker) -> None:
        if asker.teaches:
            self._learn(_lesson(question.query, question.language, entity_ids, asker))

    async def _weigh(self, question: Question, answer: str, asker: Asker) -> Outcome:
        asked = replies(question, answer, MAX_CANDIDATES, asker.context_place)
        matched = Matched(
            within=await self._match_answer(asked.within, replace(asker.limits, entity_ids=question.entity_ids)),
            anew=await self._match_answer(asked.anew, asker.limits),
            joined=await self._match_answer(asked.joined, asker.limits),
        )
        return weigh(question, answer, matched, await self._things(matched.within, matched.anew, matched.joined))

    async def _things(self, *results: MatchResult) -> Mapping[str, Thing]:
        found = {one for result in results for _, members in result.options for one in members}
        found |= {scored.candidate.entity_id for result in results for scored in result.targets}
        return await self._find_things(found)

    def _clarified(self, outcome: Outcome, query: str, begun: _Begun) -> Clarified:
        open_too = missing(query, begun.language)
        if outcome.question is None:
            resolved = outcome.status is Status.RESOLVED and query == begun.request
            lesson = _lesson(query, begun.language, outcome.entity_ids, begun.asker) if resolved else None
            return Clarified(outcome, open_too, lesson=lesson)
        expires = dt_util.utcnow() + LIFETIME
        self._open[begun.id] = _Open(begun, outcome.question, expires)
        if len(self._open) > MAX_OPEN:
            del self._open[next(iter(self._open))]
        return Clarified(outcome, open_too, begun.id, expires)

    def _take(self, clarification_id: str, asker: Asker) -> _Open:
        """Take a question out, so that it is answered once.

        Another user's is as unknown as one that never was, and so is one about what the user may not see any more.
        """
        now = dt_util.utcnow()
        self._open = {number: waiting for number, waiting in self._open.items() if waiting.expires > now}
        waiting = self._open.get(clarification_id)
        if waiting is None or waiting.begun.asker.user_id != asker.user_id:
            raise UnknownClarificationError(clarification_id)
        permits = asker.limits.permits
        if permits is not None and not all(map(permits, waiting.question.entity_ids)):
            del self._open[clarification_id]
            raise UnknownClarificationError(clarification_id)
        return self._open.pop(clarification_id)


def _lesson(query: str, language: str, entity_ids: tuple[str, ...], asker: Asker) -> Lesson:
    return Lesson(query, language, entity_ids, asker.limits.circumstances(asker.context_place))
