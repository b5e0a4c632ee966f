"""Names found in queries, against a plain rewriting of the definition."""

from collections.abc import Mapping, Sequence
import json
import math
import os
import subprocess
import sys

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.semantic_home.matching import Lexicon
from custom_components.semantic_home.matching.text import fold, trigrams
from tests.conftest import ROOT

_NAMES = {
    "light.sofa": ("Sofa lamp", "Stehlampe"),
    "light.desk": ("Desk lamp",),
    "light.kitchen": ("Küchenlicht",),
    "light.bath": ("浴室灯",),
}


def _naive(names: Mapping[str, Sequence[str]], query: str) -> dict[str, set[tuple[float, float, str]]]:
    """Give, per thing, all names that share a trigram with the query: share, coverage, name."""
    everything = [trigrams(fold(name)) for owned in names.values() for name in owned]
    everything = [grams for grams in everything if grams]

    def weight(grams: frozenset[str]) -> float:
        return sum(math.log(1 + len(everything) / sum(gram in other for other in everything)) for gram in sorted(grams))

    said = trigrams(fold(query)) & frozenset().union(*everything)
    found: dict[str, set[tuple[float, float, str]]] = {}
    for thing, owned in names.items():
        for name in owned:
            grams = trigrams(fold(name))
            if grams & said:
                entry = (weight(grams & said) / weight(grams), weight(grams & said) / weight(said), name)
                found.setdefault(thing, set()).add(entry)
    return found


_TEXTS = st.text("abcä 灯室", max_size=8)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from("pqrstu"), st.lists(_TEXTS, max_size=3), max_size=6), _TEXTS)
def test_agrees_with_the_definition(names: dict[str, list[str]], query: str) -> None:
    expected = _naive(names, query)
    found = Lexicon(names).find(query)
    assert found.keys() == expected.keys()
    for thing, best in found.items():
        # Of names as good as each other any may stand for the thing.
        scores = {name: (share, coverage) for share, coverage, name in expected[thing]}
        assert (best.share, best.coverage) == pytest.approx(scores[best.name])
        assert best.share == pytest.approx(max(share for share, _ in scores.values()))
        assert 0 < best.share <= 1
        assert 0 < best.coverage <= 1


def test_a_name_that_is_said_is_found_whole() -> None:
    found = Lexicon(_NAMES).find("please turn off the SOFA lamp now")
    assert found["light.sofa"].share == pytest.approx(1)
    assert found["light.sofa"].name == "Sofa lamp"
    assert found["light.sofa"].coverage == pytest.approx(1)
    # What both have in common counts for both, and less than what only one has.
    assert 0 < found["light.desk"].share < 0.5
    assert "light.kitchen" not in found


def test_an_alias_is_as_good_as_the_name() -> None:
    assert Lexicon(_NAMES).find("die Stehlampe")["light.sofa"].name == "Stehlampe"


def test_inflected_misspelt_and_joined_words_keep_most() -> None:
    lexicon = Lexicon(_NAMES)
    assert lexicon.find("kuchenlichter")["light.kitchen"].share > 0.8
    assert lexicon.find("the sofalamp")["light.sofa"].share > 0.6
    assert lexicon.find("浴室的灯")["light.bath"].share > 0.4
    assert lexicon.find("stelampe")["light.sofa"].share > 0.5


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    lexicon = Lexicon({number: (f"{word} lamp",) for number, word in enumerate(("desk", "sofa", "hall", "bath"))})
    assert lexicon.find("desk")[0].share > lexicon.find("lamp")[0].share


@pytest.mark.parametrize("query", ["", "???", "xyzzy"])
def test_nothing_to_find(query: str) -> None:
    assert Lexicon(_NAMES).find(query) == {}


@pytest.mark.parametrize("names", [{}, {"x": ()}, {"x": ("", " ", "!?")}])
def test_no_names(names: dict[str, tuple[str, ...]]) -> None:
    assert Lexicon(names).find("lamp") == {}


def test_blank_names_take_nothing_from_the_others() -> None:
    with_blanks = {thing: ("", *owned, "—") for thing, owned in _NAMES.items()} | {"light.blank": ("💡",)}
    assert Lexicon(with_blanks).find("sofa lamp") == Lexicon(_NAMES).find("sofa lamp")


_REPORT = """
import json, sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, str(root / "custom_components/semantic_home"))  # without Home Assistant
from matching import Candidate, Lexicon, MatchRequest, Matcher, Weights
assert "homeassistant" not in sys.modules
home = json.loads((root / "tests/matching/cases.json").read_text("utf-8"))
matcher = Matcher([Candidate(i, tuple(e["names"]), e["area"]) for i, e in home["entities"].items()], Weights.load())
lexicon = Lexicon({i: e["names"] for i, e in home["entities"].items()})
for case in home["cases"]:
    print(lexicon.find(case["say"]), matcher.match(MatchRequest(case["say"]), None))
"""


def test_same_numbers_in_every_process() -> None:
    """Sets have another order in every process, and a sum of floats depends on its order."""
    reports = {
        subprocess.run(
            [sys.executable, "-c", _REPORT, str(ROOT)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(reports) == 1
    assert len(reports.pop().splitlines()) == len(
        json.loads((ROOT / "tests/matching/cases.json").read_text("utf-8"))["cases"]
    )
