"""Knowledge is limited before it is ranked, and what ranks it: meaning, letters, other names, and how it has served."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest

from custom_components.semantic_home.index import Document, Rating
from custom_components.semantic_home.knowledge_filter import KnowledgeFilter
from custom_components.semantic_home.knowledge_index import (
    READ_AGAIN,
    WORTH_OF_SUCCESS,
    KnowledgeFindings,
    KnowledgeIndex,
    KnowledgeQuery,
    knowledge_name,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PIECES = {
    "wifi": "The guest wifi password is on the fridge",
    "bins": "The paper bin is emptied every second Tuesday",
    "heating": "The heating is turned down when everybody has left",
    "moon": "Moon glows all night in the attic",
}


class Said:
    """A model to which these pieces are so near, and which tells another thing when it looks again."""

    def __init__(self, near: dict[str, float], again: dict[str, float] | None = None) -> None:
        self.near_by_id = near
        self.again_by_id = again or near
        self.liked: list[list[str]] = []

    def near(self, names: Sequence[str], *, like: Sequence[str] = (), again: bool = False) -> NDArray[np.float64]:
        if like:
            self.liked.append(list(like))
        known = self.again_by_id if again else self.near_by_id
        return np.array([known.get(name.partition("/")[2], np.nan) for name in names])


def document(name: str, text: str, knowledge_type: str = "note") -> Document:
    return Document("knowledge", name, (text,), knowledge_type=knowledge_type)


def index(pieces: dict[str, str] | None = None, **ratings: Rating) -> KnowledgeIndex:
    known = PIECES if pieces is None else pieces
    documents = [document(name, text) for name, text in known.items()]
    return KnowledgeIndex(documents, {("knowledge", name): rating for name, rating in ratings.items()})


def ids(findings: KnowledgeFindings) -> list[str]:
    return [one.document.source_id for one in findings.found]


def search(known: KnowledgeIndex, text: str, said: Said | None = None, **asked: Any) -> KnowledgeFindings:
    return known.search(KnowledgeQuery(text, **asked), said, NOW)


def test_what_is_meant_is_first_with_a_model_and_without() -> None:
    assert ids(search(index(), "guest wifi pasword"))[0] == "wifi"
    found = search(index(), "who empties the rubbish", Said({"bins": 6.0, "wifi": 0.5}))
    assert ids(found)[0] == "bins"
    assert found.found[0].dense == 6.0
    assert found.found[0].confidence > 2 * found.found[1].confidence
    assert found.searched == 4


def test_filters_come_before_the_best_are_taken() -> None:
    pieces = [document(f"n{number}", f"lamp in room {number}") for number in range(300)]
    known = KnowledgeIndex([*pieces, document("rule", "something else", "rule")], {})
    found = search(known, "lamp", limits=KnowledgeFilter(types=("rule",)), limit=1)
    assert ids(found) == ["rule"]
    assert found.searched == 1
    assert search(known, "lamp", limits=KnowledgeFilter(types=("none",))) == KnowledgeFindings((), 0)


def test_success_moves_the_confidence_by_a_tenth_at_most() -> None:
    asked = "heating is turned down"
    plain = {one.document.source_id: one.confidence for one in search(index(), asked).found}
    for score in (0.0, 0.2, 0.5, 0.9, 1.0):
        rated = search(index(heating=Rating(score, 5.0, NOW)), asked).found[0]
        assert rated.document.source_id == "heating"
        assert rated.success == score
        moved = plain["heating"] * (1 + WORTH_OF_SUCCESS * (2 * score - 1))
        assert rated.confidence == pytest.approx(min(moved, 1.0))


def test_success_decides_between_equals_and_fades() -> None:
    pieces = {"a": "feed the cat", "b": "feed the cat"}
    known = index(pieces, b=Rating(0.9, 5.0, NOW))
    assert ids(search(known, "cat")) == ["b", "a"]
    later = known.search(KnowledgeQuery("cat"), None, NOW + timedelta(days=1800)).found
    assert 0.5 < later[0].success < 0.51
    known.rate(("knowledge", "b"), Rating())
    assert ids(search(known, "cat")) == ["a", "b"]


def test_the_home_has_other_names_for_it() -> None:
    names = [("Sofa lamp", "Moon"), ("Desk lamp", "Sun")]
    query = KnowledgeQuery("shine sofa lamp", expand=True)
    found = index().search(query, None, NOW, names)
    assert "moon" in found.expanded
    assert "sun" not in found.expanded
    assert ids(found)[0] == "moon"
    plain = search(index(), "shine sofa lamp")
    lexical = {one.document.source_id: one.lexical for one in plain.found}
    assert found.found[0].lexical > lexical["moon"]


def test_what_is_found_first_leads_to_what_is_like_it() -> None:
    pieces = {
        "first": "cat heron",
        "like": "heron statue by the pond",
        **{f"n{number}": f"something else {number}" for number in range(8)},
    }
    plain, expanded = (search(index(pieces), "cat", expand=expand) for expand in (False, True))
    assert "heron" in expanded.expanded
    assert ids(expanded)[:2] == ["first", "like"]
    confidence = {one.document.source_id: one.confidence for one in plain.found}
    assert confidence["like"] == confidence["n0"], "by its own words alone the query does not tell them apart"
    said = Said({"bins": 5.0, "wifi": 1.0})
    search(index(), "rubbish", said, expand=True)
    assert said.liked == [[knowledge_name(("knowledge", one)) for one in ("bins", "wifi", "heating")]]


def test_read_again_the_model_looks_closer() -> None:
    said = Said({"bins": 4.0, "wifi": 3.5}, again={"bins": 1.0, "wifi": 5.0})
    assert ids(search(index(), "something", said))[0] == "bins"
    assert ids(search(index(), "something", said, rerank=True))[0] == "wifi"


def test_only_the_first_ones_are_read_again() -> None:
    pieces = {f"n{number}": f"lamp {number}" for number in range(READ_AGAIN + 30)}
    found = search(index(pieces), "lamp", rerank=True, limit=len(pieces)).found
    assert len(found) == len(pieces)
    assert [("words" in one.found) for one in found] == [True] * READ_AGAIN + [False] * 30


def test_how_much_of_the_words_is_there_is_said_of_the_right_one() -> None:
    # By the model's word the last one is first, and by its words the first one.
    said = Said(dict(zip(PIECES, (2.0, 2.5, 3.0, 3.5), strict=True)))
    words = {
        one.document.source_id: one.found["words"] for one in search(index(), "guest wifi", said, rerank=True).found
    }
    assert words["wifi"] == pytest.approx(1.0, abs=0.01)
    assert max(words[one] for one in ("bins", "heating", "moon")) < 0.3


def test_what_has_no_vector_yet_is_found_by_letters() -> None:
    found = search(index(), "guest wifi password", Said({"bins": 0.0, "heating": 0.0}))
    assert ids(found)[0] == "wifi"


def test_changes_are_followed_one_by_one() -> None:
    known = index()
    known.put(document("wifi", "The router stands in the attic"))
    known.put(document("cat", "The cat is fed at seven"))
    known.remove(("knowledge", "bins"))
    known.remove(("knowledge", "never there"))
    assert ids(search(known, "router"))[0] == "wifi"
    assert search(known, "fridge").found[0].lexical == pytest.approx(0, abs=0.05)
    assert ids(search(known, "cat"))[0] == "cat"
    assert set(ids(search(known, "bin"))) == {"wifi", "heating", "moon", "cat"}
    fresh = KnowledgeIndex([found.document for found in reversed(search(known, "lamp").found)], {})
    for text in ("router in the attic", "is fed"):
        mine = {one.document.source_id: one.confidence for one in search(known, text).found}
        assert mine == pytest.approx({one.document.source_id: one.confidence for one in search(fresh, text).found})


def test_limits_of_the_answer() -> None:
    assert len(search(index(), "the", limit=2).found) == 2
    sure = search(index(), "guest wifi password is on the fridge").found[0].confidence
    assert ids(search(index(), "guest wifi password is on the fridge", min_confidence=sure)) == ["wifi"]
    assert search(index(), "guest wifi password", min_confidence=1.0).found == ()


def test_nothing_is_known() -> None:
    assert search(index({}), "anything", expand=True, rerank=True) == KnowledgeFindings((), 0)
