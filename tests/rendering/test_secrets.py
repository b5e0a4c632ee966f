"""Nothing secret enters a text, wherever it stands."""

from typing import Any

import pytest

from custom_components.semantic_home.rendering import (
    Rendering,
    redacted,
    render_automation,
    render_scene,
    render_script,
)

from .plain_home import LAMP_ENTRY, REMOTE, PlainHome

HOME = PlainHome()
# A word that passes for a name, a state or an option: what keeps it out is where it stands.
MARKER = "opensesame"
DATA = dict.fromkeys(
    [
        *("access_token", "api_key", "authorization", "body", "code", "command", "data", "email", "entity_picture"),
        *("event_data", "headers", "image", "key", "media_content_id", "message", "number", "password", "path"),
        *("payload", "phone", "pin", "secret", "subject", "target", "text", "title", "token", "topic", "url"),
        *("username", "value", "variables", "webhook_id"),
    ],
    MARKER,
)
OPAQUE: dict[str, Any] = {**DATA, "id": MARKER, "alias": MARKER, "note": MARKER, "metadata": {"name": MARKER}}
TRIGGERS: list[dict[str, Any]] = [
    {"trigger": "webhook", "webhook_id": MARKER, "allowed_methods": [MARKER]},
    {"trigger": "mqtt", "topic": MARKER, "payload": MARKER, "options": {"topic": MARKER, "payload": MARKER}},
    {"trigger": "event", "event_type": MARKER, "event_data": {"code": MARKER}, "context": {"user_id": MARKER}},
    {"trigger": "template", "value_template": MARKER},
    {"trigger": "conversation", "command": [MARKER]},
    {"trigger": "tag", "tag_id": MARKER, "device_id": MARKER},
    {"trigger": "persistent_notification", "notification_id": MARKER},
    {"trigger": "geo_location", "source": MARKER, "zone": MARKER},
    {"trigger": "calendar", "entity_id": MARKER, "event": MARKER, "offset": MARKER},
    {"trigger": "state", "entity_id": "input_text.password", "from": MARKER, "to": MARKER, "not_to": [MARKER]},
    {"trigger": "state", "entity_id": "light.lamp", "attribute": "effect_list", "to": MARKER},
    {"trigger": "state", "entity_id": MARKER, "to": MARKER},
    {"trigger": "state", "entity_id": "light.lamp", "to": f"{{{{ {MARKER} }}}}", "for": MARKER},
    {"trigger": "numeric_state", "entity_id": "light.lamp", "above": MARKER, "value_template": MARKER},
    {"trigger": "time", "at": MARKER, "weekday": MARKER},
    {"trigger": "time_pattern", "minutes": MARKER, "seconds": f"/{MARKER}"},
    {"trigger": "sun", "event": MARKER, "offset": MARKER},
    {"trigger": "zone", "entity_id": MARKER, "zone": MARKER, "event": MARKER},
    {"trigger": "homeassistant", "event": MARKER},
    {"trigger": "device", "device_id": MARKER, "domain": MARKER, "entity_id": MARKER},
    {"trigger": "text.changed", "target": {"entity_id": MARKER, "area_id": MARKER}, "options": OPAQUE},
    {"trigger": "light.turned_on", "target": MARKER, "options": {"behavior": MARKER, "threshold": {"type": MARKER}}},
]
CONDITIONS: list[Any] = [
    MARKER,
    {"condition": "template", "value_template": MARKER},
    {"condition": "trigger", "id": MARKER},
    {"condition": "state", "entity_id": "input_text.password", "state": MARKER},
    {"condition": "state", "entity_id": MARKER, "state": MARKER},
    {"condition": "sun", "after": MARKER, "before_offset": MARKER},
    {"condition": "time", "after": MARKER, "weekday": [MARKER]},
    {"condition": "text.is_equal_to", "target": {"entity_id": "input_text.password"}, "options": {"value": MARKER}},
    {"or": [{"condition": "numeric_state", "entity_id": MARKER, "above": MARKER, "value_template": MARKER}]},
]
ACTIONS: list[dict[str, Any]] = [
    {"action": "notify.phone", "data": DATA, "response_variable": MARKER},
    {"action": "lock.unlock", "target": {"entity_id": LAMP_ENTRY, "device_id": MARKER}, "data": DATA},
    {"action": "rest_command.call", "data": {"nested": {"hvac_mode": MARKER}, **DATA}},
    {"action": "input_text.set_value", "target": {"entity_id": "input_text.password"}, "data": DATA},
    {"action": f"{{{{ {MARKER} }}}}", "data_template": DATA},
    {"action": "climate.set_temperature", "data": {"temperature": MARKER, "hvac_mode": f"{{{{ {MARKER} }}}}"}},
    {"event": MARKER, "event_data": DATA},
    {"variables": DATA},
    {"stop": MARKER, "response_variable": MARKER, "error": True},
    {"set_conversation_response": MARKER},
    {"wait_template": MARKER, "timeout": MARKER},
    {"wait_for_trigger": TRIGGERS, "timeout": MARKER},
    {"delay": MARKER},
    {"scene": MARKER},
    {
        "device_id": REMOTE,
        "domain": MARKER,
        "entity_id": LAMP_ENTRY,
        "value": MARKER,
        "message": MARKER,
        "code": MARKER,
    },
    {"repeat": {"count": MARKER, "for_each": [MARKER], "while": CONDITIONS, "sequence": [{"stop": MARKER}]}},
    {"if": CONDITIONS, "then": {"event": MARKER}, "else": [{"delay": {"seconds": MARKER}}]},
    {"choose": [{"alias": MARKER, "conditions": CONDITIONS, "sequence": [{"action": "x.y", "data": DATA}]}]},
    {"parallel": [{"sequence": [{"action": "x.y", "data": DATA}]}, [{"action": "x.y", "data": DATA}]]},
    {"unheard_of": MARKER, "device_id": MARKER},
]


def everything(rendering: Rendering) -> str:
    return repr(rendering).casefold()


def planted(configs: list[Any]) -> list[Any]:
    """Lay the marker also beside what each of them has."""
    return [{**OPAQUE, **config} if isinstance(config, dict) else config for config in configs]


@pytest.mark.parametrize("key", ["trigger", "triggers"])
def test_markers_stay_outside(key: str) -> None:
    config = {
        key: planted(TRIGGERS),
        "conditions": planted(CONDITIONS),
        "actions": planted(ACTIONS),
        "variables": DATA,
        "trigger_variables": DATA,
        "use_blueprint": {"path": "x", "input": DATA},
        **{name: value for name, value in OPAQUE.items() if name not in {"trigger", "alias"}},
    }
    # One at a time, so that nothing hides behind the end of a text.
    for name in (key, "conditions", "actions"):
        for part in config[name]:
            rendering = render_automation(
                "Name", {**config, key: [], "conditions": [], "actions": [], name: [part]}, HOME
            )
            assert MARKER not in everything(rendering), part
    assert MARKER not in everything(render_automation("Name", config, HOME))
    assert MARKER not in everything(render_script("Name", {"sequence": config["actions"], "fields": DATA}, HOME))


def test_markers_stay_outside_of_scenes() -> None:
    states = {"light.lamp": ("on", DATA), "input_text.password": (MARKER, {}), MARKER: (MARKER, DATA)}
    assert MARKER not in everything(render_scene("Name", states, HOME))


@pytest.mark.parametrize("code", ["4711", 4711, "471108", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "a8Fk29xQ7b"])
def test_states_that_look_like_codes_stay_outside(code: str | int) -> None:
    config = {
        "triggers": [{"trigger": "state", "entity_id": "sensor.keypad", "to": code}],
        "conditions": [{"condition": "state", "entity_id": "sensor.keypad", "state": [code]}],
        "actions": [{"action": "select.select_option", "data": {"option": code}}],
    }
    assert str(code) not in everything(render_automation("Name", config, HOME))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Hall light, 5 minutes after 18-22 Uhr", "Hall light, 5 minutes after 18-22 Uhr"),
        ("see https://ann:hunter@nas.local/x?token=abc for more", "see … for more"),
        ("from mqtt://broker", "from …"),
        ("to ann@example.org", "to …"),
        ("local/api?key=abc", "…"),
        ("password: hunter", "password: …"),
        ("The alarm PIN is hunter", "The alarm PIN is …"),
        ("door_code = 'open sesame' now", "door_code = … now"),
        ("Passwort ist hunter", "Passwort ist …"),
        ("shopping is done, the monkey is fine", "shopping is done, the monkey is fine"),
        ("type 4711 at the gate", "type … at the gate"),
        ("call +49 171 234 56 78 or 0171/2345678", "call … or …"),
        ("Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.Gfx6VO9tcxwk", "Bearer …"),
        ("bot 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "bot …"),
        ("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id …"),
        ("light.hall_ceiling_2 and binary_sensor.hall_motion", "light.hall_ceiling_2 and binary_sensor.hall_motion"),
        ("リビングの照明を22時30分に消す", "リビングの照明を22時30分に消す"),
        ("ESP32-C3 and WS28 strips", "ESP32-C3 and WS28 strips"),
        ("x\ud83d", "x?"),
    ],
)
def test_free_text(text: str, kept: str) -> None:
    assert redacted(text) == kept


def test_names_and_descriptions_are_free_text() -> None:
    config = {"description": "Door code 4711, see http://nas/secret"}
    rendering = render_automation("Gate 4711", config, HOME, "By ann@example.org")
    assert rendering.name == "Gate …"
    assert "4711" not in everything(rendering)
    assert "nas" not in everything(rendering)
    assert "ann@" not in everything(rendering)


def test_a_very_long_text_takes_no_long_time() -> None:
    assert redacted("a" * 1_000_000).startswith("aaa")
    assert len(redacted("word " * 1_000_000)) <= 2000
