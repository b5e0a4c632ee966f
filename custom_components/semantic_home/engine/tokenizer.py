"""Texts to token ids, with the model's own tokenizer, in batches of similar length."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .encoder import ModelFilesError, RuntimeMissingError

# A batch is bounded in both directions: many short texts, or few long ones.
_MAX_ROWS = 16
_MAX_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts that go through the model together.

    `rows`: their places in the caller's list, (n,). `input_ids` and `attention_mask`: int64 (n, longest), padded right.
    """

    rows: NDArray[np.intp]
    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]


class Tokenizer:
    """A `tokenizer.json`, with truncation at the model's limit and padding done here."""

    def __init__(self, file: Path, max_tokens: int) -> None:
        """Load the file. Raises RuntimeMissingError without `tokenizers`, ModelFilesError for a bad file."""
        try:
            from tokenizers import Tokenizer as Backend  # noqa: PLC0415 - installed on demand
        except ImportError as err:
            raise RuntimeMissingError("tokenizers") from err
        try:
            self._backend = Backend.from_file(str(file))
        except Exception as err:  # the Rust side raises plain Exception
            raise ModelFilesError("file_unreadable", file.name) from err
        self._pad_id = _pad_id(self._backend.padding, self._backend.token_to_id)
        self._backend.no_padding()
        self._backend.enable_truncation(max_tokens)

    def known_ids(self, names: Iterable[str]) -> frozenset[int]:
        """Look tokens up by name; those that the model does not have are left out."""
        return frozenset(found for name in names if (found := self._backend.token_to_id(name)) is not None)

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        """Yield all texts in batches, shortest first, so that little is padded."""
        # A lone surrogate cannot be UTF-8, and one bad name must not cost the whole batch.
        valid = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        ids = [encoding.ids for encoding in self._backend.encode_batch(valid)]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        start = 0
        while start < len(order):
            end = start + 1
            while (
                end < len(order) and end - start < _MAX_ROWS and len(ids[order[end]]) * (end - start + 1) <= _MAX_TOKENS
            ):
                end += 1
            yield self._pad(order[start:end], ids)
            start = end

    def _pad(self, rows: list[int], ids: Sequence[list[int]]) -> Batch:
        longest = max(len(ids[row]) for row in rows)
        input_ids = np.full((len(rows), longest), self._pad_id, np.int64)
        attention_mask = np.zeros((len(rows), longest), np.int64)
        for place, row in enumerate(rows):
            input_ids[place, : len(ids[row])] = ids[row]
            attention_mask[place, : len(ids[row])] = 1
        return Batch(np.array(rows, np.intp), input_ids, attention_mask)


def _pad_id(padding: dict[str, int] | None, token_to_id: Callable[[str], int | None]) -> int:
    if padding:
        return padding["pad_id"]
    return next((found for name in ("<pad>", "[PAD]") if (found := token_to_id(name)) is not None), 0)
