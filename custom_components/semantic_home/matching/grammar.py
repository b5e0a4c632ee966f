"""Home Assistant's own sentences (hassil over home-assistant-intents), as evidence of the first rank.

Optional: both packages come with Home Assistant's conversation integration, and nothing is missing without them but
this evidence. It is kept cheap by what is known already: only the intents that the request model holds for possible
are tried, with only those names of the home that are in the request, and of their sentences only those that need no
other name: a quarter of the time, for the same result.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .home import Home
from .request_model import Reading
from .text import fold
from .types import Place

type Targets = frozenset[int]

_TAGS_KEPT = 128

# Intents that are about no device.
NO_DEVICE = ("Timer", "CurrentDate", "CurrentTime", "ShoppingList", "Nevermind", "Respond", "Broadcast")
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
# Of names that are said letter by letter these shares are found, errors of folding included.
_NAME_SAID, _PLACE_SAID = 0.9, 0.6
# So much is left of a word at least when a sentence takes its ending for its own.
_STEM = 3
# The lists of the home's own names, by the names that the sentences have for them.
_OWN_LISTS = frozenset({"name", "area", "floor"})


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
    @lru_cache(_TAGS_KEPT)
    def load(language: str) -> Grammar | None:
        """Read a language's sentences, once; None where there are none, or no hassil. Blocking: a second.

        Users say which language they speak, and may call anything one: all tags of a language share its sentences.
        """
        try:
            import hassil  # noqa: F401, PLC0415 - without it the sentences are of no use
            import home_assistant_intents  # noqa: PLC0415
        except ImportError:
            return None
        files = _files(Path(home_assistant_intents.__file__).with_name("data"))
        names = [language.replace("_", "-"), language.partition("-")[0]]
        found = next((files[name] for name in names if name in files), None)
        return None if found is None else _read(found)

    def __init__(self, intents: Any, responses: Mapping[str, Mapping[str, Any]]) -> None:
        """Take hassil's intents, and read all their templates: who asks should not wait for that.

        `responses`: what Home Assistant says when an intent was handled ("intents"), and when it was not ("errors").
        """
        self.intents = intents
        self.responses = responses
        rules: dict[str, frozenset[str]] = {}
        # By intent, each block of sentences with the home's lists without which none of them fits.
        self._blocks = {
            name: [(block, self._needed_by_block(block, rules)) for block in intent.data]
            for name, intent in intents.intents.items()
        }

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

        values = _lists(home, fold(query), *said)
        there = {slot for slot, names in values.items() if names}
        lists: dict[str, SlotList] = {
            slot: TextSlotList.from_tuples(names, allow_template=False) for slot, names in values.items()
        }
        results = recognize_all(
            query,
            replace(self.intents, intents=self._tried(reading, there)),
            slot_lists=lists,
            intent_context={} if context is None else {"area": home.places[context].id},
            language=self.intents.language,
        )
        return _best(home, list(results))

    def name_in(
        self, query: str, reading: Reading, domain: str, device_class: str | None, places: Sequence[Place]
    ) -> str | None:
        """Give what a query says where the sentences have a thing's name, of a thing of this kind; None if none fits.

        Empty when a sentence without any name fits better.
        """
        from hassil import SlotList, TextSlotList, WildcardSlotList, recognize_all  # noqa: PLC0415

        folded = _without_blanks(fold(query))
        lists: dict[str, SlotList] = {"name": WildcardSlotList("name")}
        for form in ("area", "floor"):
            names = [(name, place.id) for place in places if place.form == form for name in place.names]
            said = [one for one in names if _without_blanks(fold(one[0])) in folded]
            lists[form] = TextSlotList.from_tuples(said, allow_template=False)
        results = recognize_all(
            query,
            replace(self.intents, intents=self._tried(reading, _OWN_LISTS)),
            slot_lists=lists,
            # The sentences ask for it, and a wildcard does not bring it along.
            intent_context={"domain": domain} | ({"device_class": device_class} if device_class else {}),
            language=self.intents.language,
        )
        return _named(list(results), frozenset(fold(query).split()))

    def _tried(self, reading: Reading, there: Collection[str]) -> dict[str, Any]:
        """Give the intents that may be meant, with the sentences that need only those of the home's lists."""
        return {
            name: replace(intent, data=[block for block, needed in self._blocks[name] if needed <= set(there)])
            for name, intent in self.intents.intents.items()
            if reading.actions.get(name, 1.0) > _TRIED
        }

    @cached_property
    def domains(self) -> frozenset[str]:
        """The domains that sentences are about."""
        blocks = [(name, block) for name, intent in self.intents.intents.items() for block in intent.data]
        return frozenset().union(*(_domains(name, block) for name, block in blocks))

    def domains_of(self, intent: str, block: Any) -> frozenset[str]:
        """Say what an intent's block of sentences can be about: all domains, where it does not say."""
        return _domains(intent, block) or self.domains

    def _needed_by_block(self, block: Any, known: dict[str, frozenset[str]]) -> frozenset[str]:
        rules = {**self.intents.expansion_rules, **block.expansion_rules}
        for sentence in block.sentences:
            # Kept by hassil, too.
            sentence.get_required_clauses(rules)
        # A block's own rules may have the names of others.
        known = {} if block.expansion_rules else known
        needed = [_needed(sentence.expression, rules, known) for sentence in block.sentences]
        return frozenset.intersection(*needed) if needed else frozenset()


def _domains(intent: str, block: Any) -> frozenset[str]:
    said = block.slots.get("domain") or block.requires_context.get("domain") or _DOMAIN_OF_INTENT.get(intent, ())
    return frozenset([said] if isinstance(said, str) else said)


def _needed(expression: Any, rules: Mapping[str, Any], known: dict[str, frozenset[str]]) -> frozenset[str]:
    """Give the home's lists of which a value is in every text that fits; `known` keeps what rules need, by name."""
    from hassil.expression import Alternative, Group, ListReference, RuleReference  # noqa: PLC0415

    if isinstance(expression, ListReference):
        return _OWN_LISTS & {expression.list_name}
    if isinstance(expression, RuleReference):
        name = expression.rule_name
        if name not in known:
            # Until it is known, for a rule that refers to itself.
            known[name] = frozenset()
            known[name] = _needed(rules[name].expression, rules, known) if name in rules else frozenset()
        return known[name]
    if not isinstance(expression, Group):
        return frozenset()
    if isinstance(expression, Alternative) and expression.is_optional:
        return frozenset()
    parts = [_needed(item, rules, known) for item in expression.items]
    if isinstance(expression, Alternative):
        return frozenset.intersection(*parts) if parts else frozenset()
    return frozenset().union(*parts)


def _lists(
    home: Home, folded: str, containment: NDArray[np.float64], places: NDArray[np.float64]
) -> dict[str, list[tuple[str, str, dict[str, str]]]]:
    """Give the slots' values, of the names that are in the query: name, number or id, what the sentences ask for."""
    lists: dict[str, list[tuple[str, str, dict[str, str]]]] = {slot: [] for slot in sorted(_OWN_LISTS)}
    said = _without_blanks(folded)
    for number in np.flatnonzero(containment >= _NAME_SAID).tolist():
        one = home.candidates[number]
        about = {"domain": one.domain} | ({"device_class": one.device_class} if one.device_class else {})
        lists["name"] += [(name, str(number), about) for name in one.names if _without_blanks(fold(name)) in said]
    for number in np.flatnonzero(places >= _PLACE_SAID).tolist():
        place = home.places[number]
        lists[place.form] += [(name, place.id, {}) for name in place.names if _without_blanks(fold(name)) in said]
    return lists


def _without_blanks(folded: str) -> str:
    """Leave no blanks, which a sentence's own spelling may set elsewhere."""
    return folded.replace(" ", "")


def _best(home: Home, results: Sequence[Any]) -> Parse | None:
    """Choose among what was recognised: names before kinds, the longer name, then the more literal sentence."""
    if not results:
        return None
    quality = [_quality(result) for result in results]
    best = max(quality)
    chosen = [result for result, found in zip(results, quality, strict=True) if found == best]
    intent = str(chosen[0].intent.name)
    if any(part in intent for part in NO_DEVICE):
        return Parse(intent, frozenset(), by_name=False, nothing=True)
    options = frozenset(_targets(home, result) for result in chosen)
    return Parse(intent, options, by_name=bool(best[0]), nothing=False)


def _named(results: Sequence[Any], words: Collection[str]) -> str | None:
    """Give what stands for a name in the sentence that says most of the query in its own words; the shorter one."""
    found = [(_literal(result), _wildcard(result)) for result in results if not _about_no_device(result)]
    # A sentence that is nothing but a name fits everything.
    found = [(said, name) for said, name in found if said and _is_whole(name, words)]
    if not found:
        return None
    most = max(said for said, _ in found)
    return min((name for said, name in found if said == most), key=len)


def _literal(result: Any) -> int:
    """Count the letters that a sentence and the places in it have in common with what was said."""
    places = (result.entities.get(form) for form in ("area", "floor"))
    return int(result.text_chunks_matched) + sum(len(place.text.strip()) for place in places if place is not None)


def _wildcard(result: Any) -> str:
    name = result.entities.get("name")
    return str(name.text).strip() if name is not None and name.is_wildcard else ""


def _is_whole(name: str, words: Collection[str]) -> bool:
    """Tell whether a name is made of words that were said, or of what an ending was taken from."""
    return all(word in words or len(word) >= _STEM for word in fold(name).split())


def _about_no_device(result: Any) -> bool:
    return any(part in result.intent.name for part in NO_DEVICE)


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


@cache
def _files(folder: Path) -> Mapping[str, Path]:
    return {path.stem: path for path in folder.glob("*.json")}


@cache
def _read(path: Path) -> Grammar:
    from hassil import Intents  # noqa: PLC0415

    data = json.loads(path.read_text("utf-8"))
    return Grammar(Intents.from_dict(data), data.get("responses", {}))
