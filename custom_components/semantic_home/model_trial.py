"""A model tried before it is trusted: loaded beside nothing else, asked known questions, and let go again."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from homeassistant.core import HomeAssistant

from .const import DOMAIN
from .engine import ComputeOptions, Examination, HttpEncoder, ServerError, candidates, examine
from .model_choice import Engine, ModelChoice
from .model_loading import async_worker, engine_of


@dataclass(frozen=True, slots=True)
class Trial:
    """What was found, and by whom, which may be another engine than was chosen.

    `choice` has what could only be learnt from the model: a server's address and dimension.
    """

    choice: ModelChoice
    engine: Engine
    examination: Examination


# With these an address without the path that servers usually have may be what was meant.
_WRONG_ADDRESS = frozenset({"server_not_found", "server_not_embeddings"})


async def async_try(hass: HomeAssistant, choice: ModelChoice, options: ComputeOptions) -> Trial:
    """Load the model, examine it and let it go. Raises what async_load raises."""
    async with AsyncExitStack() as stack:
        # Two models at once may be more than the machine has memory for.
        for entry in hass.config_entries.async_loaded_entries(DOMAIN):
            await stack.enter_async_context(entry.runtime_data.async_lend_memory())
        if choice.server is None:
            return await _try(hass, choice, options)
        *first, last = candidates(choice.server.url)
        for url in first:
            try:
                return await _try(hass, _at(choice, url), options)
            except ServerError as err:
                if err.problem not in _WRONG_ADDRESS:
                    raise
        return await _try(hass, _at(choice, last), options)


async def _try(hass: HomeAssistant, choice: ModelChoice, options: ComputeOptions) -> Trial:
    examinations: list[Examination] = []
    worker = await async_worker(hass, choice, options, lambda encoder: examinations.append(examine(encoder)))
    try:
        encoder = await worker.start()
    finally:
        await worker.stop()
    if isinstance(encoder, HttpEncoder):
        spec = replace(choice.spec, dimension=encoder.dimension)
        choice = replace(choice, spec=spec, signature=encoder.signature)
    return Trial(choice, engine_of(encoder), examinations[0])


def _at(choice: ModelChoice, url: str) -> ModelChoice:
    return replace(choice, server=replace(choice.server, url=url)) if choice.server else choice
