"""Takes out of free text what may be a secret.

Names and descriptions are the user's own words and stay, but for what nobody searches for and somebody could use. It is
told by its form alone, in any language, and rather too often: a year that is lost costs little.
"""

import re

OMITTED = "…"

_VALUE = r"(?:\"[^\"]*\"|'[^']*'|\S+)"
_KEYWORD = r"\w*(?:password|passwort|passwd|passcode|passphrase|kennwort|secret|token)\w*|(?:\w*_)?(?:code|key|pin|pwd)"
_REPLACED = (
    # Addresses, which may carry a password or be one, as a webhook's is; and whatever has the form of `user@host`.
    (re.compile(r"\S+://\S*|\S+@\S+|\S*\?\S+=\S*"), OMITTED),
    (re.compile(rf"\b({_KEYWORD})(\s*[:=]\s*|\s+(?:is|ist)\s+){_VALUE}", re.IGNORECASE), rf"\1\2{OMITTED}"),
    # Phone numbers, then codes: a number of four digits is more often a PIN than anything that is missed here.
    (re.compile(r"\+?\d(?:[\s\-/().]{0,2}\d){6,}|\d{4,}"), OMITTED),
    # What a lone surrogate stands for is not known, and UTF-8 cannot hold it.
    (re.compile(r"[\ud800-\udfff]"), "?"),
)
# Of ASCII signs, as keys are: other scripts write whole sentences without a blank.
_WORD = re.compile(r"[!-~]+")
# What is longer takes long to search, and is not told anyway.
_MOST_READ = 2000
# A word of this length is a key if it changes between letters and digits so often,
_SHORT_KEY, _CHANGES = 8, 4
# one of this length if it has so many of both, or if so many of its capitals stand in the middle.
_LONG_KEY, _OF_EACH, _CAPITALS = 16, 3, 4
_CAPITAL = re.compile(r"[a-z][A-Z]")


def redacted(text: str) -> str:
    """Give a text with `…` in place of addresses, keys, codes, and numbers of four digits and more."""
    if len(text) > _MOST_READ:
        # A key that is cut through would not look like one.
        text = text[:_MOST_READ].rpartition(" ")[0] or text[:_MOST_READ]
    # First the words: what is left of a key after its digits are gone would not look like one any more.
    text = _WORD.sub(lambda word: OMITTED if _is_key(word[0]) else word[0], text)
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return text.strip()


def _is_key(word: str) -> bool:
    """Tell whether a word mixes letters and digits, or cases, as only machines do."""
    kinds = "".join("d" if sign.isdecimal() else "l" for sign in word if sign.isalnum())
    changes = kinds.count("dl") + kinds.count("ld")
    if len(word) < _LONG_KEY:
        return len(word) >= _SHORT_KEY and changes >= _CHANGES
    return (
        changes >= _CHANGES
        or min(kinds.count("d"), kinds.count("l")) >= _OF_EACH
        or len(_CAPITAL.findall(word)) >= _CAPITALS
    )
