"""Names that several rooms of the integration share."""

from typing import Final

DOMAIN: Final = "semantic_home"

CONF_FOLDER: Final = "folder"
CONF_MODEL: Final = "model"
CONF_SCOPE: Final = "scope"

SCOPE_EXPOSED: Final = "exposed"
SCOPE_ALL: Final = "all"

# Where a model is looked for below the configuration directory unless the user says otherwise.
DEFAULT_MODELS_FOLDER: Final = "semantic_home_models"

# Installed only when a model is to run in this process: musl systems (Home Assistant OS and Container) have no OpenVINO
# wheel, and a manifest that asked for one would keep the whole integration from loading there.
LOCAL_REQUIREMENTS: Final = ("openvino==2026.4.1", "tokenizers==0.23.3")

MAX_QUERY_LENGTH: Final = 500
MAX_TEXTS: Final = 100
MAX_TEXT_LENGTH: Final = 4000
