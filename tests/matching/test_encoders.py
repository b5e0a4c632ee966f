"""The weights are of no model: fitted with some, they help another, and none."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
import json
import urllib.request

import numpy as np
from numpy.typing import NDArray
import pytest
import pytest_socket

from custom_components.semantic_home.engine import Role
from custom_components.semantic_home.matching import (
    Decision,
    Evidence,
    Grammar,
    Matcher,
    MatchRequest,
    Weights,
)
from custom_components.semantic_home.matching.hypotheses import FEATURES
from tests.embedding_server import EmbeddingServer

from .common import Encode, Model, home, places, target_ids

# What was said, and what is meant. The second half names nothing as the home does.
_NAMED: Mapping[str, set[str]] = {
    "turn off the sofa lamp": {"light.sofa_lamp"},
    "Küchenlichter an": {"light.kitchen_ceiling"},
    "is the garage door open?": {"cover.garage"},
    "lock the front door": {"lock.front_door"},
    "turn on the left bedside lamp": {"light.bedside_left"},
    "start the dust buster": {"vacuum.robot"},
    "включи люстру в детской": {"light.detskaya"},
    "turn off all lights in the bedroom": {"light.bedside_left", "light.bedside_right"},
    "turn off all the lights upstairs": {"light.bedside_left", "light.bedside_right", "light.mirror"},
    "set a timer for five minutes": set(),
    "what is the capital of France?": set(),
}
_DESCRIBED: Mapping[str, set[str]] = {
    "turn off the lamp next to the couch": {"light.sofa_lamp"},
    "start the coffee machine": {"switch.coffee"},
    "brew me an espresso": {"switch.coffee"},
    "switch the telly on": {"media_player.tv"},
    "I want to hear the news on the wireless": {"media_player.radio"},
    "the place where the car sleeps should be closed": {"cover.garage"},
    "hoover the floor": {"vacuum.robot"},
    "do the laundry": {"switch.washer"},
}
_LEXICAL = ("containment", "coverage", "spelling", "contained")

# The plugin forbids sockets anew for every test.
pytestmark = pytest.mark.usefixtures("socket_enabled")

type Evidences = Callable[[str], Evidence | None]


@pytest.fixture(scope="module")
def server() -> Generator[Encode]:
    pytest_socket.enable_socket()
    with EmbeddingServer() as running:

        def encode(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
            model = running.QUERY_MODEL if role is Role.QUERY else running.PASSAGE_MODEL
            body = json.dumps({"model": model, "input": list(texts)}).encode()
            request = urllib.request.Request(f"{running.url}/embeddings", body, {"Content-Type": "application/json"})  # noqa: S310
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
                rows = [one["embedding"] for one in json.load(answer)["data"]]
            vectors = np.array(rows, np.float32)
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

        yield encode


def _no_model(_query: str) -> None:
    return None


@pytest.fixture(scope="module", params=["names", "all-minilm-l6-v2", "multilingual-e5-small"])
def evidence(request: pytest.FixtureRequest) -> Evidences:
    """The ways to be asked: without a model, with one that the fit knew, with a server."""
    if request.param == "names":
        return _no_model
    encode = request.getfixturevalue("encode" if "minilm" in request.param else "server")
    return Model(encode, home(), places()).evidence


def _right(cases: Mapping[str, set[str]], evidence: Evidences, grammar: Grammar | None, weights: Weights) -> int:
    """Count the cases that are matched, or declined, exactly as they are meant."""
    matcher, right = Matcher(home(), places(), grammar, weights), 0
    for query, expected in cases.items():
        result = matcher.match(MatchRequest(query), evidence(query))
        wanted = Decision.MATCH if expected else Decision.NONE
        right += result.decision is wanted and set(target_ids(result)) == expected
    return right


def _probability_of_right(cases: Mapping[str, set[str]], evidence: Evidences) -> float:
    """Give how probable, on the average, the matcher holds what is meant."""
    matcher, found = Matcher(home(), places()), []
    for query, (expected,) in cases.items():
        ranking = matcher.match(MatchRequest(query, limit=50), evidence(query)).ranking
        found.append(sum(scored.confidence for scored in ranking if scored.candidate.entity_id == expected))
    return float(np.mean(found))


def test_names_are_understood_in_every_way(evidence: Evidences, grammar: Grammar) -> None:
    assert _right(_NAMED, evidence, grammar, Weights.load()) >= len(_NAMED) - 1


def test_every_way_needs_the_names(evidence: Evidences) -> None:
    """Without what is spelled alike fewer come out right, whatever a model adds: here without the grammar's help."""
    weights = Weights.load()
    kept = np.array([not any(part in name for part in _LEXICAL) for name in FEATURES], np.float64)
    deaf = replace(weights, with_model=weights.with_model * kept, without_model=weights.without_model * kept)
    assert _right(_NAMED, evidence, None, weights) > _right(_NAMED, evidence, None, deaf)


@pytest.mark.parametrize("model", ["encode", "server"])
def test_every_model_helps_where_nothing_is_named(request: pytest.FixtureRequest, model: str) -> None:
    """What is only described becomes more probable by each, and by its opinion: another sentence's misleads."""
    evidence = Model(request.getfixturevalue(model), home(), places()).evidence
    with_it, without = (_probability_of_right(_DESCRIBED, way) for way in (evidence, _no_model))
    others = sorted(_DESCRIBED)
    shifted = {query: evidence(other) for query, other in zip(others, [*others[1:], others[0]], strict=True)}
    assert with_it > without
    assert with_it > _probability_of_right(_DESCRIBED, shifted.__getitem__)
