"""Which embedding server to ask, where, and what can be wrong with it."""

from dataclasses import dataclass, field
import re
from urllib.parse import urlsplit

from .encoder import EncoderAuthError, EncoderError, EncoderUnavailableError

_ENDPOINT = "embeddings"
_VERSION = re.compile(r"v\d+")
# Most servers have the first; OpenVINO Model Server has the second; some have the interface at the root.
_BASES = ("/v1", "/v3", "")


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server.

    `url`: its base, such as http://host:8000/v1, or the whole endpoint (see `candidates`). `model`: the name to ask
    for, and `passage_model` another one for passages, where the server tells the roles apart by it. `timeout`: what
    one request may take, in seconds.
    """

    url: str
    model: str
    passage_model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 10.0


def candidates(url: str) -> tuple[str, ...]:
    """Give the addresses that a user may mean by this one, most likely first: one when it names endpoint or version.

    Raises ServerUnreachableError when it is no address.
    """
    try:
        parts = urlsplit(url.strip() if "://" in url else f"http://{url.strip()}")
    except ValueError as err:
        raise ServerUnreachableError("this is no address") from err
    path = parts.path.rstrip("/")
    name = path.rpartition("/")[2]
    if name == _ENDPOINT:
        paths: tuple[str, ...] = (path,)
    elif _VERSION.fullmatch(name):
        paths = (f"{path}/{_ENDPOINT}",)
    else:
        paths = tuple(f"{path}{base}/{_ENDPOINT}" for base in _BASES)
    return tuple(parts._replace(path=path, fragment="").geturl() for path in paths)


class ServerError(EncoderError):
    """A server did not do what it was asked. Plain, it is about the texts; the subclasses say nothing of them.

    `problem` is one of the translation keys that the config flow shows.
    """

    def __init__(self, problem: str, detail: str) -> None:
        """Keep the problem's key and a detail for the log and the placeholder."""
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail


class ServerFaultError(ServerError, EncoderUnavailableError):
    """The server, its model or its address is not right: no text would be encoded now."""


class ServerUnreachableError(ServerFaultError):
    """No answer, or one that asks to come again; a later try may succeed.

    `retry_after`: the seconds after which the server wants to be asked again, None when it did not say.
    """

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        """Keep the detail and the server's wish."""
        super().__init__("server_unreachable", detail)
        self.retry_after = retry_after


class ServerAuthError(ServerFaultError, EncoderAuthError):
    """The server refuses the key, or wants one."""

    def __init__(self, detail: str) -> None:
        """Keep the detail."""
        super().__init__("server_refused", detail)
