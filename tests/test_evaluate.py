"""scripts/evaluate.py, evaluate_views.py and fit_matcher.py, on a tiny home of our own; and on development cases.

Those, where there are any, are not the project's: SEMANTIC_HOME_EVAL names their folder, with homes/ and cases/ in it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
import json
import os
from pathlib import Path
import shutil
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from custom_components.semantic_home import matching
from custom_components.semantic_home.engine import OpenVINOEncoder, Role

from .conftest import MINILM_FOLDER, ROOT
from .engine.common import MODELS, tiny_spec

_HOME: dict[str, Any] = {
    "home": "tiny",
    "language": "en",
    "floors": [{"id": "up", "name": "Upstairs", "aliases": []}],
    "areas": [
        {"id": "den", "name": "Library", "aliases": [], "floor": "up"},
        {"id": "pantry", "name": "Pantry", "aliases": ["Larder"], "floor": None},
    ],
    "entities": [
        {"entity_id": "light.globe", "name": "Globe lamp", "aliases": ["Moon"], "domain": "light", "area": "den"},
        {"entity_id": "light.shelf", "name": "Shelf light", "aliases": [], "domain": "light", "area": "den"},
        {"entity_id": "light.jars", "name": "Jar light", "aliases": [], "domain": "light", "area": "pantry"},
        {"entity_id": "cover.hatch", "name": "Hatch", "aliases": [], "domain": "cover", "area": "pantry"},
        {"entity_id": "fan.breeze", "name": "Breezy", "aliases": [], "domain": "fan", "area": "den"},
    ],
}
_CASES = [
    ("one", "turn on the globe lamp", None, ["light.globe"], "name"),
    ("alias", "switch the moon off", None, ["light.globe"], "name"),
    ("set", "turn on the lights in the library", None, ["light.globe", "light.shelf"], "scope"),
    ("here", "turn on the lights", "pantry", ["light.jars"], "scope"),
    ("open", "open the hatch", None, ["cover.hatch"], "name"),
    ("timer", "set a timer for ten minutes", None, [], "none"),
]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder like that of the development cases."""
    home = json.loads(json.dumps(_HOME))
    for entity in home["entities"]:
        entity |= {"floor": None, "device_class": None, "unit": None}
    (tmp_path / "homes").mkdir()
    (tmp_path / "cases").mkdir()
    for name in ("tiny", "other"):
        (tmp_path / f"homes/{name}.json").write_text(json.dumps(home | {"home": name}), "utf-8")
    lines = [
        json.dumps({"id": i, "home": "tiny", "query": query, "context_area": area, "expected": expected, "task": task})
        for i, query, area, expected, task in _CASES
    ]
    (tmp_path / "cases/ours.jsonl").write_text("\n".join(lines) + "\n\n", "utf-8")
    return tmp_path


@pytest.fixture
def scripts(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import what stands in scripts/, with its cache below the test's own folder."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))

    def load(name: str) -> ModuleType:
        module = __import__(name, fromlist=["_"])
        for cache in ("CACHE", "_CACHE"):
            if hasattr(module, cache):
                monkeypatch.setattr(module, cache, tiny / "vectors.db")
        return module

    return load


def _evaluate(scripts: Callable[[str], ModuleType], tiny: Path, *more: str) -> int:
    evaluate = scripts("evaluate")
    cases = str(tiny / "cases/ours.jsonl")
    result: int = evaluate._run(evaluate._parse(["--homes", str(tiny / "homes"), "--cases", cases, *more]))
    return result


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


@pytest.mark.parametrize("way", [("--lexical-only",), ("--model", str(MINILM_FOLDER))])
def test_predictions(scripts: Any, tiny: Path, way: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    out = tiny / "predictions.jsonl"
    assert _evaluate(scripts, tiny, *way, "--out", str(out), "--reliability") == 0
    lines = _lines(out)
    assert [line["id"] for line in lines] == [case[0] for case in _CASES]
    known = {entity["entity_id"] for entity in _HOME["entities"]}
    for line, (_, query, _, expected, _) in zip(lines, _CASES, strict=True):
        assert line.keys() == {"id", "ranked", "decision", "targets", "took_ms"}
        assert line["decision"] == ("match" if expected else "none"), query
        assert set(line["targets"]) == set(expected), query
        assert set(line["ranked"]) <= known
        assert line["took_ms"] > 0
    said = capsys.readouterr().out
    assert "| confidence | matches | right |" in said
    assert "expected calibration error" in said
    assert "6 cases" in said


def test_explain(scripts: Any, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _evaluate(scripts, tiny, "--lexical-only", "--explain", "set") == 0
    said = capsys.readouterr().out
    assert "turn on the lights in the library  ->  match" in said
    assert "all.place" in said
    assert "grammar  HassTurnOn" in said
    assert _evaluate(scripts, tiny, "--lexical-only", "--explain", "no such case") == 1


def test_all_heads_of_a_model_are_remembered(scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoders, texts = scripts("evaluation.encoders"), ["Sofa lamp", "", "Лампа"]
    encoder = OpenVINOEncoder(MODELS / "tiny-xlmr-int8", tiny_spec("tiny-xlmr-int8"))
    cached = encoders.CachedEncoder("tiny", encoder, tmp_path / "heads.db")
    fresh = encoder.encode(texts, Role.PASSAGE)
    cached.encode(texts[:1], Role.PASSAGE)
    cached.encode(texts, Role.PASSAGE)
    monkeypatch.setattr(encoder, "encode", None)
    found = cached.encode(texts, Role.PASSAGE)
    np.testing.assert_allclose(found.dense, fresh.dense, atol=1e-6)
    assert found.sparse == tuple(pytest.approx(weights) for weights in fresh.sparse or ())
    for mine, theirs in zip(found.multivector, fresh.multivector or (), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-3)
    cached.close()


def test_an_interrupted_run_goes_on_where_it_was(scripts: Any, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tiny / "first.jsonl", tiny / "second.jsonl"
    real = OpenVINOEncoder.encode
    encoded: list[str] = []
    left = [3]

    def encode(self: OpenVINOEncoder, texts: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        encoded.extend(texts)
        return real(self, texts, *args, **kwargs)

    monkeypatch.setattr(OpenVINOEncoder, "encode", encode)
    with pytest.raises(KeyboardInterrupt):
        _evaluate(scripts, tiny, "--model", str(MINILM_FOLDER), "--out", str(first))
    assert encoded
    left[0] = 1_000
    for out in (first, second):
        assert _evaluate(scripts, tiny, "--model", str(MINILM_FOLDER), "--out", str(out)) == 0
    assert len(encoded) == len(set(encoded)), "nothing is encoded twice"
    kept = [[line | {"took_ms": 0} for line in _lines(out)] for out in (first, second)]
    assert kept[0] == kept[1]


def test_a_line_that_is_no_case_is_named(scripts: Any, tiny: Path) -> None:
    path = tiny / "cases/ours.jsonl"
    path.write_text('{"id": "a"}\n{"id": \n', "utf-8")
    with pytest.raises(ValueError, match=r"ours\.jsonl:2"):
        scripts("evaluation.runner").read_cases([path])


def _views(scripts: Callable[[str], ModuleType], tiny: Path) -> int:
    evaluate, cases = scripts("evaluate_views"), str(tiny / "cases/ours.jsonl")
    options = ["--homes", str(tiny / "homes"), "--cases", cases, "--model", str(MINILM_FOLDER)]
    result: int = evaluate._run(evaluate._parse(options))
    return result


def test_choices_of_texts_are_ranked_and_compared(scripts: Any, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    homes, cases = tiny / "homes/tiny.json", tiny / "cases/ours.jsonl"
    homes.write_text(homes.read_text("utf-8").replace('"Moon"', '"Gandalf"'), "utf-8")
    cases.write_text(cases.read_text("utf-8").replace("switch the moon off", "gandalf"), "utf-8")
    assert _views(scripts, tiny) == 0
    said = capsys.readouterr().out
    tables = [table.splitlines() for table in said.split("\n\n") if table.startswith("|")]
    heads = [table[0].split(" | ") for table in tables]
    less = " less names + sentence"
    assert [head[0] for head in heads] == ["| R@1, %", f"| R@1{less}", "| MRR, %", f"| MRR{less}"]
    assert all(head[-2:] == ["ours (3 of 2)", "scopes (2 of 2) |"] for head in heads)
    rows = [{row.split(" | ")[0]: row.split(" | ")[1:-1] for row in table[2:]} for table in tables]
    assert rows[0]["| names + sentence"][0] == "2.20", "five names, one other name, five sentences"
    assert rows[0]["| names"][0] == "1.20"
    # Only by the other names it is known who is called Moon, which is one of three sentences and one of two things.
    assert rows[0]["| names + sentence"][3] == "100.0"
    assert rows[0]["| name"][3] == "66.7"
    assert rows[1]["| name"][0] == "-33.3 [-50.0, +0.0]"


def test_what_is_measured_is_what_the_index_finds(scripts: Any, tiny: Path) -> None:
    views, runner, encoders = (scripts(f"evaluation.{name}") for name in ("views", "runner", "encoders"))
    home = json.loads((tiny / "homes/tiny.json").read_text("utf-8"))
    encoder = encoders.of_folder(MINILM_FOLDER, None, "openvino", tiny / "vectors.db")
    query = "switch the moon off"
    with runner.OpenHome(home, encoder, tiny) as opened:
        _, _, evidence = opened.prepare({"query": query})
    names, sentences = (views.ViewedHome(home, encoder).find(query)[channel] for channel in views.IN_USE.channels)
    ids = [entity["entity_id"] for entity in home["entities"]]
    assert evidence.names == pytest.approx(dict(zip(ids, names, strict=True)))
    assert evidence.sentences == pytest.approx(dict(zip(ids, sentences, strict=True)))
    assert evidence.names != evidence.sentences
    encoder.close()


def test_what_is_known_of_a_device_comes_last(scripts: Any) -> None:
    device = {"id": "moon", "name": "Reading corner", "manufacturer": "Signify", "model": "Hue Iris"}
    place = {"floor": None, "device_class": None, "device": "moon"}
    home = _HOME | {"devices": [device], "entities": [_HOME["entities"][0] | place]}
    found = scripts("evaluation.views").texts(home)
    assert {view: some for view, (some,) in found.items()} == {
        "name": ("Globe lamp",),
        "names": ("Globe lamp", "Moon"),
        "name, area": ("Globe lamp, Library",),
        "name, domain, area": ("Globe lamp, Light, Library",),
        "sentence": ("Globe lamp, Light, Library, Upstairs, Reading corner",),
        "sentence, model": ("Globe lamp, Light, Library, Upstairs, Reading corner, Signify, Hue Iris",),
    }


def test_ties_count_as_chance_has_it(scripts: Any) -> None:
    measures = scripts("evaluation.views").measures

    def of(values: Sequence[float], *right: int) -> tuple[float, float]:
        found: tuple[float, float] = measures(np.array(values), np.isin(np.arange(len(values)), right))
        return found

    assert of([3, 2, 1], 0) == (1, 1)
    assert of([3, 2, 1], 2) == (0, pytest.approx(1 / 3))
    assert of([3, 3, 1], 1) == (pytest.approx(1 / 2), pytest.approx((1 + 1 / 2) / 2))
    assert of([4, 3, 2, 1], 0, 2) == (pytest.approx(1 / 2), 1)
    assert of([4, 2, 2, 2], 0, 1) == (pytest.approx((1 + 1 / 3) / 2), 1)


def test_sentences_about_one_thing_are_one_finding(scripts: Any) -> None:
    difference = scripts("evaluation.views_report").difference
    values = np.array([100.0] * 8 + [0.0])
    together = difference(values, [("a",)] * 8 + [("b",)])
    apart = difference(values, [(str(number),) for number in range(9)])
    assert together[0] == apart[0] == pytest.approx(800 / 9)
    assert together[1:] == (0, 100), "of two things one may be drawn twice"
    assert apart[1] > 50


@pytest.fixture
def templates(tiny: Path) -> Path:
    """The templates of two languages."""
    folder = tiny / "templates"
    folder.mkdir()
    import home_assistant_intents  # noqa: PLC0415 - for where it is

    for language in ("en", "de"):
        shutil.copy(Path(home_assistant_intents.__file__).with_name("data") / f"{language}.json", folder)
    return folder


def test_fitting_weights_is_deterministic(
    scripts: Any, tiny: Path, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In another home too: weights are tried in homes that they were not fitted in.
    cases = _lines(tiny / "cases/ours.jsonl")
    cases += [case | {"home": "other", "id": f"other-{case['id']}"} for case in cases]
    (tiny / "cases/ours.jsonl").write_text("\n".join(map(json.dumps, cases)), "utf-8")
    fitting, fit_matcher = scripts("fitting.cases"), scripts("fit_matcher")
    made = scripts("fitting.made")
    monkeypatch.setattr(made, "released", lambda: templates)
    numbers = {"nothing": 3, "chatter": 2, "without_name": 0, "in_a_room": 0, "said_elsewhere": 0}
    monkeypatch.setitem(made._SETTINGS, "made", numbers)
    files = ["--homes", str(tiny / "homes"), "--cases", str(tiny / "cases/ours.jsonl")]
    model = ["--model", str(MINILM_FOLDER), "--across", str(tiny / "across")]
    options = fit_matcher._parse(["weights", *files, *model])
    fitted = [tiny / "first.json", tiny / "second.json"]
    across = []
    for path in fitted:
        fitting.fit_weights(options, path)
        across.append({one.name: one.read_bytes() for one in (tiny / "across").iterdir()})
    assert fitted[0].read_bytes() == fitted[1].read_bytes()
    assert across[0] == across[1]
    assert {one.rpartition(".")[0] for one in across[0]} == {"lexical", MINILM_FOLDER.name}
    raw = json.loads(fitted[0].read_text("utf-8"))
    assert len(cases) < raw["cases"] <= len(cases) + 5
    assert raw["encoders"] == [MINILM_FOLDER.name]
    assert raw.keys() == json.loads((Path(matching.__file__).parent / "weights.json").read_text("utf-8")).keys()


def test_training_the_request_model_is_deterministic(scripts: Any, templates: Path) -> None:
    made, training = scripts("fitting.templates"), scripts("fitting.request_training")
    vocabulary = json.loads((Path(matching.__file__).parent / "vocabulary.json").read_text("utf-8"))

    def train() -> dict[str, Any]:
        names = made.Names(vocabulary)
        sentences = list(islice(made.sentences([templates], names, 1, 5), 400))
        trained: dict[str, Any] = training.train(sentences, names, 5, lambda _line: None)
        return trained

    first, second = train(), train()
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], name)
    matching.RequestModel(first).read("turn on the lamp")


_EVAL = os.environ.get("SEMANTIC_HOME_EVAL")


def _right(cases: Sequence[dict[str, Any]], predictions: dict[str, dict[str, Any]]) -> Iterator[bool]:
    return (predictions[case["id"]]["ranked"][:1] == case["expected"][:1] for case in cases)


@pytest.mark.skipif(not _EVAL, reason="SEMANTIC_HOME_EVAL does not name a folder of development cases")
@pytest.mark.parametrize(("name", "least"), [("intents", 0.985), ("inflected", 0.96), ("robust", 0.97)])
def test_names_are_found_without_a_model(scripts: Any, tiny: Path, name: str, least: float) -> None:
    """The targets of the first result for what is asked for by name; the scorer beside the cases knows the others."""
    assert _EVAL
    folder, evaluate, out = Path(_EVAL), scripts("evaluate"), tiny / "predictions.jsonl"
    cases = folder / f"cases/{name}.jsonl"
    some = tiny / "cases/named.jsonl"
    by_home: defaultdict[str, list[str]] = defaultdict(list)
    for line in cases.read_text("utf-8").splitlines():
        if json.loads(line)["task"] == "name":
            by_home[json.loads(line)["home"]].append(line)
    some.write_text("\n".join(line for lines in by_home.values() for line in lines) + "\n", "utf-8")
    options = ["--homes", str(folder / "homes"), "--cases", str(some), "--lexical-only", "--out", str(out)]
    assert evaluate._run(evaluate._parse(options)) == 0
    right = list(_right(_lines(some), {line["id"]: line for line in _lines(out)}))
    assert sum(right) / len(right) >= least
