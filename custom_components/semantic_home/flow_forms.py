"""What the dialogs ask: fields, choices and the labels that tell models apart."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import voluptuous as vol

from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .const import (
    CHANGE_AUTOMATIC,
    CHANGE_ON_INSTALL,
    CONF_CAUTION,
    CONF_DEVICE,
    CONF_ENGINE,
    CONF_EXACT,
    CONF_FOLDER,
    CONF_IDLE_MINUTES,
    CONF_LEARN,
    CONF_MODEL,
    CONF_MODEL_CHANGE,
    CONF_REMEMBER_QUERIES,
    CONF_SCOPE,
    CONF_THREADS,
    DEFAULT_IDLE_MINUTES,
    SCOPE_ALL,
    SCOPE_EXPOSED,
)
from .engine import Catalog, ModelSpec, Pooling
from .matching import Caution
from .model_choice import Engine

OWN_MODEL = "own"

FIELD_API_KEY = "api_key"
FIELD_DIMENSION = "dimension"
FIELD_ENDPOINT = "endpoint"
FIELD_MAX_TOKENS = "max_tokens"
FIELD_PASSAGE_MODEL = "passage_model"
FIELD_PASSAGE_PREFIX = "passage_prefix"
FIELD_POOLING = "pooling"
FIELD_QUERY_PREFIX = "query_prefix"
FIELD_REPOSITORY = "repository"
FIELD_REVISION = "revision"
FIELD_TIMEOUT = "timeout"
FIELD_URL = "url"
SECTION_MORE = "more"

# Up to so many milliseconds a question is called fast, and medium; scripts/benchmark.py measures them.
_FAST_MS = 20
_MEDIUM_MS = 100

_SECRET = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))
_ADDRESS = TextSelector(TextSelectorConfig(type=TextSelectorType.URL))


def engine_form(engines: Sequence[str], default: str) -> vol.Schema:
    """Ask who runs a model."""
    return vol.Schema({vol.Required(CONF_ENGINE, default=default): _select(engines, CONF_ENGINE)})


def model_form(catalog: Catalog, engine: Engine, texts: Mapping[str, str], default: str) -> vol.Schema:
    """Ask which model, with what each one costs."""
    options = [SelectOptionDict(value=spec.id, label=model_label(spec, engine, texts)) for spec in catalog.values()]
    options.append(SelectOptionDict(value=OWN_MODEL, label=texts["model_own"]))
    selector = SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST))
    return vol.Schema({vol.Required(CONF_MODEL, default=default): selector})


def model_label(spec: ModelSpec, engine: Engine, texts: Mapping[str, str]) -> str:
    """Say in a line what a model understands and costs. `texts` are the translations of the category common."""
    numpy = engine is Engine.NUMPY
    kind = "multilingual" if spec.languages > 1 else "english"
    return texts[f"model_{kind}_recommended" if spec.recommended else f"model_{kind}"].format(
        title=spec.title,
        languages=spec.languages,
        dimension=spec.dimension,
        disk=spec.disk_mb,
        memory=spec.portable_memory_mb if numpy else spec.memory_mb,
        speed=texts[_speed_class(spec.portable_query_ms if numpy else spec.query_ms)],
    )


def own_form(asked: Mapping[str, Any]) -> vol.Schema:
    """Ask what cannot be read from a model's files. `asked` are the values to begin with."""

    def required(field: str, default: Any = vol.UNDEFINED) -> vol.Required:
        return vol.Required(field, default=asked.get(field, default))

    return vol.Schema(
        {
            required(FIELD_DIMENSION): _number(1, 8192),
            required(FIELD_POOLING, Pooling.MEAN): _select([Pooling.CLS, Pooling.MEAN], FIELD_POOLING),
            required(FIELD_MAX_TOKENS, 512): _number(8, 32768),
            _optional(FIELD_QUERY_PREFIX, asked): TextSelector(),
            _optional(FIELD_PASSAGE_PREFIX, asked): TextSelector(),
        }
    )


def folder_form(default: str) -> vol.Schema:
    """Ask where the user's files are."""
    return vol.Schema({vol.Required(CONF_FOLDER, default=default): TextSelector()})


def hub_form(asked: Mapping[str, str]) -> vol.Schema:
    """Ask for a hub's repository. `asked` are the values to begin with."""
    repository = vol.UNDEFINED if not asked[FIELD_REPOSITORY] else asked[FIELD_REPOSITORY]
    return vol.Schema(
        {
            vol.Required(FIELD_REPOSITORY, default=repository): TextSelector(),
            vol.Required(FIELD_REVISION, default=asked[FIELD_REVISION]): TextSelector(),
            vol.Required(FIELD_ENDPOINT, default=asked[FIELD_ENDPOINT]): _ADDRESS,
        }
    )


def server_form(url: str) -> vol.Schema:
    """Ask where a server is."""
    return vol.Schema(
        {
            vol.Required(FIELD_URL, default=url or vol.UNDEFINED): _ADDRESS,
            vol.Optional(FIELD_API_KEY): _SECRET,
        }
    )


def key_form() -> vol.Schema:
    """Ask for a server's key."""
    return vol.Schema({vol.Required(FIELD_API_KEY): _SECRET})


def server_model_form(models: Iterable[str], asked: Mapping[str, Any]) -> vol.Schema:
    """Ask which of a server's models, and how it wants to be asked. `asked` are the values to begin with."""
    names = SelectSelector(
        SelectSelectorConfig(options=list(models), custom_value=True, mode=SelectSelectorMode.DROPDOWN)
    )
    more = vol.Schema(
        {
            _optional(FIELD_PASSAGE_MODEL, asked): names,
            _optional(FIELD_QUERY_PREFIX, asked): TextSelector(),
            _optional(FIELD_PASSAGE_PREFIX, asked): TextSelector(),
            vol.Required(FIELD_TIMEOUT, default=asked.get(FIELD_TIMEOUT, 10)): _number(1, 120, "s"),
        }
    )
    return vol.Schema(
        {
            vol.Required(CONF_MODEL, default=asked.get(CONF_MODEL) or vol.UNDEFINED): names,
            vol.Required(SECTION_MORE): section(more, {"collapsed": True}),
        }
    )


def options_form(engine: Engine | None, devices: Sequence[str], options: Mapping[str, Any]) -> vol.Schema:
    """Ask for preferences: those that this engine can follow. No engine, none about it."""
    fields: dict[vol.Marker, Any] = {
        vol.Required(CONF_SCOPE, default=options.get(CONF_SCOPE, SCOPE_EXPOSED)): _select(
            [SCOPE_EXPOSED, SCOPE_ALL], CONF_SCOPE
        ),
        vol.Required(CONF_CAUTION, default=options.get(CONF_CAUTION, str(Caution.BALANCED))): _select(
            [str(caution) for caution in Caution], CONF_CAUTION
        ),
    }
    if engine is not None:
        fields[vol.Required(CONF_MODEL_CHANGE, default=options.get(CONF_MODEL_CHANGE, CHANGE_AUTOMATIC))] = _select(
            [CHANGE_AUTOMATIC, CHANGE_ON_INSTALL], CONF_MODEL_CHANGE
        )
    if engine is Engine.OPENVINO:
        device = options.get(CONF_DEVICE, devices[0])
        # One that has gone since is shown all the same: the form must not choose another by itself.
        shown = [*devices, *({device} - set(devices))]
        selector = SelectSelector(SelectSelectorConfig(options=shown, mode=SelectSelectorMode.DROPDOWN))
        fields[vol.Required(CONF_DEVICE, default=device)] = selector
        fields[vol.Required(CONF_EXACT, default=options.get(CONF_EXACT, False))] = BooleanSelector()
    if engine in {Engine.OPENVINO, Engine.NUMPY}:
        fields[vol.Required(CONF_THREADS, default=options.get(CONF_THREADS, 0))] = _number(0, 256)
        minutes = options.get(CONF_IDLE_MINUTES, DEFAULT_IDLE_MINUTES)
        fields[vol.Required(CONF_IDLE_MINUTES, default=minutes)] = _number(0, 1440, "min")
    fields[vol.Required(CONF_LEARN, default=options.get(CONF_LEARN, True))] = BooleanSelector()
    if engine is not None:
        remember = options.get(CONF_REMEMBER_QUERIES, False)
        fields[vol.Required(CONF_REMEMBER_QUERIES, default=remember)] = BooleanSelector()
    return vol.Schema(fields)


def _optional(field: str, asked: Mapping[str, Any]) -> vol.Optional:
    """Show what was asked last, in a way that lets the user empty it."""
    return vol.Optional(field, description={"suggested_value": asked.get(field)})


def _select(options: Sequence[str], translation_key: str) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(options=list(options), mode=SelectSelectorMode.LIST, translation_key=translation_key)
    )


def _number(least: int, most: int, unit: str | None = None) -> vol.All:
    config = NumberSelectorConfig(min=least, max=most, step=1, mode=NumberSelectorMode.BOX)
    if unit:
        config["unit_of_measurement"] = unit
    return vol.All(NumberSelector(config), vol.Coerce(int))


def _speed_class(milliseconds: int) -> str:
    if milliseconds <= _FAST_MS:
        return "speed_fast"
    return "speed_medium" if milliseconds <= _MEDIUM_MS else "speed_slow"
