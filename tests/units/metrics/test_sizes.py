"""Metrics of rows of any size, and of rows far from zero."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.decomposition import PCA

from sklearn_ae.metrics import (
    continuity,
    make_denoising_scorer,
    make_probe_scorer,
    neighborhood_preservation,
    pca_alignment,
    reconstruction_r2,
    sparsity_score,
)
from units.metrics.cases import SQUARE, Codes, X, Y

# Powers of two, by which rows and answers are multiplied without a rounding.
FACTORS = [2.0**k for k in (-1000, -600, -540, -300, 300, 513, 540, 1000)]
every_factor = pytest.mark.parametrize("factor", FACTORS, ids="{:.0e}".format)


def widened(Z):
    """Answer codes, beside nothing."""
    return np.hstack([Z, np.zeros((len(Z), X.shape[1] - Z.shape[1]))])


def first_columns():
    return Codes(
        lambda X: np.asarray(X)[:, [0, 2]], lambda Z: widened(Z)[:, [0, 2, 1, 3]]
    )


def embedded(rows):
    return rows[:, [0, 3]]


@every_factor
@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame, csr_array])
def test_r2_does_not_depend_on_the_unit(factor, convert):
    model = Codes(
        lambda X: (X.toarray() if hasattr(X, "tocsr") else np.asarray(X))[:, [0, 2]],
        first_columns().decode,
    )
    expected = reconstruction_r2(model, convert(X))
    assert reconstruction_r2(model, convert(factor * X)) == expected


def test_r2_of_what_is_much_larger_than_the_rows():
    away = Codes(decode=lambda Z: Z + 1e300)
    assert reconstruction_r2(away, X * 1e-100) == -np.inf


@pytest.mark.parametrize("span", [1e308, 1.7e308])
def test_r2_of_all_that_float64_can_hold(span):
    rows = span * np.array([[1.0, -1.0], [-1.0, 1.0]])
    first = Codes(lambda X: X[:, :1], lambda Z: np.hstack([Z, 0 * Z]))
    assert reconstruction_r2(first, rows) == 0.5
    assert reconstruction_r2(Codes(), rows) == 1.0


def test_r2_of_the_least_numbers():
    rows = 5e-324 * np.array([[0.0, 3.0], [1.0, 0.0], [2.0, 0.0], [3.0, 3.0]])
    first = Codes(lambda X: X[:, :1], lambda Z: np.hstack([Z, 0 * Z]))
    scaled = np.round(rows / 5e-324)
    assert reconstruction_r2(first, rows) == reconstruction_r2(first, scaled)


@pytest.mark.parametrize("offset", [2.0**30, 2.0**53, -(2.0**60)])
def test_r2_of_rows_far_from_zero(offset):
    """The spread is that of the rows near zero, to the last digit."""
    steps = np.spacing(abs(offset)) * np.random.default_rng(0).integers(0, 9, (90, 3))
    rows = offset + steps
    drop = Codes(decode=lambda Z: np.where([True, True, False], Z, offset))
    near = Codes(decode=lambda Z: np.where([True, True, False], Z, 0.0))
    assert_allclose(
        reconstruction_r2(drop, rows), reconstruction_r2(near, steps), 1e-12
    )


@every_factor
def test_noise_that_a_function_makes(factor):
    scorer = make_denoising_scorer(lambda rows, random: rows[::-1])
    assert scorer(first_columns(), factor * X) == scorer(first_columns(), X)


@pytest.mark.parametrize("noise", ["gaussian", "masking", "salt_and_pepper"])
@pytest.mark.parametrize("factor", [2.0**-480, 2.0**-300, 2.0**100])
def test_noises_in_units_of_the_rows(noise, factor):
    scorer = make_denoising_scorer(noise, 0.3)
    expected = scorer(first_columns(), X)
    assert_allclose(scorer(first_columns(), factor * X), expected, rtol=1e-9)


@pytest.mark.parametrize("noise", ["gaussian", "masking", "salt_and_pepper"])
def test_noises_of_rows_that_have_none(noise):
    scorer = make_denoising_scorer(noise, 0.3)
    with pytest.raises(ValueError, match="The rows of X differ by"):
        scorer(first_columns(), 1e-200 * X)
    with pytest.raises(ValueError, match=r"too large for dtype\('float32'\)"):
        scorer(first_columns(), 1e200 * X)


@every_factor
def test_probes_of_codes_of_any_size(factor):
    scorer = make_probe_scorer(n_labels=30)
    mixed = factor ** np.array([1.0, 0.0, 0.5, 1.0])
    assert scorer(Codes(), mixed * X, Y) == scorer(Codes(), X, Y)


@every_factor
def test_angles_do_not_depend_on_the_unit(factor):
    expected = pca_alignment(first_columns(), X)
    assert_allclose(pca_alignment(first_columns(), factor * X), expected, atol=1e-12)
    pca = PCA(2).fit(X)
    assert_allclose(pca_alignment(pca, factor * X), [0, 0], atol=1e-12)


def test_angles_far_from_zero():
    rows = 2.0**50 + np.round(64 * X)
    pca = PCA(2).fit(rows - rows[0])
    assert_allclose(pca_alignment(pca, rows), [0, 0], atol=1e-12)


@every_factor
@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "manhattan"])
def test_neighbours_do_not_depend_on_the_unit(factor, measure, metric):
    expected = measure(X, embedded(X), metric=metric)
    if metric == "sqeuclidean":
        # Other roundings decide ties.
        expected = measure(X, embedded(X), metric="euclidean")
    found = measure(factor * X, embedded(X), metric=metric)
    assert found == pytest.approx(expected, abs=1e-3)
    found = measure(X, factor * embedded(X), metric=metric)
    assert found == pytest.approx(expected, abs=1e-3)
    if metric == "euclidean":
        expected = measure(csr_array(X), embedded(X))
        assert measure(csr_array(factor * X), embedded(X)) == expected


NAMED = [
    *("l2", "minkowski", "nan_euclidean", "seuclidean", "mahalanobis"),
    *("cosine", "correlation", "braycurtis", "canberra", "l1", "chebyshev", "hamming"),
]


@pytest.mark.parametrize("factor", [*FACTORS, 2.0**1020], ids="{:.0e}".format)
@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
@pytest.mark.parametrize("metric", NAMED)
def test_every_named_metric_of_rows_of_any_size(factor, measure, metric):
    # Without ties, which other roundings would decide.
    rows = X + 1e-3 * np.random.default_rng(0).normal(size=X.shape)
    if factor > 2.0**1000 and metric == "l1":
        return
    found = measure(factor * rows, embedded(X), metric=metric)
    assert found == pytest.approx(measure(rows, embedded(X), metric=metric), abs=1e-3)


@pytest.mark.parametrize("metric", ["seuclidean", "mahalanobis", "canberra"])
def test_metrics_in_which_each_column_has_a_unit(metric):
    expected = continuity(X, embedded(X), metric=metric)
    units = 2.0 ** np.array([-600, 0, 300, 600])
    found = continuity(units * X, embedded(X), metric=metric)
    assert found == pytest.approx(expected, abs=1e-3)


@every_factor
@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
def test_directions_of_sparse_rows_of_any_size(factor, measure):
    rows = np.vstack([np.where(X > 1, X, 0.0), np.zeros((1, X.shape[1]))])
    codes = np.vstack([embedded(X), [[0, 0]]])
    units = np.where(np.arange(len(rows)) % 2, factor, 1.0)[:, None]
    expected = measure(rows, codes, metric="cosine")
    for scaled in (factor * rows, units * rows):
        found = measure(csr_array(scaled), codes, metric="cosine")
        assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
def test_metrics_that_depend_on_the_unit_name_the_range(measure):
    for size in (1e-200, 1e200):
        with pytest.raises(ValueError, match="'haversine' depends on the unit of X.*e"):
            measure(size * X[:, :2], X[:, :2], metric="haversine")
    assert measure(X[:, :2] / 9, X[:, :2], metric="haversine") > 0.1


@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
def test_rows_without_a_distance_are_refused(measure):
    """A row of one value has no correlation: its neighbours were taken for none."""
    rows = X.copy()
    rows[7] = 2.0
    says = "between rows 0 and 7 of X is not a number with metric='correlation'"
    with pytest.raises(ValueError, match=says):
        measure(rows, embedded(X), metric="correlation")


@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
@pytest.mark.parametrize("offset", [2.0**40, 2.0**53, -(2.0**60)])
def test_neighbours_far_from_zero(measure, offset):
    steps = np.spacing(abs(offset)) * np.random.default_rng(0).integers(0, 99, (60, 3))
    expected = measure(steps, steps[:, :2])
    assert measure(offset + steps, steps[:, :2]) == expected
    assert measure(steps, (offset + steps)[:, :2]) == expected
    assert measure(offset + steps, offset + steps) == 1.0


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")
@pytest.mark.parametrize("measure", [continuity, neighborhood_preservation])
def test_distances_that_no_number_can_hold(measure):
    rows = X - X.mean(axis=0)
    with pytest.raises(ValueError, match="Distances between rows of X exceed"):
        measure(1.7e308 * np.sign(rows), X[:, :2], metric="manhattan")


def call_on(name, rows):
    return {
        "reconstruction_r2": lambda: reconstruction_r2(Codes(), rows),
        "denoising": lambda: make_denoising_scorer("masking", 0.5)(Codes(), rows),
        "function": lambda: make_denoising_scorer(lambda X, random: X)(Codes(), rows),
        "pca_alignment": lambda: pca_alignment(PCA(1).fit(SQUARE), rows),
        "continuity": lambda: continuity(rows, SQUARE, n_neighbors=1),
        "embedded": lambda: continuity(SQUARE, rows, n_neighbors=1),
        "neighborhood": lambda: neighborhood_preservation(rows, SQUARE, n_neighbors=1),
    }[name]()


@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame, list])
@pytest.mark.parametrize(
    "name",
    [
        *("reconstruction_r2", "denoising", "function", "pca_alignment"),
        *("continuity", "embedded", "neighborhood"),
    ],
)
def test_integers_that_float64_does_not_tell_apart(name, convert):
    rows = 2**53 + SQUARE.astype(np.int64) // 2
    given = [list(map(int, row)) for row in rows] if convert is list else convert(rows)
    with pytest.raises(
        ValueError, match="Column 0 of X has integers from 9007199254740"
    ):
        call_on(name, given)


def test_shares_of_zeros_are_of_any_size():
    rows = np.where(X.mean(axis=0) < X, X, 0.0)
    for factor in FACTORS:
        assert sparsity_score(Codes(), factor * rows) == sparsity_score(Codes(), rows)
