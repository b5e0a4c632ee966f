"""Two generations asked the same, one query after another: whether they agree, and what each costs."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np

from .asked_generation import AskedGeneration, GenerationChoice
from .home_index import EntityFilter
from .matching import MatchRequest
from .runtime import MatchAnswer, SemanticHome


@dataclass(frozen=True, slots=True)
class Compared:
    """A query with both answers."""

    query: str
    first: MatchAnswer
    second: MatchAnswer

    @property
    def same_decision(self) -> bool:
        """Whether both decide the same about the same entities."""
        return _decision(self.first) == _decision(self.second)

    @property
    def same_first(self) -> bool:
        """Whether both find the same entity most likely, whatever they decide."""
        return _first(self.first) == _first(self.second)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it; there is at least one query."""

    first: AskedGeneration
    second: AskedGeneration
    queries: Sequence[Compared]

    @property
    def share_same_decision(self) -> float:
        """The share (0-1) of the queries on which both decide the same about the same entities."""
        return sum(compared.same_decision for compared in self.queries) / len(self.queries)

    @property
    def share_same_first(self) -> float:
        """The share (0-1) of the queries for which both find the same entity most likely."""
        return sum(compared.same_first for compared in self.queries) / len(self.queries)


async def async_compare(
    home: SemanticHome,
    queries: Sequence[str],
    choices: tuple[GenerationChoice, GenerationChoice],
    limits: EntityFilter,
) -> Comparison:
    """Ask two generations, which stay the same to the end. Raises as `SemanticHome.async_asked` does.

    One query at a time, so that whoever asks meanwhile waits for one at most.
    """
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(home.async_asked(choice)) for choice in choices]
        for asked in (first, second):
            # A model that rested is loaded again, which is no part of what a query takes.
            await asked.async_query(queries[0])
        compared = []
        for query in queries:
            request = MatchRequest(query)
            answers = [await home.async_match_with(asked, request, limits) for asked in (first, second)]
            compared.append(Compared(query, *answers))
        return Comparison(first, second, compared)


def percentiles(answers: Sequence[MatchAnswer]) -> tuple[float, float]:
    """Give what half of the answers took at most, and what 95 % did, in milliseconds."""
    half, most = np.percentile([answer.took_ms for answer in answers], (50, 95))
    return float(half), float(most)


def _decision(answer: MatchAnswer) -> tuple[str, frozenset[str]]:
    result = answer.result
    return result.decision, frozenset(scored.candidate.entity_id for scored in result.targets)


def _first(answer: MatchAnswer) -> str | None:
    ranking = answer.result.ranking
    return ranking[0].candidate.entity_id if ranking else None
