"""The robust autoencoder: what moves it, and what its width and its start follow."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_digits

from sklearn_ae import Autoencoder, DenoisingAutoencoder, RobustAutoencoder
from sklearn_ae._data.moments import moments


@pytest.fixture(scope="module")
def X():
    return load_digits().data


def explained(model, rows):
    """Answer the share of variance explained of rows that are not spoiled."""
    residuals = np.square(model.reconstruct(rows) - rows).sum()
    return 1 - residuals / np.square(rows - rows.mean(axis=0)).sum()


def robust(**params):
    return RobustAutoencoder(8, **{"max_epochs": 25, "random_state": 0, **params})


def with_rows_at(X, value, period=20):
    """Answer rows of which some are far away, and the others."""
    spoiled, clean = X.copy(), np.ones(len(X), bool)
    spoiled[::period], clean[::period] = value, False
    return spoiled, X[clean]


@pytest.mark.parametrize("width", ["auto", pytest.param(6.0, marks=pytest.mark.slow)])
def test_rows_far_away_do_not_move_it(X, width):
    """A twentieth of them: neither where it starts, nor what it learns."""
    spoiled, clean = with_rows_at(X, 1000.0)
    model = robust(kernel_width=width).fit(spoiled)
    assert explained(model, clean) > 0.8
    assert explained(model, clean) > explained(robust().fit(X), clean) - 0.06
    plain = Autoencoder(8, max_epochs=25, random_state=0).fit(spoiled)
    assert explained(plain, clean) < 0.65


@pytest.mark.parametrize("value", [pytest.param(1e5, marks=pytest.mark.slow), 1e10])
def test_one_row_far_away_does_not_move_it(X, value):
    spoiled, clean = with_rows_at(X, value, period=len(X))
    assert explained(robust().fit(spoiled), clean) > 0.8


@pytest.mark.parametrize(
    "make",
    [scipy.sparse.csr_array, pytest.param(np.asfortranarray, marks=pytest.mark.slow)],
)
def test_whatever_holds_the_rows(X, make):
    spoiled, clean = with_rows_at(X, 1000.0)
    assert explained(robust().fit(make(spoiled)), clean) > 0.8


def test_the_first_call_tells_shift_and_scale(X):
    """Later chunks may be spoiled, the first one too."""
    spoiled, clean = with_rows_at(X, 1000.0)
    model = robust()
    for _ in range(15):
        for chunk in np.array_split(spoiled, 3):
            model.partial_fit(chunk)
    assert explained(model, clean) > 0.75
    first = np.array_split(spoiled, 3)[0]
    assert_allclose(model.to_module().reconstruction.shift, np.median(first, axis=0))


def test_layers_are_pretrained_among_rows_far_away(X):
    spoiled, clean = with_rows_at(X, 1000.0)
    model = robust(
        pretraining="greedy", pretraining_epochs=5, hidden_layer_sizes=(64, 32)
    )
    assert explained(model.fit(spoiled), clean) > 0.7


def test_missing_entries_and_rows_far_away(X):
    """What the net gets for a missing entry, and for a masked one, is the median."""
    spoiled, clean = with_rows_at(X, 1000.0)
    spoiled[1::7, 20] = np.nan
    model = DenoisingAutoencoder(
        8, loss="correntropy", noise_level=0.1, max_epochs=20, random_state=0
    ).fit(spoiled)
    assert explained(model, clean) > 0.7
    module = model._model.module
    assert_allclose(module.reconstruction.shift, np.nanmedian(spoiled, axis=0))
    assert float(module.corruption.low.abs().max()) == 0.0


def test_features_of_large_variance_decide_the_width():
    """As they do for the squared error; here they differ by a factor of 10^5."""
    X = load_breast_cancer().data
    model = robust(max_epochs=60).fit(X)
    assert model.score(X) > 0.99
    deviations = np.median(np.abs(X - np.median(X, axis=0)), axis=0)
    assert_allclose(model.kernel_width_, np.sqrt(np.square(deviations).mean()))


@pytest.mark.parametrize("factor", [pytest.param(100, marks=pytest.mark.slow), 1e6])
def test_with_a_wide_kernel_it_learns_what_an_autoencoder_does(X, factor):
    """Not cut short by `tol`: its loss hardly changes, beside its absolute value."""
    rows = X[:600]
    options = {"max_epochs": 40, "random_state": 0}
    model = robust(kernel_width=factor * rows.std(), **options).fit(rows)
    plain = Autoencoder(8, **options).fit(rows)
    assert model.n_iter_ == plain.n_iter_ == 40
    assert abs(model.score(rows) - plain.score(rows)) < 0.01


def test_what_counts_as_a_gain_is_a_share_of_what_there_is_to_gain(X):
    """A large `tol` stops it as it stops any other."""
    for width in (5.0, 1e4):
        model = robust(kernel_width=width, tol=0.5, n_iter_no_change=3, max_epochs=60)
        assert 3 <= model.fit(X[:600]).n_iter_ < 20


def test_tied_weights_begin_as_large_whatever_the_scale_is():
    """Where entries are spoiled, a robust scale is less than the deviation."""
    X = np.random.RandomState(0).normal(size=(200, 6)) * np.geomspace(0.1, 1, 6)
    estimator = RobustAutoencoder(2, tied_weights=True, hidden_layer_sizes=())
    known = moments(X, with_medians=True)
    weights = [
        next(
            estimator._build_module(
                None, replace(known, scale=known.scale * factor), 0
            ).encoder.parameters()
        )
        for factor in (1.0, 0.3)
    ]
    assert_allclose(*(weight.detach().numpy() for weight in weights), rtol=1e-5)
