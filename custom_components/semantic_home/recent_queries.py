"""What was asked lately, for comparing models with what this household really says."""


class RecentQueries:
    """The latest queries, each once: in memory alone, for as long as the entry is loaded."""

    def __init__(self, maximum: int) -> None:
        """Keep at most so many; with 0, none."""
        self._maximum = maximum
        self._queries: dict[str, None] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._queries)

    def add(self, query: str) -> None:
        """Note a query as the newest; the oldest gives way."""
        self._queries.pop(query, None)
        self._queries[query] = None
        if len(self._queries) > self._maximum:
            del self._queries[next(iter(self._queries))]

    def all(self) -> list[str]:
        """Give them all, the newest last."""
        return list(self._queries)
