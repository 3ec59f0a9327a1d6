"""Checks of continuity and neighborhood_preservation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from sklearn_ae.metrics import (
    continuity,
    neighborhood_preservation,
)
from units.metrics.cases import X, exactly


def order(distances):
    """For each row the others by (distance, row number), written out."""
    n = len(distances)
    return [
        sorted((j for j in range(n) if j != i), key=lambda j, i=i: (distances[i, j], j))
        for i in range(n)
    ]


def continuity_by_formula(original, embedded, k):
    n, penalty = len(original), 0
    for near, answer in zip(order(original), order(embedded), strict=True):
        penalty += sum(max(0, answer.index(j) + 1 - k) for j in near[:k])
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty


def preservation_by_formula(original, embedded, k):
    pairs = zip(order(original), order(embedded), strict=True)
    return np.mean([len(set(a[:k]) & set(b[:k])) / k for a, b in pairs])


@pytest.mark.parametrize("k", [1, 5, 12])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "cosine"])
def test_neighbour_scores_by_their_formulas(metric, k):
    random = np.random.default_rng(k)
    rows, embedded = random.normal(size=(30, 4)), random.normal(size=(30, 2))
    inside, outside = cdist(rows, rows, metric), cdist(embedded, embedded)
    options = {"n_neighbors": k, "metric": metric}
    score = continuity(rows, embedded, **options)
    assert type(score) is float
    assert_allclose(score, continuity_by_formula(inside, outside, k))
    kept = neighborhood_preservation(rows, embedded, **options)
    assert type(kept) is float
    assert_allclose(kept, preservation_by_formula(inside, outside, k))
    options = {"n_neighbors": k, "metric": "precomputed"}
    before = inside.copy()
    assert_allclose(continuity(inside, embedded, **options), score)
    assert_allclose(neighborhood_preservation(inside, embedded, **options), kept)
    assert_allclose(inside, before, rtol=0)


@settings(deadline=None, max_examples=30)
@given(
    arrays(float, (12, 2), elements=st.integers(0, 2).map(float)),
    arrays(float, (12, 1), elements=st.integers(0, 3).map(float)),
    st.integers(1, 5),
)
def test_neighbour_scores_with_ties(rows, embedded, k):
    inside, outside = cdist(rows, rows), cdist(embedded, embedded)
    expected = continuity_by_formula(inside, outside, k)
    assert_allclose(continuity(rows, embedded, n_neighbors=k), expected)
    expected = preservation_by_formula(inside, outside, k)
    assert_allclose(neighborhood_preservation(rows, embedded, n_neighbors=k), expected)


def test_neighbour_scores_by_hand():
    # The last of five on a line is folded back between the first two. The neighbours of
    # 0 and 1 fall to rank 2, that of 4 to rank 4: 1 + 1 + 3 of n k (2n - 3k - 1) / 2.
    line = np.array([[0.0], [1], [2.1], [3.3], [4.6]])
    folded = np.array([[0.0], [1], [2.1], [3.3], [0.4]])
    assert_allclose(continuity(line, folded, n_neighbors=1), 1 - 5 / 15)
    assert neighborhood_preservation(line, folded, n_neighbors=1) == 2 / 5


def test_continuity_is_trustworthiness_with_the_spaces_exchanged():
    digits = load_digits().data[:400] + np.random.default_rng(0).normal(size=(400, 64))
    embedded = PCA(2).fit_transform(digits)
    for k in (5, 50):
        expected = trustworthiness(embedded, digits, n_neighbors=k)
        assert_allclose(continuity(digits, embedded, n_neighbors=k), expected)
    assert abs(continuity(digits, embedded) - trustworthiness(digits, embedded)) > 0.05


def test_neighbour_scores_in_several_blocks():
    # 2100 rows of 2100 distances are more than one block of 32 MiB.
    rows = np.random.default_rng(0).normal(size=(2100, 3))
    embedded = rows[:, :2]
    score = continuity(rows, embedded)
    assert_allclose(score, trustworthiness(embedded, rows), rtol=1e-12)
    whole = cdist(rows, rows)
    kept = neighborhood_preservation(whole, embedded, metric="precomputed")
    assert_allclose(neighborhood_preservation(rows, embedded), kept)


@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
def test_similar_embeddings_are_perfect_and_a_collapsed_one_is_not(measure):
    random = np.random.default_rng(0)
    rows = random.normal(size=(120, 3))
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    assert measure(rows, 10 * rows @ turn + 3) == 1
    copies = np.repeat(rows[:10], 12, axis=0)[random.permutation(120)]
    assert measure(copies, copies) == 1
    chance = measure(rows, random.normal(size=(120, 2)))
    assert_allclose(measure(rows, np.zeros((120, 2))), chance, atol=0.06)
    assert chance < 0.6


def test_unrelated_embeddings_keep_neighbours_by_chance():
    random = np.random.default_rng(0)
    rows, embedded = random.normal(size=(500, 3)), random.normal(size=(500, 2))
    kept = neighborhood_preservation(rows, embedded, n_neighbors=50)
    assert_allclose(kept, 50 / 499, atol=0.01)
    assert neighborhood_preservation(rows, embedded, n_neighbors=499) == 1


@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
def test_neighbour_scores_are_the_same_for_every_kind_of_input(measure):
    expected = measure(X, X[:, :2])
    embedded = pd.DataFrame(X[:, :2], columns=list("ab"))
    for rows in (X.tolist(), pd.DataFrame(X), pl.DataFrame(X), np.asfortranarray(X)):
        assert measure(rows, embedded) == expected
    assert measure(X[:, np.newaxis], embedded) == expected
    assert measure(X.reshape(len(X), 2, -1), embedded) == expected
    whole = np.random.default_rng(0).integers(0, 9, (40, 3)).astype(float)
    for rows in (sp.csr_array(whole), sp.csc_matrix(whole), sp.coo_array(whole)):
        assert measure(rows, whole[:, :2]) == measure(whole, whole[:, :2])
    # float32 is compared in float64, or the ties of this data would break apart.
    near = X.astype(np.float32)
    assert measure(near, near.astype(np.float64)) == 1
    binary = np.greater(X, X.mean(axis=0))
    jaccard = cdist(binary, binary, "jaccard")
    expected = measure(jaccard, X[:, :2], metric="precomputed")
    assert_allclose(measure(binary, X[:, :2], metric="jaccard"), expected)
    chebyshev = measure(X, X[:, :2], metric="chebyshev")
    own = measure(X, X[:, :2], metric=lambda a, b: np.abs(a - b).max())
    assert_allclose(own, chebyshev)


@pytest.mark.parametrize("bad", [0, -1, 2.0, 75])
def test_continuity_refuses_too_many_neighbours(bad):
    message = (
        "n_neighbors must be an integer, at least 1 and less than 75 for 150 rows; "
        f"got {bad}."
    )
    with pytest.raises(ValueError, match=exactly(message)):
        continuity(X, X, n_neighbors=bad)


def test_neighbour_scores_refuse_what_does_not_fit():
    message = (
        "n_neighbors must be an integer, at least 1 and less than 150 for 150 rows; "
        "got 150."
    )
    with pytest.raises(ValueError, match=exactly(message)):
        neighborhood_preservation(X, X, n_neighbors=150)
    with pytest.raises(ValueError, match=r"numbers of samples: \[150, 9\]$"):
        continuity(X, X[:9])
    message = "Precomputed distances must be square, got shape (150, 4)."
    with pytest.raises(ValueError, match=exactly(message)):
        continuity(X, X, metric="precomputed")
    with pytest.raises(ValueError, match="^Input X_embedded contains NaN"):
        continuity(X, np.where(X > 5, np.nan, X))
