"""Objectives, their units and their optima: C1 to C4, C6 to C8."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import entr, huber, logit, rel_entr, xlog1py, xlogy
from scipy.stats import norm
from sklearn.base import clone

from sklearn_ae import Autoencoder, LinearAutoencoder
from sklearn_ae._objective.losses import LOSSES, binary_cross_entropy
from sklearn_ae._training.optimizers import OPTIMIZERS
from theory.claims import (
    Claim,
    RandomProjection,
    check_claims,
    check_identity,
    digits,
    digits_split,
    encoder_matrix,
    end_to_end_matrix,
    excess,
    gaussian_rows,
    largest_angle,
    principal_axes,
    rebuild,
    sse,
)


def cross_entropy(X, X_hat):
    return -xlogy(X, X_hat) - xlog1py(1 - X, -X_hat)


def entropy(X):
    return entr(X) + entr(1 - X)


# What each loss costs, entry by entry, in data units.
COSTS = {
    "squared_error": lambda X, X_hat: np.square(X - X_hat),
    "absolute_error": lambda X, X_hat: np.abs(X - X_hat),
    "huber": lambda X, X_hat: huber(1.0, X - X_hat),
    "binary_cross_entropy": cross_entropy,
    "multinomial": lambda X, P: -X * np.log(P / X.sum(axis=1).mean()),
    "correntropy": lambda X, X_hat: -norm.pdf(X - X_hat, scale=automatic_width(X)),
}


def automatic_width(X):
    deviations = np.median(np.abs(X - np.median(X, axis=0)), axis=0)
    return np.sqrt(np.square(deviations).mean())


# Trains nothing, so that the loss of an epoch is that of the model it leaves.
STILL = {"learning_rate": 1e-30, "max_epochs": 1, "random_state": 0}


def test_every_loss_has_a_reference():
    assert set(COSTS) == set(LOSSES)


@pytest.mark.parametrize(
    ("loss", "scale"),
    [
        # Cross-entropy has no units.
        (loss, scale)
        for loss in COSTS
        for scale in ([1.0] if loss == "binary_cross_entropy" else [1.0, 16.0])
    ],
)
def test_loss_is_a_sum_over_features_and_a_mean_over_rows(loss, scale):
    """C1, C2: `loss_` is what the reconstructions cost, in data units.

    Batches of 64 leave a last one of 36 rows, which weighs less.
    """
    X = digits()[:100] * scale
    model = Autoencoder(3, loss=loss, hidden_layer_sizes=(8,), batch_size=64, **STILL)
    model.fit(X)
    costs = COSTS[loss](X, model.reconstruct(X))

    def check(reference):
        assert_allclose(model.loss_, reference, rtol=1e-5)

    check_identity(check, costs.sum(axis=1).mean(), costs.mean(), costs.sum())


def test_weight_decay_is_a_sum_of_squares():
    """C1: the penalty is its weight times the sum of all squared weights, no biases."""
    model = Autoencoder(
        3,
        hidden_layer_sizes=(8,),
        weight_decay=0.01,
        optimizer="lbfgs",
        max_epochs=2,
        random_state=0,
    ).fit(digits()[:100])
    parameters = [p.detach() for p in model.to_module().parameters()]
    assert min(float(p.abs().max()) for p in parameters if p.ndim == 1) > 1e-3
    squares = sum(float(p.square().sum()) for p in parameters if p.ndim == 2)
    assert_allclose(model.loss_terms_["weight_decay"][-1], 0.01 * squares, rtol=1e-5)
    terms = sum(curve[-1] for curve in model.loss_terms_.values())
    assert_allclose(model.loss_, terms, rtol=1e-12)


@pytest.mark.slow
def test_cross_entropy_of_grey_levels(request):
    """C3: no code gets below the entropy of the pixels; squared errors stay close."""

    def figures(model, seed):
        X_train, X_test, *_ = digits_split(seed)
        twin = Autoencoder(8, output_activation="logistic", random_state=seed)
        held_out = cross_entropy(X_test, rebuild(model.fit(X_train), X_test))
        return {
            "nats above entropy": model.loss_ - entropy(X_train).sum(axis=1).mean(),
            "held-out nats above entropy": (held_out - entropy(X_test)).sum(1).mean(),
            "error against twin": sse(model, X_test) / sse(twin.fit(X_train), X_test),
        }

    check_claims(
        request,
        figures,
        Autoencoder(8, loss="binary_cross_entropy"),
        [
            Claim("nats above entropy", never_below=0),
            Claim("held-out nats above entropy", never_below=0),
            Claim("error against twin", at_most=1.1),
        ],
        stubs=[Autoencoder(8, loss="binary_cross_entropy", max_epochs=1)],
    )


def decayed_spectrum(model, seed, lam, n_copies=1):
    """Compare the eigenvalues of the end-to-end map with max(0, 1 - lam / s^2).

    For a mean over rows s^2 are the eigenvalues of the (1/n) covariance.
    """
    X = np.tile(gaussian_rows(seed, 2000), (n_copies, 1))
    model.fit(X)
    variances, axes = principal_axes(X)
    mu = np.diag(axes.T @ end_to_end_matrix(model, 20) @ axes)
    kept = variances > lam
    implied = (1 - mu[kept]) * variances[kept]
    _, _, rows = np.linalg.svd(encoder_matrix(model, 20))
    return {
        "spread of implied decay": implied.std() / implied.mean(),
        "bias of implied decay": abs(implied.mean() / lam - 1),
        "largest suppressed": np.abs(mu[~kept]).max(),
        "angle of encoder": largest_angle(rows[: kept.sum()].T, axes[:, : kept.sum()]),
    }


@pytest.mark.parametrize(
    ("estimator", "lam"),
    [
        (LinearAutoencoder(10, weight_decay=1.0), 1.0),
        (LinearAutoencoder(10, weight_decay=3.0), 3.0),
        # Tied weights are one set and are penalised once: half the decay.
        (LinearAutoencoder(10, weight_decay=2.0, tied_weights=True), 1.0),
        (LinearAutoencoder(10, weight_decay=1.0, optimizer="lbfgs"), 1.0),
        (
            Autoencoder(10, hidden_layer_sizes=(), weight_decay=3.0, optimizer="lbfgs"),
            3.0,
        ),
    ],
    ids=["1", "3", "tied", "lbfgs", "shallow"],
)
def test_weight_decay_shrinks_the_spectrum(request, estimator, lam):
    """C4: decay lam leaves 1 - lam / s^2 of a principal direction, or nothing of it.

    Decay on one side only, on biases too, or forgotten, misses this.
    """
    other = 2 * estimator.weight_decay
    check_claims(
        request,
        partial(decayed_spectrum, lam=lam),
        estimator,
        [
            Claim("spread of implied decay", at_most=0.03),
            Claim("bias of implied decay", at_most=0.03),
            Claim("largest suppressed", at_most=0.01),
            Claim("angle of encoder", at_most=2e-2),
        ],
        stubs=[
            LinearAutoencoder(10, weight_decay=other),
            LinearAutoencoder(10),
            RandomProjection(10),
        ],
    )


def test_number_of_rows_does_not_change_the_penalty(request):
    """C1: every row three times over is the same objective, so the same optimum."""
    check_claims(
        request,
        partial(decayed_spectrum, lam=3.0, n_copies=3),
        LinearAutoencoder(10, weight_decay=3.0),
        [Claim("bias of implied decay", at_most=0.03)],
        # A sum over rows would let the penalty of a mean weigh a third.
        stubs=[LinearAutoencoder(10, weight_decay=1.0)],
    )


# Each with one learning rate, and the cosine schedule.
SETTINGS = {
    "adam": {"optimizer": "adam", "learning_rate": 1e-2},
    "sgd": {"optimizer": "sgd", "learning_rate": 1e-2},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 1e-3},
    "lbfgs": {"optimizer": "lbfgs"},
    "alternating": {"optimizer": "alternating"},
    "class": {"optimizer": torch.optim.NAdam, "learning_rate": 1e-2},
    # Its own decay is left out: the objective has the decay.
    "partial": {
        "optimizer": partial(torch.optim.AdamW, weight_decay=1.0),
        "learning_rate": 1e-2,
    },
}


def test_every_optimizer_has_a_setting():
    assert set(SETTINGS) == {*OPTIMIZERS, "class", "partial"}


@pytest.mark.parametrize("name", SETTINGS)
def test_optimizers_reach_the_floor(request, name):
    """C6: each optimizer gets within 1% of PCA; the curve is recorded and falls."""

    def figures(model, seed):
        X = gaussian_rows(seed, 2000)
        model.fit(X)
        curve = model.loss_curve_
        assert len(curve) == model.n_iter_
        return {
            "excess": excess(model, X, 5),
            "last of the first loss": curve[-1] / curve[0],
        }

    check_claims(
        request,
        figures,
        LinearAutoencoder(
            5, learning_rate_schedule="cosine", max_epochs=60, **SETTINGS[name]
        ),
        [
            Claim("excess", at_most=0.01, never_below=-1e-6),
            Claim("last of the first loss", never_above=1 - 1e-6),
        ],
        stubs=[LinearAutoencoder(5, optimizer="adam", max_epochs=2)],
    )


def test_cross_entropy_is_entropy_and_kl():
    """C8: binary cross-entropy less the entropy is scipy's KL; D(P||P) = 0."""
    random = np.random.RandomState(0)
    P, Q = random.uniform(0.01, 0.99, (2, 50, 20))
    P[:5], P[5:10] = 0.0, 1.0

    def divergence(P, Q):
        logits = torch.from_numpy(logit(Q))
        return binary_cross_entropy(logits, torch.from_numpy(P)).numpy() - entropy(P)

    def check(sign):
        expected = rel_entr(P, Q) + sign * rel_entr(1 - P, 1 - Q)
        assert_allclose(divergence(P, Q), expected, atol=1e-6)

    check_identity(check, 1, -1, 0)
    inner = P[10:]
    assert_allclose(divergence(inner, inner), 0, atol=1e-12)
    assert (divergence(P, Q) >= 0).all()


def test_reported_cross_entropy_is_entropy_and_kl():
    """C8: so is the loss of an estimator, in nats per row."""
    X = digits()[:200]
    model = Autoencoder(
        3, loss="binary_cross_entropy", hidden_layer_sizes=(), **STILL
    ).set_params(optimizer="lbfgs", max_epochs=3)
    X_hat = model.fit(X).reconstruct(X)
    kl = (rel_entr(X, X_hat) + rel_entr(1 - X, 1 - X_hat)).sum(axis=1).mean()

    def check(base):
        reported = model.loss_ - entropy(X).sum(axis=1).mean()
        assert_allclose(reported / base, kl, rtol=1e-6)

    check_identity(check, 1, np.log(2))


@pytest.mark.slow
def test_weight_decay_prevents_overfitting(request):
    """C7: of 60 rows, a net that pays for its weights learns more of the others.

    The stub is the same net without decay.
    """

    def held_out(model, seed):
        order = np.random.RandomState(seed).permutation(len(digits()))
        few, others = digits()[order[:60]], digits()[order[60:]]
        return sse(clone(model).set_params(random_state=seed).fit(few), others)

    def figures(model, seed):
        seeds = range(5 * seed, 5 * seed + 5)
        plain = clone(model).set_params(weight_decay=0.0)
        without = np.mean([held_out(plain, s) for s in seeds])
        return {"gain": 1 - np.mean([held_out(model, s) for s in seeds]) / without}

    params = {
        "hidden_layer_sizes": (64,),
        "learning_rate": 3e-3,
        "max_epochs": 300,
        "tol": 0.0,
        "n_iter_no_change": 20,
    }
    check_claims(
        request,
        figures,
        Autoencoder(32, weight_decay=3e-3, **params),
        [Claim("gain", at_least=0.05)],
        stubs=[Autoencoder(32, **params)],
    )
