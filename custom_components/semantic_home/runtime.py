"""SemanticHome: the one object behind a config entry. Everything that Home Assistant shows goes through it."""

from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
import logging
import time

import numpy as np
from numpy.typing import NDArray

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .alias_review import AliasReview
from .alias_suggestions import AliasSuggestions
from .asked_generation import (
    QUERY_SECONDS,
    AskedGeneration,
    GenerationChoice,
    GenerationSilentError,
    NoSuchGenerationError,
    QueryVector,
)
from .automation_sync import AutomationSync
from .clarifications import Clarifications
from .const import CONF_CAUTION, CONF_MODEL, CONF_REMEMBER_QUERIES, CONF_SCOPE, DOMAIN, MAX_COMPARED, SCOPE_EXPOSED
from .describe import OF_THE_HOUSE
from .describe_automations import AUTOMATION_KINDS
from .embedding import EmbeddingLine
from .engine import (
    Encoded,
    EncoderBusyError,
    EncoderError,
    EncoderUnavailableError,
    Lane,
    QueryCache,
    QueryKey,
    Role,
)
from .home_index import EntityFilter, HomeIndex
from .home_knowledge import HomeKnowledge
from .home_state import HomeState, state_of
from .index import (
    Document,
    Generation,
    IncompleteGenerationError,
    NoPreviousGenerationError,
    Stamp,
    StoreError,
    UnknownGenerationError,
)
from .index_damage import async_report_damage
from .index_thread import IndexThread
from .indexed_documents import IndexStatus
from .knowledge_search import Answering, KnowledgeSearch
from .matching import Caution, MatchRequest, MatchResult, Thing
from .model_change import ModelChange
from .model_history import ModelHistory
from .model_runner import ISSUE_MODEL, ModelRunner, ModelState
from .model_store import async_get_store
from .previous_model import PreviousModel
from .problems import problem_of
from .progress import Progress, ProgressMeter
from .query_statistics import QueryStatistics
from .recent_queries import RecentQueries
from .recent_results import RecentResults
from .suggestions import HomeSuggestions
from .sync import HomeSync

_LOGGER = logging.getLogger(__name__)

type SemanticHomeConfigEntry = ConfigEntry[SemanticHome]


@dataclass(frozen=True, slots=True)
class MatchAnswer:
    """A match with what it was made with. `degraded`: names alone answered, or some vectors are still missing."""

    result: MatchResult
    model: str | None
    generation: int | None
    degraded: bool
    took_ms: float


class SemanticHome:
    """Owns the encoder, the index and the synchronisation of one config entry."""

    def __init__(self, hass: HomeAssistant, entry: SemanticHomeConfigEntry) -> None:
        """Take the entry whose data say which model runs where."""
        self._hass = hass
        self._entry = entry
        self.index = IndexThread(hass, entry)
        # The wished model's, and that of the model which answers until the wished one's vectors are complete.
        self._lines: list[EmbeddingLine] = []
        self._history = ModelHistory(hass, entry)
        self._previous = PreviousModel(hass, entry, self._history, self.index.async_ask)
        self.change = ModelChange(hass, entry)
        """Of the model that answers to the one that is wished."""
        self._meter = ProgressMeter()
        self._status = IndexStatus(0, 0, 0, None)
        # What of the home has not been read since the start.
        self._unread_kinds = {*OF_THE_HOUSE, *AUTOMATION_KINDS}
        self._queries = QueryCache()
        self.recent_queries = RecentQueries(MAX_COMPARED if entry.options.get(CONF_REMEMBER_QUERIES, False) else 0)
        """What the user lets be remembered of what was asked."""
        self.knowledge = HomeKnowledge(hass, entry, self.index, self._index_changed)
        """What the household knows."""
        answering = Answering(
            self._encode_query, self._encode_texts, lambda: self._status.generation, self._read_status
        )
        self.search = KnowledgeSearch(hass, self.index, answering)
        """Looks for what the household knows."""
        self.suggestions = HomeSuggestions(hass, entry, self.knowledge, self.search)
        """What automations it could have."""
        self.aliases = AliasSuggestions(hass, self.index)
        """What its things could be called, too."""
        self.alias_review = AliasReview(hass, entry, self.aliases)
        """Reports what of that waits for a yes."""
        self.results = RecentResults()
        """What requests were taken to mean lately."""
        self.clarifications = Clarifications(
            self._async_result, self._async_uncounted, self.async_things, self.knowledge.async_learn
        )
        """The questions that wait for an answer."""
        self.statistics = QueryStatistics()
        """What was asked lately, in numbers."""
        self._listeners: set[CALLBACK_TYPE] = set()
        self._syncs = (HomeSync(hass, entry.options.get(CONF_SCOPE, SCOPE_EXPOSED), self), AutomationSync(hass, self))

    @property
    def model(self) -> str | None:
        """The id of the model that answers; None while names alone do."""
        return self._answering.runner.model_id if self._answering else None

    @property
    def caution(self) -> Caution:
        """How much a wrong match costs here."""
        return Caution(self._entry.options.get(CONF_CAUTION, Caution.BALANCED))

    @property
    def status(self) -> IndexStatus:
        """How far the index is."""
        return self._status

    @property
    def progress(self) -> Progress | None:
        """How far the vectors are of the generation that is being made, else of the one that answers."""
        return self._meter.progress

    @property
    def wished_stamp(self) -> Stamp | None:
        """How the vectors are made that are to answer; None when that cannot be told."""
        known = next((line.stamp for line in self._lines if line.begins), None)
        return known or (self.change.wished.stamp if self.change.wished else None)

    @property
    def degraded(self) -> bool:
        """Whether answers are less than they will be: no model, or vectors still to be made."""
        line = self._answering
        return line is None or not line.runner.answers or not self._status.complete

    @property
    def state(self) -> HomeState:
        """How it is, in one word."""
        line = self._answering
        return state_of(self._lines[0].runner if self._lines else None, line.runner if line else None, self._status)

    @property
    def models(self) -> list[ModelState]:
        """The models that are up, or on their way: the wished one first."""
        return [line.runner.state for line in self._lines]

    @callback
    def async_listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call the listener when the status has changed, the model failed or something was asked.

        Call what is returned to end that.
        """
        self._listeners.add(listener)
        return partial(self._listeners.discard, listener)

    async def async_start(self) -> None:
        """Open the index and answer from it; the model and what has changed follow in the background.

        Raises StoreError when the database cannot be opened.
        """
        async_report_damage(self._hass, await self.index.async_open())
        await self._refresh_status()
        ir.async_delete_issue(self._hass, DOMAIN, ISSUE_MODEL)
        self._lines = await self._begin_lines()
        for line in self._lines:
            self._start_line(line)
        for sync in self._syncs:
            sync.async_start()

    async def async_stop(self) -> None:
        """Stop everything and leave the database closed. Can be called twice."""
        self.clarifications.clear()
        await self.alias_review.async_stop()
        await self.knowledge.async_settle()
        for sync in self._syncs:
            await sync.async_stop()
        for line in self._lines:
            await line.async_stop()
        await self._previous.async_stop()
        await self.index.async_close()

    async def async_match(self, request: MatchRequest, limits: EntityFilter) -> MatchAnswer:
        """Find what a request means, and count it. Raises EncoderBusyError when too many ask at once, StoreError."""
        answer = await self._async_answer(request, limits)
        self.statistics.note(answer.result.decision, answer.took_ms)
        self._tell_listeners()
        return answer

    async def _async_answer(self, request: MatchRequest, limits: EntityFilter) -> MatchAnswer:
        started = time.monotonic()
        query = await self._encode_query(request.query)
        try:
            result = await self._match(request, limits, query)
        except UnknownGenerationError:
            # It has given way to the next one since the query was encoded.
            await self._read_status()
            return await self._async_answer(request, limits)
        answer = MatchAnswer(
            result=result,
            model=query.model if query else None,
            generation=query.generation if query else self._status.generation,
            degraded=query is None or self.degraded,
            took_ms=(time.monotonic() - started) * 1000,
        )
        _LOGGER.debug("Decided in %.1f ms: %s, %s targets", answer.took_ms, result.decision, len(result.targets))
        return answer

    async def async_match_with(
        self, asked: AskedGeneration, request: MatchRequest, limits: EntityFilter
    ) -> MatchAnswer:
        """Find what a request means to one generation and its own model, encoding anew what was asked before.

        Raises as `async_asked` and as `async_match` do.
        """
        started = time.monotonic()
        query = await asked.async_query(request.query)
        result = await self._match(request, limits, query)
        took_ms = (time.monotonic() - started) * 1000
        return MatchAnswer(result, query.model, query.generation, not asked.complete, took_ms)

    @asynccontextmanager
    async def async_asked(self, choice: GenerationChoice) -> AsyncGenerator[AskedGeneration]:
        """Have a generation and its own model ready to be asked in the block.

        Raises NoSuchGenerationError; GenerationSilentError when the model cannot be asked; UnknownGenerationError when
        the model was changed meanwhile; StoreError.
        """
        if choice is GenerationChoice.PREVIOUS:
            async with self._previous.async_use() as asked:
                yield asked
            return
        generation, line = self._status.generation, self._answering
        if choice is GenerationChoice.BUILDING:
            generation = self._status.building
            line = next((line for line in self._lines if line.generation == generation), None)
        if generation is None:
            raise NoSuchGenerationError(choice)
        if line is None:
            raise GenerationSilentError(choice, EncoderUnavailableError("it has not started"))
        complete = not await self.index.async_ask(HomeIndex.missing_texts, generation, 1)
        encode = partial(line.runner.async_encode, role=Role.QUERY, within=QUERY_SECONDS)
        try:
            yield AskedGeneration(choice, generation, line.runner.model_id, complete, encode)
        except GenerationSilentError as err:
            if line.runner.ready:
                raise
            raise UnknownGenerationError(f"The model of generation {generation} was stopped") from err

    async def _async_result(self, request: MatchRequest, limits: EntityFilter) -> MatchResult:
        return (await self.async_match(request, limits)).result

    async def _async_uncounted(self, request: MatchRequest, limits: EntityFilter) -> MatchResult:
        """Match the answer to a question, which was counted when it was asked."""
        return (await self._async_answer(request, limits)).result

    async def async_things(self, entity_ids: Collection[str]) -> dict[str, Thing]:
        """Give entities as people speak of them, those of them that are known here; raises StoreError."""
        return await self.index.async_ask(HomeIndex.things, entity_ids)

    async def async_embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts, as passages, to float32 (n, dimension). Raises EncoderError, also when there is no model."""
        return (await self._encode_texts(texts)).dense

    async def _encode_texts(self, texts: Sequence[str]) -> Encoded:
        if (line := self._answering) is None:
            raise EncoderError("no model")
        # In the bulk lane, which is cut into pieces: a hundred long texts must not hold up a query.
        return await line.runner.async_encode(texts, Role.PASSAGE, Lane.BULK)

    @asynccontextmanager
    async def async_lend_memory(self) -> AsyncGenerator[None]:
        """Do without the models for a while."""
        async with AsyncExitStack() as stack:
            for line in self._lines:
                await stack.enter_async_context(line.runner.async_lend_memory())
            await stack.enter_async_context(self._previous.async_lend_memory())
            yield

    async def async_unload_models(self) -> None:
        """Give the models' memory back now; who asks next waits until they are loaded again."""
        for line in self._lines:
            await line.runner.async_unload()
        await self._previous.async_release()

    async def async_rollback(self) -> None:
        """Return to the former model and its vectors, which are still there, at once.

        Raises NoPreviousGenerationError when there is none any more.
        """
        data = await self._history.async_before()
        if data is None:
            raise NoPreviousGenerationError("There is no former model")
        await self.index.async_ask(HomeIndex.rollback)
        self._hass.config_entries.async_update_entry(self._entry, data=data)
        self._hass.config_entries.async_schedule_reload(self._entry.entry_id)

    @callback
    def async_change_model(self) -> None:
        """Begin the change of the model that waits for this; one that is under way just goes on."""
        if not self.change.waits:
            return
        self.change.async_confirm()
        line = self._wished_line()
        self._lines.insert(0, line)
        self._start_line(line)
        self._tell_listeners()

    async def async_rebuild(self) -> IndexStatus:
        """Read the home again and make all vectors anew; the vectors follow in the background.

        Raises HeldError during a backup, StoreError.
        """
        self.index.refuse_while_held()
        await self.index.async_ask(HomeIndex.forget_vectors)
        await self._index_changed()
        for sync in self._syncs:
            await sync.async_flush(everything=True)
        return self._status

    async def async_reconcile(self, kinds: Iterable[str], documents: list[Document]) -> None:
        """Hold exactly these documents of these kinds."""
        held = set(kinds)
        changed = await self.index.async_ask(HomeIndex.reconcile, held, documents)
        first = not held.isdisjoint(self._unread_kinds)
        self._unread_kinds -= held
        if changed or first:
            await self._index_changed()

    async def async_update(self, documents: list[Document], removed_entities: list[str]) -> None:
        """Add or change documents, and remove entities by source id."""
        if await self.index.async_ask(HomeIndex.update, documents, removed_entities):
            await self._index_changed()

    async def _begin_lines(self) -> list[EmbeddingLine]:
        """Choose which models to bring up: the wished one, and that of the vectors that are there if it is another."""
        if self._entry.data.get(CONF_MODEL) is None:
            await async_get_store(self._hass).async_keep_only(())
            return []
        former = await self._history.async_former_of(await self.index.async_ask(HomeIndex.active))
        await self.change.async_weigh(self._status, former_known=former is not None)
        if former is None and not self.change.waits:
            return [self._wished_line()]
        runner = ModelRunner(self._hass, self._entry, self._tell_listeners, former)
        answering = EmbeddingLine(runner, self.index.async_ask, begins=False)
        if not self.change.waits:
            return [self._wished_line(), answering]
        if (building := self._status.building) is not None:
            # Of a model that was wished meanwhile.
            await self.index.async_ask(HomeIndex.give_up, building)
            await self._refresh_status()
        return [answering]

    def _wished_line(self) -> EmbeddingLine:
        return EmbeddingLine(
            ModelRunner(self._hass, self._entry, self._tell_listeners), self.index.async_ask, begins=True
        )

    @callback
    def _start_line(self, line: EmbeddingLine) -> None:
        changed, completed = partial(self._line_changed, line), partial(self._line_completed, line)
        line.async_start(self._hass, self._entry, changed, completed)

    async def _line_changed(self, line: EmbeddingLine) -> None:
        """Take notice of a model that is up, or of vectors that it has made."""
        active = await self.index.async_ask(HomeIndex.active)
        if active is not None and active.id == line.generation and line.begins:
            await self._remember(active)
        await self._refresh_status()

    async def _line_completed(self, line: EmbeddingLine) -> None:
        """Let a line answer whose generation has all vectors, if another one answers still."""
        # Of a home that was not read yet the generation may have all vectors and lack most of them a moment later.
        if line.generation is None or not line.begins or self._unread_kinds:
            return
        active = await self.index.async_ask(HomeIndex.active)
        if active is None or active.id != line.generation:
            if not await line.async_stands_the_test():
                raise StoreError(f"The vectors of generation {line.generation} are not those that its model gives")
            try:
                active = await self.index.async_ask(HomeIndex.swap, line.generation, frozenset(line.refused))
            except IncompleteGenerationError:
                # Something changed meanwhile, and is embedded first.
                line.wake()
                return
            try:
                await self._read_status()
            finally:
                # What the same model made of a home that was described in another way has gone.
                line.leave_former()
            _LOGGER.info("The model %s answers from now on", line.runner.model_id)
        await self._remember(active)
        await self._refresh_status()
        for other in self._lines[1:]:
            await other.async_stop()
        # Only now: should this be cut off, `async_stop` still finds what has not stopped.
        del self._lines[1:]
        self._previous.async_release_later()

    async def _remember(self, active: Generation) -> None:
        await self._history.async_remember(active, await self.index.async_ask(HomeIndex.retired))

    @property
    def _answering(self) -> EmbeddingLine | None:
        """The line of the active generation, if its model is up."""
        active = self._status.generation
        return next((line for line in self._lines if line.serves(active)), None)

    async def _encode_query(self, text: str) -> QueryVector | None:
        """Encode a query with the model that answers; None when it does not."""
        # Soon after it may be another one that answers.
        line, generation = self._answering, self._status.generation
        if line is None or generation is None:
            return None
        model = line.runner.model_id
        key = QueryKey(generation, text)
        encoded = self._queries.get(key)
        if encoded is None:
            try:
                encoded = await line.runner.async_encode([text], Role.QUERY, within=QUERY_SECONDS)
            except EncoderBusyError:
                raise
            except EncoderUnavailableError:
                return None
            except EncoderError as err:
                if self._answering is not line:
                    return await self._encode_query(text)
                # A server may repeat the text that it refuses.
                _LOGGER.warning("The model did not answer, names alone do: %s", problem_of(err)[0])
                _LOGGER.debug("The model did not answer: %s", err)
                return None
            self._queries.put(key, encoded)
        else:
            _LOGGER.debug("The query was encoded before")
        return QueryVector(encoded, generation, model)

    async def _match(self, request: MatchRequest, limits: EntityFilter, query: QueryVector | None) -> MatchResult:
        encoded, generation = (None, None) if query is None else (query.encoded, query.generation)
        return await self.index.async_ask(HomeIndex.match, request, limits, encoded, generation)

    async def _index_changed(self) -> None:
        await self._refresh_status()
        for line in self._lines:
            line.wake()

    async def _refresh_status(self) -> None:
        await self._read_status()
        self._tell_listeners()

    async def _read_status(self) -> None:
        self._status = await self.index.async_ask(HomeIndex.status)
        self._meter.take(self._status)

    @callback
    def _tell_listeners(self) -> None:
        self.alias_review.async_schedule()
        for listener in tuple(self._listeners):
            listener()
