"""Promises 9 and 12: values of any size have the right answer, or none."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from contract.table import dense, every_class, labels

# What looks at rows, by name: what of its answer is of one row each.
LOOKING = {
    "transform": dense,
    "reconstruct": np.asarray,
    "reconstruction_error": np.asarray,
    "score_samples": np.asarray,
    "log_likelihood": np.asarray,
    "encode_distribution": np.hstack,
    "score_function": np.asarray,
    "layer_codes": np.hstack,
    "impute": np.asarray,
}
# Of those, sums of squares: they exceed float32 long before rows do.
SUMS = {"reconstruction_error", "score_samples", "log_likelihood"}


def looked_at(estimator, X):
    """Answer what each method says of X: rows of an array, or why there are none."""
    found = {}
    for name, of_rows in LOOKING.items():
        if not hasattr(estimator, name):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found[name] = of_rows(getattr(estimator, name)(X))
        except ValueError as refusal:
            found[name] = str(refusal)
    return found


# Rows with one entry that is large.


@every_class
@pytest.mark.parametrize("cell", [1e18, 1e20, -1e25, 1e30, 3e38])
def test_one_large_entry_of_float32(row, cell, X, y):
    """9: its row has the answer of float64, and the others have theirs."""
    noisy = {"noise": "gaussian"} if row.missing else {}
    estimator = row.make(**noisy).fit(X, y)
    small = X[:5].astype(np.float32)
    if row.missing:
        small[1, 0] = small[2, 4] = np.nan
    large = small.copy()
    large[2, 3] = cell
    expected = looked_at(estimator, small)
    exact = looked_at(estimator, large.astype(np.float64))
    for name, found in looked_at(estimator, large).items():
        if isinstance(found, str):
            assert "too large for dtype('float32')" in found
            assert "infinity" not in found
            assert "row 2" in found
            # There is none in float32.
            assert name not in SUMS
            assert np.nanmax(np.abs(exact[name][2])) > np.finfo("f4").max / 1.01
            continue
        others = np.arange(5) != 2
        np.testing.assert_array_equal(found[others], expected[name][others], name)
        scale = np.nanmax(np.abs(exact[name][2]))
        np.testing.assert_allclose(found[2], exact[name][2], 1e-4, 1e-4 * scale)


@every_class
@pytest.mark.parametrize("cell", [1e150, 1e155, 1e200, np.finfo("f8").max])
def test_one_large_entry_of_float64(row, cell, X, y):
    """9: it is answered, or its row is named."""
    estimator = row.make().fit(X, y)
    large = X[:5].copy()
    large[2, 3] = cell
    expected = looked_at(estimator, X[:5])
    for name, found in looked_at(estimator, large).items():
        if isinstance(found, str):
            assert "too large for dtype('float64')" in found
            assert "infinity" not in found
            assert "row 2" in found
            continue
        others = np.arange(5) != 2
        np.testing.assert_array_equal(found[others], expected[name][others], name)
        assert np.isfinite(found).all()


@every_class
def test_a_large_row_far_behind(row, y):
    """9: its number is that of the row in X, whatever is computed at a time."""
    X = np.random.default_rng(0).random((40_000, 6))
    estimator = row.make(max_epochs=1, batch_size=4_000).fit(X, labels(X))
    large = X.copy()
    large[39_000, 2] = 1e300
    with pytest.raises(ValueError, match="what is computed of row 39000 exceeds"):
        estimator.reconstruction_error(large)
    large = X.astype(np.float32)
    large[39_000, 2] = 1e30
    found = estimator.reconstruction_error(large)
    assert np.isfinite(found).all()
    assert found.argmax() == 39_000


@every_class
def test_large_codes(row, X, y):
    """9: codes of any size."""
    estimator = row.make(2).fit(X, y)
    Z = np.zeros((3, 2), dtype=np.float32)
    expected = estimator.inverse_transform(Z)
    for value in (1e20, 1e30, 3e38):
        Z[1, 0] = value
        try:
            found = estimator.inverse_transform(Z)
        except ValueError as refusal:
            assert "row 1 exceeds" in str(refusal)  # noqa: PT017
            continue
        np.testing.assert_array_equal(found[::2], expected[::2])
        assert np.isfinite(found).all()
