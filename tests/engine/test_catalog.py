"""The models that are offered."""

from dataclasses import fields
import hashlib

from custom_components.semantic_home.engine import Pooling, load_catalog

from .common import MINILM, MINILM_FOLDER


def test_the_models_and_their_shape() -> None:
    catalog = load_catalog()
    assert {model_id: (spec.dimension, spec.pooling, spec.max_tokens) for model_id, spec in catalog.items()} == {
        "bge-m3": (1024, Pooling.CLS, 8192),
        "all-minilm-l6-v2": (384, Pooling.MEAN, 256),
    }


def test_exactly_one_is_recommended_and_it_comes_first() -> None:
    specs = list(load_catalog().values())
    assert [spec.id for spec in specs if spec.recommended] == ["bge-m3"] == [specs[0].id]


def test_entries_are_complete() -> None:
    for model_id, spec in load_catalog().items():
        assert model_id == spec.id
        assert all(getattr(spec, field.name) is not None for field in fields(spec))
        assert spec.title
        assert spec.license
        assert spec.heads[0] == "dense"
        assert set(spec.heads) <= {"dense", "sparse", "multivector"}
        assert spec.languages >= 1
        assert 0 < spec.portable_memory_mb < spec.memory_mb
        assert 0 < spec.query_ms < spec.portable_query_ms
        assert spec.disk_mb == round(sum(file.size for file in spec.files) / 1e6) > 0


def test_the_published_tokenizer_is_the_one_that_the_tests_use() -> None:
    """The one file of the catalog's that can be had here: a package has it too."""
    published = {file.name: file for file in load_catalog()[MINILM].files}
    for name in ("tokenizer.json", "config.json"):
        content = (MINILM_FOLDER / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (published[name].size, published[name].sha256)
