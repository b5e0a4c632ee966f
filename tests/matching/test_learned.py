"""What was meant before is evidence for what is meant: how far it reaches, and where it ends."""

import pytest

from custom_components.semantic_home.matching import (
    Candidate,
    Caution,
    Decision,
    Learned,
    Matcher,
    MatchRequest,
    MatchResult,
    Place,
)
from custom_components.semantic_home.matching.heard import listen
from custom_components.semantic_home.matching.learned import WORTH

from .common import target_ids

PLACES = [Place(f"area:{area}", "area", (area.capitalize(),)) for area in ("den", "hall", "lounge", "office")]
LAMP = "turn on the lamp"


def one(entity_id: str, name: str, area: str = "hall", device_class: str | None = None) -> Candidate:
    domain = entity_id.partition(".")[0]
    return Candidate(entity_id, (name,), domain, device_class, area.capitalize(), (f"area:{area}",))


LAMPS = [one(f"light.{area}", "Lamp", area) for area in ("hall", "lounge", "office")]


def learned(query: str, *entity_ids: str, language: str = "en") -> Learned:
    return Learned(query, frozenset(entity_ids), language)


LOUNGE = learned(LAMP, "light.lounge")


def match(query: str, *before: Learned, home: list[Candidate] = LAMPS, **more: object) -> MatchResult:
    request = MatchRequest(query, learned=before, explain=True, **more)  # type: ignore[arg-type]
    return Matcher(home, PLACES).match(request, None)


def found(result: MatchResult) -> list[str]:
    return sorted(target_ids(result)) if result.decision is Decision.MATCH else []


@pytest.mark.parametrize(
    "query",
    [LAMP, "Turn on the LAMP!", "switch the lamp off", "please turn off the lamp", "lamp on please", "is the lamp on?"],
)
@pytest.mark.parametrize("caution", Caution)
def test_the_same_is_meant_whatever_is_to_be_done(query: str, caution: Caution) -> None:
    assert match(query, caution=caution).decision is Decision.AMBIGUOUS
    result = match(query, LOUNGE, caution=caution)
    assert found(result) == ["light.lounge"]
    assert result.targets[0].reason.channel == "learned"
    assert result.explanation is not None
    worth = {ids: parts.get("learned") for _, ids, parts in result.explanation.readings}
    assert worth["light.lounge",] == WORTH
    assert worth["light.hall",] is None


@pytest.mark.parametrize(
    ("language", "name", "before", "query"),
    [
        ("de", "Lampe", "schalte die Lampe ein", "mach die Lampe aus"),
        ("da", "Lampe", "tænd lampen", "sluk lampen"),
        ("es", "Lámpara", "enciende la lámpara", "apaga la lámpara"),
        ("ru", "Лампа", "включи лампу", "выключи лампу"),
        ("zh-Hans", "台灯", "打开台灯", "关闭台灯"),
        ("ja", "ランプ", "ランプをつけて", "ランプをつけて"),
    ],
)
def test_in_other_languages(language: str, name: str, before: str, query: str) -> None:
    home = [one(f"light.{area}", name, area) for area in ("hall", "lounge", "office")]
    assert match(query, home=home).decision is Decision.AMBIGUOUS
    assert found(match(query, learned(before, "light.lounge", language=language), home=home)) == ["light.lounge"]


@pytest.mark.parametrize(
    "query",
    [
        *("turn on all the lamps", "turn on both lamps", "turn on the other lamp", "the second lamp", "turn on lamp 2"),
        *("turn on every lamp", "turn on any lamp", "which lamp is on", "turn on the large lamp", "beide Lamp an"),
    ],
)
def test_who_chooses_does_not_mean_the_same(query: str) -> None:
    assert match(query, LOUNGE) == match(query)


@pytest.mark.parametrize(
    ("language", "name", "before", "query"),
    [
        ("de", "Lampe", "schalte die Lampe ein", "schalte die linke Lampe ein"),
        ("de", "Lampe", "schalte die Lampe ein", "schalte die große Lampe ein"),
        ("de", "Lampe", "schalte die Lampe ein", "welche Lampe ist an"),
        ("de", "Lampe", "schalte die Lampe ein", "turn off the other lampe"),
        ("tr", "Lamba", "lambayı aç", "büyük lambayı aç"),
        ("tr", "Lamba", "lambayı aç", "her lambayı aç"),
        ("de", "TV", "tv an", "diğer tv aç"),
        ("en", "TV", "tv an", "beide tv an"),
    ],
)
def test_who_chooses_in_another_language_does_not_either(language: str, name: str, before: str, query: str) -> None:
    home = [one(f"light.{area}", name, area) for area in ("hall", "lounge", "office")]
    lesson = learned(before, "light.lounge", language=language)
    assert match(query, lesson, home=home) == match(query, home=home)


def test_another_name_or_place_is_another_request() -> None:
    hall = learned("the lamp in the hall", "light.hall")
    assert match("the lamp in the den", hall) == match("the lamp in the den")
    assert match("the lamp in the den", LOUNGE) == match("the lamp in the den")
    assert found(match("the lamp in the hall", LOUNGE)) == ["light.hall"]
    assert match(LAMP, hall) == match(LAMP)


def test_what_cannot_be_done_to_it_is_another_request() -> None:
    home = [one("light.bedside", "Bedside"), one("light.ceiling", "Ceiling"), one("sensor.t", "Warmth")]
    before = learned("turn on the hall", "light.bedside")
    assert found(match("turn off the hall", before, home=home)) == ["light.bedside"]
    assert match("how warm is the hall", before, home=home) == match("how warm is the hall", home=home)


def test_the_latest_counts_and_nothing_but_it() -> None:
    hall = learned("switch off the lamp", "light.hall")
    assert found(match(LAMP, hall, learned("lamp", "light.lounge"))) == ["light.hall"]
    gone = learned("switch off the lamp", "light.gone")
    assert match("lamp", gone, LOUNGE) == match("lamp"), (
        "what was said last has gone, what was said before is not meant"
    )


def test_several_that_were_chosen() -> None:
    two = learned(LAMP, "light.hall", "light.lounge")
    assert found(match("switch off the lamp", two)) == ["light.hall", "light.lounge"]
    every = learned(LAMP, "light.hall", "light.lounge", "light.office")
    assert found(match("switch off the lamp", every)) == ["light.hall", "light.lounge", "light.office"]


@pytest.mark.parametrize(
    "before",
    [learned(LAMP, "light.gone"), learned(LAMP, "light.lounge", "light.gone")],
)
def test_what_is_not_here_any_more(before: Learned) -> None:
    assert match(LAMP, before) == match(LAMP)


@pytest.mark.parametrize("before", [LOUNGE, learned(LAMP, "light.hall", "light.lounge")])
def test_what_may_not_be_answered(before: Learned) -> None:
    allowed = frozenset({"light.hall", "light.office"})
    assert match(LAMP, before, allowed=allowed) == match(LAMP, allowed=allowed)


def test_the_least_probable_of_those_offered_can_be_learnt() -> None:
    home = [one("light.desk", "Desk lamp"), one("light.sofa", "Sofa lamp", "lounge"), one("light.hall", "Hall lamp")]
    last = match(LAMP, home=home).targets[-1].candidate.entity_id
    assert found(match(LAMP, learned(LAMP, last), home=home)) == [last]


@pytest.mark.parametrize("name", ["Kitchen light", "Lamp"])
def test_what_is_named_in_full_is_not_overruled(name: str) -> None:
    query = f"turn on the {name.lower()}"
    home = [one("light.strip", f"{name} strip"), one("light.spots", f"{name} spots")]
    before = learned(query, "light.strip")
    assert found(match(query, before, home=home)) == ["light.strip"]
    home.append(one("light.new", name))
    assert match(query, before, home=home) == match(query, home=home)
    assert found(match(query, home=home)) == ["light.new"]


@pytest.mark.parametrize(
    ("entity_id", "name", "device_class"),
    [
        ("lock.one", "Entrance", None),
        ("cover.one", "Entrance", "gate"),
        ("siren.one", "Entrance", None),
        ("switch.one", "Garage door", None),
    ],
)
def test_what_is_guarded_is_never_learnt(entity_id: str, name: str, device_class: str | None) -> None:
    domain = entity_id.partition(".")[0]
    home = [one(entity_id, name, device_class=device_class), one(f"{domain}.two", name, "office", device_class)]
    query = f"open the {name.lower()}"
    assert match(query, learned(query, entity_id), home=home) == match(query, home=home)


def test_what_goes_on_from_another_request_names_only_a_part() -> None:
    assert match(LAMP, LOUNGE, previous="what about the hall") == match(LAMP, previous="what about the hall")


def test_a_request_that_names_nothing_is_known_by_its_words_alone() -> None:
    before = learned("turn it on", "light.lounge")
    assert match("switch it off", before) == match("switch it off")


@pytest.mark.parametrize(
    ("entity_id", "names", "device"),
    [
        ("switch.front", ("Haustür",), None),
        ("switch.back", ("Front door",), None),
        ("cover.cellar", ("Kellertür",), None),
        ("switch.kapi", ("Dış kapı",), None),
        ("switch.relay", ("Relay", "Garagentor"), None),
        ("button.open", ("Open",), "Garage door"),
        ("automation.gate", ("Open the gate",), None),
    ],
)
def test_what_may_open_a_door_is_still_asked_about(entity_id: str, names: tuple[str, ...], device: str | None) -> None:
    domain, related = entity_id.partition(".")[0], tuple(filter(None, [device]))
    home = [
        Candidate(f"{entity_id}_{area}", names, domain, None, area.capitalize(), (f"area:{area}",), related)
        for area in ("hall", "lounge")
    ]
    query = f"turn on {names[-1]}"
    assert match(query, learned(query, f"{entity_id}_hall"), home=home) == match(query, home=home)


def test_many_lessons_cost_no_more_than_few(monkeypatch: pytest.MonkeyPatch) -> None:
    listened = []
    monkeypatch.setattr(
        "custom_components.semantic_home.matching.learned.listen",
        lambda *asked: listened.append(asked) or listen(*asked),
    )
    matcher = Matcher(LAMPS, PLACES)
    many = tuple(learned(f"{verb} the lamp", "light.lounge") for verb in ("turn on", "switch off", "turn off"))
    for _ in range(3):
        matcher.match(MatchRequest("the lamp on", learned=many), None)
    assert len(listened) <= len(many), "a lesson is heard once in a home"
