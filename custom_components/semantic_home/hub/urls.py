"""Where a hub has what. Hugging Face's layout, which its mirrors speak too.

Endpoint, repository and revision may be what somebody typed; nothing of it gets into a URL unchecked.
"""

import re
from urllib.parse import quote

from yarl import URL

from ..engine import ModelFile
from .errors import HubError

DEFAULT_ENDPOINT = "https://huggingface.co"

_NAME = r"\w(?:[\w.-]{0,94}\w)?"
_REPOSITORY = re.compile(rf"(?:{_NAME}/)?{_NAME}", re.ASCII)
_REVISION = re.compile(r"\w[\w.+-]*(?:/\w[\w.+-]*)*", re.ASCII)
_LONGEST_REVISION = 200


def listing_url(endpoint: str, repository: str, revision: str) -> URL:
    """Where the files of a repository are listed, with their sizes and hashes. Raises HubError `hub_not_found`."""
    where = f"{_base(endpoint)}/api/models/{_repository(repository)}/revision/{_revision(revision)}"
    return URL(f"{where}?blobs=true", encoded=True)


def file_url(endpoint: str, file: ModelFile) -> URL:
    """Where a file can be fetched. Raises HubError `hub_not_found` for names that no hub has."""
    if any(part in {"", ".", ".."} for part in file.path.split("/")):
        raise HubError("hub_not_found", f"not a path: {file.path}")
    where = f"{_base(endpoint)}/{_repository(file.repository)}/resolve/{_revision(file.revision)}"
    return URL(f"{where}/{quote(file.path)}", encoded=True)


def _base(endpoint: str) -> str:
    try:
        url = URL(endpoint.strip())
    except ValueError as err:
        raise HubError("hub_not_found", f"not a web address: {endpoint}") from err
    if url.scheme not in {"http", "https"} or not url.host or url.query_string or url.fragment:
        raise HubError("hub_not_found", f"not a web address: {endpoint}")
    return str(url).rstrip("/")


def _repository(repository: str) -> str:
    if not _REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository:
        raise HubError("hub_not_found", f"not a repository's name: {repository}")
    return repository


def _revision(revision: str) -> str:
    if not _REVISION.fullmatch(revision) or ".." in revision or len(revision) > _LONGEST_REVISION:
        raise HubError("hub_not_found", f"not a revision: {revision}")
    # The slashes of "refs/pr/1" would be folders otherwise.
    return quote(revision, safe="")
