"""Home Assistant's own sentences (hassil over home-assistant-intents), as evidence of the first rank.

Optional: both packages come with Home Assistant's conversation integration, and nothing is missing without them but
this evidence. It is kept cheap by what is known already: only the intents that the request model holds for possible
are tried, with only those names of the home that are in the request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .home import Home
from .request_model import Reading

type Targets = frozenset[int]

# Intents that are about no device.
_NO_DEVICE = ("Timer", "CurrentDate", "CurrentTime", "ShoppingList", "Nevermind", "Respond", "Broadcast")
# Where the sentences of an intent do not say which domain they are about, the intent does.
_DOMAIN_OF_INTENT = {
    "HassLightSet": ("light",),
    "HassClimateGetTemperature": ("climate",),
    "HassClimateSetTemperature": ("climate",),
    "HassClimateSetFanMode": ("climate",),
    "HassFanSetSpeed": ("fan",),
    "HassVacuumStart": ("vacuum",),
    "HassVacuumReturnToBase": ("vacuum",),
    "HassVacuumCleanArea": ("vacuum",),
    "HassLawnMowerStartMowing": ("lawn_mower",),
    "HassLawnMowerDock": ("lawn_mower",),
    "HassGetWeather": ("weather",),
    "HassSetPosition": ("cover", "valve"),
    "HassSetVolume": ("media_player",),
    "HassSetVolumeRelative": ("media_player",),
    "HassMediaNext": ("media_player",),
    "HassMediaPrevious": ("media_player",),
    "HassMediaPause": ("media_player",),
    "HassMediaUnpause": ("media_player",),
    "HassMediaPlayerMute": ("media_player",),
    "HassMediaPlayerUnmute": ("media_player",),
    "HassMediaSearchAndPlay": ("media_player",),
}
_TRIED = 0.01
_NAME_SAID, _PLACE_SAID = 0.9, 0.6


@dataclass(frozen=True, slots=True)
class Parse:
    """What the grammar makes of a request: an intent, and who may be meant, by candidates' numbers.

    `options`: one set for each reading that is as good as the best. `nothing`: no device is asked about.
    """

    intent: str
    options: frozenset[Targets]
    by_name: bool
    nothing: bool


class Grammar:
    """The sentences of one language."""

    @staticmethod
    @cache
    def load(language: str) -> Grammar | None:
        """Read a language's sentences, once; None where there are none, or no hassil. Blocking: half a second."""
        try:
            import hassil  # noqa: PLC0415
            import home_assistant_intents  # noqa: PLC0415
        except ImportError:
            return None
        folder = Path(home_assistant_intents.__file__).with_name("data")
        names = [language.replace("_", "-"), language.partition("-")[0]]
        found = next((path for name in names if (path := folder / f"{name}.json").is_file()), None)
        return None if found is None else Grammar(hassil.Intents.from_dict(json.loads(found.read_text("utf-8"))))

    def __init__(self, intents: Any) -> None:
        """Take hassil's compiled intents."""
        self._intents = intents

    def parse(
        self,
        query: str,
        home: Home,
        reading: Reading,
        said: tuple[NDArray[np.float64], NDArray[np.float64]],
        context: int | None,
    ) -> Parse | None:
        """Recognise a query; None when no sentence fits. `said`: how much of candidates' and places' names is in it."""
        from hassil import SlotList, TextSlotList, recognize_all  # noqa: PLC0415

        tried = {
            name: intent for name, intent in self._intents.intents.items() if reading.actions.get(name, 1.0) > _TRIED
        }
        lists: dict[str, SlotList] = {
            slot: TextSlotList.from_tuples(values, allow_template=False) for slot, values in _lists(home, *said).items()
        }
        results = recognize_all(
            query,
            replace(self._intents, intents=tried),
            slot_lists=lists,
            intent_context={} if context is None else {"area": home.places[context].id},
            language=self._intents.language,
        )
        return _best(home, list(results))


def _lists(
    home: Home, containment: NDArray[np.float64], places: NDArray[np.float64]
) -> dict[str, list[tuple[str, str, dict[str, str]]]]:
    """Give the slots' values, of the names that are in the query: name, number or id, what the sentences ask for."""
    lists: dict[str, list[tuple[str, str, dict[str, str]]]] = {"name": [], "area": [], "floor": []}
    for number in np.flatnonzero(containment >= _NAME_SAID).tolist():
        one = home.candidates[number]
        about = {"domain": one.domain} | ({"device_class": one.device_class} if one.device_class else {})
        lists["name"] += [(name, str(number), about) for name in one.names]
    for number in np.flatnonzero(places >= _PLACE_SAID).tolist():
        place = home.places[number]
        lists[place.form] += [(name, place.id, {}) for name in place.names]
    return lists


def _best(home: Home, results: Sequence[Any]) -> Parse | None:
    """Choose among what was recognised: names before kinds, the longer name, then the more literal sentence."""
    if not results:
        return None
    quality = [_quality(result) for result in results]
    best = max(quality)
    chosen = [result for result, found in zip(results, quality, strict=True) if found == best]
    intent = str(chosen[0].intent.name)
    if any(part in intent for part in _NO_DEVICE):
        return Parse(intent, frozenset(), by_name=False, nothing=True)
    options = frozenset(_targets(home, result) for result in chosen)
    return Parse(intent, options, by_name=bool(best[0]), nothing=False)


def _quality(result: Any) -> tuple[int, int, int]:
    name = result.entities.get("name")
    wildcards = sum(bool(entity.is_wildcard) for entity in result.entities_list)
    said = len(name.text) if name is not None and name.value != "all" else 0
    return said, -wildcards, int(result.text_chunks_matched)


def _targets(home: Home, result: Any) -> Targets:
    values: Mapping[str, Any] = {slot: entity.value for slot, entity in result.entities.items()}
    name = values.get("name")
    if name is not None and name != "all":
        return frozenset([int(name)])
    members = np.ones(len(home), np.bool_)
    for slot, known in (("domain", home.domains), ("device_class", home.classes)):
        wanted = values.get(slot)
        if wanted is None and slot == "domain":
            wanted = _DOMAIN_OF_INTENT.get(result.intent.name)
        if wanted is not None:
            members &= np.isin(known, [wanted] if isinstance(wanted, str) else list(wanted))
    for slot in ("area", "floor"):
        rows = [number for number, place in enumerate(home.places) if place.id == values.get(slot)]
        if rows:
            members &= home.within[rows[0]]
    return frozenset(np.flatnonzero(members).tolist())
