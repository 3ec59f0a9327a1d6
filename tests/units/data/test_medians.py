"""Medians of features, and the deviation that they tell, of all kinds of rows."""

import numpy as np
import pytest
from contract.table import sparse_rows
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_ae._data.moments import moments


def deviation_by_features(X):
    distances = np.abs(X - np.nanmedian(X, axis=0))
    return 1.4826 * np.sqrt(np.square(np.nanmedian(distances, axis=0)).mean())


def deviation_by_rows(X):
    distances = np.square(X - np.median(X, axis=0)).mean(axis=1)
    return np.sqrt(np.median(distances))


@pytest.fixture
def X():
    return np.random.RandomState(0).normal(size=(101, 5)) * [1, 2, 3, 4, 50] + 7


@pytest.mark.parametrize("n_rows", [1, 2, 100, 101])
def test_medians_are_numpy_s(X, n_rows):
    known = moments(X[:n_rows])
    assert_array_equal(known.median, np.median(X[:n_rows], axis=0))
    if n_rows > 1:
        assert_allclose(known.robust_deviation, deviation_by_features(X[:n_rows]))


def test_it_is_the_deviation_of_gaussian_rows():
    X = np.random.RandomState(0).normal(size=(20_000, 3)) * [1, 2, 30]
    known = moments(X)
    assert_allclose(known.robust_deviation, known.scale, rtol=0.02)


def test_missing_entries_are_left_out(X):
    X[::3, 1] = X[5, :4] = np.nan
    known = moments(X, may_miss=True)
    assert_array_equal(known.median, np.nanmedian(X, axis=0))
    assert_allclose(known.robust_deviation, deviation_by_features(X))


def test_a_later_call_may_miss_a_column(X):
    X[:, 1] = np.nan
    known = moments(X, may_miss=True, continues=True)
    assert np.isfinite(known.median).all()
    assert np.isfinite(known.robust_deviation)


@pytest.mark.parametrize("share", [0.02, 0.7])
def test_sparse_rows_are_those_of_the_dense_matrix(share):
    """Also of more columns than are made dense at a time."""
    X = sparse_rows(400, 3000, share)
    known, dense = moments(X), moments(X.toarray())
    assert_array_equal(known.median, dense.median)
    assert_allclose(known.robust_deviation, dense.robust_deviation, rtol=1e-12)


def test_mapped_rows_are_those_in_memory(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    known = moments(np.load(tmp_path / "X.npy", mmap_mode="r"))
    assert_array_equal(known.median, moments(X).median)
    assert known.robust_deviation == moments(X).robust_deviation


def test_where_most_entries_are_alike_the_rows_tell():
    """Images of little ink, counts of words: few features have a median deviation."""
    X = np.random.RandomState(0).poisson(0.1, size=(500, 40)).astype(float)
    X[:, 0] = np.random.RandomState(1).normal(size=500)
    known = moments(X)
    assert_allclose(known.robust_deviation, deviation_by_rows(X))
    far = X.copy()
    far[::20] = 1e4
    assert_allclose(moments(far).robust_deviation, known.robust_deviation, rtol=0.1)


def test_where_most_rows_are_alike_it_is_the_rms():
    X = np.zeros((50, 4))
    X[0] = 3.0
    assert moments(X).robust_deviation == moments(X).scale
    assert moments(np.full((50, 4), 0.1)).robust_deviation == 1.0


def test_outliers_with_a_period_do_not_fill_the_sample():
    """Of many rows some are read; evenly spaced they could all be spoiled ones."""
    X = np.random.RandomState(0).normal(size=(400_000, 4))
    clean = moments(X).robust_deviation
    for period in (3, 7, 20):
        spoiled = X.copy()
        spoiled[::period] = 1e6
        known = moments(spoiled)
        assert np.abs(known.median).max() < 0.8
        assert clean < known.robust_deviation < 3 * clean


def test_wide_rows_are_sampled_too():
    """However wide, the sample is of enough rows to tell a median."""
    X = np.random.RandomState(0).normal(size=(1000, 5000)).astype(np.float32)
    X[::20] = 1e6
    known = moments(X)
    assert np.abs(known.median).max() < 0.5
    assert 0.9 < known.robust_deviation < 1.2


def test_rows_stay_within_what_float32_can_square():
    X = np.random.RandomState(0).normal(size=(50, 4))
    X[0] = 1e37
    known = moments(X)
    assert (np.abs(X - known.median) / known.robust_deviation).max() < 1e13
