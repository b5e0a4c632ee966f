"""What a model says of texts, on its way to the database and back."""

from collections.abc import Sequence

from .engine import Encoded
from .index import IndexStore, TextHeads


def put_texts(store: IndexStore, generation_id: int, texts: Sequence[str], encoded: Encoded) -> None:
    """Keep what the model says of these texts. Raises StoreError, UnknownGenerationError."""
    heads = dict(zip(texts, _heads(encoded) or (), strict=False))
    store.put_vectors(generation_id, dict(zip(texts, encoded.dense, strict=True)), heads)


def put_background(store: IndexStore, generation_id: int, sentences: Sequence[str], encoded: Encoded) -> None:
    """Keep what the model says of the background's sentences, unless as much is there. Raises as put_texts does."""
    kept = background(store, generation_id, sentences)
    if kept is None or (encoded.has_heads and not kept.has_heads):
        store.put_background(generation_id, sentences, encoded.dense, _heads(encoded))


def background(store: IndexStore, generation_id: int, sentences: Sequence[str]) -> Encoded | None:
    """Return what is kept of exactly these sentences. Raises as put_texts does."""
    if (kept := store.background(generation_id, sentences)) is None:
        return None
    vectors, heads = kept
    if heads is None:
        return Encoded(vectors)
    many = tuple(each.multivector for each in heads if each.multivector is not None)
    # Only a sentence too long to be stored has none, and then nothing can be said of the others' mean.
    return Encoded(vectors, tuple(dict(each.sparse) for each in heads), many if len(many) == len(heads) else None)


def _heads(encoded: Encoded) -> list[TextHeads] | None:
    if encoded.sparse is None or encoded.multivector is None:
        return None
    return [TextHeads(sparse, many) for sparse, many in zip(encoded.sparse, encoded.multivector, strict=True)]
