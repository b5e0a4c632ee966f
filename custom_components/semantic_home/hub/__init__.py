"""Model files from a hub: which a repository has, and how they come here whole. Knows nothing of Home Assistant."""

from .download import distrust, download, forget, is_complete
from .errors import HubError
from .listing import list_model
from .urls import DEFAULT_ENDPOINT, file_url

__all__ = [
    "DEFAULT_ENDPOINT",
    "HubError",
    "distrust",
    "download",
    "file_url",
    "forget",
    "is_complete",
    "list_model",
]
