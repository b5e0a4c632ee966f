"""A model folder that is the real one in everything but what it knows: made in seconds, without a download.

It lies below the user's cache directory and is made once: semantic-home/random-models/<name>. So does what others are
measured with, where making it takes minutes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
import fcntl
import itertools
import json
import os
from pathlib import Path
import shutil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from custom_components.semantic_home.engine.catalog import ModelSpec, load_catalog

from .random_graph import Shape, write_graph

SHAPES = {
    "bge-m3": Shape(24, 1024, 16, 4096, 250_002, 8194),
    "bge-m3-compact": Shape(8, 1024, 16, 4096, 30_000, 8194),
    "tiny": Shape(2, 64, 4, 128, 2000, 130),
}
# Raise it when a change here or in random_graph.py changes the files.
_RECIPE = 2
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_MASK = "<mask>"


def cached_model(name: str, progress: Callable[[str], None]) -> Path:
    """Return the folder of a random model, making it when it is missing. Blocking; raises KeyError for other names."""
    shape = SHAPES[name]

    def make(folder: Path) -> None:
        progress(f"Making {name} with random weights, {shape.int8_bytes / 1e6:,.0f} MB, in {folder.parent}")
        write_model(folder, shape, progress)

    return cached(name, {"recipe": _RECIPE, **asdict(shape)}, make)


def cached(name: str, made_from: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, having it made when it is missing or was made from something else. Blocking."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semantic-home/random-models"
    cache.mkdir(parents=True, exist_ok=True)
    folder, unfinished = cache / name, cache / f"{name}.unfinished"
    stamp = json.dumps(made_from)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _read(folder / "made-from") == stamp:
            return folder
        for left_over in (unfinished, folder):
            shutil.rmtree(left_over, ignore_errors=True)
        make(unfinished)
        (unfinished / "made-from").write_text(stamp)
        unfinished.rename(folder)
    return folder


def write_model(folder: Path, shape: Shape, progress: Callable[[str], None]) -> None:
    """Write graph, tokenizer, config and heads of a random model into a new folder. Blocking."""
    folder.mkdir(parents=True)
    write_graph(folder / "openvino_model.xml", shape, progress)
    progress("tokenizer and heads")
    _tokenizer(shape.vocabulary).save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "config.json").write_text(json.dumps(config(shape), indent=2))
    _write_safetensors(folder / "heads.safetensors", _heads(shape.hidden))


def spec_of(shape: Shape) -> ModelSpec:
    """Describe a random model as the catalog describes BGE-M3."""
    return replace(load_catalog()["bge-m3"], dimension=shape.hidden, max_tokens=shape.positions - 2)


def config(shape: Shape) -> dict[str, Any]:
    """Describe the network by transformers' names for an XLM-R model."""
    return {
        "architectures": ["XLMRobertaModel"],
        "attention_probs_dropout_prob": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": shape.positions,
        "model_type": "xlm-roberta",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "pad_token_id": 1,
        "type_vocab_size": 1,
        "vocab_size": shape.vocabulary,
    }


def _tokenizer(size: int) -> Tokenizer:
    """Make a Unigram tokenizer of XLM-R's build, whose pieces are syllables put together; long pieces are likelier."""
    pieces = itertools.islice(_pieces(), size - len(_SPECIAL) - 1)
    scored = [(piece, -20.0 + len(piece)) for piece in pieces]
    vocabulary = [*((special, 0.0) for special in _SPECIAL), *scored, (_MASK, 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([*_SPECIAL, _MASK])
    return tokenizer


def _pieces() -> Iterator[str]:
    yield "▁"
    yield from (chr(code) for code in (*range(0x21, 0x7F), *range(0xDF, 0x100), *range(0x3B1, 0x3CA)))
    yield from (chr(code) for code in range(0x430, 0x460))
    syllables = [first + vowel for first in "bdfghjklmnprstvz" for vowel in "aeiou"]
    for count in itertools.count(1):
        for parts in itertools.product(syllables, repeat=count):
            yield "▁" + "".join(parts)


def _heads(hidden: int) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(hidden)
    sizes = {
        "colbert_linear.weight": (hidden, hidden),
        "colbert_linear.bias": (hidden,),
        "sparse_linear.weight": (1, hidden),
        "sparse_linear.bias": (1,),
    }
    return {name: random.normal(0, 0.02, size).astype(np.float32) for name, size in sizes.items()}


def _write_safetensors(file: Path, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Write the format by hand: the length of a JSON header in 8 bytes, the header, the data."""
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": (offset, offset + tensor.nbytes)}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(map(np.ndarray.tobytes, tensors.values())))


def _read(file: Path) -> str | None:
    return file.read_text() if file.is_file() else None
