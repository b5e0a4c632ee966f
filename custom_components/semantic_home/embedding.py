"""One model and the generation of vectors that it makes: kept complete, in the background, for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
import logging
from typing import Protocol

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .describe import TEMPLATE_VERSION
from .engine import (
    Encoded,
    EncoderBusyError,
    EncoderChangedError,
    EncoderClosedError,
    EncoderError,
    EncoderUnavailableError,
    Lane,
    ModelFilesError,
    Role,
    RuntimeMissingError,
)
from .home_index import HomeIndex
from .index import Generation, Stamp, StoreError
from .matching import Background
from .model_choice import ModelChoice
from .model_loading import LoadedModel
from .model_runner import RETRY_SECONDS, ModelRunner

_LOGGER = logging.getLogger(__name__)

# Read from the database at once; the encoder's worker cuts it into the pieces that a query may have to wait for.
_TEXTS_A_ROUND = 64
# So many texts are embedded again before a generation may answer, and must come out as they are stored.
_SAMPLE = 8
_SAME = 0.99
_NO_FAULT_OF_THE_TEXTS = (
    EncoderBusyError,
    EncoderChangedError,
    EncoderClosedError,
    EncoderUnavailableError,
    ModelFilesError,
    RuntimeMissingError,
)


class AskIndex(Protocol):
    """Calls a method of the home's index in its thread."""

    def __call__[*Arguments, Result](
        self, method: Callable[[HomeIndex, *Arguments], Result], *arguments: *Arguments
    ) -> Awaitable[Result]:
        """Return what the method does, and raise what it raises."""


class EmbeddingLine:
    """Brings a model up and embeds what has no vector in its generation."""

    def __init__(self, runner: ModelRunner, ask: AskIndex, *, begins: bool) -> None:
        """Take the model's runner and the way to the index.

        `begins`: whether it may begin a generation; else it serves the active one, if that is of this model.
        """
        self.runner = runner
        self.begins = begins
        self.refused: set[str] = set()
        """Texts that the model refuses; their letters alone are matched."""
        self._ask = ask
        # The one that its vectors are for; and before it, until that is complete, the one that answers now, if the same
        # model made it of a home that was described in another way.
        self._generations: list[Generation] = []
        self._waiting = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def generation(self) -> int | None:
        """The id of the generation that its vectors are for; None until the model is up."""
        return self._generations[-1].id if self._generations and self.runner.ready else None

    @property
    def stamp(self) -> Stamp | None:
        """How the vectors of its generation are made; None until the model is up."""
        return self._generations[-1].stamp if self._generations and self.runner.ready else None

    def serves(self, generation_id: int | None) -> bool:
        """Tell whether queries that it encodes can be compared with a generation's vectors."""
        return self.runner.ready and generation_id in {generation.id for generation in self._generations}

    def leave_former(self) -> None:
        """Care for no other generation any more than the one that its vectors are for."""
        del self._generations[:-1]

    def wake(self) -> None:
        """Look for texts without a vector."""
        self._waiting.set()

    @callback
    def async_start(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        changed: Callable[[], Awaitable[None]],
        completed: Callable[[], Awaitable[None]],
    ) -> None:
        """Run in the background: `changed` is called when something is new, `completed` when nothing is missing."""
        self._task = entry.async_create_background_task(hass, self._run(changed, completed), f"{DOMAIN} embedding")

    async def async_stop(self) -> None:
        """Stop for good, also what is only tried again now and then. Can be called twice."""
        if self._task is not None:
            self._task.cancel()
            # Loading, when it is cut off, stops the worker that it has begun.
            await asyncio.wait([self._task])
        await self.runner.async_stop()

    async def _run(self, changed: Callable[[], Awaitable[None]], completed: Callable[[], Awaitable[None]]) -> None:
        self._generations = await self.runner.async_run(self._use)
        await changed()
        self.wake()
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            try:
                await self._complete(changed)
                await completed()
            except EncoderUnavailableError, EncoderChangedError:
                # Said once already, by whoever asked the model.
                await self._later()
            except StoreError as err:
                _LOGGER.error("The index could not be written, which is tried again in %s s: %s", RETRY_SECONDS, err)
                await self._later()
            except Exception:
                _LOGGER.exception("Some of the home could not be embedded; it is tried again in %s s", RETRY_SECONDS)
                await self._later()

    async def async_stands_the_test(self) -> bool:
        """Embed some of the generation's texts again, and tell whether they come out as they are stored."""
        if not self._generations:
            return False
        sample = await self._ask(HomeIndex.sample, self._generations[-1].id, _SAMPLE)
        texts = list(sample)
        if not texts:
            return True
        encoded = (await self.runner.async_encode(texts, Role.PASSAGE, Lane.BULK)).dense
        cosines = [float(encoded[row] @ sample[text]) for row, text in enumerate(texts)]
        return min(cosines) >= _SAME

    async def _later(self) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        self.wake()

    async def _use(self, choice: ModelChoice, model: LoadedModel) -> list[Generation]:
        """Find the generations of this model's vectors, and have them searched; raises EncoderError without any."""
        stamp = stamp_of(choice, model.encoder.revision, model.encoder.dimension)
        found = [await self._ask(HomeIndex.active_of, stamp)]
        if self.begins:
            found.append(await self._ask(HomeIndex.prepare, stamp))
        generations = list({generation.id: generation for generation in found if generation}.values())
        if not generations:
            raise EncoderError("The vectors that answer now are not of this model")
        sentences, background = await async_background(self._ask, generations[0], model)
        for generation in generations:
            await self._ask(HomeIndex.use, generation, sentences, background)
        return generations

    async def _complete(self, changed: Callable[[], Awaitable[None]]) -> None:
        """See that no text lacks its vector: the first generation has it made, the next takes it over."""
        first, *others = self._generations
        await self._embed_missing(first.id, changed)
        for generation in others:
            while await self._ask(HomeIndex.take_over, generation.id, first.id):
                await changed()
        await self._ask(HomeIndex.prune)
        await self._reclaim()

    async def _embed_missing(self, generation: int, changed: Callable[[], Awaitable[None]]) -> None:
        refused: set[str] = set()
        # Vectors without the model's other heads are from before those were asked for, and answer meanwhile.
        for missing in (HomeIndex.missing_texts, HomeIndex.missing_heads):
            while texts := await self._ask(missing, generation, _TEXTS_A_ROUND, frozenset(refused)):
                if not await self._embed(generation, texts):
                    # One bad text must not keep the others from the index.
                    refused.update([text for text in texts if not await self._embed(generation, [text])])
                await changed()
        if refused - self.refused:
            _LOGGER.warning("The model refuses %s texts, their letters alone are matched", len(refused))
            _LOGGER.debug("The model refuses %s", refused)
        self.refused = refused

    async def _reclaim(self) -> None:
        """Give the space of what is gone back to the disk, in steps between which queries are answered."""
        try:
            while await self._ask(HomeIndex.reclaim):
                pass
        except StoreError as err:
            # It is a matter of space alone, and is tried again after the next change.
            _LOGGER.warning("The space of what was removed could not be given back: %s", err)

    async def _embed(self, generation: int, texts: list[str]) -> bool:
        """Embed texts and keep their vectors; False when the model refuses one of them."""
        try:
            vectors = await self.runner.async_encode(texts, Role.PASSAGE, Lane.BULK)
        except _NO_FAULT_OF_THE_TEXTS:
            raise
        except EncoderError as err:
            _LOGGER.debug("The model refuses one of %s texts", len(texts), exc_info=err)
            return False
        await self._ask(HomeIndex.add_vectors, generation, texts, vectors)
        return True


async def async_background(ask: AskIndex, generation: Generation, model: LoadedModel) -> tuple[Sequence[str], Encoded]:
    """Give the background's sentences, and what a generation's model says of them: what is kept, or anew.

    With the other heads if the model has them now. Raises EncoderError, StoreError.
    """
    sentences = await asyncio.to_thread(Background.sentences)
    kept = await ask(HomeIndex.background, generation.id, sentences)
    if kept is None or (model.encoder.has_heads and not kept.has_heads):
        return sentences, await model.worker.encode(sentences, Role.QUERY, Lane.BULK)
    return sentences, kept if model.encoder.has_heads else Encoded(kept.dense)


def stamp_of(choice: ModelChoice, revision: str, dimension: int) -> Stamp:
    """Say how the vectors of a model are made, of whose encoder these are the properties."""
    spec = choice.spec
    return Stamp(
        model_id=spec.id,
        revision=revision,
        precision=spec.precision,
        pooling=str(spec.pooling),
        query_prefix=spec.query_prefix,
        passage_prefix=spec.passage_prefix,
        template_version=TEMPLATE_VERSION,
        dimension=dimension,
    )
