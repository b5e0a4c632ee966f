"""What sensors show of the index and of what was asked, and what the buttons do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
import shutil
import threading
from unittest.mock import PropertyMock, patch

from freezegun.api import FrozenDateTimeFactory
import numpy as np
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_fire_time_changed,
    mock_restore_cache_with_extra_data,
)

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.core import Context, HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.util import dt as dt_util

from custom_components.semantic_home.const import CONF_ENGINE, CONF_FOLDER, CONF_MODEL, DOMAIN
from custom_components.semantic_home.engine import EncoderUnavailableError, EncoderWorker, OpenVINOEncoder
from custom_components.semantic_home.matching import Decision
from custom_components.semantic_home.query_statistics import RECENT, QueryStatistics

from .conftest import MINILM
from .house import async_set_up, async_wait_complete, worker_of
from .test_entities import state
from .test_generations import Gate, change, swapped
from .test_init import wait_for_issue
from .test_services import match

COUCH, LIGHT, PARIS = "turn off the lamp next to the couch", "turn on the light", "what is the capital of France?"

ACTIVE_MODEL = "sensor.semantic_home_active_model"
DOCUMENTS = "sensor.semantic_home_documents_in_the_index"
INDEX = "sensor.semantic_home_index_state"
LAST = "sensor.semantic_home_last_answer_time"
P95 = "sensor.semantic_home_95th_percentile_answer_time"
TODAY = "sensor.semantic_home_queries_today"
SHARES = tuple(f"sensor.semantic_home_queries_{one}" for one in ("answered", "asked_back", "without_a_match"))
REBUILD = "button.semantic_home_rebuild_index"
UNLOAD = "button.semantic_home_unload_model"

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def all_enabled() -> Iterator[None]:
    with patch.object(Entity, "entity_registry_enabled_default", new_callable=PropertyMock, return_value=True):
        yield


@pytest.fixture
async def everything(all_enabled: None, entry: MockConfigEntry) -> MockConfigEntry:
    """Set up the integration with the entities that are disabled by default."""
    return entry


async def press(hass: HomeAssistant, button: str, context: Context | None = None) -> None:
    await hass.services.async_call("button", "press", {"entity_id": button}, blocking=True, context=context)


def shown(hass: HomeAssistant, *entity_ids: str) -> list[str]:
    return [state(hass, entity_id).state for entity_id in entity_ids]


async def test_what_is_noisy_is_disabled(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert {entity.entity_id for entity in entities if entity.disabled} == {LAST, P95, *SHARES}
    enabled = {entity.entity_id: str(entity.entity_category) for entity in entities if not entity.disabled}
    sensors = dict.fromkeys((ACTIVE_MODEL, DOCUMENTS, INDEX, TODAY), "diagnostic")
    assert enabled.items() >= {**sensors, REBUILD: "config", UNLOAD: "config"}.items()
    assert all(hass.states.get(entity_id) for entity_id in enabled)


async def test_what_the_sensors_say_that_they_are(hass: HomeAssistant, everything: MockConfigEntry) -> None:
    kinds = {
        entity_id: tuple(
            state(hass, entity_id).attributes.get(name)
            for name in ("device_class", "state_class", "unit_of_measurement")
        )
        for entity_id in (DOCUMENTS, INDEX, LAST, P95, TODAY, *SHARES)
    }
    measured, percent = SensorStateClass.MEASUREMENT, (None, SensorStateClass.MEASUREMENT, "%")
    duration = (SensorDeviceClass.DURATION, measured, "ms")
    assert kinds == {
        DOCUMENTS: (None, measured, "documents"),
        INDEX: (SensorDeviceClass.ENUM, None, None),
        LAST: duration,
        P95: duration,
        TODAY: (None, SensorStateClass.TOTAL_INCREASING, "queries"),
        **dict.fromkeys(SHARES, percent),
    }


async def test_at_rest(hass: HomeAssistant, everything: MockConfigEntry) -> None:
    documents = everything.runtime_data.status.documents
    assert shown(hass, DOCUMENTS, INDEX, ACTIVE_MODEL, TODAY) == [str(documents), "ready", MINILM, "0"]
    assert shown(hass, LAST, P95, *SHARES) == ["unknown"] * 5


async def test_every_way_of_asking_counts_once(hass: HomeAssistant, everything: MockConfigEntry) -> None:
    statistics = everything.runtime_data.statistics
    await match(hass, COUCH)
    await match(hass, PARIS)
    question = await clarify(hass, query=LIGHT)
    assert question["needs_clarification"]
    counted = dict(statistics.decisions)
    await clarify(hass, clarification_id=question["clarification_id"], answer="the one that is in the kitchen, please")
    assert counted == dict(statistics.decisions) == {Decision.MATCH: 1, Decision.NONE: 1, Decision.AMBIGUOUS: 1}
    assert shown(hass, TODAY) == ["3"]
    assert [round(float(share)) for share in shown(hass, *SHARES)] == [33, 33, 33]
    last, p95 = (float(time) for time in shown(hass, LAST, P95))
    assert last == pytest.approx(statistics.last_ms)
    assert p95 == pytest.approx(np.percentile(statistics.latencies, 95))


async def clarify(hass: HomeAssistant, **data: str) -> dict[str, object]:
    response = await hass.services.async_call(DOMAIN, "clarify", data, blocking=True, return_response=True)
    assert response is not None
    return dict(response)


async def test_what_failed_is_not_counted(hass: HomeAssistant, everything: MockConfigEntry) -> None:
    with pytest.raises(HomeAssistantError):
        await match(hass, " ")
    assert shown(hass, TODAY) == ["0"]


async def test_a_day_ends_at_local_midnight(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    await hass.config.async_set_time_zone("Asia/Tokyo")
    freezer.move_to(datetime(2030, 1, 1, 14, 59, 50, tzinfo=UTC))
    await match(hass, COUCH)
    assert shown(hass, TODAY) == ["1"]
    freezer.move_to(datetime(2030, 1, 1, 15, 0, 1, tzinfo=UTC))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert shown(hass, TODAY) == ["0"]


async def test_a_reload_does_not_begin_a_day_anew(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await match(hass, COUCH)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    await match(hass, COUCH)
    assert shown(hass, TODAY) == ["2"]


@pytest.mark.parametrize(("ago", "count"), [(timedelta(0), "7"), (timedelta(days=1), "0")])
async def test_a_restart_does_not_begin_a_day_anew(hass: HomeAssistant, ago: timedelta, count: str) -> None:
    before = State(TODAY, "7", last_updated=dt_util.utcnow() - ago)
    stored = {"native_value": 7, "native_unit_of_measurement": None}
    mock_restore_cache_with_extra_data(hass, [(before, stored)])
    await async_set_up(hass, MockConfigEntry(domain=DOMAIN, title="Semantic Home", data={CONF_MODEL: None}))
    assert shown(hass, TODAY) == [count]


def test_only_the_latest_count_for_what_is_usual() -> None:
    statistics = QueryStatistics()
    statistics.note(Decision.NONE, 1e6)
    for number in range(RECENT):
        statistics.note(Decision.MATCH, number)
    assert (statistics.share(Decision.MATCH), statistics.share(Decision.NONE)) == (100, 0)
    assert (statistics.today, statistics.last_ms) == (RECENT + 1, RECENT - 1)
    assert statistics.p95_ms == pytest.approx(0.95 * (RECENT - 1))


def test_what_was_counted_yesterday_is_not_gone_on_with() -> None:
    now = datetime(2030, 1, 1, 23, 59, tzinfo=UTC)
    statistics = QueryStatistics(lambda: now)
    statistics.resume(5)
    statistics.note(Decision.MATCH, 1)
    assert statistics.today == 6
    now += timedelta(minutes=2)
    assert statistics.today == 0
    statistics.note(Decision.MATCH, 1)
    assert statistics.today == 1


async def test_names_only(hass: HomeAssistant) -> None:
    entry = MockConfigEntry(domain=DOMAIN, title="Semantic Home", data={CONF_MODEL: None})
    await async_set_up(hass, entry)
    await match(hass, "sofa lamp")
    assert shown(hass, INDEX, TODAY) == ["names_only", "1"]
    assert (hass.states.get(ACTIVE_MODEL), hass.states.get(UNLOAD)) == (None, None)
    await press(hass, REBUILD)
    assert entry.runtime_data.status.documents > 0


async def test_loading_then_ready(hass: HomeAssistant, model_folder: str) -> None:
    go_on, create = threading.Event(), OpenVINOEncoder.__init__

    def slow(self: OpenVINOEncoder, *args: object, **kwargs: object) -> None:
        assert go_on.wait(60)
        create(self, *args, **kwargs)

    data = {CONF_ENGINE: "openvino", CONF_MODEL: MINILM, CONF_FOLDER: model_folder}
    entry = MockConfigEntry(domain=DOMAIN, title="Semantic Home", data=data)
    with patch.object(OpenVINOEncoder, "__init__", slow):
        await async_set_up(hass, entry)
        assert shown(hass, INDEX, ACTIVE_MODEL) == ["loading", "unknown"]
        go_on.set()
        await async_wait_complete(entry)
    await hass.async_block_till_done()
    assert shown(hass, INDEX, ACTIVE_MODEL) == ["ready", MINILM]


async def test_building_then_ready(hass: HomeAssistant, entry: MockConfigEntry, portable_folder: str) -> None:
    old = entry.runtime_data.status.generation
    gate = Gate(Path(portable_folder).name)
    with gate.patch():
        await change(hass, entry, portable_folder)
        await gate.wait(hass)
        assert shown(hass, INDEX) == ["building"]
        gate.opened.set()
        await swapped(entry, old)
        await hass.async_block_till_done()
    assert shown(hass, INDEX) == ["ready"]


async def test_a_lost_model_and_a_silent_one_are_degraded(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    with patch.object(EncoderWorker, "encode", side_effect=EncoderUnavailableError("too late")):
        await match(hass, COUCH)
        assert shown(hass, INDEX) == ["degraded"]
    await match(hass, "is the television on?")
    assert shown(hass, INDEX) == ["ready"]
    folder = Path(hass.config.path(entry.data[CONF_FOLDER]))
    shutil.move(folder, folder.with_name("away"))
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_for_issue(hass, entry)
    assert shown(hass, INDEX, ACTIVE_MODEL) == ["degraded", "unknown"]


async def test_the_model_is_unloaded_and_comes_back(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await press(hass, UNLOAD)
    assert not worker_of(entry).loaded
    assert shown(hass, INDEX) == ["ready"], "it answers all the same"
    response = await match(hass, COUCH)
    assert (response["entity_ids"], response["degraded"]) == (["light.sofa_lamp"], False)
    assert worker_of(entry).loaded


async def test_a_model_on_a_server_has_no_memory_here(hass: HomeAssistant) -> None:
    server = {"url": "http://127.0.0.1:1/v1", "model": "m"}
    spec = {"dimension": 8, "pooling": "mean"}
    data = {CONF_ENGINE: "server", CONF_MODEL: "m", "server": server, "spec": spec}
    with patch("custom_components.semantic_home.model_runner.async_load", side_effect=OSError("not now")):
        await async_set_up(hass, MockConfigEntry(domain=DOMAIN, title="Semantic Home", data=data))
    assert hass.states.get(UNLOAD) is None
    assert hass.states.get(REBUILD) is not None


async def test_a_rebuild_makes_all_vectors_anew(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    texts = entry.runtime_data.status.texts
    embedded: list[str] = []
    encode = OpenVINOEncoder.encode

    def record(self: OpenVINOEncoder, texts: list[str], role: str) -> object:
        embedded.extend(texts if role == "passage" else ())
        return encode(self, texts, role)

    with patch.object(OpenVINOEncoder, "encode", record):
        await press(hass, REBUILD)
        await async_wait_complete(entry)
    assert len(embedded) == texts


async def test_a_rebuild_is_for_administrators_and_automations(
    hass: HomeAssistant, entry: MockConfigEntry, hass_admin_user: MockUser
) -> None:
    user = MockUser(groups=[]).add_to_hass(hass)
    user.mock_policy({"entities": True})
    with pytest.raises(Unauthorized):
        await press(hass, REBUILD, Context(user_id=user.id))
    assert entry.runtime_data.status.complete
    await press(hass, REBUILD, Context(user_id=hass_admin_user.id))
    await async_wait_complete(entry)


async def test_a_rebuild_waits_for_no_backup(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await entry.runtime_data.index.async_hold()
    with pytest.raises(HomeAssistantError) as failure:
        await press(hass, REBUILD)
    assert failure.value.translation_key == "backup_running"
    await entry.runtime_data.index.async_release()
