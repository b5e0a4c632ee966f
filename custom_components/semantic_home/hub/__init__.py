"""Model files from a hub: which a repository has, and how they come here whole. Knows nothing of Home Assistant."""

from .download import download
from .errors import HubError
from .folder import distrust, forget_others, is_complete
from .listing import list_model
from .urls import DEFAULT_ENDPOINT, file_url

__all__ = [
    "DEFAULT_ENDPOINT",
    "HubError",
    "distrust",
    "download",
    "file_url",
    "forget_others",
    "is_complete",
    "list_model",
]
