"""What every encoder of a model folder does the same: batches in, vectors out, whatever computes them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import override

import numpy as np

from .catalog import ModelSpec
from .encoder import Encoded, Encoder, EncoderError, ModelFilesError, Role
from .heads import UNWEIGHED_TOKENS, Heads, collect, nothing_like
from .model_folder import ModelFolder
from .tokenizer import Batch, Tokenizer


class FolderEncoder(Encoder):
    """Tokenizes and puts together; a subclass encodes a batch, and calls `_probe` when it can."""

    def __init__(self, files: ModelFolder, spec: ModelSpec, max_tokens: int) -> None:
        """Read tokenizer and heads. Blocking; raises RuntimeMissingError without `tokenizers`, ModelFilesError."""
        self._spec = spec
        self._files = files
        self._tokenizer = Tokenizer(files.tokenizer, min(spec.max_tokens, max_tokens))
        self._heads = Heads.load(files.heads, spec, self._tokenizer.known_ids(UNWEIGHED_TOKENS))
        self._revision = files.fingerprint()
        self._empty = Encoded(np.empty((0, spec.dimension), np.float32))

    @property
    @override
    def dimension(self) -> int:
        return self._spec.dimension

    @property
    @override
    def revision(self) -> str:
        return self._revision

    @property
    @override
    def has_heads(self) -> bool:
        return self._empty.has_heads

    @override
    def encode(self, texts: Sequence[str], role: Role) -> Encoded:
        prefix = self._spec.query_prefix if role is Role.QUERY else self._spec.passage_prefix
        batches = self._tokenizer.batches([prefix + text for text in texts]) if texts else ()
        return collect(((batch, self._encode(batch)) for batch in batches), len(texts), self._empty)

    @override
    def interrupt(self) -> None:
        """Do nothing: a batch is short, and nothing can stop it."""

    @abstractmethod
    def _encode(self, batch: Batch) -> Encoded:
        """Encode a batch; rows in its order. Raises EncoderError."""

    def _probe_batch(self) -> Batch:
        (batch,) = self._tokenizer.batches(["1"])
        return batch

    def _probe(self) -> None:
        """Run the model once, for what cannot be seen before, and keep what no texts give.

        Raises what _does_not_answer() says when it does not answer.
        """
        try:
            self._empty = nothing_like(self._encode(self._probe_batch()))
        except EncoderError as err:
            raise self._does_not_answer() from err

    def _does_not_answer(self) -> ModelFilesError:
        """Say whose fault it is that the model does not run."""
        return ModelFilesError("file_unreadable", self._files.graph.name)
