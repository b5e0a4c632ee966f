"""Vectors from an embedding server on the network: any that speaks OpenAI's embeddings interface."""

from collections.abc import Callable, Sequence
import hashlib
from itertools import batched
import json
import time
from typing import override

import numpy as np
from numpy.typing import NDArray

from .catalog import ModelSpec
from .circuit_breaker import CircuitBreaker
from .embedding_server import Server, ServerFaultError
from .embeddings_api import Vectors, request, vectors
from .encoder import Encoded, Encoder, Role
from .server_call import ServerCall
from .transport import Transport

# What text-embeddings-inference takes in one request unless told otherwise.
_MAX_TEXTS = 32
# Several scripts, a number and odd signs: two models that agree on this are the same one.
_PROBE = "Schalte die Stehlampe neben dem Sofa auf 21,5 % - it is too bright in the 客厅, выключи свет!"
# The same model differs from itself by less, on other hardware or in another batch; a close relative by more (0.986
# between multilingual-e5-small and a fine-tuned one).
_SAME_MODEL = 0.995


class HttpEncoder(Encoder):
    """Asks a server, at the first of its address' `candidates`."""

    def __init__(  # noqa: PLR0913 - the last two are for tests
        self,
        server: Server,
        spec: ModelSpec,
        transport: Transport,
        *,
        known: NDArray[np.float32] | None = None,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """Ask for a probe text in both roles. Blocking; raises ServerError, EncoderClosedError.

        `known`: the signature that was kept when the server was set up. `breaker`: one that knows the server's latest
        failures, if there is any. `clock` and `wait` (both in seconds) time
        what is tried again; see ServerCall.
        """
        self.server = server
        self._models, self._prefixes = _models(server), _prefixes(spec)
        self._call = ServerCall(server, transport, breaker or CircuitBreaker(clock), clock, wait)
        self._dimension = spec.dimension
        found = self._probe()
        self._dimension = found.shape[1]
        self._signature = known if known is not None and _same_model(known, found) else found.ravel()

    @property
    @override
    def dimension(self) -> int:
        return self._dimension

    @property
    def signature(self) -> Vectors:
        """What tells this model from others: float32 (2 * dimension,), a vector a role. To be given as `known`."""
        return self._signature

    @property
    @override
    def revision(self) -> str:
        """Fingerprint of the model behind the name: it is another one when the signature is."""
        return _fingerprint(self._models, self._prefixes, self._signature)

    @override
    def encode(self, texts: Sequence[str], role: Role) -> Encoded:
        """Encode texts, within about twice the server's timeout. See Encoder.

        Raises plain ServerError when it is about the texts, EncoderUnavailableError when it is not.
        """
        deadline = self._call.deadline()
        parts = [self._encode(part, role, deadline) for part in batched(texts, _MAX_TEXTS, strict=False)]
        return Encoded(np.concatenate([np.empty((0, self._dimension), np.float32), *parts]))

    @override
    def interrupt(self) -> None:
        self._call.interrupt()

    @override
    def close(self) -> None:
        """Refuse further calls. What reaches the server is left to its owner, who may make another encoder with it."""
        self._call.close()

    def _probe(self) -> Vectors:
        deadline = self._call.deadline()
        rows = [self._encode((_PROBE,), role, deadline) for role in Role]
        if rows[0].shape != rows[1].shape:
            detail = f"{rows[0].shape[1]} for queries, {rows[1].shape[1]} for passages"
            raise ServerFaultError("server_wrong_dimension", detail)
        return np.concatenate(rows)

    def _encode(self, texts: Sequence[str], role: Role, deadline: float) -> Vectors:
        payload = request(self._models[role], [self._prefixes[role] + text for text in texts])
        found = vectors(self._call.post(payload, deadline), len(texts))
        if self._dimension not in (0, found.shape[1]):
            raise ServerFaultError("server_wrong_dimension", f"{found.shape[1]} instead of {self._dimension}")
        return found


def revision_of_server(server: Server, spec: ModelSpec, signature: NDArray[np.float32]) -> str:
    """Tell the revision of the encoder that finds the model of this signature at the server."""
    return _fingerprint(_models(server), _prefixes(spec), signature)


def _models(server: Server) -> dict[Role, str]:
    return {Role.QUERY: server.model, Role.PASSAGE: server.passage_model or server.model}


def _prefixes(spec: ModelSpec) -> dict[Role, str]:
    return {Role.QUERY: spec.query_prefix, Role.PASSAGE: spec.passage_prefix}


def _fingerprint(models: dict[Role, str], prefixes: dict[Role, str], signature: NDArray[np.float32]) -> str:
    names = json.dumps([models, prefixes])
    return hashlib.sha256(names.encode() + signature.astype("<f4").tobytes()).hexdigest()


def _same_model(known: NDArray[np.float32], found: Vectors) -> bool:
    """Compare a vector for each role with those that were kept, one behind the other."""
    return known.size == found.size and bool(((known.reshape(found.shape) * found).sum(axis=1) >= _SAME_MODEL).all())
