"""Trains the request model (matching/request_model.py says what it is)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
import json
from pathlib import Path
import re

import numpy as np
from numpy.typing import NDArray
import scipy.sparse as sp

from custom_components.semantic_home.matching.place_names import PlaceNames
from custom_components.semantic_home.matching.request_model import buckets, request_features, word_features
from custom_components.semantic_home.matching.text import fold, is_unspaced, tokens

from .templates import CHATTER, END, NAME, VALUE, Names, Sentence

type Floats = NDArray[np.float32]

BUCKETS, DIMENSION, WORD_BUCKETS = 1 << 15, 48, 1 << 14
FORMS = ("name", "area", "floor", "context", "home", "none")
_EPOCHS, _BATCH, _RATE = 4, 384, 0.02
_WORD_SENTENCES, _WORD_EPOCHS, _WORD_BATCH, _WORD_RATE = 60_000, 2, 512, 0.05
# A word that names something is worth so many others: to miss one is worse than to see one too many.
_CONTENT_WEIGHT = 4
# Of each so many sentences with places, one is learnt with them hidden, too.
_HIDDEN = 2
_QUANTIFIERS = Path(__file__).with_name("quantifiers.json")
_DROPPED = 0.3
_DECAY, _DECAY_OF_SQUARES = 0.9, 0.99


class Adam:
    """Adam (Kingma and Ba, 2015), for rows of a table only where a batch has touched them."""

    def __init__(self, parameters: Sequence[Floats]) -> None:
        """Take the arrays to change in place."""
        self._parameters = parameters
        self._means = [np.zeros_like(one) for one in parameters]
        self._squares = [np.zeros_like(one) for one in parameters]

    def step(self, number: int, gradient: Floats, rate: float, rows: NDArray[np.intp] | slice = slice(None)) -> None:
        """Go one step down; `gradient` is of the given rows."""
        mean, square = self._means[number], self._squares[number]
        mean[rows] = _DECAY * mean[rows] + (1 - _DECAY) * gradient
        square[rows] = _DECAY_OF_SQUARES * square[rows] + (1 - _DECAY_OF_SQUARES) * gradient**2
        self._parameters[number][rows] -= rate * mean[rows] / (np.sqrt(square[rows]) + 1e-6)


def train(
    sentences: Sequence[Sentence], names: Names, seed: int, say: Callable[[str], None]
) -> dict[str, NDArray[np.generic]]:
    """Train both models; gives the arrays of request_model.npz."""
    unique = list({(one.language, one.text): one for one in sentences}.values())
    kinds = sorted({kind for one in unique for kind in one.kinds})
    actions = sorted({one.intent for one in unique})
    truth = [_shares([one.kinds for one in unique], kinds)]
    truth += [_shares([(one.form,) for one in unique], FORMS), _shares([(one.intent,) for one in unique], actions)]
    truth.append(_asks_for_all(unique))
    table, output, bias = _train_requests(unique, names, truth, seed, say)
    word_weights, word_bias = _train_words(unique, seed, say)
    scale = np.float32(np.abs(table).max() / 127)
    domains, acts_on = _acts_on(unique, actions)
    return {
        "table": np.round(table / scale).astype(np.int8),
        "scale": scale,
        "output": output.astype(np.float16),
        "bias": bias,
        "kinds": np.array(kinds),
        "forms": np.array(FORMS),
        "actions": np.array(actions),
        "domains": np.array(domains),
        "acts_on": acts_on,
        "word_weights": word_weights.astype(np.float16),
        "word_bias": np.float32(word_bias),
    }


def _train_requests(
    sentences: Sequence[Sentence], names: Names, truth: Sequence[Floats], seed: int, say: Callable[[str], None]
) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    texts, of = _with_hidden_places(sentences, names)
    inputs = _matrix([buckets(request_features(text), BUCKETS) for text in texts], BUCKETS)
    truth, weights = [part[of] for part in truth], _weights(sentences)[of]
    classes = sum(part.shape[1] for part in truth)
    table = (rng.standard_normal((BUCKETS, DIMENSION)) * 0.3).astype(np.float32)
    output = (rng.standard_normal((DIMENSION, classes)) * 0.3).astype(np.float32)
    bias = np.zeros(classes, np.float32)
    adam, steps, total = Adam([table, output, bias]), 0, _EPOCHS * len(texts)
    for epoch in range(_EPOCHS):
        loss = 0.0
        for batch in _batches(rng, len(texts), _BATCH):
            x = inputs[batch]
            # A few groups of letters left out each time: every one that speaks for a kind is learnt, not the loudest.
            x.data *= (rng.random(len(x.data)) >= _DROPPED) / np.float32(1 - _DROPPED)
            hidden = x @ table
            gradient, lost = _gradient(hidden @ output + bias, [part[batch] for part in truth], weights[batch])
            loss += lost
            back = gradient @ output.T
            rate = _RATE * min(1.0, (steps + 1) / 200) * (1 - steps * _BATCH / (total + _BATCH))
            adam.step(1, hidden.T @ gradient, rate)
            adam.step(2, gradient.sum(axis=0), rate)
            touched = np.unique(x.indices).astype(np.intp)
            adam.step(0, np.asarray((x.T @ back)[touched]), rate, touched)
            steps += 1
        say(f"  epoch {epoch + 1} of {_EPOCHS}: loss {loss * _BATCH / len(texts):.3f}")
    return table, output, bias


def _gradient(logits: Floats, truth: Sequence[Floats], weights: Floats) -> tuple[Floats, float]:
    """Give the gradient of the cross-entropies of several groups of classes, and their sum."""
    gradient, start, loss = np.empty_like(logits), 0, 0.0
    for part in truth:
        columns = slice(start, start := start + part.shape[1])
        found = np.exp(logits[:, columns] - logits[:, columns].max(axis=1, keepdims=True))
        found /= found.sum(axis=1, keepdims=True)
        loss -= float((part * np.log(found + 1e-9)).sum(axis=1).mean())
        # Where the truth is not known, there is nothing to learn.
        known = part.sum(axis=1, keepdims=True)
        gradient[:, columns] = (found * known - part) * weights[:, None] / len(part)
    return gradient, loss


def _train_words(sentences: Sequence[Sentence], seed: int, say: Callable[[str], None]) -> tuple[Floats, float]:
    rng = np.random.default_rng(seed)
    some = [sentences[number] for number in rng.permutation(len(sentences))[:_WORD_SENTENCES]]
    rows, labels = [], []
    for one in some:
        said, names = _labelled(one.marked)
        for place, label in enumerate(names):
            if label is not None:
                rows.append(buckets(word_features(said, place), WORD_BUCKETS))
                labels.append(label)
    inputs, truth = _matrix(rows, WORD_BUCKETS), np.array(labels, np.float32)
    weights, bias, steps = np.zeros(WORD_BUCKETS, np.float32), 0.0, 0
    adam, total = Adam([weights]), _WORD_EPOCHS * len(truth) / _WORD_BATCH
    for epoch in range(_WORD_EPOCHS):
        wrong = 0
        for batch in _batches(rng, len(truth), _WORD_BATCH):
            x, y = inputs[batch], truth[batch]
            found = 1 / (1 + np.exp(-(x @ weights + bias)))
            wrong += int(((found > 0.5) != y).sum())  # noqa: PLR2004 - more likely than not
            error = (found - y) * np.where(y > 0, _CONTENT_WEIGHT, 1) / len(batch)
            steps += 1
            rate = _WORD_RATE * (1 - 0.95 * steps / (total + 1))
            adam.step(0, (x.T @ error).astype(np.float32), rate)
            bias -= 0.5 * rate * float(error.sum())
        say(f"  words, epoch {epoch + 1} of {_WORD_EPOCHS}: {100 * wrong / len(truth):.1f} % wrong")
    return weights, bias


def _with_hidden_places(sentences: Sequence[Sentence], names: Names) -> tuple[list[str], NDArray[np.intp]]:
    """Fold sentences, and add those that a home reads which has their places: texts, and of which sentence each is."""
    places = {language: PlaceNames(names.places(language)) for language in {one.language for one in sentences}}
    folded = [fold(one.text) for one in sentences]
    hidden = [places[one.language].hide(text) for one, text in zip(sentences, folded, strict=True)]
    changed = [number for number, text in enumerate(hidden) if text != folded[number]][::_HIDDEN]
    texts = [*folded, *(hidden[number] for number in changed)]
    return texts, np.array([*range(len(folded)), *changed], np.intp)


def _asks_for_all(sentences: Sequence[Sentence]) -> Floats:
    """Tell of each sentence whether it says "all" (no, yes); zeros where the language's words are not known."""
    words = {
        language: ({fold(word) for word in found}, any(is_unspaced(word[0]) for word in found))
        for language, found in json.loads(_QUANTIFIERS.read_text("utf-8"))["words"].items()
    }
    truth = np.zeros((len(sentences), 2), np.float32)
    for row, one in enumerate(sentences):
        if one.language in words:
            known, unspaced = words[one.language]
            said = fold(one.text)
            found = any(word in said for word in known) if unspaced else not known.isdisjoint(said.split())
            truth[row, int(found)] = 1
    return truth


def _labelled(marked: str) -> tuple[list[str], list[float | None]]:
    """Split into tokens: 1 for what names something, 0 for what does not, None for values, which may be anything."""
    said: list[str] = []
    labels: list[float | None] = []
    for part in re.split(f"([{NAME}{VALUE}][^{END}]*{END})", marked):
        label = {NAME: 1.0, VALUE: None}.get(part[:1], 0.0)
        found = tokens(fold(part.strip(NAME + VALUE + END)))
        said += found
        labels += [label] * len(found)
    return said, labels


def _acts_on(sentences: Sequence[Sentence], actions: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
    """Tell which domains the templates of an intent are about: (actions, domains)."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for one in sentences:
        seen[one.intent] |= {kind.partition(".")[0] for kind in one.kinds}
    domains = sorted({domain for found in seen.values() for domain in found})
    return domains, np.array([[domain in seen[action] for domain in domains] for action in actions])


def _weights(sentences: Sequence[Sentence]) -> Floats:
    """Let rare languages and kinds count for more than their number, common ones for less."""
    languages = Counter(one.language for one in sentences)
    # Timers and chatter are both about no device, but there are twenty times as many sentences about timers.
    kinds = Counter((one.kinds[0], one.intent == CHATTER) for one in sentences)
    weights = np.array(
        [languages[one.language] ** -0.3 * kinds[one.kinds[0], one.intent == CHATTER] ** -0.5 for one in sentences]
    )
    return (weights / weights.mean()).astype(np.float32)


def _shares(labels: Sequence[Sequence[str]], classes: Sequence[str]) -> Floats:
    column = {name: number for number, name in enumerate(classes)}
    shares = np.zeros((len(labels), len(classes)), np.float32)
    for row, names in enumerate(labels):
        for name in names:
            shares[row, column[name]] += 1 / len(names)
    return shares


def _matrix(rows: Sequence[Sequence[int]], width: int) -> sp.csr_matrix:
    """Make a sparse matrix whose rows have ones in these columns, scaled to length 1."""
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in row], np.int32)
    lengths = np.maximum(np.diff(starts), 1)
    values = np.repeat(1 / np.sqrt(lengths), np.diff(starts)).astype(np.float32)
    return sp.csr_matrix((values, columns, starts), shape=(len(rows), width))


def _batches(rng: np.random.Generator, count: int, size: int) -> list[NDArray[np.intp]]:
    order = rng.permutation(count)
    return [order[start : start + size] for start in range(0, count, size)]
