"""Alternating least squares: what an epoch solves, when it ends, and for whom."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from contract.table import assert_same_model
from numpy.testing import assert_allclose
from scipy.linalg import subspace_angles
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError
from theory.claims import decoder_matrix

import sklearn_ae
from sklearn_ae import (
    Autoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    SparseAutoencoder,
)
from sklearn_ae._data import rows as slices_of_rows
from sklearn_ae._training import alternating
from sklearn_ae.model_selection import BatchedGridSearchCV

WINE = load_wine().data
ENDLESS = {"tol": 0.0, "max_epochs": 6}


def centred(X):
    return X - X.mean(axis=0)


def principal_span(X, k):
    """Answer the span of the principal components, exactly."""
    return np.linalg.svd(centred(X), full_matrices=False)[2][:k].T


def squared_sine(model, X, k):
    """Answer that of the largest angle between the decoder's span and PCA's."""
    angles = subspace_angles(principal_span(X, k), decoder_matrix(model, k))
    return float(np.sin(angles.max()) ** 2)


def rows_of(spectrum, n=200, seed=0):
    """Draw rows in a random basis, whose own spectrum is nearly this one."""
    random, d = np.random.RandomState(seed), len(spectrum)
    basis, _ = np.linalg.qr(random.normal(size=(d, d)))
    return random.normal(size=(n, d)) * np.sqrt(spectrum) @ basis.T


def squared_weights(model):
    parameters = model.to_module().parameters()
    return sum(float(p.detach().square().sum()) for p in parameters if p.ndim == 2)


# What an epoch solves


@pytest.mark.parametrize("tied_weights", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1, 1.0, 1e3])
def test_the_loss_is_that_of_the_net(tied_weights, weight_decay):
    """After each epoch, converged or not: the pass that solves knows it."""
    X = load_iris().data
    for max_epochs in (1, 2, 50):
        model = LinearAutoencoder(
            2,
            tied_weights=tied_weights,
            weight_decay=weight_decay,
            max_epochs=max_epochs,
            random_state=0,
        ).fit(X)
        error = np.square(model.reconstruct(X) - X).sum(axis=1).mean()
        assert_allclose(model.loss_terms_["reconstruction"][-1], error, rtol=1e-6)
        decay = weight_decay * squared_weights(model)
        assert_allclose(model.loss_, error + decay, rtol=1e-6)


@pytest.mark.parametrize("tied_weights", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1, 1e3])
def test_no_weights_are_better(tied_weights, weight_decay):
    """At the end the derivative of the objective is next to nothing."""
    model = LinearAutoencoder(
        3,
        tied_weights=tied_weights,
        weight_decay=weight_decay,
        tol=1e-14,
        random_state=0,
    ).fit(WINE)
    net = model.to_module().double()
    rows = torch.from_numpy(WINE)
    error = (net(rows) - rows).square().sum(1).mean()
    weights = [p for p in net.parameters() if p.ndim == 2]
    objective = error + weight_decay * sum(w.square().sum() for w in weights)
    objective.backward()
    largest = max(float(p.grad.abs().max()) for p in net.parameters())
    # Beside the variance of the rows, in units of float32.
    assert largest < 1e-5 * WINE.var(axis=0).sum()


@pytest.mark.parametrize("weight_decay", [0.0, 1.0])
def test_the_loss_falls_in_every_epoch(weight_decay):
    model = LinearAutoencoder(
        5, weight_decay=weight_decay, random_state=0, **ENDLESS
    ).fit(WINE)
    assert model.n_iter_ == 6
    curve = np.array(model.loss_curve_)
    assert (np.diff(curve) <= 1e-12 * curve[0]).all()
    assert curve[-1] < curve[0]


def test_the_decoder_is_the_least_squares_of_the_codes():
    """And the codes those of the encoder that is best for the decoder before."""
    model = LinearAutoencoder(2, max_epochs=1, random_state=0).fit(WINE)
    Z, rows = centred(model.transform(WINE)), centred(WINE)
    expected, *_ = np.linalg.lstsq(Z, rows)
    assert_allclose(decoder_matrix(model, 2).T, expected, rtol=1e-4, atol=1e-4)


def test_nothing_as_wide_as_the_rows_is_decomposed(monkeypatch):
    """What is decomposed has as many rows or columns as the net has codes, and 8."""
    shapes = []

    def watched(name):
        original = getattr(torch.linalg, name)

        def run(matrix, *args, **kwargs):
            shapes.append(tuple(matrix.shape))
            return original(matrix, *args, **kwargs)

        monkeypatch.setattr(torch.linalg, name, run)

    for name in ("eigh", "svd", "qr", "eig", "eigvalsh", "svdvals", "inv", "solve"):
        watched(name)
    LinearAutoencoder(3, random_state=0).fit(rows_of(0.8 ** np.arange(40)))
    assert shapes
    assert max(min(shape) for shape in shapes) <= 3 + 8
    # Of few columns the codes stay fewer as well.
    shapes.clear()
    LinearAutoencoder(2, random_state=0).fit(load_iris().data)
    assert max(min(shape) for shape in shapes) == 3


def test_the_codes_are_not_those_of_pca():
    """The net is no PCA: untied, not orthonormal, and well-conditioned."""
    model = LinearAutoencoder(5, random_state=0).fit(WINE)
    decoder = decoder_matrix(model, 5)
    lengths = np.linalg.svd(decoder, compute_uv=False)
    assert 1.01 * lengths[-1] < lengths[0] < 2.01 * lengths[-1]
    weights = [p for p in model.to_module().parameters() if p.ndim == 2]
    first, second = (float(p.detach().norm()) for p in weights)
    assert_allclose(first, second, rtol=1e-4)
    others = LinearAutoencoder(5, random_state=1).fit(WINE)
    assert np.abs(decoder - decoder_matrix(others, 5)).max() > 0.1
    assert_allclose(
        model.components_.T @ model.components_,
        others.components_.T @ others.components_,
        atol=1e-4,
    )


# When it ends


@pytest.mark.parametrize("tol", [1e-3, 1e-7, 1e-12])
@pytest.mark.parametrize(
    "spectrum",
    [
        0.5 ** np.arange(30),
        1 / (1 + np.arange(30)),
        np.r_[1, 1, np.full(28, 0.99)],
        10.0 ** np.linspace(4, -8, 30),
        np.ones(30),
    ],
    ids=["geometric", "harmonic", "close", "graded", "flat"],
)
def test_tol_bounds_the_angle(spectrum, tol):
    """Also where the next variance is close, so that an epoch turns the span little."""
    for seed in range(5):
        X = rows_of(spectrum, seed=seed)
        model = LinearAutoencoder(2, tol=tol, max_epochs=10**4, random_state=seed)
        assert model.fit(X).n_iter_ < 10**4
        # The weights end in float32.
        assert squared_sine(model, X, 2) < tol + 1e-12


def test_a_loss_that_stands_still_does_not_end_it():
    """The last component has a share of the variance that no loss shows."""
    X = rows_of(np.r_[1e8, 1.03, np.linspace(1.0, 0.9, 60)], n=2000)
    model = LinearAutoencoder(2, random_state=0).fit(X)
    curve = np.array(model.loss_curve_)
    still = (curve - curve[-1] < 1e-7 * curve[0]).sum()
    assert still > model.n_iter_no_change
    assert squared_sine(model, X, 2) < 1e-7


def test_early_stopping_looks_at_the_held_out_rows():
    X = load_diabetes().data
    params = {"early_stopping": True, "random_state": 0}
    whole = LinearAutoencoder(5, **params).fit(X)
    model = LinearAutoencoder(5, n_iter_no_change=1, **params).fit(X)
    assert model.n_iter_ == len(model.validation_scores_) < whole.n_iter_
    assert np.argmax(model.validation_scores_) == model.n_iter_ - 2
    assert model.loss_ == model.loss_curve_[-2]
    pca = PCA(5).fit(X)
    error = np.square(pca.inverse_transform(pca.transform(X)) - X).sum()
    assert whole.score(X) > 1 - 1.02 * error / np.square(centred(X)).sum()


def test_an_interrupt_amid_a_pass_keeps_the_epochs_before(monkeypatch):
    look, n_passes = alternating._look, 0

    def interrupted(batches, block):
        nonlocal n_passes
        n_passes += 1
        if n_passes == 4:
            raise KeyboardInterrupt
        return look(batches, block)

    monkeypatch.setattr(alternating, "_look", interrupted)
    params = {"random_state": 0, "tol": 0.0}
    model = LinearAutoencoder(5, **params)
    with pytest.raises(KeyboardInterrupt):
        model.fit(WINE)
    monkeypatch.undo()
    shorter = LinearAutoencoder(5, max_epochs=3, **params).fit(WINE)
    assert model.n_iter_ == 3
    assert_same_model(model, shorter)
    assert model.loss_curve_ == shorter.loss_curve_


@pytest.mark.parametrize("weight_decay", [0.0, 1.0])
def test_warm_start_goes_on_as_if_never_stopped(weight_decay):
    """Six fits of one epoch are one of six, as far as float32 can tell."""
    params = {"weight_decay": weight_decay, "random_state": 0, "tol": 0.0}
    whole = LinearAutoencoder(5, max_epochs=6, **params).fit(WINE)
    parts = LinearAutoencoder(5, max_epochs=1, warm_start=True, **params)
    for _ in range(6):
        parts.fit(WINE)
    assert parts.n_iter_ == 6
    assert parts.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-12)
    expected = whole.transform(WINE)
    assert_allclose(parts.transform(WINE), expected, atol=1e-5 * expected.std())


def test_going_on_from_a_pickle_or_a_file(tmp_path):
    """What an epoch has left for the next one goes along."""
    params = {"max_epochs": 2, "tol": 0.0, "warm_start": True, "random_state": 0}
    model = LinearAutoencoder(5, **params).fit(WINE)
    model.save(tmp_path / "model")
    others = pickle.loads(pickle.dumps(model)), sklearn_ae.load(tmp_path / "model")
    model.fit(WINE)
    for other in others:
        other.fit(WINE)
        assert other.loss_curve_ == model.loss_curve_
        np.testing.assert_array_equal(other.transform(WINE), model.transform(WINE))


def test_going_on_with_other_rows_or_another_optimizer():
    model = LinearAutoencoder(5, warm_start=True, random_state=0).fit(WINE)
    loss = model.loss_
    model.set_params(optimizer="lbfgs", max_epochs=1).fit(WINE)
    assert model.loss_ <= loss * (1 + 1e-6)
    model.set_params(optimizer="alternating").fit(WINE)
    assert model.loss_ <= loss * (1 + 1e-6)
    assert squared_sine(model, WINE, 5) < 1e-6
    moved = WINE[::2] + 1e6
    model.set_params(max_epochs=50).fit(moved)
    assert squared_sine(model, moved, 5) < 1e-6
    after = model.set_params(optimizer="adam", learning_rate=1e-12).fit(moved)
    assert_allclose(after.loss_, model.loss_, rtol=1e-3)


# Rows of all kinds


@pytest.mark.parametrize("k", [1, 2, 4, 5, 9])
@pytest.mark.parametrize(
    "X",
    [
        load_iris().data[:1],
        load_iris().data[[0, 60]],
        np.repeat(load_iris().data[[0, 60, 120]], 7, axis=0),
        np.full((20, 4), 0.1),
        np.full((20, 4), 1e9),
        load_iris().data[:, :1],
        np.c_[np.ones(150), load_iris().data, np.zeros(150)],
        rows_of(np.r_[1.0, 0.1, np.zeros(6)]).astype(np.float32),
        rows_of(0.9 ** np.arange(30), n=7),
    ],
    ids=[
        *("one", "two", "duplicates", "same", "huge"),
        *("column", "constants", "low-rank", "wide"),
    ],
)
def test_any_rows_are_reconstructed_as_by_pca(X, k):
    model = LinearAutoencoder(k, random_state=0).fit(X)
    values = np.linalg.svd(centred(X.astype(float)), compute_uv=False) ** 2
    total, left_over = values.sum(), values[k:].sum()
    error = np.square(model.reconstruct(X) - X.astype(float)).sum()
    assert_allclose(error, left_over, atol=1e-9 * (total or 1) + 1e-6 * left_over)
    assert model.loss_ >= 0
    lengths = np.linalg.svd(decoder_matrix(model, k), compute_uv=False)
    assert np.isfinite(model.transform(X)).all()
    assert lengths[0] < 2.01 * lengths[min(k, X.shape[1]) - 1]


@pytest.mark.parametrize("factor", [1e-20, 1e-4, 1e4, 1e15])
def test_units_and_origin_change_nothing(factor):
    X = load_iris().data
    params = {"n_components": 2, "random_state": 0}
    plain = LinearAutoencoder(**params).fit(X)
    for rows in (X * factor, X + 1000 * X.std()):
        other = LinearAutoencoder(**params).fit(rows)
        assert other.n_iter_ == plain.n_iter_
        assert_allclose(other.transform(rows), plain.transform(X), atol=1e-4)
        assert_allclose(other.score(rows), plain.score(X), rtol=1e-6)


def test_sparse_and_mapped_rows_are_read_in_slices(tmp_path, monkeypatch):
    X = load_breast_cancer().data
    monkeypatch.setattr(slices_of_rows, "_SLICE_ENTRIES", 3000)
    plain = LinearAutoencoder(5, random_state=0).fit(X)
    sparse = LinearAutoencoder(5, random_state=0).fit(scipy.sparse.csr_array(X))
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    monkeypatch.setattr(slices_of_rows, "_MAPPED_BYTES", 0)
    on_disk = LinearAutoencoder(5, random_state=0).fit(mapped)
    assert_same_model(on_disk, plain)
    assert_same_model(sparse, plain)
    assert squared_sine(on_disk, X, 5) < 1e-7


def test_what_weight_decay_has_erased_comes_back():
    """Also where no direction but its own leads to a component."""
    X = rows_of(np.ones(6), n=60)
    X = np.linalg.qr(centred(X))[0] * np.array([0, 0, 0, 0, 2.0, 1.0])
    model = LinearAutoencoder(2, weight_decay=1e9, warm_start=True, random_state=0)
    assert np.abs(decoder_matrix(model.fit(X), 2)).max() == 0
    model.set_params(weight_decay=0.0).fit(X)
    assert squared_sine(model, X, 2) < 1e-7


# For whom it is


def test_other_estimators_refuse_it():
    for cls in (Autoencoder, DenoisingAutoencoder, SparseAutoencoder):
        with pytest.raises(InvalidParameterError, match=r"'optimizer'.*'adam'") as said:
            cls(optimizer="alternating").fit(WINE)
        assert said.value.args[0].count("alternating") == 1


class DenoisingLinear(DenoisingAutoencoder, LinearAutoencoder):
    """A linear autoencoder whose rows are spoilt in training."""


class SparseLinear(SparseAutoencoder, LinearAutoencoder):
    """A linear autoencoder with a penalty on its codes."""


@pytest.mark.parametrize("cls", [DenoisingLinear, SparseLinear])
def test_other_objectives_refuse_it(cls):
    model = cls(optimizer="alternating", random_state=0)
    with pytest.raises(InvalidParameterError, match="must be 'lbfgs', 'adam'"):
        model.fit(WINE)
    assert model.set_params(optimizer="adam", max_epochs=1).fit(WINE).n_iter_ == 1


def test_what_it_has_no_use_for_is_ignored():
    plain = LinearAutoencoder(2, random_state=0).fit(WINE)
    other = LinearAutoencoder(
        2,
        learning_rate=7.0,
        learning_rate_schedule="cosine",
        batch_size=3,
        n_iter_no_change=1,
        initialization=40.0,
        random_state=0,
    ).fit(WINE)
    assert other.n_iter_ == plain.n_iter_
    assert_allclose(other.transform(WINE), plain.transform(WINE), rtol=1e-5, atol=1e-5)


def test_there_is_no_partial_fit_with_it():
    assert not hasattr(LinearAutoencoder(), "partial_fit")
    assert hasattr(LinearAutoencoder(optimizer="adam"), "partial_fit")


def test_a_batched_search_is_that_of_scikit_learn():
    grid = {"n_components": [1, 2], "weight_decay": [0.0, 10.0]}
    found = [
        search(LinearAutoencoder(random_state=0), grid, cv=3).fit(WINE)
        for search in (BatchedGridSearchCV, GridSearchCV)
    ]
    scores = [search.cv_results_["mean_test_score"] for search in found]
    np.testing.assert_array_equal(*scores)
    assert found[0].best_params_ == {"n_components": 2, "weight_decay": 0.0}
