"""Questions asked before."""

import numpy as np
import pytest

from custom_components.semantic_home.engine import Encoded, Role
from custom_components.semantic_home.engine.query_cache import QueryCache, QueryKey


def _vectors(number: float, size: int = 8) -> Encoded:
    return Encoded(np.full((1, size), number, np.float32), ({1: number},), (np.full((2, size), number, np.float32),))


def _key(text: str) -> QueryKey:
    return QueryKey(1, text)


def test_answers_again_only_to_the_same_question() -> None:
    cache = QueryCache()
    cache.put(QueryKey(1, "lamp"), _vectors(1))
    found = cache.get(QueryKey(1, "lamp"))
    assert found is not None
    assert found.dense.tolist() == [[1] * 8]
    assert found.sparse == ({1: 1},)
    assert found.multivector is not None and found.multivector[0].shape == (2, 8)
    for other in (QueryKey(2, "lamp"), QueryKey(1, "Lamp"), QueryKey(1, "lamp", Role.PASSAGE)):
        assert cache.get(other) is None


def test_lets_go_of_what_was_not_used_for_longest() -> None:
    one = 500 + 4 + 8 * 4 + 2 * 8 * 4 + 100
    cache = QueryCache(max_bytes=3 * one)
    for text in "abc":
        cache.put(_key(text), _vectors(1))
    assert cache.get(_key("a")) is not None
    cache.put(_key("d"), _vectors(1))
    assert [text for text in "abcd" if cache.get(_key(text))] == ["a", "c", "d"]
    # One of about two entries' size takes the place of the two that are oldest.
    cache.put(_key("e"), _vectors(1, size=8 + one // 12))
    assert [text for text in "acde" if cache.get(_key(text))] == ["d", "e"]


def test_what_is_too_large_is_not_kept_and_displaces_nothing() -> None:
    cache = QueryCache(max_bytes=2000)
    cache.put(_key("a"), _vectors(1))
    cache.put(_key("b"), _vectors(1, size=1000))
    assert cache.get(_key("a")) is not None
    assert cache.get(_key("b")) is None


def test_replacing_and_forgetting_keep_count() -> None:
    cache = QueryCache(max_bytes=1500)
    for number in range(10):
        cache.put(_key("a"), _vectors(number))
        cache.put(_key("b"), _vectors(number))
    found = cache.get(_key("a"))
    assert found is not None and found.dense[0, 0] == 9
    assert len(cache) == 2
    cache.clear()
    assert len(cache) == 0
    for text in "ab":
        cache.put(_key(text), _vectors(1))
    assert len(cache) == 2


def test_keeps_no_batch_alive_and_lets_nobody_write() -> None:
    batch = np.zeros((16, 8), np.float32)
    cache = QueryCache()
    cache.put(_key("a"), Encoded(batch[3:4]))
    batch[:] = 1
    found = cache.get(_key("a"))
    assert found is not None
    assert found.dense.base is None
    assert not found.dense.any()
    with pytest.raises(ValueError, match="read-only"):
        found.dense[0, 0] = 1
