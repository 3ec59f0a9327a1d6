"""Generators of the data that theory tests on deep nets are made on."""

from __future__ import annotations

import itertools

import numpy as np
import scipy.sparse
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

_SIDE, _STEPS, _STROKE = 28, 24, 0.9
_CANVAS = 16


def curves(seed: int, n: int) -> np.ndarray:
    """Draw strokes of 28 by 28 pixels in [0, 1] through three random points.

    A picture has six degrees of freedom: the parabola's points at times 0, 1/2 and 1,
    as in the curves of Hinton and Salakhutdinov (2006).
    """
    points = np.random.RandomState(seed).uniform(3, _SIDE - 4, size=(n, 3, 2))
    t = np.linspace(0, 1, _STEPS)
    weights = np.array([(2 * t - 1) * (t - 1), 4 * t * (1 - t), t * (2 * t - 1)])
    path = np.einsum("kt,nkc->ntc", weights, points)
    distances = path[..., None] - np.arange(_SIDE)
    profiles = np.exp(-np.square(distances) / (2 * _STROKE**2))
    ink = profiles[:, :, 1].transpose(0, 2, 1) @ profiles[:, :, 0]
    return np.minimum(ink, 1).reshape(n, -1).astype(np.float32)


def shifted_digits(seed: int) -> list[np.ndarray]:
    """Draw digits on a canvas of 16 x 16, up to two pixels off its middle, and split.

    Three quarters are to train on.
    """
    rng = np.random.default_rng(seed)
    X = load_digits().data.reshape(-1, 8, 8)
    canvas = np.zeros((len(X), _CANVAS, _CANVAS))
    for image, (y, x), target in zip(
        X, 4 + rng.integers(-2, 3, (len(X), 2)), canvas, strict=True
    ):
        target[y : y + 8, x : x + 8] = image
    return train_test_split(canvas.reshape(len(X), -1), random_state=seed)


def bars_and_stripes(side: int = 3) -> np.ndarray:
    """Answer all pictures of full columns or of full rows: 14 for a side of 3."""
    lines = binary_states(side)
    columns = np.repeat(lines[:, None, :], side, axis=1)
    both = np.concatenate([columns, columns.transpose(0, 2, 1)])
    return np.unique(both.reshape(len(both), -1), axis=0)


def topics(
    seed: int, n: int, n_words: int = 2000, length: int = 150
) -> tuple[scipy.sparse.csr_array, np.ndarray]:
    """Draw documents as proportions of words, and their dominant topics.

    Twenty topics are distributions over the words; a document's mixture of them, drawn
    from a Dirichlet distribution of concentration 0.05, is mostly one of them.
    """
    random = np.random.RandomState(seed)
    words = random.dirichlet(np.full(n_words, 0.05), size=20)
    mixtures = random.dirichlet(np.full(20, 0.05), size=n)
    expected = mixtures @ words
    expected /= expected.sum(axis=1, keepdims=True)
    counts = np.array([random.multinomial(length, p) for p in expected])
    return scipy.sparse.csr_array(counts / length), mixtures.argmax(axis=1)


def binary_states(n: int) -> np.ndarray:
    """Answer all 2^n vectors of n zeros and ones."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))
