"""What an encoder is, whatever runs it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Role(StrEnum):
    """Which side of a search a text stands on; some models want a different prefix for each."""

    QUERY = "query"
    PASSAGE = "passage"


@dataclass(frozen=True, slots=True)
class Encoded:
    """The vectors of n texts, in the order of the texts.

    `dense`: float32 (n, dimension), L2-normalised.
    `sparse`: per text, token id to weight (> 0); None when the model has no lexical head.
    `multivector`: per text, float32 (tokens, dimension), L2-normalised; None when the model has no such head.
    """

    dense: NDArray[np.float32]
    sparse: tuple[dict[int, float], ...] | None = None
    multivector: tuple[NDArray[np.float32], ...] | None = None

    @property
    def has_heads(self) -> bool:
        """Tell whether there are weights and a vector a token beside the dense vectors."""
        return self.sparse is not None and self.multivector is not None

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put parts together, one at least, that are of the same heads."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.dense for part in parts]),
            tuple(weights for part in parts for weights in part.sparse or ()) or None,
            tuple(vectors for part in parts for vectors in part.multivector or ()) or None,
        )

    def cut(self, start: int, end: int) -> Self:
        """Take the vectors of the texts from `start` to before `end`."""
        return replace(
            self,
            dense=self.dense[start:end],
            sparse=None if self.sparse is None else self.sparse[start:end],
            multivector=None if self.multivector is None else self.multivector[start:end],
        )


class Encoder(Protocol):
    """Turns texts into vectors. Blocking, and not safe for use by two threads at once."""

    @property
    def dimension(self) -> int:
        """Length of a dense vector."""

    @property
    def revision(self) -> str:
        """Fingerprint of the files (or the server's model) that make the vectors."""

    @property
    def has_heads(self) -> bool:
        """Whether it gives weights and a vector a token beside the dense vectors."""
        return False

    def encode(self, texts: Sequence[str], role: Role) -> Encoded:
        """Encode texts; raises EncoderError when that fails. No texts give no rows."""

    def interrupt(self) -> None:
        """Have an encode() that waits for somebody else end soon, with EncoderClosedError. Called by another thread."""

    def close(self) -> None:
        """Give back the memory. The encoder cannot be used afterwards."""


class EncoderError(Exception):
    """An encoder could not do its work."""


class RuntimeMissingError(EncoderError):
    """A package that runs the model is not installed, or cannot be imported."""

    def __init__(self, package: str) -> None:
        """Take the package's name."""
        super().__init__(package)
        self.package = package


class ModelFilesError(EncoderError):
    """The model folder lacks a file, or a file is not what the model's spec says.

    `problem` is one of the translation keys that the config flow shows.
    """

    def __init__(self, problem: str, detail: str) -> None:
        """Keep the problem's key and a detail for the log and the placeholder."""
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail


class EncoderUnavailableError(EncoderError):
    """What computes the vectors cannot be reached just now. Says nothing of the texts; the same may work later."""


class EncoderAuthError(EncoderUnavailableError):
    """A server refuses the key it was given, or wants one."""


class EncoderBusyError(EncoderError):
    """Too many requests are waiting already."""


class EncoderClosedError(EncoderError):
    """The worker was stopped before the request was answered."""
