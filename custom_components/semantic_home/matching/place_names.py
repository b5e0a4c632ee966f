"""Places in what is said, put behind a sign: "in the den" asks for the same as "in the kitchen", whatever a den is."""

from collections.abc import Iterable
import re

from .text import fold, is_unspaced, tokens

# Of Unicode's private use: no text that is folded has them.
SIGNS = {"area": "\ue000", "floor": "\ue001"}


class PlaceNames:
    """The names of some places, found in folded text. Immutable."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        """Take forms ("area", "floor") with names; of one name for two forms the first counts."""
        folded = [(fold(name), SIGNS[form]) for form, name in names]
        self._signs = dict(reversed([(name, sign) for name, sign in folded if name]))
        longest_first = sorted(self._signs, key=lambda name: (-len(name), name))
        whole = (re.escape(name) if is_unspaced(name[0]) else rf"\b{re.escape(name)}\b" for name in longest_first)
        self._pattern = re.compile("|".join(whole)) if self._signs else None

    def hide(self, folded: str) -> str:
        """Put signs for the names that stand in a text whole; names in other forms stay as they are."""
        if self._pattern is None:
            return folded
        return self._pattern.sub(lambda found: self._signs[found[0]], folded)

    def words(self, folded: str) -> frozenset[str]:
        """Give the words of the names that stand in a text whole."""
        found = self._pattern.findall(folded) if self._pattern else ()
        return frozenset(word for name in found for word in tokens(name))
