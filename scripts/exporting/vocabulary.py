"""Pruning the vocabulary of a SentencePiece Unigram tokenizer (`tokenizer.json`), and with it the embedding table.

Kept are: the special tokens; every piece of a single character, with and without the word mark `▁`; the pieces that
the given texts need, as they are written, in lower case and with a capital; pieces that stand on a line of their own;
and the piece with the lowest score, because the score of `<unk>` is derived from it.

A text whose pieces are all kept is cut as before: its best path is still there, no path is new, and no score has
changed. Its rows of the table are the same, so its vectors are too. Words are cut one by one, so that holds for any
text made of words of the given texts. In any other text the words that lost a piece are spelled in smaller pieces, at
worst in characters, and their vectors are worse; only a character that the whole vocabulary did not know either is
`<unk>` (XLM-R has no byte fallback; where a vocabulary has its 256 bytes, they are kept).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import json
import re
from typing import Any

_WORD_MARK = "▁"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


class VocabularyError(Exception):
    """A tokenizer that cannot be pruned, or not for these texts."""


@dataclass(frozen=True)
class Pruned:
    """`tokenizer`: the new tokenizer.json. `kept`: the old ids in their new order."""

    tokenizer: str
    kept: list[int]
    size_before: int


def prune(tokenizer_json: str, texts: Iterable[str]) -> Pruned:
    """Keep what the texts need. Raises VocabularyError for a tokenizer of another kind."""
    raw = json.loads(tokenizer_json)
    model = raw["model"]
    if model.get("type") != "Unigram":
        raise VocabularyError(f"its tokenizer is {model.get('type')}; only SentencePiece Unigram (XLM-R) can be pruned")
    texts = [text.strip() for text in texts if text.strip()]
    if not texts:
        raise VocabularyError("there are no texts to keep pieces for")
    vocabulary: list[list[Any]] = model["vocab"]
    known = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    keep = {known[token["content"]] for token in raw["added_tokens"] if token["content"] in known}
    keep |= {number for piece, number in known.items() if _is_character(piece)}
    keep |= _needed(tokenizer_json, texts, known)
    keep.add(model["unk_id"])
    keep.add(min(range(len(vocabulary)), key=lambda number: vocabulary[number][1]))
    kept = sorted(keep)
    _renumber(raw, {old: new for new, old in enumerate(kept)}, known)
    model["vocab"] = [vocabulary[number] for number in kept]
    return Pruned(json.dumps(raw, ensure_ascii=False, indent=1), kept, len(vocabulary))


def _is_character(piece: str) -> bool:
    return len(piece.lstrip(_WORD_MARK)) <= 1 or bool(_BYTE.fullmatch(piece))


def _needed(tokenizer_json: str, texts: Iterable[str], known: dict[str, int]) -> set[int]:
    from tokenizers import Tokenizer  # noqa: PLC0415 - of the environment

    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.no_truncation()
    needed: set[int] = set()
    for text in texts:
        if text in known:
            needed.add(known[text])
        forms = [text, text.lower(), " ".join(word[:1].upper() + word[1:] for word in text.split())]
        for encoding in tokenizer.encode_batch(forms, add_special_tokens=False):
            needed.update(encoding.ids)
    return needed


def _renumber(raw: dict[str, Any], new: dict[int, int], known: dict[str, int]) -> None:
    """Give the tokens that are named by number elsewhere their new ones."""
    raw["model"]["unk_id"] = new[raw["model"]["unk_id"]]
    for token in raw["added_tokens"]:
        if token["content"] not in known:
            raise VocabularyError(f"its token {token['content']} is not in the vocabulary")
        token["id"] = new[token["id"]]
    specials = (raw.get("post_processor") or {}).get("special_tokens") or {}
    for special in specials.values():
        special["ids"] = [new[number] for number in special["ids"]]
    if raw.get("padding"):
        raw["padding"]["pad_id"] = new[raw["padding"]["pad_id"]]
