"""Promises 9 and 12: values of any size have the right answer, or none."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from contract.table import N_ROWS, ROWS, dense, every_class, labels
from sklearn_ae import Autoencoder, Huber

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


# All rows in a range of their own.

# Integers in three pairs of equal columns, so that three components tell all.
STEPS = np.random.default_rng(0).integers(0, 6, size=(N_ROWS, 3))[:, [0, 0, 1, 1, 2, 2]]


def share_explained(rows, rebuilt):
    """Answer the share of variance that is rebuilt, computed with more digits."""
    rows = np.asarray(rows).astype(np.longdouble)
    error = rows - np.asarray(rebuilt).astype(np.longdouble)
    spread = rows - rows.mean(axis=0)
    size = np.abs(spread).max()
    return float(1 - np.square(error / size).sum() / np.square(spread / size).sum())


# With which rows may be any real numbers, and a fit is short.
SHORT = {"max_epochs": 8, "n_components": 3}


@cache
def explained_near(number):
    """Answer what a row's estimator explains of the steps themselves."""
    rows = STEPS.astype(np.float64)
    near = ROWS[number].make(**SHORT).fit(rows, labels(rows))
    return share_explained(STEPS, near.reconstruct(rows))


@every_class
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(2.0**52 + STEPS, id="2^52"),
        pytest.param(2.0**53 + 2.0 * STEPS, id="2^53"),
        pytest.param(-(2.0**60) - 256.0 * STEPS, id="-2^60"),
        pytest.param(2**53 + 2 * STEPS, id="integers that float64 has"),
        pytest.param(2**60 + 10**6 * STEPS, id="integers far apart"),
        pytest.param((2**24 + 2 * STEPS).astype("f4"), id="float32"),
        pytest.param((1e4 + 1e-2 * STEPS).astype("f4"), id="float32 of small spread"),
        pytest.param(np.c_[STEPS[:, :4], 1e9 + STEPS[:, 4:]], id="two columns far off"),
    ],
)
def test_rows_far_from_zero(row, rows):
    """7, 9: what differs is no constant; scores are what reconstructions are worth."""
    estimator = row.make(**SHORT).fit(rows, labels(rows))
    explained = share_explained(rows, estimator.reconstruct(rows))
    # A step of float64 is a part of these differences.
    assert explained == pytest.approx(explained_near(ROWS.index(row)), abs=0.15)
    if not row.in_nats:
        assert estimator.score(rows) == pytest.approx(explained, abs=0.02)
    error = estimator.reconstruction_error(rows).mean()
    variance = (rows - rows[0]).astype(np.float64).var(axis=0).mean()
    assert 1 - error / variance == pytest.approx(explained, abs=0.02)
    if rows.dtype == np.float32:
        exact = dense(estimator.transform(rows.astype(np.float64)))
        np.testing.assert_allclose(dense(estimator.transform(rows)), exact, 1e-3, 1e-4)


@every_class
@pytest.mark.parametrize("offset", [2**53, -(2**60), 2**62])
def test_integers_that_float64_does_not_tell_apart(row, offset):
    """9: they are refused, with their range; an offset less they are not."""
    rows = offset + STEPS
    message = rf"Column 0 of X has integers from {rows.min()} to {rows.max()}"
    with pytest.raises(ValueError, match=message):
        row.make().fit(rows, labels(rows))
    row.make().fit(rows - offset, labels(rows))


@pytest.mark.parametrize("kind", ["list", "pandas", "beside reals", "polars", "tensor"])
def test_kinds_of_integers_that_float64_does_not_tell_apart(kind):
    """9, 10."""
    rows = 2**53 + STEPS
    frame = pd.DataFrame(rows, columns=[*"abcdef"])
    given = {
        "list": rows.tolist,
        "pandas": lambda: frame,
        "beside reals": lambda: frame.assign(a=0.5 * STEPS[:, 0]),
        "polars": lambda: pl.DataFrame(rows),
        "tensor": lambda: torch.from_numpy(rows),
    }[kind]()
    number = 1 if kind == "beside reals" else 0
    with pytest.raises(
        ValueError, match=f"Column {number} of X has integers from 9007"
    ):
        Autoencoder(max_epochs=1).fit(given)


def test_unsigned_integers_that_float64_does_not_tell_apart():
    """9."""
    rows = np.uint64(2**63) + STEPS.astype(np.uint64)
    with pytest.raises(ValueError, match="of which float64 has only every 2048th"):
        Autoencoder().fit(rows)


@every_class
@pytest.mark.parametrize("factor", [1e-100, 1e-145, 1e30, 1e37])
def test_rows_of_any_size(row, factor, X, y):
    """7, 9: the share of variance that is explained is that of the rows as they are."""
    if not row.shift_scale:
        pytest.skip("a parameter has units of X")
    plain = row.make(**SHORT).fit(X, y)
    estimator = row.make(**SHORT).fit(factor * X, y)
    explained = row.explained(estimator, factor * X)
    assert explained == pytest.approx(row.explained(plain, X), abs=0.02)
    assert explained == pytest.approx(
        share_explained(factor * X, estimator.reconstruct(factor * X)), abs=0.02
    )


@every_class
@pytest.mark.parametrize("factor", [1e-155, 1e-165, 1e-315])
def test_rows_that_hardly_differ_are_refused(row, factor, X, y):
    """9: with what they differ by, as their squares are no numbers."""
    with pytest.raises(ValueError, match=r"The rows of X differ by \d.*e-\d+ at most"):
        row.make().fit(factor * X, y)
    if hasattr(row.make(**row.by_batch), "partial_fit"):
        estimator = row.make(**row.by_batch).partial_fit(X, y)
        # Of rows that come later, nothing is measured.
        assert np.isfinite(estimator.partial_fit(factor * X, y).score(X))


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "correntropy"]
)
@pytest.mark.parametrize("factor", [1e-145, 1e-20, 1e20, 1e37])
def test_losses_of_rows_of_any_size(loss, factor, X):
    """7, 9."""
    loss = Huber(delta=0.1 * factor) if loss == "huber" else loss
    plain = Huber(delta=0.1) if isinstance(loss, Huber) else loss
    params = {"max_epochs": 8, "random_state": 0}
    expected = Autoencoder(3, loss=plain, **params).fit(X).score(X)
    estimator = Autoencoder(3, loss=loss, **params).fit(factor * X)
    assert estimator.score(factor * X) == pytest.approx(expected, abs=0.02)
    assert np.isfinite(estimator.loss_curve_).all()


@every_class
def test_a_column_far_smaller_than_the_others(row, X, y):
    """12: its squares are 0, and its mean is all that there is to answer."""
    rows = X.copy()
    rows[:, 2] *= 1e-200
    estimator = row.make(**SHORT).fit(rows, y)
    assert np.isfinite(estimator.score(rows))
    assert np.isfinite(estimator.reconstruct(rows)).all()
