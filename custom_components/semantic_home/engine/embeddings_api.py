"""The embeddings interface of OpenAI as servers really speak it: what they answer, and what they mean by an error."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from http import HTTPStatus
import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .embedding_server import ServerAuthError, ServerError, ServerFaultError, ServerUnreachableError
from .transport import Response

type Vectors = NDArray[np.float32]

_LONGEST_DETAIL = 200
_LONGEST_MESSAGE = 2000
_KEY_STATUSES = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_TEXT_STATUSES = {HTTPStatus.BAD_REQUEST, HTTPStatus.CONTENT_TOO_LARGE, HTTPStatus.UNPROCESSABLE_CONTENT}
_LATER_STATUSES = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}

# The messages below are those of OpenAI, vLLM, Ollama, llama.cpp, LiteLLM, text-embeddings-inference and OpenVINO
# Model Server (whose models are "graphs"). A 404 is either the path's fault or the model's.
_NAMES_A_MODEL = re.compile(r"\b(model|graph)", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"(invalid|unknown|no such) model|model\b[^.]{0,80}\b(not found|not exist|not loaded|not available)", re.IGNORECASE
)
_NO_EMBEDDINGS = re.compile(r"not support embed|pooling type|not an embedding model", re.IGNORECASE)
# Older llama.cpp and Ollama have a 500 for a text that is too long.
_TOO_LONG = re.compile(r"too (large|long)|context (length|size)|exceeds? .*(context|length)", re.IGNORECASE)


def request(model: str, texts: Sequence[str]) -> dict[str, Any]:
    """Write a request. Half a surrogate pair, which no server can read, becomes a question mark."""
    readable = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return {"model": model, "input": readable, "encoding_format": "float"}


def vectors(body: bytes, count: int) -> Vectors:
    """Read `count` vectors, in the order of the texts, L2-normalised.

    Raises ServerFaultError `server_not_embeddings` when the answer is something else, and ServerError with the same
    key when a vector has no direction, which may be its text's fault.
    """
    rows = [_numbers(item.get("embedding")) for item in _in_order(_items(body), count)]
    if len({row.size for row in rows}) != 1 or not rows[0].size:
        raise _not_embeddings("the vectors have different lengths, or none")
    matrix = np.stack(rows)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise ServerError("server_not_embeddings", "a vector is zero or not finite")
    normalised: Vectors = (matrix / lengths).astype(np.float32)
    return normalised


def refusal(response: Response) -> ServerError | None:
    """Tell what a server means by its status; None when it is content."""
    status, message = response.status, _message(response.body)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    detail = f"HTTP {status}: {message[:_LONGEST_DETAIL]}".rstrip(": ")
    problem = _problem(status, message)
    if problem == "server_refused":
        return ServerAuthError(detail)
    if problem == "server_refused_text":
        return ServerError(problem, detail)
    if problem == "server_unreachable":
        return ServerUnreachableError(detail, _seconds(response.headers.get("retry-after", "")))
    return ServerFaultError(problem, detail)


def _problem(status: int, message: str) -> str:
    if status in _KEY_STATUSES:
        return "server_refused"
    if _NO_EMBEDDINGS.search(message):
        return "server_not_embeddings"
    if (_NAMES_A_MODEL if status == HTTPStatus.NOT_FOUND else _NO_MODEL).search(message):
        return "server_no_model"
    if status in _TEXT_STATUSES or (status == HTTPStatus.INTERNAL_SERVER_ERROR and _TOO_LONG.search(message)):
        return "server_refused_text"
    if status in _LATER_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_unreachable"
    # A redirect, a wrong method or a wrong path.
    return "server_not_found"


def _items(body: bytes) -> Sequence[Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as err:
        raise _not_embeddings("the answer is no JSON") from err
    items = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise _not_embeddings(_message(body)[:_LONGEST_DETAIL] or "the answer has no list `data`")
    return items


def _in_order(items: Sequence[Mapping[str, Any]], count: int) -> Sequence[Mapping[str, Any]]:
    if len(items) != count:
        raise _not_embeddings(f"{len(items)} vectors for {count} texts")
    by_index = {item.get("index"): item for item in items if isinstance(item.get("index"), int)}
    if not by_index:
        return items
    if by_index.keys() != set(range(count)):
        raise _not_embeddings("the vectors' numbers are not those of the texts")
    return [by_index[index] for index in range(count)]


def _numbers(embedding: Any) -> NDArray[np.float64]:
    try:
        if isinstance(embedding, str):
            # Asked for floats, some gateways still give what their own client would have asked for.
            return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float64)
        row = np.asarray(embedding, np.float64)
    except (TypeError, ValueError, OverflowError, binascii.Error) as err:
        raise _not_embeddings("a vector is no list of numbers") from err
    if row.ndim > 1:
        raise _not_embeddings("one vector for each token, where one for each text is needed: the server must pool")
    if not row.ndim:
        raise _not_embeddings("a vector is missing")
    return row


def _message(body: bytes) -> str:
    """Find the words for people in an error; nothing in a page for a browser."""
    try:
        answer = json.loads(body)
    except ValueError, RecursionError:
        text = body[:_LONGEST_DETAIL].decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text
    while isinstance(answer, Mapping):
        answer = next((answer[key] for key in ("error", "message", "detail") if key in answer), "")
    return str(answer)[:_LONGEST_MESSAGE]


def _seconds(header: str) -> float | None:
    # The other form, a date, would have us trust two clocks.
    return float(header) if header.strip().isdecimal() else None


def _not_embeddings(detail: str) -> ServerFaultError:
    return ServerFaultError("server_not_embeddings", detail)
