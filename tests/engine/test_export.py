"""scripts/export_model.py: what it wrote into tests/engine/models, and what it refuses.

Exporting again takes PyTorch: that test runs where .venv-export is made already (scripts/make_tiny_models makes it in
about three minutes, too long for every test run), and says so where it is not.
"""

from collections.abc import Iterable
import hashlib
import json
from pathlib import Path
import runpy
import signal
import subprocess
import sys
import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
import pytest
from tokenizers import Tokenizer

from custom_components.semantic_home.engine import Encoded, ModelSpec, OpenVINOEncoder, Pooling, Role

from .common import ROOT, cosines

MODELS = ROOT / "tests/engine/models"
GOLDEN = ROOT / "tests/engine/golden"
KEPT = (ROOT / "tests/reference/kept_words.txt").read_text("utf-8").splitlines()
NAMES = ("tiny-bert-fp32", "tiny-bert-int8", "tiny-xlmr-fp32", "tiny-xlmr-int8", "tiny-xlmr-int8-pruned")
UNKNOWN = 3
EXPORT = ROOT / "scripts/export_model.py"
EXPORT_PYTHON = ROOT / ".venv-export/bin/python"
needs_pytorch = pytest.mark.skipif(
    not runpy.run_path(str(ROOT / "scripts/exporting/environment.py"))["is_made"](),
    reason="needs PyTorch: scripts/make_tiny_models makes .venv-export",
)


def manifest(name: str) -> dict[str, Any]:
    return dict(json.loads((MODELS / name / "semantic_home.json").read_text("utf-8")))


def encode(name: str, texts: list[str]) -> Encoded:
    said = manifest(name)
    spec = ModelSpec(
        id=name,
        title=name,
        dimension=said["dimension"],
        pooling=Pooling(said["pooling"]),
        query_prefix="",
        passage_prefix="",
        max_tokens=said["max_tokens"],
        precision=said["precision"],
        heads=tuple(said["heads"]),
        languages=1,
        license="MIT",
        query_ms=1,
        portable_query_ms=1,
        memory_mb=1,
        portable_memory_mb=1,
        recommended=False,
        files=(),
    )
    encoder = OpenVINOEncoder(MODELS / name, spec)
    try:
        return encoder.encode(texts, Role.QUERY)
    finally:
        encoder.close()


def golden(name: str) -> dict[str, Any]:
    return dict(json.loads((GOLDEN / f"{name}.json").read_text("utf-8")))


def ids(name: str, texts: Iterable[str]) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(MODELS / name / "tokenizer.json"))
    tokenizer.enable_truncation(manifest(name)["max_tokens"])
    return [tokenizer.encode(text).ids for text in texts]


def tokens(name: str, text: str) -> list[str]:
    return list(Tokenizer.from_file(str(MODELS / name / "tokenizer.json")).encode(text).tokens)


@pytest.mark.parametrize("name", NAMES)
def test_manifest_says_what_is_there(name: str) -> None:
    said = manifest(name)
    assert {file["name"] for file in said["files"]} == {
        file.name for file in (MODELS / name).iterdir() if file.name != "semantic_home.json"
    }
    for file in said["files"]:
        content = (MODELS / name / file["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["size"], file["sha256"]), file["name"]
    config = json.loads((MODELS / name / "config.json").read_text())
    assert said["family"] == config["model_type"]
    assert said["dimension"] == config["hidden_size"]
    assert said["layers"] == config["num_hidden_layers"]
    assert said["vocabulary"]["size"] == config["vocab_size"]
    assert ("heads.safetensors" in {file["name"] for file in said["files"]}) == ("sparse" in said["heads"])
    assert "/" not in json.dumps(config), "a path of the machine that exported it"


@pytest.mark.parametrize("checkpoint", ["tiny-xlmr", "tiny-bert"])
def test_tokens_are_the_references(checkpoint: str) -> None:
    rows = golden(checkpoint)["texts"]
    assert ids(f"{checkpoint}-fp32", [row["text"] for row in rows]) == [row["input_ids"] for row in rows]


@pytest.mark.parametrize(
    ("name", "tolerance", "cosine"),
    [
        ("tiny-xlmr-fp32", 1e-4, 0.999999),
        ("tiny-bert-fp32", 1e-4, 0.999999),
        ("tiny-xlmr-int8", None, 0.999),
        ("tiny-bert-int8", None, 0.999),
    ],
)
def test_dense_vectors_are_the_references(name: str, tolerance: float | None, cosine: float) -> None:
    rows = golden(name.rpartition("-")[0])["texts"]
    expected = np.array([row["dense"] for row in rows])
    found = encode(name, [row["text"] for row in rows]).dense
    assert cosines(found, expected).min() >= cosine
    if tolerance:
        np.testing.assert_allclose(found, expected, atol=tolerance)


def test_reference_is_worth_agreeing_with() -> None:
    """Show that its texts differ, that some tokens have a weight and some none, and that one text is too long."""
    made = golden("tiny-xlmr")
    assert made["origin"]["versions"]["FlagEmbedding"] == "1.4.2"
    rows = made["texts"]
    dense = np.array([row["dense"] for row in rows])
    assert np.median(dense @ dense.T) < 0.75
    weighed = sum(len(row["sparse"]) for row in rows)
    distinct = sum(len({*row["input_ids"]} - {0, 1, 2, 3}) for row in rows)
    assert 0.2 < weighed / distinct < 0.8
    assert max(len(row["input_ids"]) for row in rows) == made["origin"]["max_tokens"]
    assert all(row["multivector_length"] == len(row["input_ids"]) - 1 for row in rows)


class TestPruning:
    """The pruned model beside the whole one: same weights, fewer words."""

    FULL, PRUNED = "tiny-xlmr-int8", "tiny-xlmr-int8-pruned"

    def both(self, texts: list[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return encode(self.FULL, texts).dense, encode(self.PRUNED, texts).dense

    def test_it_is_smaller(self) -> None:
        vocabulary = manifest(self.PRUNED)["vocabulary"]
        assert vocabulary["of"] == manifest(self.FULL)["vocabulary"]["size"]
        assert vocabulary["size"] < vocabulary["of"] / 2

    def test_texts_of_kept_words_have_identical_vectors(self) -> None:
        words = [word for line in KEPT[:5] for word in line.split()]
        # As written, lower-cased, with capitals, shuffled, repeated, and cut off at the limit.
        texts = [
            *KEPT[:5],
            *(line.lower() for line in KEPT[:5]),
            " ".join(word[:1].upper() + word[1:] for word in words[:9]),
            " ".join(reversed(words)),
            "lamp lamp lamp",
            " ".join(words * 9),
        ]
        for text in texts:
            assert tokens(self.FULL, text) == tokens(self.PRUNED, text)
        full, pruned = self.both(texts)
        np.testing.assert_array_equal(full, pruned)

    def test_unknown_characters_stay_unknown_and_vectors_the_same(self) -> None:
        texts = ["💡 lamp", "lamp 🛋 couch", "龘"]
        for text in texts:
            assert UNKNOWN in ids(self.FULL, [text])[0]
            assert UNKNOWN in ids(self.PRUNED, [text])[0]
            assert tokens(self.FULL, text) == tokens(self.PRUNED, text)
        full, pruned = self.both(texts)
        np.testing.assert_array_equal(full, pruned)

    def test_words_that_lost_a_piece_are_spelled(self) -> None:
        text = "Mach es im Badezimmer wärmer und stelle die Heizung auf"
        before, after = tokens(self.FULL, text), tokens(self.PRUNED, text)
        assert len(after) > len(before)
        assert UNKNOWN not in ids(self.PRUNED, [text])[0]
        assert "".join(after) == "".join(before)

    def test_specials_keep_their_places(self) -> None:
        tokenizer = Tokenizer.from_file(str(MODELS / self.PRUNED / "tokenizer.json"))
        assert [tokenizer.token_to_id(name) for name in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
        assert tokenizer.token_to_id("<mask>") == tokenizer.get_vocab_size() - 1
        assert tokenizer.encode("lamp", "lamp").tokens == ["<s>", "▁lamp", "</s>", "</s>", "▁lamp", "</s>"]


class TestPruningOfAnyTokenizer:
    """The function itself, on a vocabulary made for the purpose."""

    @pytest.fixture(autouse=True)
    def module(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(ROOT / "scripts"))

    PIECES: ClassVar = {"<unk>": 0, "▁": -3, "a": -4, "b": -4, "ab": -5, "▁ab": -6, "zz": -30, "<0x41>": -9}

    def tokenizer(self, **changes: Any) -> str:
        model = {"type": "Unigram", "unk_id": 0, "vocab": [list(pair) for pair in self.PIECES.items()], **changes}
        return json.dumps(
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": [],
                "normalizer": None,
                "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
                "post_processor": None,
                "decoder": None,
                "model": model,
            }
        )

    @pytest.mark.parametrize(
        ("text", "needed"),
        # A line that is a piece itself keeps this one too, besides what the text of that line needs.
        [("ab ab", ["▁ab"]), ("ab", ["ab", "▁ab"]), ("a b", [])],
    )
    def test_what_is_kept(self, text: str, needed: list[str]) -> None:
        from exporting import vocabulary  # noqa: PLC0415 - of scripts

        pruned = vocabulary.prune(self.tokenizer(), [text])
        # The characters, the bytes, the pieces that are needed, and the lowest score, which gives <unk> its own.
        kept = [piece for piece, _ in json.loads(pruned.tokenizer)["model"]["vocab"]]
        assert kept == ["<unk>", "▁", "a", "b", *needed, "zz", "<0x41>"]
        assert [list(self.PIECES)[number] for number in pruned.kept] == kept

    @pytest.mark.parametrize(("kind", "texts"), [("WordPiece", ["a"]), ("BPE", ["a"]), ("Unigram", ["", " "])])
    def test_what_is_refused(self, kind: str, texts: list[str]) -> None:
        from exporting import vocabulary  # noqa: PLC0415 - of scripts

        with pytest.raises(vocabulary.VocabularyError):
            vocabulary.prune(self.tokenizer(type=kind), texts)


def run_export(*arguments: str | Path, python: str | Path = sys.executable) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, EXPORT, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "xlm-roberta"}')
    return folder


class TestRefusals:
    """What is refused at once, before an environment is made."""

    def test_help(self) -> None:
        result = run_export("--help")
        assert result.returncode == 0
        assert "--vocabulary FILE" in result.stdout
        assert "--languages CODES" in result.stdout

    def test_target_exists(self, checkpoint: Path, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        result = run_export(checkpoint, tmp_path / "there")
        assert result.returncode == 1
        assert "exists; --force replaces it" in result.stderr

    def test_force_replaces_nothing_but_models(self, checkpoint: Path, tmp_path: Path) -> None:
        precious = tmp_path / "there" / "precious"
        precious.parent.mkdir()
        precious.write_text("mine")
        result = run_export(checkpoint, precious.parent, "--force")
        assert "was not written by this command" in result.stderr
        assert precious.read_text() == "mine"

    @pytest.mark.parametrize("name", ["nowhere", "./nowhere/else", "a/b/c", "../x"])
    def test_neither_folder_nor_hub_id(self, name: str, tmp_path: Path) -> None:
        assert "is neither a folder nor a hub id" in run_export(name, tmp_path / "new").stderr

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (None, "has no config.json"),
            ("{", "cannot be read"),
            ("[]", "cannot be read"),
            ('{"model_type": "llama"}', "its family is llama"),
        ],
    )
    def test_checkpoint_of_another_kind(
        self, checkpoint: Path, tmp_path: Path, config: str | None, message: str
    ) -> None:
        (checkpoint / "config.json").unlink()
        if config is not None:
            (checkpoint / "config.json").write_text(config)
        assert message in run_export(checkpoint, tmp_path / "new").stderr
        assert not (tmp_path / "new").exists()

    def test_options_that_do_not_fit(self, checkpoint: Path, tmp_path: Path) -> None:
        new = tmp_path / "new"
        assert "is not a file" in run_export(checkpoint, new, "--vocabulary", tmp_path / "none").stderr
        assert "for models of the hub" in run_export(checkpoint, new, "--revision", "main").stderr
        assert run_export(checkpoint, new, "--precision", "int2").returncode == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]


@needs_pytorch
def test_failing_leaves_nothing_behind(checkpoint: Path, tmp_path: Path) -> None:
    """Fail after the work has begun: this checkpoint has no weights."""
    result = run_export(checkpoint, tmp_path / "new", "--pooling", "cls", python=EXPORT_PYTHON)
    assert result.returncode == 1
    assert "the checkpoint cannot be loaded" in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]


@needs_pytorch
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_nothing_behind(checkpoint: Path, tmp_path: Path, number: signal.Signals) -> None:
    new = tmp_path / "folder" / "new"
    with subprocess.Popen(
        [EXPORT_PYTHON, EXPORT, checkpoint, new, "--pooling", "cls"],
        # A test run in the background ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        stderr=subprocess.DEVNULL,
    ) as process:
        while not new.parent.is_dir() or not any(new.parent.iterdir()):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait() != 0
    assert not any(new.parent.iterdir())


def run_in_scripts(code: str, *arguments: str | Path) -> str:
    code = "import pathlib, runpy, sys; scripts = sys.argv[1]; sys.path.insert(0, scripts);" + code
    command = [EXPORT_PYTHON, "-c", code, ROOT / "scripts", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_xlmr(folder: Path) -> None:
    code = "recipe = runpy.run_path(scripts + '/make_tiny_models'); recipe['make_xlmr'](pathlib.Path(sys.argv[2]))"
    run_in_scripts(code, folder)


@needs_pytorch
class TestLanguages:
    """--languages, with wordfreq's own lists."""

    @staticmethod
    def words(*codes: str) -> list[str]:
        code = "from exporting import languages; print(*languages.words(sys.argv[2:]), sep=chr(10))"
        return run_in_scripts(code, *codes).splitlines()

    @pytest.mark.parametrize(
        ("code", "found"),
        [
            ("de", "de"),
            ("nb", "nb"),
            ("no", "nb"),
            ("pt-BR", "pt"),
            ("es-419", "es"),
            ("en-GB", "en"),
            ("zh-Hans", "zh"),
            ("hr", "sh"),
            ("sr-Latn", "sh"),
        ],
    )
    def test_codes_of_home_assistant(self, code: str, found: str) -> None:
        said = run_in_scripts("from exporting import languages; print(languages.word_lists(sys.argv[2:]))", code)
        assert said.strip() == str({code: found})

    # Basque beside Spanish, Nynorsk beside Bokmål, two whose list is in another script, and what is no code.
    @pytest.mark.parametrize("code", ["eu", "nn", "zh-Hant", "sr", "xx", "english", ""])
    def test_unknown_language_is_refused_before_anything_is_written(
        self, checkpoint: Path, tmp_path: Path, code: str
    ) -> None:
        result = run_export(checkpoint, tmp_path / "new", "--languages", f"de,{code}", python=EXPORT_PYTHON)
        assert result.returncode == 1
        assert f"no list of words for the language {code or '(none)'}; there are ar, bg, bn," in result.stderr
        assert "Traceback" not in result.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]

    def test_words(self) -> None:
        german = self.words("de")
        assert {"küche", "wohnzimmer", "heizung", "Küche", "tv", "TV", "0", "100", "60%"} <= set(german)
        assert "KÜCHE" not in german
        assert len([word for word in german if word.islower()]) <= 50_000
        assert self.words("de", "de") == german
        assert set(self.words("de", "en")) == set(german) | set(self.words("en"))

    def test_selection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(ROOT / "scripts"))
        from exporting import vocabulary  # noqa: PLC0415 - of scripts

        before = (MODELS / "tiny-xlmr-int8/tokenizer.json").read_text("utf-8")
        whole = Tokenizer.from_str(before)
        kept = {code: Tokenizer.from_str(vocabulary.prune(before, self.words(code)).tokenizer) for code in ("de", "ru")}
        for code, text in (("de", "Heizung im Wohnzimmer 21"), ("de", "lampe Lampe TV"), ("ru", "Свет на кухне")):
            assert kept[code].encode(text).tokens == whole.encode(text).tokens
        pieces = {code: set(tokenizer.get_vocab()) for code, tokenizer in kept.items()}
        assert any(len(piece) > 2 for piece in pieces["de"] - pieces["ru"])
        assert any(len(piece) > 2 for piece in pieces["ru"] - pieces["de"])
        characters = {piece for piece in whole.get_vocab() if len(piece.lstrip("▁")) <= 1}
        assert characters | {"<s>", "<pad>", "</s>", "<unk>", "<mask>"} <= pieces["de"] & pieces["ru"]

    def test_export(self, tmp_path: Path) -> None:
        """Export with languages and texts: what either needs has the vectors of the whole model."""
        made, new, texts = tmp_path / "tiny-xlmr", tmp_path / "new", tmp_path / "texts.txt"
        texts.write_text("выключи свет на кухне\n", "utf-8")
        make_xlmr(made)
        result = run_export(made, new, "--languages", "de,hr", "--vocabulary", texts, python=EXPORT_PYTHON)
        assert result.returncode == 0, result.stderr
        assert "de, hr (by the list of sh)" in result.stdout
        said, whole = manifest(str(new)), manifest("tiny-xlmr-int8")
        assert said["vocabulary"]["languages"] == {"de": "de", "hr": "sh"}
        assert said["vocabulary"]["words_per_language"] == 50_000
        assert said["vocabulary"]["texts_sha256"] == hashlib.sha256(texts.read_bytes()).hexdigest()
        assert said["vocabulary"]["of"] == whole["vocabulary"]["size"]
        assert said["vocabulary"]["size"] == json.loads((new / "config.json").read_text())["vocab_size"]
        assert said["vocabulary"]["size"] < said["vocabulary"]["of"]
        assert said["versions"]["wordfreq"]
        same = ["Heizung im Wohnzimmer", "TV 21", "svjetlo u kuhinji", "выключи свет на кухне", "💡 lampe"]
        for text in same:
            assert tokens(str(new), text) == tokens("tiny-xlmr-int8", text)
        np.testing.assert_array_equal(encode(str(new), same).dense, encode("tiny-xlmr-int8", same).dense)


@needs_pytorch
def test_recipe_makes_the_same_model_again(tmp_path: Path) -> None:
    """Make the checkpoint from its seed and export it: byte for byte what is committed."""
    made, new = tmp_path / "tiny-xlmr", tmp_path / "new"
    make_xlmr(made)
    for name, sha256 in golden("tiny-xlmr")["origin"]["checkpoint_sha256"].items():
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == sha256, name
    result = run_export(made, new, "--verify", python=EXPORT_PYTHON)
    assert result.returncode == 0, result.stderr
    assert "cosine to fp32" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "tiny-xlmr"]
    for file in manifest("tiny-xlmr-int8")["files"]:
        assert (new / file["name"]).read_bytes() == (MODELS / "tiny-xlmr-int8" / file["name"]).read_bytes(), file[
            "name"
        ]
