"""What was asked lately is kept within bounds."""

from custom_components.semantic_home.recent_queries import RecentQueries


def test_each_is_there_once_and_the_newest_last() -> None:
    recent = RecentQueries(3)
    for query in ("a", "b", "a"):
        recent.add(query)
    assert (recent.all(), len(recent)) == (["b", "a"], 2)


def test_the_oldest_gives_way() -> None:
    recent = RecentQueries(2)
    for query in ("a", "b", "c"):
        recent.add(query)
    assert recent.all() == ["b", "c"]


def test_none_is_kept_where_none_is_wanted() -> None:
    recent = RecentQueries(0)
    recent.add("a")
    assert recent.all() == []


def test_they_do_not_show_in_messages() -> None:
    recent = RecentQueries(1)
    recent.add("where is my secret")
    assert "secret" not in f"{recent!r} {recent}"
