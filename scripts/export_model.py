#!/usr/bin/env python3
"""Turn a published model into the folder that Semantic Home runs.

  scripts/export_model.py BAAI/bge-m3 models/bge-m3
  scripts/export_model.py BAAI/bge-m3 models/bge-m3-small --languages de,en --vocabulary words.txt --verify

Takes a model of the XLM-RoBERTa or BERT family, of any depth, by its id on the hub or from a local folder. Writes the
graph (openvino_model.xml and .bin, output last_hidden_state), tokenizer.json, config.json, heads.safetensors where
the model has BGE-M3's two linear heads, and semantic_home.json, which says what is what, with sizes and hashes. The
folder appears when it is complete, or not at all.

--languages and --vocabulary make an XLM-RoBERTa smaller: most of its numbers are a table with a row for every piece of
a word. Kept are the pieces that the most frequent words of the languages, the numbers to 100 and the texts of the file
need, as written, in lower case and with a capital (short words of the languages also in capitals), the special tokens
and every single character that the vocabulary had, of any script. A text made of these words, with spaces between
them, has the vector that it had. Words that lost a piece, also rare ones and compounds of the languages, are spelled in
smaller pieces, at worst in characters, and vectors of texts with them are worse. Only characters that the vocabulary
never had are <unk>, as before.

Runs in an environment of its own (.venv-export, with PyTorch), which is made when it is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
from dataclasses import dataclass, field
import hashlib
import json
import os
from pathlib import Path
import re
import shutil
import signal
import sys
import tempfile
import time
from typing import Any
import warnings

from exporting import environment, languages, verification

FORMAT = 1
MANIFEST = "semantic_home.json"
GRAPH = "openvino_model.xml"
HEADS = "heads.safetensors"
PRECISIONS = ("int8", "fp16", "int4", "fp32")
FAMILIES = ("xlm-roberta", "bert")
# What an export can need of a repository on the hub; the rest (ONNX, pictures, other frameworks) stays there.
HUB_FILES = ["*.json", "*.model", "*.txt", "*.safetensors", "pytorch_model*.bin", "*_linear.pt", "1_Pooling/*"]
HUB_IGNORED = ["onnx/*", "openvino/*"]
INT4_GROUP = 64


class ExportError(Exception):
    """Something that the caller can put right."""


@dataclass(frozen=True)
class Source:
    """A checkpoint on disk, and what it is called."""

    folder: Path
    name: str
    revision: str
    config: dict[str, Any]


@dataclass
class Report:
    """What the table at the end shows: label and value."""

    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, label: str, value: str) -> None:
        """Add a row."""
        self.rows.append((label, value))

    def print(self) -> None:
        """Print the table."""
        width = max(len(label) for label, _ in self.rows)
        for label, value in self.rows:
            print(f"  {label:<{width}}  {value}")


def main() -> None:
    """Check what can be checked at once, then do it in the environment."""
    options = _options()
    try:
        _check_options(options)
        environment.enter()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        _export(options)
    except (ExportError, OSError) as err:
        sys.exit(f"Error: {err}")
    except KeyboardInterrupt:
        sys.exit("Interrupted; nothing was written.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="hub id (owner/name) or local folder of the checkpoint")
    parser.add_argument("target", type=Path, help="folder to write")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8", help="of the weights (default: int8)")
    parser.add_argument("--revision", help="commit, tag or branch on the hub; the manifest keeps the commit")
    parser.add_argument("--pooling", choices=("cls", "mean"), help="where the checkpoint does not say it itself")
    parser.add_argument(
        "--vocabulary",
        type=Path,
        metavar="FILE",
        help="keep only what the texts in this file need, one a line; see scripts/exporting/vocabulary.py",
    )
    parser.add_argument(
        "--languages",
        type=lambda codes: [code.strip() for code in codes.split(",")],
        metavar="CODES",
        help=f"keep only what the {languages.WORDS:,} most frequent words of these languages need, as in de,en,pt-BR; "
        "with --vocabulary both are kept. Close relatives share a list (hr and bs that of sh), of the same script "
        "only; a language without a list is refused, with those that there are",
    )
    parser.add_argument("--verify", action="store_true", help="compare with fp32, and measure")
    parser.add_argument("--force", action="store_true", help="replace the target")
    return parser.parse_args()


def _check_options(options: argparse.Namespace) -> None:
    if os.path.lexists(options.target) and not options.force:
        raise ExportError(f"{options.target} exists; --force replaces it")
    if options.target.exists() and not (options.target / MANIFEST).is_file():
        raise ExportError(f"{options.target} was not written by this command and is not replaced")
    if options.vocabulary and not options.vocabulary.is_file():
        raise ExportError(f"{options.vocabulary} is not a file")
    if Path(options.source).is_dir():
        if options.revision:
            raise ExportError("--revision is for models of the hub")
        if Path(options.source).resolve() == options.target.resolve():
            raise ExportError("source and target are the same folder")
        _read_config(Path(options.source))
    elif not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", options.source):
        raise ExportError(f"{options.source} is neither a folder nor a hub id (owner/name)")


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        family = config.get("model_type")
    except FileNotFoundError:
        raise ExportError(f"{folder} has no config.json") from None
    except (ValueError, AttributeError) as err:
        raise ExportError(f"{folder}/config.json cannot be read: {err}") from err
    if family not in FAMILIES:
        raise ExportError(f"its family is {family}; the encoders run {' and '.join(FAMILIES)}")
    return config


def _export(options: argparse.Namespace) -> None:
    started = time.monotonic()
    # The libraries are not to report home.
    os.environ.update({"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"})
    texts, kept = _texts_to_keep(options)
    with _appearing_at_once(options.target) as folder, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        source = _find(options.source, options.revision)
        pooling = options.pooling or _pooling(source)
        tokenizer, network = _load(source)
        vocabulary: dict[str, Any] = {"size": network.config.vocab_size}
        if kept:
            tokenizer = _prune(tokenizer, network, texts)
            vocabulary = {"size": network.config.vocab_size, "of": vocabulary["size"], **kept}
        (folder / "tokenizer.json").write_text(tokenizer, "utf-8")
        config = network.config.to_dict()
        config.pop("_name_or_path", None)
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
        heads = _copy_heads(source, folder / HEADS)
        full = _convert(network, Path(scratch))
        del network
        _save(full, folder / GRAPH, options.precision)
        manifest = {
            "format": FORMAT,
            "model": source.name,
            "revision": source.revision,
            "family": config["model_type"],
            "layers": config["num_hidden_layers"],
            "precision": options.precision,
            "dimension": config["hidden_size"],
            "pooling": pooling,
            "max_tokens": _max_tokens(source, config),
            "heads": ["dense", *heads],
            "vocabulary": vocabulary,
            "files": [_described(file) for file in sorted(folder.iterdir())],
            "versions": _versions("wordfreq" if options.languages else None),
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (folder / MANIFEST).write_text(text, "utf-8")
        report = Report()
        _summarise(report, manifest)
        if options.verify:
            report.rows += verification.verify(folder / GRAPH, full, manifest)
    report.add("took", f"{time.monotonic() - started:.0f} s")
    print(f"{options.target} is written.")
    report.print()


@contextlib.contextmanager
def _appearing_at_once(target: Path) -> Iterator[Path]:
    """Give a folder beside the target, which takes the target's place when all went well, else vanishes."""
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        folder = beside / "new"
        folder.mkdir()
        yield folder
        if target.exists():
            target.rename(beside / "old")
        try:
            folder.rename(target)
        except BaseException:
            if (beside / "old").exists():
                (beside / "old").rename(target)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _find(name: str, revision: str | None) -> Source:
    """Find the checkpoint: a folder as it is, a hub id by downloading its files at one commit."""
    if Path(name).is_dir():
        folder = Path(name).resolve()
        digest = hashlib.sha256()
        for file in _weight_files(folder):
            digest.update(f"{file.name}:{_sha256(file)};".encode())
        return Source(folder, folder.name, f"sha256:{digest.hexdigest()}", _read_config(folder))
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - of the environment

    print(f"Downloading {name} ...", file=sys.stderr, flush=True)
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES, ignore_patterns=HUB_IGNORED))
    except Exception as err:  # the hub's client raises its own, requests' and httpx's
        raise ExportError(f"{name} could not be downloaded: {err}") from err
    return Source(folder, name, folder.name, _read_config(folder))


def _weight_files(folder: Path) -> list[Path]:
    """List what the numbers come from, heads and tokenizer included."""
    patterns = ("*.safetensors", "pytorch_model*.bin", "*_linear.pt", "tokenizer.json")
    return sorted(file for pattern in patterns for file in folder.glob(pattern))


def _pooling(source: Source) -> str:
    """Read how sentence-transformers or BGE-M3 pool; guessing would be silently wrong."""
    file = source.folder / "1_Pooling/config.json"
    if file.is_file():
        said = json.loads(file.read_text("utf-8"))
        for pooling, key in (("cls", "pooling_mode_cls_token"), ("mean", "pooling_mode_mean_tokens")):
            if said.get(key) or said.get("pooling_mode") == pooling:
                return pooling
        raise ExportError("its pooling is neither of the first token nor the mean")
    if (source.folder / "sparse_linear.pt").is_file():
        return "cls"
    raise ExportError("the checkpoint does not say how it pools; give --pooling cls or --pooling mean")


def _max_tokens(source: Source, config: dict[str, Any]) -> int:
    """Count the positions that texts can have: XLM-R's begin behind the padding's."""
    unused = config["pad_token_id"] + 1 if config["model_type"] == "xlm-roberta" else 0
    limit: int = config["max_position_embeddings"] - unused
    file = source.folder / "sentence_bert_config.json"
    said = json.loads(file.read_text("utf-8")).get("max_seq_length") if file.is_file() else None
    return min(limit, said or limit)


def _texts_to_keep(options: argparse.Namespace) -> tuple[list[str], dict[str, Any]]:
    """Collect the texts whose pieces are kept, and what the manifest says of them: nothing when all pieces are."""
    texts: list[str] = []
    said: dict[str, Any] = {}
    if file := options.vocabulary:
        try:
            texts += file.read_text("utf-8").splitlines()
        except UnicodeDecodeError as err:
            raise ExportError(f"{file} is not UTF-8: {err}") from err
        said["texts_sha256"] = _sha256(file)
    if options.languages is not None:
        try:
            said["languages"] = languages.word_lists(options.languages)
        except languages.LanguageError as err:
            raise ExportError(str(err)) from err
        said["words_per_language"] = languages.WORDS
        texts += languages.words(said["languages"].values())
    return texts, said


def _load(source: Source) -> tuple[str, Any]:
    """Load tokenizer.json and the network in fp32."""
    import torch  # noqa: PLC0415 - of the environment
    import transformers  # noqa: PLC0415

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        network = transformers.AutoModel.from_pretrained(
            source.folder, dtype=torch.float32, add_pooling_layer=False, local_files_only=True
        ).eval()
        return _tokenizer_json(source, transformers), network
    except (OSError, ValueError, RuntimeError) as err:
        raise ExportError(f"the checkpoint cannot be loaded: {err}") from err


def _prune(tokenizer: str, network: Any, texts: list[str]) -> str:
    """Keep what the texts need, in the network's table (in place) and in the tokenizer, which is returned."""
    from exporting import vocabulary  # noqa: PLC0415 - runs in its own environment only
    import torch  # noqa: PLC0415 - of the environment

    try:
        pruned = vocabulary.prune(tokenizer, texts)
    except vocabulary.VocabularyError as err:
        raise ExportError(f"the vocabulary cannot be pruned: {err}") from err
    if max(pruned.kept) >= network.config.vocab_size:
        raise ExportError("its tokenizer has more pieces than its table has rows")
    pad = network.config.pad_token_id
    if pruned.kept[pad] != pad:
        raise ExportError("its special tokens do not come first; pruning would move them")
    table = network.get_input_embeddings().weight[torch.tensor(pruned.kept)].detach().clone()
    network.set_input_embeddings(torch.nn.Embedding.from_pretrained(table, padding_idx=pad))
    network.config.vocab_size = len(pruned.kept)
    return pruned.tokenizer


def _tokenizer_json(source: Source, transformers: Any) -> str:
    """Take the published file as it is; only a checkpoint without one has it made."""
    file = source.folder / "tokenizer.json"
    if file.is_file():
        return file.read_text("utf-8")
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.folder, local_files_only=True)
    text: str = tokenizer.backend_tokenizer.to_str(pretty=True)
    return text


def _copy_heads(source: Source, file: Path) -> list[str]:
    """Write BGE-M3's linear heads as safetensors; return which there are."""
    import safetensors.torch  # noqa: PLC0415 - of the environment
    import torch  # noqa: PLC0415

    tensors = {}
    for name in ("sparse_linear", "colbert_linear"):
        path = source.folder / f"{name}.pt"
        if not path.is_file():
            continue
        # weights_only: a .pt is a pickle, and a pickle can run code.
        state = torch.load(path, map_location="cpu", weights_only=True)
        if set(state) != {"weight", "bias"} or state["weight"].shape[1] != source.config["hidden_size"]:
            raise ExportError(f"{path.name} is not a linear layer on {source.config['hidden_size']} dimensions")
        for part, tensor in state.items():
            kept = tensor if tensor.dtype == torch.float16 else tensor.float()
            tensors[f"{name}.{part}"] = kept.contiguous()
    if tensors:
        # Not save_file, which lets nobody but the owner read the file.
        file.write_bytes(safetensors.torch.save(tensors))
    heads = {"sparse_linear": "sparse", "colbert_linear": "multivector"}
    return [head for name, head in heads.items() if f"{name}.weight" in tensors]


def _convert(network: Any, scratch: Path) -> Any:
    """Trace the network with optimum-intel; return OpenVINO's model in fp32."""
    import openvino  # noqa: PLC0415 - of the environment
    from optimum.exporters.openvino import export_from_model  # noqa: PLC0415
    from optimum.intel import OVConfig  # noqa: PLC0415
    import torch  # noqa: PLC0415

    print("Tracing ...", file=sys.stderr, flush=True)
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        # Of branches that the tracer takes for good: the golden tests run what came of them at every length.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        export_from_model(network, scratch, task="feature-extraction", ov_config=OVConfig(dtype="fp32"))
    core = openvino.Core()
    model = core.read_model(scratch / GRAPH)
    (output,) = model.outputs
    output.get_tensor().set_names({"last_hidden_state"})
    return model


def _save(full: Any, file: Path, precision: str) -> None:
    """Write the graph at its precision; INT8 is symmetric and per channel, in the table per token."""
    import nncf  # noqa: PLC0415 - of the environment
    import openvino  # noqa: PLC0415

    print(f"Writing {precision} ...", file=sys.stderr, flush=True)
    nncf.set_log_level("ERROR")
    model = full
    with contextlib.redirect_stdout(sys.stderr):
        if precision == "int8":
            model = nncf.compress_weights(full.clone(), mode=nncf.CompressWeightsMode.INT8_SYM)
        elif precision == "int4":
            mode, backup = nncf.CompressWeightsMode.INT4_SYM, nncf.BackupMode.INT8_SYM
            model = nncf.compress_weights(full.clone(), mode=mode, group_size=INT4_GROUP, backup_mode=backup)
    openvino.save_model(model, file, compress_to_fp16=precision == "fp16")


def _described(file: Path) -> dict[str, Any]:
    return {"name": file.name, "size": file.stat().st_size, "sha256": _sha256(file)}


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _versions(used: str | None) -> dict[str, str]:
    from importlib.metadata import version  # noqa: PLC0415 - only here

    packages = ("torch", "transformers", "optimum-intel", "openvino", "nncf", used)
    return {package: version(package) for package in packages if package}


def _summarise(report: Report, manifest: dict[str, Any]) -> None:
    vocabulary = manifest["vocabulary"]
    of = f" of {vocabulary['of']:,}" if "of" in vocabulary else ""
    report.add("model", f"{manifest['model']} @ {manifest['revision'][:19]}")
    report.add("graph", f"{manifest['layers']} layers, {manifest['dimension']} dimensions, {manifest['precision']}")
    report.add("heads", f"{', '.join(manifest['heads'])}; pooling {manifest['pooling']}")
    report.add("vocabulary", f"{vocabulary['size']:,} pieces{of}")
    if lists := vocabulary.get("languages"):
        named = [code if code == name else f"{code} (by the list of {name})" for code, name in lists.items()]
        report.add("languages", ", ".join(named))
    for file in manifest["files"]:
        report.add(file["name"], f"{file['size'] / 1e6:,.2f} MB")
    report.add("together", f"{sum(file['size'] for file in manifest['files']) / 1e6:,.2f} MB")


if __name__ == "__main__":
    main()
