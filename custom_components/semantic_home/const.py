"""Names that several rooms of the integration share."""

from typing import Final

DOMAIN: Final = "semantic_home"

# What an entry's data say of its model; model_choice.py reads and writes them.
CONF_ACTIVE: Final = "active"
CONF_CONFIRMED: Final = "confirmed"
CONF_ENGINE: Final = "engine"
CONF_FILES: Final = "files"
CONF_FOLDER: Final = "folder"
CONF_HUB: Final = "hub"
CONF_MODEL: Final = "model"
CONF_PREVIOUS: Final = "previous"
CONF_SERVER: Final = "server"
CONF_SIGNATURE: Final = "signature"
CONF_SPEC: Final = "spec"

# Options: preferences, any of which may be absent.
CONF_CAUTION: Final = "caution"
CONF_DEVICE: Final = "device"
CONF_EXACT: Final = "exact"
CONF_IDLE_MINUTES: Final = "idle_minutes"
CONF_LEARN: Final = "learn"
CONF_MODEL_CHANGE: Final = "model_change"
CONF_REMEMBER_QUERIES: Final = "remember_queries"
CONF_SCOPE: Final = "scope"
CONF_THREADS: Final = "threads"

DEFAULT_IDLE_MINUTES: Final = 15

SCOPE_EXPOSED: Final = "exposed"
SCOPE_ALL: Final = "all"

CHANGE_AUTOMATIC: Final = "automatic"
CHANGE_ON_INSTALL: Final = "on_install"

# Where a model that the user copied is looked for below the configuration directory unless the user says otherwise.
DEFAULT_MODELS_FOLDER: Final = "semantic_home_models"

MAX_COMPARED: Final = 200
MAX_METADATA_LENGTH: Final = 8000
MAX_QUERY_LENGTH: Final = 500
MAX_TEXTS: Final = 100
MAX_TEXT_LENGTH: Final = 4000
MAX_TYPE_LENGTH: Final = 64
