"""Sparse autoencoders: C5, C8, G1 to G4, M3."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import rel_entr
from sklearn.decomposition import PCA

from sklearn_ae import Autoencoder, SparseAutoencoder
from sklearn_ae._objective.penalties import bernoulli_divergence
from theory.claims import (
    Claim,
    RandomProjection,
    check_claims,
    decoder_matrix,
    digits,
    sse,
    total_variance,
)


def dictionary_rows(seed, n=10_000, d=32, n_features=64, n_active=3):
    """Draw rows that are sums of a few of many unit features; answer these, too."""
    random = np.random.RandomState(seed)
    features = random.normal(size=(n_features, d))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    codes = np.zeros((n, n_features))
    for row in codes:
        row[random.choice(n_features, n_active, replace=False)] = random.uniform(
            0.5, 1.5, n_active
        )
    return codes @ features, features


def cosines(directions, features):
    """Answer, for each feature, the largest cosine with a direction (columns)."""
    norms = np.linalg.norm(directions, axis=0)
    found = directions[:, norms > 1e-6] / norms[norms > 1e-6]
    return (features @ found).max(axis=1)


@pytest.mark.slow
def test_dictionary_is_recovered(request):
    """G1: the features that made the rows, from the rows alone."""

    def figures(model, seed):
        X, features = dictionary_rows(seed)
        model.fit(X)
        found = cosines(decoder_matrix(model, model.n_components), features)
        Z = model.transform(X)
        return {
            "mean cosine": found.mean(),
            "features recovered": (found > 0.9).mean(),
            "active codes": (Z > 0).sum(axis=1).mean(),
            "unexplained": sse(model, X) / total_variance(X),
        }

    check_claims(
        request,
        figures,
        SparseAutoencoder(
            128,
            penalty="l1",
            alpha=0.25,
            learning_rate=1e-2,
            learning_rate_schedule="cosine",
        ),
        [
            Claim("mean cosine", at_least=0.95),
            Claim("features recovered", at_least=0.9),
            Claim("active codes", at_most=12),
            Claim("unexplained", at_most=0.15),
        ],
        stubs=[PCA(32), RandomProjection(32), Autoencoder(128, hidden_layer_sizes=())],
    )


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.05, 0.2])
def test_mean_codes_meet_their_target(request, rho):
    """G2: nine in ten units; and not by a constant bias, as where alpha is 1e4.

    The decay keeps the code from being small and the decoder's weights large.
    """

    def figures(model, seed):
        Z = model.fit(digits()).transform(digits())
        means = Z.mean(axis=0)
        return {
            "units near the target": (np.abs(means / rho - 1) < 0.2).mean(),
            "deviation within units": np.median(Z.std(axis=0)) / rho,
        }

    check_claims(
        request,
        figures,
        SparseAutoencoder(
            100,
            alpha=30.0,
            rho=rho,
            weight_decay=2e-3,
            batch_size=600,
            learning_rate=0.1,
            learning_rate_schedule="cosine",
            max_epochs=200,
        ),
        [
            Claim("units near the target", at_least=0.9),
            Claim("deviation within units", at_least=1.0),
        ],
        stubs=[
            SparseAutoencoder(100, alpha=0.0, max_epochs=50),
            SparseAutoencoder(100, alpha=1e4, rho=rho, batch_size=256),
        ],
    )


@pytest.mark.parametrize(
    ("activation", "target", "tolerance"),
    [
        ("logistic", 0.1, 0.02),
        ("relu", 0.1, 0.02),
        ("tanh", -0.8, 0.04),
        ("selu", -1.482, 0.06),
    ],
)
def test_target_is_measured_from_the_lowest_value(
    request, activation, target, tolerance
):
    """G4: a penalty that forgets the offset gives NaN, or means near rho."""

    def figures(model, seed):
        Z = model.fit(digits()).transform(digits())
        return {"distance": float(np.median(np.abs(Z.mean(axis=0) - target)))}

    check_claims(
        request,
        figures,
        SparseAutoencoder(
            100,
            code_activation=activation,
            alpha=5.0,
            rho=0.1,
            batch_size=256,
            learning_rate=1e-2,
            max_epochs=100,
        ),
        [Claim("distance", at_most=tolerance)],
        stubs=[Autoencoder(100, hidden_layer_sizes=(), code_activation=activation)],
    )


@pytest.mark.slow
def test_l1_trades_codes_for_error(request):
    """G3: fewer codes and more error for each larger weight."""

    def figures(model, seed):
        X, _ = dictionary_rows(seed, n=2000)
        counts, errors = [], []
        for alpha in (0.02, 0.1, 0.3, 0.6):
            model.set_params(alpha=alpha).fit(X)
            counts.append((model.transform(X) > 0).sum(axis=1).mean())
            errors.append(sse(model, X))
        return {
            "largest step of the count": float(np.diff(counts).max()),
            "least step of the error": float(np.diff(errors).min()),
        }

    check_claims(
        request,
        figures,
        SparseAutoencoder(64, penalty="l1", learning_rate=3e-3),
        [
            Claim("largest step of the count", never_above=-1e-3),
            Claim("least step of the error", never_below=1e-3),
        ],
    )


@pytest.mark.parametrize("alpha", [pytest.param(0.2, marks=pytest.mark.slow), 0.4])
def test_l1_shrinks_by_half_its_weight(request, alpha):
    """G3: h ||d|| = a - alpha / 2 for rows a d; one that is not weighted is gamed."""

    def figures(model, seed):
        random = np.random.RandomState(seed)
        basis, _ = np.linalg.qr(random.normal(size=(16, 16)))
        sizes = random.uniform(1, 2, 3000)
        X = sizes[:, np.newaxis] * basis[random.randint(16, size=3000)]
        # Symmetric about 0, or the decoder's bias would take a part of the shrinking.
        X, sizes = np.vstack([X, -X]), np.hstack([sizes, sizes])
        Z = model.fit(X).transform(X)
        norms = np.linalg.norm(decoder_matrix(model, model.n_components), axis=0)
        contribution = (Z * norms).sum(axis=1)
        slope, intercept = np.polyfit(sizes, contribution, 1)
        return {
            "distance of the slope from 1": abs(slope - 1),
            "relative distance of the intercept": abs(intercept / (-alpha / 2) - 1),
        }

    check_claims(
        request,
        figures,
        SparseAutoencoder(
            64,
            penalty="l1",
            alpha=alpha,
            learning_rate=1e-2,
            learning_rate_schedule="cosine",
            max_epochs=150,
            batch_size=256,
        ),
        [
            Claim("distance of the slope from 1", at_most=0.05),
            Claim("relative distance of the intercept", at_most=0.1),
        ],
        stubs=[PCA(16), Autoencoder(16, hidden_layer_sizes=())],
    )


@pytest.mark.parametrize(
    "plain",
    [
        {"penalty": "kl", "alpha": 0.0},
        {"penalty": "l1", "alpha": 0.0},
        {"penalty": "top_k", "k": 20},
    ],
    ids=["kl", "l1", "top_k"],
)
def test_no_penalty_is_the_basic_model(plain):
    """C5: bit for bit, with the same seed and the same parameters."""
    X = digits()[:200]
    same = {
        "n_components": 20,
        "hidden_layer_sizes": (30,),
        "code_activation": "relu",
        "max_epochs": 3,
        "random_state": 0,
    }
    expected = Autoencoder(**same).fit(X)
    found = SparseAutoencoder(**same, **plain).fit(X)
    assert_array_equal(found.transform(X), expected.transform(X))
    assert found.loss_curve_ == expected.loss_curve_


def test_divergence_is_that_of_scipy():
    """C8: to 1e-6 within its limits, a line outside, 0 at the target."""
    for rho in (0.02, 0.3, 0.8):
        q = np.linspace(0.02 * rho, 0.989, 50)
        target = torch.tensor(rho, dtype=torch.float64)
        found = bernoulli_divergence(target, torch.from_numpy(q)).numpy()
        assert_allclose(found, rel_entr(rho, q) + rel_entr(1 - rho, 1 - q), rtol=1e-6)
        outside = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
        line = bernoulli_divergence(target, outside).numpy()
        assert np.isfinite(line).all()
        assert_allclose(line[4] - line[3], line[3] - line[2], rtol=1e-9)
        assert float(bernoulli_divergence(target, target)) == pytest.approx(
            0, abs=1e-12
        )


@pytest.mark.parametrize("k", [1, 7, 40])
def test_top_k_keeps_the_largest_codes(k):
    """Exactly k of each row, and those of the encoder before the selection."""
    X = digits()
    model = SparseAutoencoder(100, penalty="top_k", k=k, max_epochs=2, random_state=0)
    Z = model.fit(X).transform(X)
    module = model.to_module().double()
    h = module.encoder[0](module.standardize(torch.from_numpy(X))).detach().numpy()
    assert ((Z != 0).sum(axis=1) == k).all()
    assert_allclose(Z[Z != 0], h[Z != 0], rtol=1e-6, atol=1e-6)
    assert np.where(Z != 0, h, np.inf).min(axis=1) == pytest.approx(
        np.sort(h, axis=1)[:, -k], abs=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("k", [3, 5])
def test_silent_components_are_revived(request, k):
    """Few components stay dead that would without being drawn to the rows."""

    def figures(model, seed):
        X, features = dictionary_rows(seed, n=4000)
        Z = model.fit(X).transform(X)
        found = cosines(decoder_matrix(model, model.n_components), features)
        return {
            "dead share": float((Z == 0).all(axis=0).mean()),
            "features recovered": (found > 0.9).mean(),
        }

    params = {"penalty": "top_k", "k": k, "max_epochs": 40, "batch_size": 128}
    check_claims(
        request,
        figures,
        SparseAutoencoder(128, **params),
        [
            Claim("dead share", at_most=0.1),
            Claim("features recovered", at_least=0.9),
        ],
        stubs=[
            SparseAutoencoder(128, alpha=0, learning_rate=3e-4, **params),
            RandomProjection(32),
        ],
    )


@pytest.mark.parametrize("d", [2, 32])
def test_very_overcomplete_codes_are_in_use(request, d):
    """64 codes for each feature: hardly one is dead, and the error is the less."""

    def figures(model, seed):
        X = (
            np.random.RandomState(seed).normal(size=(2000, 2))
            if d == 2
            else dictionary_rows(seed, n=2000)[0]
        )
        Z = model.fit(X).transform(X)
        return {
            "dead share": float((Z == 0).all(axis=0).mean()),
            "unexplained": sse(model, X) / total_variance(X),
        }

    params = {"penalty": "top_k", "k": 2 if d == 2 else 3}
    params |= {"max_epochs": 60} if d == 2 else {"max_epochs": 20}
    check_claims(
        request,
        figures,
        SparseAutoencoder(64 * d, alpha=8.0, **params),
        [
            Claim("dead share", at_most=0.1),
            Claim("unexplained", at_most=0.02 if d == 2 else 0.25),
        ],
        stubs=[SparseAutoencoder(64 * d, alpha=0.0, **params)],
    )
