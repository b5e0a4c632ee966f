"""Names that several rooms of the integration share."""

from typing import Final

DOMAIN: Final = "semantic_home"

CONF_ENGINE: Final = "engine"
CONF_FOLDER: Final = "folder"
CONF_MODEL: Final = "model"
CONF_SCOPE: Final = "scope"

SCOPE_EXPOSED: Final = "exposed"
SCOPE_ALL: Final = "all"

# Where a model is looked for below the configuration directory unless the user says otherwise.
DEFAULT_MODELS_FOLDER: Final = "semantic_home_models"

MAX_QUERY_LENGTH: Final = 500
MAX_TEXTS: Final = 100
MAX_TEXT_LENGTH: Final = 4000
