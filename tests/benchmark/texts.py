"""Texts of an exact number of tokens, whatever the model's tokenizer is."""

from collections.abc import Iterator
import itertools
from pathlib import Path
import random

from tokenizers import Tokenizer

_WORDS = 400


class TextMaker:
    """Puts texts together from words that are one token each, the same ones in every run."""

    def __init__(self, tokenizer_json: Path) -> None:
        """Look for such words in the tokenizer's own vocabulary. Raises ValueError when it has none."""
        self._tokenizer = Tokenizer.from_file(str(tokenizer_json))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._random = random.Random(1)  # noqa: S311 - no secret
        self._around = self._count("")
        self._words = list(itertools.islice(self._single_token_words(), _WORDS))
        if not self._words:
            raise ValueError("The tokenizer knows no whole words")

    def texts(self, count: int, tokens: int) -> list[str]:
        """Make texts of that many tokens each, the model's own at both ends included."""
        made = [" ".join(self._random.choices(self._words, k=tokens - self._around)) for _ in range(count)]
        if any(self._count(text) != tokens for text in made):
            raise ValueError(f"No text of {tokens} tokens can be made with this tokenizer")
        return made

    def _single_token_words(self) -> Iterator[str]:
        candidates = sorted(
            piece.removeprefix("▁") for piece in self._tokenizer.get_vocab() if piece.removeprefix("▁").isalpha()
        )
        self._random.shuffle(candidates)
        for word in candidates:
            # Thrice, since a word can be joined to its neighbour in a longer piece.
            if len(word) > 1 and word.isascii() and self._count(f"{word} {word} {word}") == self._around + 3:
                yield word

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)
