"""scripts/evaluate_knowledge.py on a handful of questions, and its arithmetic."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from custom_components.semantic_home import knowledge_weights

from .conftest import ROOT

QUESTIONS = {
    "en": [
        {"query": "doorbell rings", "right": ["trigger/doorbell.rang"]},
        {"query": "garage door is open", "right": ["condition/garage_door.is_open"]},
        {"query": "motion-activated light", "right": ["blueprint/automation.motion_light"]},
        {"query": "take a snapshot from a camera", "right": ["action/camera.snapshot"]},
    ],
    "de": [{"query": "Staubsauger", "right": ["action/vacuum.start", "action/vacuum.stop"]}],
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return __import__("evaluate_knowledge")


def test_letters_alone(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "questions.yaml"
    path.write_text(yaml.safe_dump(QUESTIONS), "utf-8")
    assert script._run(script._parse(["--lexical-only", "--queries", str(path)])) == 0
    said = capsys.readouterr().out
    assert "to fit on" in said
    rows = [line for line in said.splitlines() if line.startswith("| letters |")]
    assert rows
    assert all("100.0" in row for row in rows)
    assert "letters: mean confidence of right first answers" in said


def test_what_nothing_describes_is_said(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "questions.yaml"
    path.write_text(yaml.safe_dump({"en": [{"query": "fly", "right": ["action/pigs.fly"]}]}), "utf-8")
    assert script._run(script._parse(["--lexical-only", "--queries", str(path)])) == 1
    assert "action/pigs.fly" in capsys.readouterr().err


def test_every_question_has_an_answer_here(script: ModuleType) -> None:
    descriptions = __import__("evaluation.descriptions", fromlist=["_"])
    known = {document.source_id for document in descriptions.descriptions()}
    asked = descriptions.questions()
    assert {one for question in asked for one in question.right} <= known
    assert len({question.query for question in asked}) == len(asked) >= 100
    assert 0.4 < sum(question.is_for_fitting for question in asked) / len(asked) < 0.6


def test_measures(script: ModuleType) -> None:
    measures = __import__("evaluation.retrieval", fromlist=["_"]).measures
    assert measures(["x", "a", "y", "b"], frozenset("ab")) == pytest.approx(
        (0, 1, 1 / 2, (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3)))
    )
    assert measures(["a"], frozenset("a")) == (1, 1, 1, 1)
    assert measures(["x"] * 10 + ["a"], frozenset("a")) == (0, 0, 0, 0)


def test_the_fit_finds_what_decides_and_nothing_counts_against(script: ModuleType) -> None:
    fit = __import__("fitting.knowledge", fromlist=["_"]).fit
    rng = np.random.default_rng(0)
    found = rng.random((20_000, 3))
    right = rng.random(20_000) < 1 / (1 + np.exp(3 - 4 * found[:, 0] + 2 * found[:, 2]))
    constant, telling, silent, against = fit(found[:, [0, 1, 2]], right)
    assert telling == pytest.approx(4.0, abs=0.3)
    assert silent == pytest.approx(0.0, abs=0.2)
    assert against == 0
    assert constant < -3


@pytest.mark.parametrize("weights", knowledge_weights._load().items(), ids=lambda one: one[0])
def test_the_committed_weights_are_of_their_findings(weights: tuple[str, dict[str, float]]) -> None:
    name, values = weights
    assert name == knowledge_weights.name_of({one: np.zeros(1) for one in values if one != "constant"})
    assert all(value >= 0 for one, value in values.items() if one != "constant")
