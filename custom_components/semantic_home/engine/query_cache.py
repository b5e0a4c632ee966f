"""The vectors of questions that were asked before, so that asking again costs no inference."""

from collections import OrderedDict
from dataclasses import dataclass

from .encoder import Encoded, Role

_MAX_BYTES = 16 * 2**20
# What a float in a sparse dict costs beside its token id, and an entry beside its vectors; roughly, in bytes.
_SPARSE_WEIGHT = 100
_ENTRY = 500


@dataclass(frozen=True, slots=True)
class QueryKey:
    """What decides a query's vector: the generation (or the encoder's revision), the text and the role."""

    generation: str | int
    text: str
    role: Role = Role.QUERY


class QueryCache:
    """Keeps what was used last, within a number of bytes. For one thread, an event loop's."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        """Keep at most about so many bytes; an answer larger than that is not kept at all."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[QueryKey, Encoded] = OrderedDict()

    def __len__(self) -> int:
        """Count the questions."""
        return len(self._answers)

    def get(self, key: QueryKey) -> Encoded | None:
        """Return the vectors of one text; they are shared, and so cannot be written to."""
        if (answer := self._answers.get(key)) is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: QueryKey, answer: Encoded) -> None:
        """Keep the vectors of one text, and let go of those that were not used for longest."""
        self._drop(key)
        kept = _copy(answer)
        size = _size(key, kept)
        if size > self._max_bytes:
            return
        while self._bytes + size > self._max_bytes:
            self._drop(next(iter(self._answers)))
        self._answers[key] = kept
        self._bytes += size

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()
        self._bytes = 0

    def _drop(self, key: QueryKey) -> None:
        if (answer := self._answers.pop(key, None)) is not None:
            self._bytes -= _size(key, answer)


def _copy(answer: Encoded) -> Encoded:
    """Take the vectors out of the batch they came in, which would otherwise be kept whole."""
    copied = Encoded(
        answer.dense.copy(),
        answer.sparse,
        None if answer.multivector is None else tuple(vectors.copy() for vectors in answer.multivector),
    )
    for vectors in (copied.dense, *(copied.multivector or ())):
        vectors.flags.writeable = False
    return copied


def _size(key: QueryKey, answer: Encoded) -> int:
    """Add up what an entry occupies, in bytes."""
    vectors = sum(array.nbytes for array in (answer.dense, *(answer.multivector or ())))
    weights = sum(map(len, answer.sparse or ())) * _SPARSE_WEIGHT
    return _ENTRY + 4 * len(key.text) + vectors + weights
