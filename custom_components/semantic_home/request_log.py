"""Lets a request be followed through the log: what is logged for it, in whichever thread, bears its context's id.

All of the package's records have it as `context_id` (None where nobody asked); at debug level their text begins with
it. Above that level it does not: Home Assistant counts a warning that repeats itself by its text.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
import logging
from typing import Any, override

from homeassistant.core import ServiceCall, ServiceResponse

_LOGGER = logging.getLogger(__name__)

_CONTEXT_ID: ContextVar[str | None] = ContextVar("semantic_home_context_id", default=None)

type _Action[Response: ServiceResponse | None] = Callable[[ServiceCall], Coroutine[Any, Any, Response]]


@contextmanager
def following(context_id: str, what: str) -> Iterator[None]:
    """Follow what is done in the block. `what` came in: the kind of the request, and nothing of its texts."""
    token = _CONTEXT_ID.set(context_id)
    try:
        _LOGGER.debug("Received: %s", what)
        yield
    except Exception as err:
        # The caller is told the rest, which may hold what was asked.
        _LOGGER.debug("Failed: %s, %s", what, getattr(err, "translation_key", None) or type(err).__name__)
        raise
    finally:
        _CONTEXT_ID.reset(token)


def followed[Response: ServiceResponse | None](action: _Action[Response]) -> _Action[Response]:
    """Follow each call of an action."""

    @wraps(action)
    async def follow(call: ServiceCall) -> Response:
        with following(call.context.id, f"action {call.service}"):
            return await action(call)

    return follow


def mark_records() -> None:
    """Have the package's records marked, those of loggers that are made later included. Can be called again."""
    logging.getLogger(__package__).addHandler(_MARKER)


class _Marker(logging.Handler):
    """Writes nothing: it is where all of the package's records pass on their way to those who do."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        record.context_id = context_id = _CONTEXT_ID.get()
        if context_id is not None and record.levelno <= logging.DEBUG:
            record.msg = f"[{context_id}] {record.msg}"


_MARKER = _Marker()
