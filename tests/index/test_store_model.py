"""Any sequence of writes leaves in the store what it leaves in a dictionary."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import override

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from custom_components.semantic_home.index import (
    Changes,
    Counts,
    Document,
    Generation,
    GenerationState,
    IndexStore,
    Stamp,
)

from .common import OTHER, STAMP, THIRD, vector

KINDS = ("entity", "area", "kïnd")
IDS = ("a", "A", "ä", "客")
# Few texts, so that documents share them.
texts = st.sampled_from(["lamp", "Lamp", "lámpara", "灯", "👩\u200d🍳", ""]) | st.text(max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=2), values, max_size=2),
    max_leaves=3,
)
documents = st.builds(
    Document,
    kind=st.sampled_from(KINDS),
    source_id=st.sampled_from(IDS),
    views=st.lists(texts, max_size=4).map(tuple),
    metadata=st.dictionaries(st.text(max_size=2), json_values, max_size=2),
    knowledge_type=st.none() | st.text(max_size=2),
    success_score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    language=st.none() | st.sampled_from(["en", "de"]),
)
document_lists = st.lists(documents, max_size=5, unique_by=lambda document: document.key)
components = st.floats(-1, 1, width=32)
vectors = st.dictionaries(texts, st.tuples(components, components, components), max_size=4)


class StoreMachine(RuleBasedStateMachine):
    """The model: documents by key, and per generation, newest last, vectors by text."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "x.db"
        self.documents: dict[tuple[str, str], Document] = {}
        self.vectors: dict[Stamp, dict[str, tuple[float, ...]]] = {}
        self.former: Stamp | None = None

    @initialize()
    def open(self) -> None:
        self.store = IndexStore.open(self.path)
        self.generation: Generation = self.store.prepare(STAMP)
        self.vectors[STAMP] = {}

    @override
    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = IndexStore.open(self.path)
        assert self.store.active() == self.generation

    @rule(given=document_lists)
    def upsert(self, given: list[Document]) -> None:
        changes, given = self.store.upsert(given), self.scored(given)
        self.check(changes, given, set())
        self.documents |= {document.key: document for document in given}

    @rule(given=document_lists, kinds=st.sets(st.sampled_from(KINDS)))
    def reconcile(self, given: list[Document], kinds: set[str]) -> None:
        given = [document for document in given if document.kind in kinds]
        changes = self.store.reconcile(kinds, given)
        given = self.scored(given)
        wanted = {document.key: document for document in given}
        gone = {key for key in self.documents if key[0] in kinds and key not in wanted}
        self.check(changes, given, gone)
        self.documents = {key: kept for key, kept in self.documents.items() if key not in gone} | wanted

    @rule(kind=st.sampled_from(KINDS), source_ids=st.lists(st.sampled_from(IDS), max_size=4))
    def remove(self, kind: str, source_ids: list[str]) -> None:
        gone = {(kind, source_id) for source_id in source_ids} & self.documents.keys()
        self.check(self.store.remove(kind, source_ids), [], gone)
        for key in gone:
            del self.documents[key]

    def scored(self, given: list[Document]) -> list[Document]:
        """Let documents without a score have the one that they have earned."""
        earned = {key: document.success_score for key, document in self.documents.items()}
        return [
            replace(document, success_score=earned.get(document.key)) if document.success_score is None else document
            for document in given
        ]

    def check(self, changes: Changes, given: Iterable[Document], gone: Collection[tuple[str, str]]) -> None:
        expected: dict[str, list[tuple[str, str]]] = {"added": [], "updated": [], "unchanged": []}
        for document in given:
            old = self.documents.get(document.key)
            # repr tells 1 from True, as JSON does; sorted, for the order of keys means nothing.
            same = old is not None and canonical(old) == canonical(document)
            expected["added" if old is None else "unchanged" if same else "updated"].append(document.key)
        assert changes == Changes(
            tuple(expected["added"]), tuple(expected["updated"]), tuple(sorted(gone)), tuple(expected["unchanged"])
        )

    @rule(given=vectors)
    def put_vectors(self, given: dict[str, tuple[float, ...]]) -> None:
        self.store.put_vectors(self.generation.id, {text: vector(*values) for text, values in given.items()})
        self.vectors[self.generation.stamp] |= given

    @rule(limit=st.integers(1, 5))
    def embed_missing(self, limit: int) -> None:
        missing = self.store.missing_texts(self.generation.id, limit)
        self.put_vectors(dict.fromkeys(missing, (0.5, 0.25, -1.0)))

    @rule(stamp=st.sampled_from([STAMP, OTHER, THIRD]))
    def build_and_swap(self, stamp: Stamp) -> None:
        current = self.generation.stamp
        building = self.store.prepare(stamp)
        missing = self.store.missing_texts(building.id, 1_000)
        self.store.put_vectors(building.id, dict.fromkeys(missing, vector(0.5, 0.25, -1)))
        self.generation = self.store.swap(building.id)
        kept = self.vectors.get(stamp, {}) | dict.fromkeys(missing, (0.5, 0.25, -1.0))
        if stamp != current and stamp.makes_vectors_of(current):
            del self.vectors[current]
        elif stamp != current:
            # What was retired before has gone, unless it is what came back.
            self.vectors = {current: self.vectors[current]}
        self.vectors[stamp] = kept

    @rule()
    def roll_back(self) -> None:
        retired = [stamp for stamp in self.vectors if stamp != self.generation.stamp]
        if retired:
            self.generation = self.store.rollback()
            assert [self.generation.stamp] == retired

    @rule(pages=st.integers(1, 5))
    def reclaim(self, pages: int) -> None:
        self.store.reclaim(pages)

    @rule()
    def clear_vectors(self) -> None:
        assert self.store.clear_vectors(self.generation.id) == len(self.vectors[self.generation.stamp])
        self.vectors[self.generation.stamp] = {}

    @rule()
    def prune(self) -> None:
        used = self.texts()
        unused = sum(text not in used for kept in self.vectors.values() for text in kept)
        assert self.store.prune() == unused
        self.vectors = {
            stamp: {text: values for text, values in kept.items() if text in used}
            for stamp, kept in self.vectors.items()
        }

    def texts(self) -> set[str]:
        return {text for document in self.documents.values() for text in document.views}

    @invariant()
    def same_documents(self) -> None:
        assert self.store.documents() == [self.documents[key] for key in sorted(self.documents)]

    @invariant()
    def same_generations(self) -> None:
        states = {generation.stamp: generation.state for generation in self.store.generations()}
        expected = dict.fromkeys(self.vectors, GenerationState.RETIRED)
        assert states == expected | {self.generation.stamp: GenerationState.ACTIVE}

    @invariant()
    def same_vectors(self) -> None:
        kept, used = self.vectors[self.generation.stamp], self.texts()
        both = used & kept.keys()
        found = self.store.vectors(self.generation.id)
        assert {text: tuple(values.tolist()) for text, values in found.items()} == {text: kept[text] for text in both}
        assert self.store.vectors(self.generation.id, list(kept)).keys() == kept.keys()
        missing = self.store.missing_texts(self.generation.id, 1_000)
        assert len(missing) == len(set(missing))
        assert set(missing) == used - both
        assert self.store.counts(self.generation.id) == Counts(len(self.documents), len(used), len(both))


def canonical(document: Document) -> str:
    def ordered(value: object) -> object:
        if isinstance(value, dict):
            return sorted((key, repr(ordered(item))) for key, item in value.items())
        if isinstance(value, list):
            return [ordered(item) for item in value]
        return value

    rest = (document.views, document.knowledge_type, document.success_score, document.language)
    return repr((ordered(dict(document.metadata)), *(0.0 if value == 0 else value for value in rest)))


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
