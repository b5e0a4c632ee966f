#!/usr/bin/env python3
"""Read what is to be done out of sentences of which it is known which things they mean, and say how often it is right.

  scripts/evaluate_wishes.py --homes HOMES --cases FILE...      only cases that say their intent and expect something
  scripts/evaluate_wishes.py ... --wrong                        the sentences that were read wrongly, too

"said": in Home Assistant's own words, with any name in them. "guessed": by the request model, and so never done with a
lock and its like. "not read": nothing is done. The intent that a case names is taken for the truth, or that of the
action that it names ("light.turn_off").
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import sys
import time
from typing import Any

from development import enter

# What Home Assistant does for an action's name.
_INTENTS = {
    "close_cover": "HassTurnOff",
    "decrease_speed": "HassFanSetSpeed",
    "increase_speed": "HassFanSetSpeed",
    "lock": "HassTurnOn",
    "media_previous_track": "HassMediaPrevious",
    "open_cover": "HassTurnOn",
    "start": "HassVacuumStart",
    "toggle": "HassToggle",
    "turn_off": "HassTurnOff",
    "turn_on": "HassTurnOn",
    "unlock": "HassTurnOff",
    "volume_down": "HassSetVolumeRelative",
    "volume_mute": "HassMediaPlayerMute",
    "volume_up": "HassSetVolumeRelative",
}
_HALF, _MOST = 0.5, 0.95


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=Path, required=True, help="folder of the home files")
    parser.add_argument("--cases", type=Path, nargs="+", required=True, help="JSON lines")
    parser.add_argument("--wrong", action="store_true", help="print what was read wrongly")
    options = parser.parse_args()
    enter()
    print("| set | sentences | said | of these wrong | guessed | of these wrong | not read | ms, p50 / p95 |")
    print("|---|---|---|---|---|---|---|---|")
    for path in options.cases:
        for line in _report(path, options.homes, wrong=options.wrong):
            print(line)
    return 0


def _report(path: Path, homes: Path, *, wrong: bool) -> Iterator[str]:
    from custom_components.semantic_home.matching import read_wish  # noqa: PLC0415 - of the environment

    counts, took, mistaken = Counter[str](), [], []
    for case, intent, things in _cases(path, homes):
        domains = {thing["domain"] for thing in things}
        names = [name for thing in things for name in (thing["name"], *thing.get("aliases", ()))]
        read_wish("", case["lang"], domains)  # a language is read once, before anybody asks
        started = time.perf_counter()
        wish = read_wish(case["query"], case["lang"], domains, names)
        took.append((time.perf_counter() - started) * 1000)
        way = "not read" if wish is None else "said" if wish.certain else "guessed"
        counts[way] += 1
        if wish is not None and wish.intent != intent:
            counts[f"{way}, wrong"] += 1
            mistaken.append(f"  {way}: {case['query']!r} is {intent}, read as {wish.intent}")
    if not took:
        return
    took.sort()
    cells = [counts["said"], counts["said, wrong"], counts["guessed"], counts["guessed, wrong"], counts["not read"]]
    times = " / ".join(f"{took[int(share * (len(took) - 1))]:.1f}" for share in (_HALF, _MOST))
    yield f"| {path.stem} | {len(took)} | {' | '.join(map(str, cells))} | {times} |"
    if wrong:
        yield from mistaken


def _cases(path: Path, homes: Path) -> Iterator[tuple[Mapping[str, Any], str, list[Mapping[str, Any]]]]:
    """Give the cases that name an intent, with it and what is meant."""
    for line in path.read_text("utf-8").splitlines():
        case = json.loads(line)
        if not case.get("intent") or not case["expected"]:
            continue
        home = json.loads((homes / f"{case['home']}.json").read_text("utf-8"))
        known = {entity["entity_id"]: entity for entity in home["entities"]}
        action = case["intent"].rpartition(".")[2]
        yield case, _INTENTS.get(action, case["intent"]), [known[one] for one in case["expected"]]


if __name__ == "__main__":
    sys.exit(main())
