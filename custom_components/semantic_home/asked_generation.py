"""A generation that is asked with the model that made its vectors, and with no other."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .engine import Encoded, EncoderBusyError, EncoderError

# A person does not wait longer for a query's vector.
QUERY_SECONDS = 10.0


class GenerationChoice(StrEnum):
    """Which generation is to answer: the one that does, the one before it, or the one that is to come."""

    ACTIVE = "active"
    PREVIOUS = "previous"
    BUILDING = "building"


class NoSuchGenerationError(Exception):
    """There is no such generation, at least now."""

    def __init__(self, choice: GenerationChoice) -> None:
        """Keep which one was wanted."""
        super().__init__(choice)
        self.choice = choice


class GenerationSilentError(Exception):
    """The generation is there, but its model cannot be asked; `cause` says why."""

    def __init__(self, choice: GenerationChoice, cause: Exception) -> None:
        """Keep which one was wanted, and what is wrong with its model."""
        super().__init__(f"{choice}: {cause}")
        self.choice = choice
        self.cause = cause


@dataclass(frozen=True, slots=True)
class QueryVector:
    """What a model says of a query alone, the only generation that it can be compared with, and whose model it is."""

    encoded: Encoded
    generation: int
    model: str | None


@dataclass(frozen=True, slots=True)
class AskedGeneration:
    """A generation (its id) whose model is up. `complete`: whether no text lacked its vector when it was found."""

    choice: GenerationChoice
    id: int
    model: str | None
    complete: bool
    encode: Callable[[Sequence[str]], Awaitable[Encoded]]

    async def async_query(self, text: str) -> QueryVector:
        """Encode a query. Raises EncoderBusyError when too many ask at once, GenerationSilentError."""
        try:
            encoded = await self.encode([text])
        except EncoderBusyError:
            raise
        except EncoderError as err:
            raise GenerationSilentError(self.choice, err) from err
        return QueryVector(encoded, self.id, self.model)
