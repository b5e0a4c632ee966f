"""A model that says more of a text than one vector: all of it counts, and a model that does not loses nothing by it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
import shutil
import sqlite3
from typing import Any

import numpy as np
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant

from custom_components.semantic_home.const import CONF_FOLDER, CONF_MODEL, CONF_SPEC, DOMAIN
from custom_components.semantic_home.engine import Encoded, Encoder, NumPyEncoder, OpenVINOEncoder, Role
from custom_components.semantic_home.home_index import EntityFilter, HomeIndex
from custom_components.semantic_home.index import Document, Stamp
from custom_components.semantic_home.matching import Background, Evidence, MatchRequest, compared
from custom_components.semantic_home.model_choice import own_settings

from .engine.common import MODELS, tiny_spec
from .house import Home, async_let_sync, async_set_up, async_wait_complete, worker_of
from .test_services import match

TINY = "tiny-xlmr-int8"
QUERY = "turn off the lamp next to the couch"
NAMES = ("Sofa lamp", "Washing machine", "Garage", "Lampe", "Laundry dryer", "Музыка", "Heater", "Shelf by the window")
ENTITIES = {f"light.e{number}": name for number, name in enumerate(NAMES)}


def entity(entity_id: str, name: str, *aliases: str) -> Document:
    metadata: dict[str, Any] = {"entity_id": entity_id, "domain": "light", "names": [name, *aliases], "area": "Den"}
    return Document("entity", entity_id, (name, *aliases, f"{name}, light, den"), metadata)


DOCUMENTS = [
    *(entity(one, name) for one, name in ENTITIES.items()),
    entity("light.two", "Lantern", "Table lamp"),
    Document("area", "den", ("Den", "Library"), {"names": ["Den", "Library"]}),
]


class OpenHome:
    """A home in an index, embedded with a model or with the dense head of it alone."""

    def __init__(self, path: Path, encoder: Encoder, documents: Sequence[Document] = DOCUMENTS) -> None:
        self.encoder = encoder
        self.index = HomeIndex.open(path)
        self.index.reconcile({"entity", "area"}, documents)
        self.generation = self.index.prepare(Stamp("tiny", "", "", "", "", "", 1, encoder.dimension))

    def use(self, *, heads: bool = True) -> None:
        sentences = Background.sentences()
        background = self.encoder.encode(sentences, Role.QUERY)
        self.index.use(self.generation, sentences, background if heads else Encoded(background.dense))

    def embed(self, texts: Sequence[str] | None = None, *, heads: bool = True) -> None:
        wanted = list(self.index.missing_texts(self.generation.id, 99) if texts is None else texts)
        if wanted:
            encoded = self.encoder.encode(wanted, Role.PASSAGE)
            self.index.add_vectors(self.generation.id, wanted, encoded if heads else Encoded(encoded.dense))

    def evidence(self, query: str | Encoded = QUERY, limits: EntityFilter | None = None) -> Evidence:
        encoded = self.encoder.encode([query], Role.QUERY) if isinstance(query, str) else query
        request = MatchRequest(query if isinstance(query, str) else QUERY)
        found = self.index.prepare_match(request, limits or EntityFilter(), encoded, self.generation.id)[2]
        assert found is not None
        return found

    def missing(self) -> list[str]:
        return self.index.missing_heads(self.generation.id, 99)


@pytest.fixture(scope="module", params=[OpenVINOEncoder, NumPyEncoder])
def encoder(request: pytest.FixtureRequest) -> Iterator[Encoder]:
    made = request.param(MODELS / TINY, tiny_spec(TINY))
    assert made.has_heads
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "semantic_home.db"


@pytest.fixture
def opened(path: Path, encoder: Encoder) -> Iterator[OpenHome]:
    home = OpenHome(path, encoder)
    yield home
    home.index.close()


def lexical(left: dict[int, float], right: dict[int, float]) -> float:
    return sum(weight * right[token] for token, weight in left.items() if token in right)


def late(query: np.ndarray, text: np.ndarray) -> float:
    return float((query @ text.T).max(axis=1).mean())


def approx(found: Evidence, tolerance: float = 0.05) -> Any:
    return {one: pytest.approx(value, abs=tolerance) for one, value in found.sentences.items()}


def test_all_heads_count_as_the_paper_weighs_them(opened: OpenHome) -> None:
    """The sum of the three scores, each less what is usual for the text, computed here by BAAI's definitions."""
    opened.use()
    opened.embed()
    found = opened.evidence()
    texts = {document.source_id: document.views[-1] for document in DOCUMENTS if document.kind == "entity"}
    encode = opened.encoder.encode
    views, query = encode(list(texts.values()), Role.PASSAGE), encode([QUERY], Role.QUERY)
    background = encode(Background.sentences(), Role.QUERY)
    assert views.sparse and views.multivector and query.sparse and query.multivector
    assert background.sparse and background.multivector
    parts = []
    for weight, score, usual in (
        (0.4, views.dense @ query.dense[0], views.dense @ background.dense.T),
        (
            0.2,
            np.array([lexical(query.sparse[0], view) for view in views.sparse]),
            np.array([[lexical(sentence, view) for sentence in background.sparse] for view in views.sparse]),
        ),
        (
            0.4,
            np.array([late(query.multivector[0], view) for view in views.multivector]),
            np.array([[late(one, view) for one in background.multivector[::6]] for view in views.multivector]),
        ),
    ):
        means = usual.mean(axis=1)
        deviations = (score - means) / max((usual - means[:, None]).std(), 1e-3)
        parts.append(weight * np.clip(deviations, -10, 10))
    total = np.sum(parts, axis=0)
    for number, entity_id in enumerate(texts):
        others = np.delete(total, number)
        expected = (total[number] - others.mean()) / max(others.std(), 1)
        assert found.sentences[entity_id] == pytest.approx(expected, abs=0.1), entity_id
    assert found.heads.keys() == {"dense", "sparse", "colbert"}
    assert all(values.keys() == texts.keys() for values in found.heads.values())


def test_a_shared_word_decides_between_equal_vectors(path: Path, encoder: Encoder) -> None:
    home = OpenHome(path, encoder, [entity("light.a", "Alpha"), entity("light.b", "Beta"), entity("light.c", "Gamma")])
    home.use()
    query = encoder.encode([QUERY], Role.QUERY)
    assert query.sparse
    texts = home.index.missing_texts(home.generation.id, 99)
    made = encoder.encode(["the same"] * len(texts), Role.PASSAGE)
    shared = tuple(query.sparse[0] if text.startswith("Beta") else {3: 0.1} for text in texts)
    home.index.add_vectors(home.generation.id, texts, replace(made, sparse=shared))
    found = home.evidence()
    assert found.heads["dense"] == dict.fromkeys(found.heads["dense"], pytest.approx(0, abs=0.3))
    assert found.sentences["light.b"] > 1 > found.sentences["light.a"]
    assert found.sentences["light.a"] == pytest.approx(found.sentences["light.c"], abs=1e-5)
    assert max(found.names, key=found.names.__getitem__) == "light.b"
    alone = home.evidence(Encoded(query.dense))
    assert len(set(alone.sentences.values())) == 1
    request = MatchRequest("qqq xyzzy", min_confidence=0.0)
    ranking = home.index.match(request, EntityFilter(), query, home.generation.id).ranking
    assert ranking[0].candidate.entity_id == "light.b"
    assert ranking[0].scores.heads.keys() == {"dense", "sparse", "colbert"}
    home.index.close()


def test_a_head_that_recognises_no_word_says_nothing(opened: OpenHome) -> None:
    opened.use()
    opened.embed()
    query = opened.encoder.encode([QUERY], Role.QUERY)
    found = opened.evidence(replace(query, sparse=({999: 1.0},)))
    assert found.heads.keys() == {"dense", "colbert"}
    assert found.sentences == approx(opened.evidence(replace(query, sparse=({},))), 1e-9)


def test_without_other_heads_all_is_as_it_was(path: Path, opened: OpenHome) -> None:
    """Of the query or of the home: the dense vectors alone, as Background has always compared them."""
    opened.use()
    opened.embed()
    query = opened.encoder.encode([QUERY], Role.QUERY)
    plain = OpenHome(path.with_name("plain.db"), opened.encoder)
    plain.use(heads=False)
    plain.embed(heads=False)
    found = plain.evidence()
    assert found.heads == {} and plain.missing() == []
    assert found == plain.evidence(Encoded(query.dense)) == opened.evidence(Encoded(query.dense))
    texts = {document.source_id: document.views[-1] for document in DOCUMENTS if document.kind == "entity"}
    vectors = opened.encoder.encode(list(texts.values()), Role.PASSAGE).dense
    usual = vectors @ opened.encoder.encode(Background.sentences(), Role.QUERY).dense.T
    expected = compared(Background(texts, usual).corrected(list(texts), vectors @ query.dense[0]))
    assert found.sentences == pytest.approx(dict(zip(texts, expected.tolist(), strict=True)), abs=1e-3)
    plain.index.close()


def test_a_generation_of_vectors_alone_is_completed_while_it_answers(
    path: Path, opened: OpenHome, encoder: Encoder
) -> None:
    opened.use(heads=False)
    opened.embed(heads=False)
    before = opened.evidence()
    opened.use()
    assert opened.index.missing_texts(opened.generation.id, 99) == []
    missing = opened.missing()
    assert len(missing) == opened.index.status().texts
    assert opened.index.missing_heads(opened.generation.id, 2, set(missing[:-1])) == missing[-1:]
    # The vectors answer until all texts have the rest.
    assert opened.evidence().sentences == approx(before, 1e-5)
    sentences = [text for text in missing if text.endswith("den")]
    opened.embed(sentences[1:])
    assert opened.evidence().sentences == approx(before, 1e-5)
    opened.embed(sentences[:1])
    half = opened.evidence()
    assert half.heads and half.sentences != approx(before, 1e-3)
    assert half.names == {one: pytest.approx(value, abs=1e-5) for one, value in before.names.items()}
    opened.embed(opened.missing())
    assert opened.missing() == []
    whole = opened.evidence()
    assert whole.names != {one: pytest.approx(value, abs=1e-3) for one, value in before.names.items()}
    assert whole.places.keys() == before.places.keys()
    opened.index.close()
    again = OpenHome(path, encoder)
    background = again.index.background(again.generation.id, Background.sentences())
    assert background is not None and background.has_heads
    again.index.use(again.generation, Background.sentences(), background)
    assert again.missing() == []
    assert again.evidence().sentences == approx(whole)
    again.index.close()


def test_changes_of_the_home(opened: OpenHome) -> None:
    opened.use()
    opened.embed()
    before = opened.evidence()
    new = entity("light.new", "Couch lamp", "Next to the couch")
    opened.index.update([new], ["light.two"])
    assert opened.evidence().heads, "what has no vector yet keeps nobody waiting"
    opened.embed()
    found = opened.evidence()
    assert found.sentences.keys() == {*before.sentences, "light.new"} - {"light.two"}
    assert found.heads["colbert"].keys() == found.sentences.keys()
    opened.index.update([entity("light.two", "Lantern", "Table lamp")], ["light.new"])
    opened.embed()
    assert opened.evidence().sentences == approx(before, 1e-6)
    opened.index.forget_vectors()
    assert (
        opened.index.prepare_match(
            MatchRequest(QUERY), EntityFilter(), opened.encoder.encode([QUERY], Role.QUERY), opened.generation.id
        )[2]
        is None
    )
    opened.embed()
    assert opened.evidence().sentences == approx(before, 1e-6)


def test_what_may_not_be_seen_changes_nothing(path: Path, opened: OpenHome) -> None:
    opened.use()
    opened.embed()
    seen = [document for document in DOCUMENTS if document.source_id not in {"light.e0", "light.e3"}]
    small = OpenHome(path.with_name("small.db"), opened.encoder, seen)
    small.use()
    small.embed()
    ids = {document.source_id for document in seen}
    found = opened.evidence(limits=EntityFilter(permits=ids.__contains__))
    expected = small.evidence()
    assert found.sentences == approx(expected, 1e-5)
    assert found.heads == {
        head: {one: pytest.approx(value, abs=1e-5) for one, value in values.items()}
        for head, values in expected.heads.items()
    }
    small.index.close()


def test_of_many_only_the_nearest_are_read_token_by_token(path: Path, encoder: Encoder) -> None:
    words = QUERY.split()
    documents = [entity(f"light.e{n}", f"{words[n % 8]} {words[n // 8 % 8]} {n}") for n in range(100)]
    documents += [entity(f"light.twin{n}", f"{words[0]} {words[0]} 0") for n in range(5)]
    home = OpenHome(path, encoder, documents)
    home.use()
    while home.index.missing_texts(home.generation.id, 1):
        home.embed()
    found = home.evidence()
    assert found.heads["dense"].keys() == found.heads["sparse"].keys() == found.sentences.keys()
    assert 32 <= len(found.heads["colbert"]) < 50
    twins = {found.sentences[f"light.twin{n}"] for n in range(5)} | {found.sentences["light.e0"]}
    assert len(twins) == 1, "equal texts have equal scores"
    home.index.close()


@pytest.fixture
def folder(hass: HomeAssistant) -> str:
    place = f"semantic_home_models/{TINY}"
    shutil.copytree(MODELS / TINY, hass.config.path(place))
    return place


async def test_in_home_assistant(hass: HomeAssistant, home: Home, folder: str) -> None:
    """Vectors from before are completed after a restart, and answers say what each head found."""
    data = {CONF_MODEL: "mine", CONF_FOLDER: folder, CONF_SPEC: own_settings(tiny_spec(TINY))}
    entry = MockConfigEntry(domain=DOMAIN, data=data)
    await async_set_up(hass, entry)
    await async_wait_complete(entry)
    await hass.async_block_till_done(wait_background_tasks=False)
    whole = await match(hass, QUERY)
    assert whole["candidates"][0]["scores"]["heads"].keys() >= {"dense"}
    generation = whole["generation"]
    assert await hass.config_entries.async_unload(entry.entry_id)
    with sqlite3.connect(hass.config.path("semantic_home.db")) as database:
        database.execute("UPDATE vector SET sparse = NULL, multivector = NULL")
        database.execute("UPDATE background SET sparse = NULL, multivector = NULL")
    database.close()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_wait_complete(entry)
    home.add("switch", "aquarium", "Aquarium pump", "bedroom")
    await async_let_sync(hass, entry)
    index = entry.runtime_data.index
    while await index.async_ask(HomeIndex.missing_heads, generation, 1):
        await hass.async_block_till_done()
    again = await match(hass, QUERY)
    assert again["generation"] == generation
    assert again["candidates"][0]["scores"]["heads"].keys() == whole["candidates"][0]["scores"]["heads"].keys()
    calls = []
    encode = worker_of(entry).encode

    async def count(*args: Any, **more: Any) -> Encoded:
        calls.append(args)
        return await encode(*args, **more)

    worker_of(entry).encode = count  # type: ignore[method-assign]
    await match(hass, "something that was never asked")
    await match(hass, "something that was never asked")
    assert len(calls) == 1, "all heads of a query come from one run of the model"
    assert await hass.config_entries.async_unload(entry.entry_id)
