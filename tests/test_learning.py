"""What answers teach: the same is not asked twice, and what was learnt can be seen and taken away."""

import asyncio
import json
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized

from custom_components.semantic_home import backup
from custom_components.semantic_home.const import CONF_LEARN, CONF_MODEL, CONF_SCOPE, DOMAIN, SCOPE_ALL
from custom_components.semantic_home.home_index import HomeIndex
from custom_components.semantic_home.index import HeldError

from .full_disk import full_disk
from .house import Home, async_set_up
from .test_clarify import LAMPS, clarify
from .test_knowledge_services import call, config_file
from .test_services import match

LIVING, BEDROOM = LAMPS
LAMP = "turn on the lamp"
CHOSEN: dict[str, Any] = {"entity_ids": [BEDROOM], "source": "user"}


@pytest.fixture
async def entry(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    """Set up without a model, in a house with two lamps of one name: names alone leave it open which is meant."""
    for entity_id, area in ((LIVING, "living_room"), (BEDROOM, "bedroom")):
        home.add("light", entity_id.partition(".")[2], "Lamp", area)
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    return entry


@pytest.fixture
def satellite(home: Home) -> str:
    """A satellite in the kitchen, where there is no lamp."""
    device = home.devices.async_get_or_create(
        config_entry_id=home.config_entry.entry_id, identifiers={("house", "satellite")}
    )
    home.devices.async_update_device(device.id, area_id="kitchen")
    return device.id


async def teach(
    hass: HomeAssistant, answer: str, query: str = LAMP, context: Context | None = None, **data: Any
) -> dict[str, Any]:
    asked = await clarify(hass, context, query=query, **data)
    assert asked["needs_clarification"], asked
    return await clarify(hass, context, clarification_id=asked["clarification_id"], answer=answer)


async def meant(hass: HomeAssistant, query: str = LAMP, **data: Any) -> list[str]:
    """Ask, and give what is meant if that is not asked back."""
    found = await match(hass, query, **data)
    clarified = await clarify(hass, query=query, **data)
    assert clarified["needs_clarification"] == (found["decision"] == "ambiguous")
    if clarified["needs_clarification"]:
        return []
    assert found["entity_ids"] == clarified["entity_ids"]
    return sorted(clarified["entity_ids"])


async def import_rows(hass: HomeAssistant, *rows: dict[str, Any]) -> None:
    config_file(hass, "rows.jsonl", "".join(f"{json.dumps({'knowledge_type': 'query', **row})}\n" for row in rows))
    assert (await call(hass, "import", path="rows.jsonl"))["added"] == len(rows)


async def learnt(hass: HomeAssistant) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await call(hass, "list", types="query"))["knowledge"]
    return rows


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(
    ("answer", "entity_ids"),
    [
        ("the bedroom", [BEDROOM]),
        ("the first one", [LIVING]),
        ("the lamp in the bedroom", [BEDROOM]),
        ("not the first one", [BEDROOM]),
        ("both", sorted(LAMPS)),
        ("all of them", sorted(LAMPS)),
    ],
)
async def test_what_was_chosen_is_not_asked_again(hass: HomeAssistant, answer: str, entity_ids: list[str]) -> None:
    assert await meant(hass) == []
    resolved = await teach(hass, answer)
    assert (resolved["status"], sorted(resolved["entity_ids"])) == ("resolved", entity_ids)
    for query in (LAMP, "Turn on the lamp!", "switch the lamp off", "please turn off the lamp"):
        assert await meant(hass, query) == entity_ids
    assert await meant(hass, "turn on the lamp in the living room") == [LIVING]


@pytest.mark.usefixtures("entry")
async def test_why_it_is_not_asked_again_can_be_seen(hass: HomeAssistant) -> None:
    await teach(hass, "the bedroom")
    found = await match(hass, LAMP, explain=True)
    assert found["candidates"][0]["reason"] == {"channel": "learned", "text": "Lamp"}
    assert [one["entity_ids"] for one in found["explanation"]["readings"] if "learned" in one["features"]] == [
        [BEDROOM]
    ]
    (row,) = await learnt(hass)
    assert (row["text"], row["type"], row["success_score"]) == (LAMP, "query", 0.5)
    assert row["metadata"] == {"entity_ids": [BEDROOM], "language": "en", "source": "user"}


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(
    "answers", [["neither"], ["never mind"], ["turn on the kettle"], ["the kettle"], ["yes", "yes", "yes"]]
)
async def test_who_chooses_nothing_of_what_is_offered_teaches_nothing(hass: HomeAssistant, answers: list[str]) -> None:
    asked = await clarify(hass, query=LAMP)
    for answer in answers:
        asked = await clarify(hass, clarification_id=asked["clarification_id"] or "", answer=answer)
    assert not asked["needs_clarification"]
    assert await learnt(hass) == []
    assert await meant(hass) == []


@pytest.mark.usefixtures("entry")
async def test_what_is_clear_teaches_nothing(hass: HomeAssistant) -> None:
    assert (await clarify(hass, query="turn on the lamp in the bedroom"))["status"] == "resolved"
    assert await learnt(hass) == []


async def test_a_request_that_replaces_the_first_teaches_nothing(
    hass: HomeAssistant, home: Home, entry: MockConfigEntry
) -> None:
    for area in ("kitchen", "bedroom"):
        home.add("fan", f"ventilator_{area}", "Ventilator", area)
    await entry.runtime_data.async_rebuild()
    again = await teach(hass, "turn off the ventilator")
    assert (again["needs_clarification"], again["reason"]) == (True, "narrower")
    resolved = await clarify(hass, clarification_id=again["clarification_id"], answer="the kitchen")
    assert resolved["entity_ids"] == ["fan.ventilator_kitchen"]
    assert await learnt(hass) == []


@pytest.mark.usefixtures("entry")
async def test_each_room_has_its_own(hass: HomeAssistant, satellite: str) -> None:
    await teach(hass, "the bedroom", device_id=satellite)
    assert await meant(hass, device_id=satellite) == [BEDROOM]
    assert await meant(hass) == [], "somewhere else another one may be meant"
    await teach(hass, "the living room")
    assert await meant(hass) == [LIVING]
    assert await meant(hass, device_id=satellite) == [BEDROOM]
    rows = [(row["text"], row["metadata"].get("asked_in")) for row in await learnt(hass)]
    assert rows == [(LAMP, None), (LAMP, {"context_place": "area:kitchen"})]


@pytest.mark.usefixtures("entry")
async def test_what_was_chosen_among_less_counts_there(hass: HomeAssistant) -> None:
    await teach(hass, "the bedroom", domain="light")
    assert await meant(hass, domain="light") == [BEDROOM]
    assert await meant(hass) == []


@pytest.mark.usefixtures("entry")
async def test_a_later_answer_replaces_the_former(hass: HomeAssistant) -> None:
    first, second = await clarify(hass, query=LAMP), await clarify(hass, query=LAMP)
    other = await clarify(hass, query="switch off the lamp")
    for asked, answer in ((first, "the bedroom"), (second, "the living room")):
        await clarify(hass, clarification_id=asked["clarification_id"], answer=answer)
    assert [row["metadata"]["entity_ids"] for row in await learnt(hass)] == [[LIVING]]
    assert await meant(hass) == [LIVING]
    await clarify(hass, clarification_id=other["clarification_id"], answer="the bedroom")
    assert await meant(hass, "switch off the lamp") == [BEDROOM]


async def test_what_has_gone_is_not_answered(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    home.add("light", "lamp_kitchen", "Lamp", "kitchen")
    await entry.runtime_data.async_rebuild()
    await teach(hass, "the bedroom")
    for gone, there, expected in ((BEDROOM, "light.other", []), ("light.other", BEDROOM, [BEDROOM])):
        home.entities.async_update_entity(gone, new_entity_id=there)
        hass.states.async_remove(gone)
        hass.states.async_set(there, "off", {"friendly_name": "Lamp"})
        await entry.runtime_data.async_rebuild()
        assert await meant(hass) == expected
    home.entities.async_remove(BEDROOM)
    hass.states.async_remove(BEDROOM)
    await entry.runtime_data.async_rebuild()
    assert await meant(hass) == []


async def test_locks_are_asked_about_every_time(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    for area in ("kitchen", "bedroom"):
        home.add("lock", f"gate_{area}", "Gate", area)
    hass.config_entries.async_update_entry(entry, options={CONF_SCOPE: SCOPE_ALL})
    await hass.config_entries.async_reload(entry.entry_id)
    await entry.runtime_data.async_rebuild()
    resolved = await teach(hass, "the kitchen", "unlock the gate")
    assert (resolved["status"], resolved["entity_ids"]) == ("resolved", ["lock.gate_kitchen"])
    assert await learnt(hass) == []
    await import_rows(hass, {"text": "unlock the gate", "metadata": {**CHOSEN, "entity_ids": ["lock.gate_kitchen"]}})
    assert await meant(hass, "unlock the gate") == [], "not even when somebody says so"


@pytest.mark.usefixtures("entry")
async def test_who_may_not_see_all_teaches_nobody(hass: HomeAssistant, home: Home) -> None:
    user = MockUser().add_to_hass(hass)
    user.mock_policy({"entities": {"entity_ids": {one: {"read": True} for one in LAMPS}}})
    await teach(hass, "the bedroom", context=Context(user_id=user.id))
    assert await learnt(hass) == []
    reader, household = (MockUser().add_to_hass(hass) for _ in range(2))
    reader.mock_policy({"entities": {"all": {"read": True}}})
    await teach(hass, "the bedroom", context=Context(user_id=reader.id))
    assert await learnt(hass) == []
    household.mock_policy({"entities": {"all": {"read": True, "control": True}}})
    await teach(hass, "the bedroom", context=Context(user_id=household.id))
    assert await meant(hass) == [BEDROOM]


@pytest.mark.usefixtures("entry")
async def test_who_is_asked_again_may_say_something_else(hass: HomeAssistant) -> None:
    await teach(hass, "the bedroom")
    assert await meant(hass) == [BEDROOM]
    await teach(hass, "the living room", ask_again=True)
    assert await meant(hass) == [LIVING]
    assert len(await learnt(hass)) == 1


async def test_nobody_is_told_of_what_he_may_not_see(hass: HomeAssistant, home: Home, entry: MockConfigEntry) -> None:
    home.add("light", "lamp_kitchen", "Lamp", "kitchen")
    await entry.runtime_data.async_rebuild()
    user = MockUser().add_to_hass(hass)
    seen = {LIVING, "light.lamp_kitchen"}
    user.mock_policy({"entities": {"entity_ids": {one: {"read": True} for one in seen}}})
    context = Context(user_id=user.id)
    before = await clarify(hass, context, query=LAMP)
    await teach(hass, "the bedroom")
    after = await clarify(hass, context, query=LAMP)
    assert before["options"] == after["options"]
    assert {one for option in after["options"] for one in option["entity_ids"]} == seen
    for action, data in (("list", {}), ("delete", {"types": "query"})):
        with pytest.raises(Unauthorized):
            await call(hass, action, context, **data)


@pytest.mark.usefixtures("entry")
async def test_it_is_forgotten_at_once(hass: HomeAssistant) -> None:
    await teach(hass, "the bedroom")
    (row,) = await learnt(hass)
    assert await call(hass, "delete", id=row["id"]) == {"count": 1}
    assert await learnt(hass) == []
    assert await meant(hass) == []


async def test_it_outlives_a_restart(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await teach(hass, "the bedroom")
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert await meant(hass) == [BEDROOM]


async def test_it_goes_out_and_comes_in_again(hass: HomeAssistant, entry: MockConfigEntry, satellite: str) -> None:
    await teach(hass, "the bedroom", device_id=satellite)
    await teach(hass, "the living room")
    before = await learnt(hass)
    assert (await call(hass, "export", path="learnt.jsonl"))["count"] == 2
    assert await call(hass, "delete", types="query", confirm=True) == {"count": 2}
    assert (await call(hass, "import", path="learnt.jsonl"))["added"] == 2
    assert await learnt(hass) == before
    assert (await meant(hass), await meant(hass, device_id=satellite)) == ([LIVING], [BEDROOM])


async def test_who_does_not_want_it(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await teach(hass, "the bedroom")
    hass.config_entries.async_update_entry(entry, options={CONF_LEARN: False})
    await hass.config_entries.async_reload(entry.entry_id)
    assert await meant(hass) == [], "what was learnt does not count"
    await teach(hass, "the living room")
    assert [row["metadata"]["entity_ids"] for row in await learnt(hass)] == [[BEDROOM]], "and nothing is added"


@pytest.mark.usefixtures("entry")
async def test_the_oldest_gives_way(hass: HomeAssistant, satellite: str) -> None:
    with patch("custom_components.semantic_home.home_index.MAX_LEARNED", 2):
        await teach(hass, "the bedroom", device_id=satellite)
        await teach(hass, "the bedroom", domain="light")
        assert (await meant(hass, device_id=satellite), await meant(hass, domain="light")) == ([BEDROOM], [BEDROOM])
        await teach(hass, "the bedroom")
        assert len(await learnt(hass)) == 2
    assert (await meant(hass, device_id=satellite), await meant(hass, domain="light")) == ([], [BEDROOM])


async def answered_while_held(hass: HomeAssistant) -> None:
    """Answer while the database is held, and wait until it has refused what was learnt."""
    refused, learn = asyncio.Event(), HomeIndex.learn

    def watched(*args: Any) -> bool:
        try:
            return learn(*args)
        except HeldError:
            hass.loop.call_soon_threadsafe(refused.set)
            raise

    with patch.object(HomeIndex, "learn", watched):
        assert (await teach(hass, "the bedroom"))["entity_ids"] == [BEDROOM]
        async with asyncio.timeout(30):
            await refused.wait()


@pytest.mark.usefixtures("entry")
async def test_a_backup_delays_no_answer(hass: HomeAssistant) -> None:
    await backup.async_pre_backup(hass)
    await answered_while_held(hass)
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, "delete", types="query", confirm=True)
    assert raised.value.translation_key == "backup_running"
    assert await learnt(hass) == []
    await backup.async_post_backup(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await meant(hass) == [BEDROOM]


async def test_what_waits_for_a_backup_is_kept_when_it_is_unloaded(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await backup.async_pre_backup(hass)
    await answered_while_held(hass)
    await hass.config_entries.async_reload(entry.entry_id)
    assert await meant(hass) == [BEDROOM]


@pytest.mark.usefixtures("entry")
async def test_a_full_disk_loses_no_answer(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    with full_disk():
        assert (await teach(hass, "the bedroom"))["entity_ids"] == [BEDROOM]
        await hass.async_block_till_done(wait_background_tasks=True)
    assert "An answer could not be remembered" in caplog.text
    assert await meant(hass) == []
    await teach(hass, "the bedroom")
    assert await meant(hass) == [BEDROOM]


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (CHOSEN, [BEDROOM]),
        (CHOSEN | {"asked_in": "the hall", "language": 1}, [BEDROOM]),
        (CHOSEN | {"asked_in": {"context_place": "area:hall"}}, []),
        (CHOSEN | {"source": "import"}, []),
        (CHOSEN | {"entity_ids": []}, []),
        (CHOSEN | {"entity_ids": BEDROOM}, []),
    ],
)
async def test_what_was_imported_may_be_anything(
    hass: HomeAssistant, metadata: dict[str, Any], expected: list[str]
) -> None:
    await import_rows(hass, {"text": LAMP, "metadata": metadata}, {"text": "lamp" * 1000, "metadata": metadata})
    assert await meant(hass) == expected


async def test_other_imports_do_not_give_way(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await import_rows(hass, *({"text": text, "metadata": {"entity_ids": [text]}} for text in "abc"))
    with patch("custom_components.semantic_home.home_index.MAX_LEARNED", 1):
        await teach(hass, "the bedroom")
        assert len(await learnt(hass)) == 4


async def test_what_has_failed_does_not_count(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await import_rows(hass, {"text": LAMP, "metadata": CHOSEN, "success_score": 0.4})
    assert await meant(hass) == []
