"""Whatever actions are given: an answer or an error in words, nothing hangs, and nothing that was known is lost."""

import asyncio
from collections.abc import Awaitable, Iterator
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
import voluptuous as vol
import yaml

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Context, HomeAssistant, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, Unauthorized

from custom_components.semantic_home.const import CONF_MODEL, DOMAIN
from custom_components.semantic_home.runtime import SemanticHome

from .house import Home, async_set_up

PACKAGE = Path(__file__).parent.parent / "custom_components/semantic_home"
_ACTIONS: dict[str, dict[str, Any]] = yaml.safe_load((PACKAGE / "services.yaml").read_text("utf-8"))
_EXCEPTIONS = json.loads((PACKAGE / "translations/en.json").read_text("utf-8"))["exceptions"]
# These change what there is on purpose; only that they say what is wrong is looked at.
_CHANGING = {"add_knowledge", "delete_knowledge", "import_knowledge", "rate", "update_knowledge"}
_NOTE = "the bins are emptied on Tuesday"

_texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["turn on the sofa lamp", "light.sofa_lamp", "kitchen", "user", "note", _NOTE, "active", "0", "true"]
    ),
    st.sampled_from(
        ["\x00", "\ud800", "\N{RIGHT-TO-LEFT OVERRIDE}lamp", "🤖" * 20, " " * 30, "x" * 5000, "{{ 1/0 }}", "'; --"]
    ),
)
_numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0, 1, 5, 50, 0.5])
)
_values = st.recursive(
    st.one_of(_texts, _numbers, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=6,
)


def _fields(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in (described or {}).get("fields", {}).items():
        if "fields" in field:
            yield from _fields(field)
        else:
            yield name, field


def _fitting(field: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Give what the form of an action would: by the field's selector, its example, or a text."""
    (selector, options), *_ = (field.get("selector") or {"text": None}).items()
    options = options or {}
    fitting = {
        "area": st.sampled_from(["kitchen", "bedroom", "atlantis"]),
        "boolean": st.booleans(),
        "number": st.integers(int(options.get("min", 0)), int(min(options.get("max", 50), 50))),
        "object": st.dictionaries(_texts, _values, max_size=3) | st.lists(st.dictionaries(_texts, _values), max_size=2),
        "select": st.sampled_from(
            [one["value"] if isinstance(one, dict) else one for one in options.get("options", ["user"])]
        ),
    }.get(selector, _texts)
    if field.get("example") is not None:
        fitting |= st.just(field["example"])
    return st.lists(fitting, max_size=3) if options.get("multiple") else fitting


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Call an action with some of its fields, most of the right shape, and now and then one that it does not have."""
    action = draw(st.sampled_from(sorted(_ACTIONS)))
    data: dict[str, Any] = {}
    for name, field in _fields(_ACTIONS[action]):
        if field.get("required") or draw(st.integers(0, 3)) == 0:
            data[name] = draw(_values if draw(st.integers(0, 9)) == 0 else _fitting(field))
    if draw(st.integers(0, 19)) == 0:
        data[draw(st.text(max_size=8))] = draw(_values)
    return action, data


@pytest.fixture
async def names_only(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    """Have a home whose answers come from names alone, with a note in it."""
    entry = MockConfigEntry(domain=DOMAIN, title="Semantic Home", data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    await hass.services.async_call(DOMAIN, "add_knowledge", {"text": _NOTE}, blocking=True, return_response=True)
    return entry


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(call=_calls())
def test_any_input(hass: HomeAssistant, names_only: MockConfigEntry, call: tuple[str, dict[str, Any]]) -> None:
    hass.loop.run_until_complete(_async_check(hass, names_only, *call))


@pytest.fixture
def restricted(hass: HomeAssistant) -> MockUser:
    """Somebody who may read one lamp, and control nothing."""
    user = MockUser().add_to_hass(hass)
    user.mock_policy({"entities": {"entity_ids": {"light.sofa_lamp": {"read": True}}}})
    return user


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(call=_calls())
def test_whoever_may_read_one_lamp_sees_one_lamp(
    hass: HomeAssistant, names_only: MockConfigEntry, restricted: MockUser, call: tuple[str, dict[str, Any]]
) -> None:
    response = hass.loop.run_until_complete(
        _async_check(hass, names_only, *call, context=Context(user_id=restricted.id))
    )
    given = str(call[1])
    others = {state.entity_id for state in hass.states.async_all()} - {"light.sofa_lamp"}
    assert not [one for one in others if one in str(response) and one not in given]


async def _async_check(
    hass: HomeAssistant, entry: MockConfigEntry, action: str, data: dict[str, Any], context: Context | None = None
) -> Any:
    """Call it; give the response, or None where it was refused."""
    home: SemanticHome = entry.runtime_data
    before = home.status.documents
    responds = hass.services.supports_response(DOMAIN, action) is not SupportsResponse.NONE
    call = hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=responds, context=context)
    async with asyncio.timeout(30):
        response, err = await _async_outcome(call)
        await hass.async_block_till_done()
    # What Home Assistant itself refuses, or an error that has its text in the translations.
    assert err is None or isinstance(err, (vol.Invalid, Unauthorized)) or err.translation_key in _EXCEPTIONS, repr(err)
    assert entry.state is ConfigEntryState.LOADED
    assert action in _CHANGING or home.status.documents == before
    return response


async def _async_outcome(call: Awaitable[Any]) -> tuple[Any, Exception | None]:
    try:
        return await call, None
    except (vol.Invalid, HomeAssistantError) as err:
        return None, err
