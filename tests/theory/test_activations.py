"""Activations seen from outside: B2 to B6 (B1 is in test_theory_linear.py)."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import expit
from sklearn.base import clone

from sklearn_ae import Autoencoder
from sklearn_ae._layers.functions import ACTIVATIONS
from theory.claims import (
    Claim,
    Identity,
    MeanPredictor,
    RandomProjection,
    Stub,
    check_claims,
    check_identity,
    digits,
    digits_split,
    gaussian_rows,
    rebuild,
    sse,
)

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def codes_of(activation):
    """Answer the codes of a shallow net, and W x + b, which they are functions of."""
    X = digits()[:400]
    model = Autoencoder(
        6,
        hidden_layer_sizes=(),
        code_activation=activation,
        max_epochs=20,
        random_state=0,
    ).fit(X)
    module = model.to_module()
    W, b = (p.detach().double().numpy() for p in module.encoder.parameters())
    standardised = module.standardize(torch.from_numpy(X)).numpy()
    return model.transform(X), standardised @ W.T + b


class ThresholdedCode(Stub):
    """A trained net whose logistic code is cut at a half afterwards."""

    def fit(self, X, y=None):
        self.model_ = Autoencoder(
            self.n_components,
            code_activation="logistic",
            random_state=self.random_state,
        ).fit(X)
        return self

    def transform(self, X):
        return (self.model_.transform(X) > 0.5).astype(X.dtype)

    def inverse_transform(self, X):
        return self.model_.inverse_transform(X)


def test_binary_codes_are_bits():
    """B2: every code is exactly 0 or 1, and both occur."""
    Z, arguments = codes_of("binary")
    assert set(np.unique(Z)) == {0.0, 1.0}

    def check(sign):
        np.testing.assert_array_equal(Z, sign * arguments > 0)

    check_identity(check, 1, -1)


@pytest.mark.slow
def test_training_with_bits_beats_thresholding_afterwards(request):
    """B2: 16 bits trained so leave at most .8 of what a thresholded code leaves."""

    def figures(model, seed):
        X_train, X_test, *_ = digits_split(seed)
        reference = ThresholdedCode(16, random_state=seed).fit(X_train)
        Z = model.fit(X_train).transform(X_test)
        return {
            "error against thresholding": sse(model, X_test) / sse(reference, X_test),
            "distance from bits": np.minimum(np.abs(Z), np.abs(Z - 1)).max(),
        }

    check_claims(
        request,
        figures,
        Autoencoder(16, code_activation="binary"),
        [
            Claim("error against thresholding", at_most=0.8),
            Claim("distance from bits", never_above=0),
        ],
        stubs=[
            ThresholdedCode(16),
            MeanPredictor(16),
            Autoencoder(16, code_activation="logistic"),
        ],
    )


def test_rectified_codes_and_output(request):
    """B3: relu codes are >= 0; a relu output loses the negative parts, no more.

    The floor is exact: sum_j E[min(x_j, 0)^2] for centred data.
    """
    Z, arguments = codes_of("relu")
    check_identity(
        lambda low: assert_allclose(Z, np.maximum(arguments, low), atol=1e-6), 0, -1
    )
    assert (Z == 0).any()
    assert (Z > 0).any()

    def figures(model, seed):
        X = gaussian_rows(seed, 1000, np.ones(6))
        X -= X.mean(axis=0)
        floor = np.square(np.minimum(X, 0)).sum(axis=1).mean()
        return {"error against floor": sse(model.fit(X), X) / floor}

    check_claims(
        request,
        figures,
        Autoencoder(
            6, hidden_layer_sizes=(), output_activation="relu", optimizer="lbfgs"
        ),
        [Claim("error against floor", at_most=1.1, never_below=1)],
        stubs=[Identity(6), MeanPredictor(6), RandomProjection(5)],
    )


def test_logistic_codes():
    """B4: s(2) = .8808, increasing, in (0, 1)."""
    function = ACTIVATIONS["logistic"].function

    def check(two):
        assert_allclose(float(function(torch.tensor(two))), 0.8808, atol=5e-5)

    # A slip in the sign gives .1192.
    check_identity(check, 2.0, -2.0)
    assert (torch.diff(function(torch.linspace(-9, 9, 50))) > 0).all()
    Z, arguments = codes_of("logistic")
    assert_allclose(Z, expit(arguments), atol=1e-6)
    assert Z.min() > 0
    assert Z.max() < 1


def test_tanh_codes_and_output(request):
    """B5: codes in [-1, 1]; a tanh output loses what lies beyond, no more."""
    Z, arguments = codes_of("tanh")
    assert_allclose(Z, np.tanh(arguments), atol=1e-6)
    assert np.abs(Z).max() <= 1

    def figures(model, seed):
        X = gaussian_rows(seed, 1000, np.ones(3))
        floor = np.square(np.maximum(np.abs(X) - 1, 0)).sum(axis=1).mean()
        return {"error against floor": sse(model.fit(X), X) / floor}

    check_claims(
        request,
        figures,
        Autoencoder(
            3,
            hidden_layer_sizes=(32,),
            activation="tanh",
            output_activation="tanh",
            optimizer="lbfgs",
            max_epochs=30,
        ),
        [Claim("error against floor", at_most=1.1, never_below=1)],
        stubs=[Identity(3), MeanPredictor(3), RandomProjection(2)],
    )


def test_selu_keeps_mean_and_variance():
    """B6: on N(0, 1) the result has mean 0 and variance 1; its infimum is -1.75810."""
    function = ACTIVATIONS["selu"].function
    a = torch.randn(
        4_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )

    def check(scale):
        h = scale * function(a) / SELU_SCALE
        assert abs(float(h.mean())) < 0.01
        assert abs(float(h.var()) - 1) < 0.02

    check_identity(check, SELU_SCALE, 1.0, SELU_ALPHA)

    def check_infimum(low):
        infimum = float(function(torch.tensor(-1e3, dtype=torch.float64)))
        assert_allclose(infimum, low, atol=5e-6)

    check_identity(check_infimum, -SELU_SCALE * SELU_ALPHA, -SELU_ALPHA, -1.0)
    assert_allclose(-SELU_SCALE * SELU_ALPHA, -1.75810, atol=5e-6)


@pytest.mark.slow
def test_selu_trains_twelve_layers(request):
    """B6: twelve layers of selu leave at most 1.2 times what two layers leave."""

    def figures(model, seed):
        X_train, X_test, *_ = digits_split(seed)
        shallow = Autoencoder(8, hidden_layer_sizes=(), random_state=seed).fit(X_train)
        ratio = sse(model.fit(X_train), X_test) / sse(shallow, X_test)
        return {"error against two layers": ratio}

    deep = Autoencoder(8, hidden_layer_sizes=(48, 40, 32, 24, 16), activation="selu")
    check_claims(
        request,
        figures,
        deep,
        [Claim("error against two layers", at_most=1.2)],
        stubs=[
            MeanPredictor(8),
            RandomProjection(8),
            # What depth does to units that are not self-normalising.
            clone(deep).set_params(activation="logistic"),
        ],
    )


def test_rebuilding_is_in_the_range_of_the_output():
    """B3, B4, B5: the output activation maps to data units."""
    X = digits()[:200] * 16
    ranges = {"relu": (0, np.inf), "logistic": (0, 1), "tanh": (-1, 1)}
    for activation, (low, high) in ranges.items():
        model = Autoencoder(
            3, hidden_layer_sizes=(), output_activation=activation, max_epochs=2
        ).fit(X)
        X_hat = rebuild(model, X)
        assert low <= X_hat.min() <= X_hat.max() <= high
