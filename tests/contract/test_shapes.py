"""Promises 12 and 13: X of any shape and order is trained, with every row used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.datasets import load_digits

from contract.table import (
    ROWS,
    answers,
    every_case,
    every_class,
    examples,
    fitted_numbers,
    labels,
    structured_rows,
    weights,
)
from contract.watchers import watching

SHAPES = [(1, 1), (1, 5), (2, 2), (7, 1), (17, 3)]
CONTENTS = {
    "rows near a plane": lambda n, p: structured_rows(n, p) if n * p > 1 else [[0.5]],
    "zeros": lambda n, p: np.zeros((n, p)),
    "ones": lambda n, p: np.ones((n, p)),
    "a constant that is rounded": lambda n, p: np.full((n, p), 0.1),
    "duplicates": lambda n, p: np.repeat(structured_rows(9, p + 1)[:1, :p], n, axis=0),
    "constant columns": lambda n, p: np.outer(np.linspace(0, 1, n), np.arange(p) == 0),
}


def assert_finite(estimator, X):
    for name, array in (
        *answers(estimator, X).items(),
        *weights(estimator).items(),
        *fitted_numbers(estimator).items(),
    ):
        assert np.isfinite(array).all(), name
    codes = estimator.transform(X)
    assert codes.shape == (len(X), estimator.n_components)
    assert estimator.inverse_transform(codes).shape == X.shape
    assert estimator.score_samples(X).shape == (len(X),)
    # The logarithm of a density may be any number.
    assert estimator.score(X) <= 1 or hasattr(estimator, "log_likelihood")
    assert isinstance(estimator.score(X), float)
    assert len(estimator.loss_curve_) == estimator.n_iter_ > 0


@every_case
def test_small_data(row, params):
    """12: trained, with finite answers; one error is allowed."""
    contents = list(CONTENTS.values())
    for number, shape in enumerate(SHAPES):
        X = np.asarray(contents[number % 2](*shape), dtype=float)
        width = params.get("n_components", shape[1] + 1)
        estimator = row.make(width, **params)
        if estimator.early_stopping and len(X) < 3:
            with pytest.raises(ValueError, match="it needs at least 2"):
                estimator.fit(X, labels(X))
            continue
        assert_finite(estimator.fit(X, labels(X)), X)


@every_class
@pytest.mark.parametrize("content", CONTENTS)
def test_constant_data(row, content):
    """12: the same for rows, columns or entries that do not differ."""
    for shape in SHAPES:
        X = np.asarray(CONTENTS[content](*shape), dtype=float)
        assert_finite(row.make().fit(X, labels(X)), X)


@every_class
@pytest.mark.parametrize("n_rows", [1, 2])
def test_early_stopping_needs_rows(row, n_rows, X, y):
    """12: the only error about a number of rows says what is missing."""
    message = (
        rf"early_stopping=True with validation_fraction=0.1 leaves {n_rows - 1} of "
        rf"{n_rows} rows to train on; it needs at least 2"
    )
    with pytest.raises(ValueError, match=message):
        row.make(early_stopping=True).fit(X[:n_rows], y[:n_rows])
    with pytest.raises(ValueError, match=r"validation_fraction=0.99 leaves 0 of 60"):
        row.make(early_stopping=True, validation_fraction=0.99).fit(X, y)


@every_class
def test_constant_data_is_reconstructed(row):
    """12: the mean is known from the start, at any magnitude."""
    for value in (0.0, 1.0, 1e30, -3e38):
        X = np.full((5, 3), value)
        estimator = row.make(**row.constant).fit(X, labels(X))
        X_hat, atol = estimator.reconstruct(X), row.constant_within
        np.testing.assert_allclose(X_hat, X, rtol=1e-5, atol=atol)


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def any_row(request):
    return request.param


@given(st.data())
@examples(max_examples=30)
def test_any_finite_rows_are_trained(any_row, data):
    """12: whatever float32 can hold, in either precision."""
    width = data.draw(st.sampled_from([32, 64]))
    largest = float(np.float32(1e37))
    values = st.floats(-largest, largest, width=width)
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=5))
    X = data.draw(arrays(f"f{width // 8}", shape, elements=values))
    estimator = any_row.make(**any_row.by_batch).set_params(max_epochs=2)
    estimator.fit(X, labels(X))
    assert_finite(estimator, X.astype("f8"))


@every_class
def test_one_entry_far_from_all_others_is_trained(row):
    """12: its square dwarfs what the others differ by, and they differ by little."""
    X = np.zeros((3, 4))
    X[0, :2] = 1.7464993e36, 1.953125e-3
    estimator = row.make(**row.by_batch).set_params(max_epochs=2)
    assert_finite(estimator.fit(X, labels(X)), X)


def recorder(epochs, held_out):
    """Answer a callback that keeps each epoch's batches, and the held-out rows."""

    def begin(net, dataset_valid, **_):
        epochs.append([])
        if dataset_valid is not None:
            held_out.append(np.asarray(dataset_valid))

    def batch(net, batch, training, **_):
        assert training
        epochs[-1].append(batch[0].numpy().copy())

    return watching(on_epoch_begin=begin, on_batch_begin=batch)


def which_rows(rows, X):
    """Answer the number in X of every row."""
    distances = np.abs(rows[:, None] - X).max(axis=2)
    assert distances.min(axis=1).max() < 1e-5
    return distances.argmin(axis=1)


@every_class
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", ["auto", 1, 16, 29, 30, 31, 100])
def test_every_row_is_in_every_epoch(row, early_stopping, batch_size):
    """12: once, whatever remains for the last batch; none is held out unasked."""
    params = {**row.by_batch, "batch_size": batch_size, "max_epochs": 2, "tol": 0.0}
    if early_stopping:
        params |= {**row.stopping_early, "validation_fraction": 0.2}
    for n_rows in (17, 30):
        X = structured_rows(n_rows)
        epochs, held_out = [], []
        model = row.make(**params, callbacks=[recorder(epochs, held_out)])
        model.fit(X, labels(X))
        known = model._model.moments
        standardised = (X - known.shift) / known.scale
        expected = set(range(n_rows))
        if early_stopping:
            n_held_out = int(np.ceil(0.2 * n_rows))
            expected -= set(which_rows(held_out[0], X))
            assert len(expected) == n_rows - n_held_out
        orders = []
        for batches in epochs:
            order = which_rows(np.concatenate(batches), standardised)
            assert sorted(order) == sorted(expected)
            assert {len(batch) for batch in batches[:-1]} <= {batch_size, 32}
            orders.append(tuple(order))
        assert len(set(orders)) == len(epochs) >= 2


@pytest.mark.slow
@every_class
@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_sorted_by_class(row, early_stopping):
    """13: they train as well as shuffled rows."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    params = {**row.learns, "random_state": 0}
    if early_stopping:
        params |= {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.02}
        params |= {"max_epochs": 60}
    by_class = np.argsort(y, kind="stable")
    shuffled, sorted_by_class = (
        row.explained(row.cls(**params).fit(X[rows], y[rows]), X)
        for rows in (order, by_class)
    )
    assert shuffled > 0.5
    assert abs(sorted_by_class - shuffled) < 0.03
