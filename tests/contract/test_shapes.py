"""Promises 12, 13, 27: X of any shape and order is trained, with every row used."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV

import sklearn_ae
from contract.kinds import AUTOENCODER, kind_of
from contract.table import (
    ROWS,
    answers,
    assert_same_model,
    every_case,
    every_class,
    examples,
    fitted_numbers,
    is_turn,
    labels,
    structured_rows,
    weights,
)
from contract.watchers import watching
from sklearn_ae.architectures import Convolutional
from sklearn_ae.model_selection import BatchedGridSearchCV

ROW_SHAPES = {
    "image": ("convolutional", (3, 4)),
    "channels": ("convolutional", (2, 3, 4)),
    "residual": ("residual", (2, 5)),
    "signals": (Convolutional(dimensions=1), (2, 7)),
    "sequences": ("lstm", (4, 3)),
}
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
    if kind_of(type(estimator)) is AUTOENCODER:
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
@examples(max_examples=15)
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
    for n_rows in (17,) if batch_size in ("auto", 16) else (30,):
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


# Of a net without an architecture rows are vectors.
WITH_ARCHITECTURE = [row for row in ROWS if "architecture" in row.cls().get_params()]
every_architecture = pytest.mark.parametrize(
    "row", WITH_ARCHITECTURE, ids=lambda row: row.name
)


def shaped(row, architecture, shape, **params):
    """Answer an estimator, rows of a shape, and labels."""
    X = structured_rows(24, int(np.prod(shape))).reshape(24, *shape)
    params = {**row.by_batch, "hidden_layer_sizes": (3,), "max_epochs": 2, **params}
    if row.takes_density:
        params["latent_density"] = GaussianMixture(1)
    estimator = row.make(architecture=architecture, **params)
    return estimator.set_params(pretraining=None), X, labels(X)


def assert_shape(estimator, X):
    """Rows in either form have the same answers, in the form that is right."""
    flat = X.reshape(len(X), -1)
    expected = answers(estimator, X)
    for name, found in answers(estimator, flat).items():
        np.testing.assert_array_equal(
            found, expected[name].reshape(found.shape), err_msg=name
        )
    assert expected["reconstruct"].shape == X.shape
    assert estimator.reconstruct(flat).shape == flat.shape
    assert estimator.inverse_transform(expected["transform"]).shape == X.shape
    assert estimator.sample(3, 0).shape == (3, *X.shape[1:])
    if hasattr(estimator, "impute"):
        assert estimator.impute(X).shape == X.shape
    assert estimator.to_module().row_shape == X.shape[1:]
    assert estimator.n_features_in_ == flat.shape[1]


@pytest.mark.parametrize(
    ("row", "architecture", "shape"),
    [
        pytest.param(row, *ROW_SHAPES[kind], id=f"{kind}-{row.name}")
        for row in WITH_ARCHITECTURE
        for number, kind in enumerate(ROW_SHAPES)
        if is_turn(row, number)
    ],
)
def test_rows_state_their_shape(row, architecture, shape, tmp_path):
    """27: it is learned, and goes along with the model; parameters stay."""
    estimator, X, y = shaped(row, architecture, shape)
    before = repr(estimator)
    assert_shape(estimator.fit(X, y), X)
    assert repr(estimator) == before == repr(clone(estimator))
    estimator.save(tmp_path / "model")
    for twin in (
        sklearn_ae.load(tmp_path / "model"),
        pickle.loads(pickle.dumps(estimator)),
    ):
        assert_shape(twin, X)
        assert_same_model(twin, estimator)
        assert repr(twin) == before
    # A refit learns another one.
    other = X.reshape(len(X), *shape[:-2], shape[-1], shape[-2])
    assert_shape(estimator.fit(other, y), other)
    vectors = estimator.set_params(architecture="dense").fit(X.reshape(len(X), -1), y)
    assert vectors.inverse_transform(vectors.transform(X.reshape(24, -1))).ndim == 2


@every_architecture
@pytest.mark.parametrize(
    ("kind", "way"), [("channels", "partial_fit"), ("sequences", "warm_start")]
)
def test_the_first_call_decides_on_the_shape(row, kind, way):
    """27: later ones agree, or have vectors; others are refused, and change nothing."""
    architecture, shape = ROW_SHAPES[kind]
    params = {"warm_start": True} if way == "warm_start" else {}
    estimator, X, y = shaped(row, architecture, shape, **params)
    train = estimator.partial_fit if way == "partial_fit" else estimator.fit
    train(X, y)
    for rows in (X, X.reshape(len(X), -1)):
        n_epochs = estimator.n_iter_
        assert_shape(train(rows, y), X)
        assert estimator.n_iter_ > n_epochs
    kept = weights(estimator)
    other = X.reshape(len(X), *shape[:-2], shape[-1], shape[-2])
    with pytest.raises(ValueError, match="is expected: "):
        train(other, y)
    for name, array in weights(estimator).items():
        np.testing.assert_array_equal(array, kept[name])
    with pytest.raises(ValueError, match="is expected: "):
        estimator.transform(other)
    assert_shape(estimator, X)


@every_architecture
def test_forms_of_rows_with_a_shape(row):
    """10 and 27: as of vectors."""
    estimator, X, y = shaped(row, *ROW_SHAPES["image"])
    single = X.astype("f4")
    expected = estimator.fit(single, y)
    read_only = single.copy()
    read_only.flags.writeable = False
    for form in (
        read_only,
        single.tolist(),
        torch.from_numpy(single),
        np.asfortranarray(single),
        np.repeat(single, 2, axis=1)[:, ::2],
    ):
        found = clone(expected).fit(form, y)
        assert_same_model(found, expected)
        assert found.reconstruct(form).shape == X.shape
        assert found.inverse_transform(found.transform(form)).shape == X.shape


@every_architecture
@pytest.mark.parametrize(
    ("search", "kind"), [(GridSearchCV, "sequences"), (BatchedGridSearchCV, "channels")]
)
def test_searches_over_rows_with_a_shape(row, search, kind):
    """4 and 27: scikit-learn splits them, and the best knows it."""
    estimator, X, y = shaped(row, *ROW_SHAPES[kind])
    found = search(estimator, {"learning_rate": [1e-3, 1e-2]}, cv=2).fit(X, y)
    assert_shape(found.best_estimator_, X)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


@every_class
def test_vectors_have_no_shape(row):
    """27: a dense net says how rows become vectors, and what takes them as they are."""
    params = {"architecture": "dense"} if row.shaped else {}
    X = structured_rows(24, 12).reshape(24, 3, 4)
    estimator = row.make(**params)
    advice = r"dim 3, .*X.reshape\(len\(X\), -1\); ConvolutionalAutoencoder takes"
    with pytest.raises(ValueError, match=advice):
        estimator.fit(X, labels(X))
    estimator.fit(X.reshape(24, -1), labels(X))
    with pytest.raises(ValueError, match=advice):
        estimator.transform(X)
