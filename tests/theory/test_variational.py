"""The variational autoencoder against closed forms: I2 to I4, I6 to I9, I12, I14, I21.

With a linear encoder and decoder it is probabilistic PCA, whose likelihood, posteriors
and optima are known (Tipping and Bishop 1999, Lucas et al. 2019).
"""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.base import clone

from sklearn_ae import Autoencoder, VariationalAutoencoder
from sklearn_ae._layers.codes import Normal
from theory.claims import (
    Claim,
    check_claims,
    check_identity,
    decoder_matrix,
    digits,
    digits_split,
    gaussian_rows,
    parameters_of,
    principal_axes,
    sse,
)

K = 4
SPECTRUM = np.array([16.0, 8.0, 4.0, 2.0, 0.6, 0.6, 0.5, 0.5])
LINEAR = {
    "noise_variance": "learned",
    "hidden_layer_sizes": (),
    "learning_rate": 0.03,
    "learning_rate_schedule": "cosine",
    "batch_size": 100,
    "max_epochs": 150,
}


def rows(seed, n=2000):
    return gaussian_rows(seed, n, SPECTRUM) + 3.0


def linear(**params):
    return VariationalAutoencoder(K, **LINEAR | params)


def exact_log_density(model, X):
    """Answer log p(x) of a linear model, from its decoder and its variance."""
    W, mean = decoder_matrix(model, K), model.inverse_transform(np.zeros((1, K)))[0]
    covariance = W @ W.T + model.noise_variance_ * np.eye(X.shape[1])
    return multivariate_normal(mean, covariance).logpdf(X)


def best_log_likelihood(X, k):
    """Answer the largest mean log-likelihood of probabilistic PCA, per row."""
    spectrum, _ = principal_axes(X)
    d, rest = len(spectrum), spectrum[k:].mean()
    logs = np.log(spectrum[:k]).sum() + (d - k) * np.log(rest)
    return -0.5 * (d * np.log(2 * np.pi) + logs + d)


# I2, I3: the maximum of the likelihood, and the posterior there


def likelihood_figures(model, seed):
    X = rows(seed)
    exact = exact_log_density(model.fit(X), X).mean()
    return {
        "nats below the best": best_log_likelihood(X, K) - exact,
        "nats of the bound below the likelihood": exact - model.score(X),
    }


def test_linear_model_reaches_the_maximum_of_the_likelihood(request):
    """I2: with a learned variance, and the bound is tight there."""
    check_claims(
        request,
        likelihood_figures,
        linear(),
        [
            Claim("nats below the best", at_most=0.05, never_below=-1e-6),
            Claim("nats of the bound below the likelihood", 0.05, never_below=-1e-6),
        ],
        [linear(beta=3.0), linear(noise_variance=2.0)],
    )


def posterior_figures(model, seed):
    X = rows(seed)
    W, s2 = decoder_matrix(model.fit(X), K), model.noise_variance_
    precision = W.T @ W / s2 + np.eye(K)
    centred = X - model.inverse_transform(np.zeros((1, K)))
    expected = np.linalg.solve(precision, W.T @ centred.T / s2).T
    mean, deviation = model.encode_distribution(X)
    variance = np.diag(np.linalg.inv(precision))
    return {
        "error of means": np.abs(mean - expected).max() / np.abs(expected).max(),
        "error of variances": np.abs(np.square(deviation) / variance - 1).mean(),
        "least cosine": _cosines(W, X).min(),
    }


def _cosines(W, X):
    """Answer how near the columns of W are to eigenvectors, one number for each."""
    _, axes = principal_axes(X)
    return np.abs(axes[:, :K].T @ W / np.linalg.norm(W, axis=0)).max(axis=0)


def test_encoder_is_the_exact_posterior(request):
    """I3, I7: components are independent given a row, so columns are eigenvectors."""
    check_claims(
        request,
        posterior_figures,
        linear(),
        [
            Claim("error of means", at_most=0.03),
            Claim("error of variances", at_most=0.03),
            Claim("least cosine", at_least=0.99),
        ],
        [linear(beta=3.0), linear(beta=0.0)],
    )


# I4, I12, I14: a given variance decides what each component tells


def water_level_figures(level, model, seed):
    X = rows(seed)
    spectrum, _ = principal_axes(X)
    expected = 0.5 * np.log(np.maximum(spectrum[:K] / level, 1.0))
    found = np.sort(model.fit(X).kl_per_component_)[::-1]
    mean, deviation = model.encode_distribution(X)
    draws = np.random.RandomState(seed).normal(size=(10, *mean.shape))
    errors = [X - model.inverse_transform(mean + deviation * z) for z in draws]
    error = np.square(errors).sum(axis=2).mean()
    rest = np.minimum(spectrum[:K], level).sum() + spectrum[K:].sum()
    return {
        "error of divergences": np.abs(found - expected).max(),
        "of collapsed ones": found[expected == 0].max(initial=0.0),
        "error of the squared error": abs(error / rest - 1),
        "active components amiss": abs(model.active_components_ - (expected > 0).sum()),
    }


@pytest.mark.parametrize(
    ("variance", "beta"), [(1.0, 1.0), (0.75, 4.0), (6.0, 1.0), (12.0, 1.0)]
)
def test_variance_and_beta_set_what_components_tell(request, variance, beta):
    """I4, I12, I14: KL_j is log(lambda_j / (beta c)) / 2, or 0 where that is below."""
    check_claims(
        request,
        partial(water_level_figures, variance * beta),
        linear(noise_variance=variance, beta=beta),
        [
            Claim("error of divergences", at_most=0.05),
            Claim("of collapsed ones", at_most=0.01),
            Claim("error of the squared error", at_most=0.02),
            Claim("active components amiss", never_above=0.0),
        ],
        # The divergence averaged over components, and half of it.
        [linear(noise_variance=variance, beta=beta * s) for s in (1 / K, 0.5)],
    )


def test_all_components_collapse_above_the_largest_variance():
    """I14: and that is said."""
    X = rows(0)
    model = linear(noise_variance=20.0, random_state=0)
    with pytest.warns(match="No component is active"):
        model.fit(X)
    assert model.kl_per_component_.sum() < 0.01
    assert model.active_components_ == 0


@pytest.mark.filterwarnings("ignore:No component is active")
def test_free_bits_hold_collapse_off():
    """I14: the level just below the largest variance would leave .03 nats."""
    X = rows(0)
    level = 0.95 * principal_axes(X)[0][0]
    model = linear(noise_variance=level, random_state=0)
    with_help = clone(model).set_params(free_bits=0.5).fit(X)
    assert with_help.kl_per_component_.sum() >= 0.5
    assert model.fit(X).kl_per_component_.sum() < 0.1


# I6 to I9, I21: the posterior


def test_encoder_is_one_trunk_with_two_heads():
    """I6."""
    X = digits()[:50]
    plain = Autoencoder(5, hidden_layer_sizes=(20,), max_epochs=1).fit(X)
    model = VariationalAutoencoder(5, hidden_layer_sizes=(20,), max_epochs=1).fit(X)
    one_head, variance = 5 * 20 + 5, 1
    assert parameters_of(model) == parameters_of(plain) + one_head + variance


def test_draws_have_the_reported_deviations():
    """I7, I21: independent, and of these standard deviations, not variances."""
    X = digits()
    model = VariationalAutoencoder(4, max_epochs=10, random_state=0).fit(X)
    mean, deviation = model.encode_distribution(X[:1])
    module = model.to_module().double()
    x = module.standardize(torch.from_numpy(X[:1])).expand(10_000, -1)
    noise = module.posterior.draw(x, torch.Generator().manual_seed(0))
    with torch.no_grad():
        drawn = module.posterior(module.encoder(x), noise).numpy()
    correlations = np.corrcoef(drawn.T) - np.eye(4)
    assert np.abs(correlations).max() < 0.05
    assert_allclose(drawn.mean(axis=0), mean[0], atol=0.05 * deviation.max())

    def check(deviations):
        assert_allclose(drawn.std(axis=0), deviations, rtol=0.03)

    check_identity(check, deviation[0], np.square(deviation[0]), np.sqrt(deviation[0]))


def information(model, X, seed):
    """Answer the mutual information of rows and codes, in nats, at most log n."""
    mean, deviation = model.encode_distribution(X)
    noise = np.random.RandomState(seed).normal(size=mean.shape)
    z = mean + deviation * noise
    logs = norm.logpdf(z[:, None], mean[None], deviation[None]).sum(-1)
    return (np.diag(logs) - (logsumexp(logs, axis=1) - np.log(len(z)))).mean()


def information_figures(model, seed):
    X, X_test, _, _ = digits_split(seed)
    return {"nats": information(model.fit(X), X_test, seed)}


@pytest.mark.filterwarnings("ignore:No component is active")
def test_gradients_reach_the_encoder(request):
    """I8: codes tell of rows."""
    model = VariationalAutoencoder(4, max_epochs=20)
    check_claims(
        request,
        information_figures,
        model,
        [Claim("nats", at_least=1.0)],
        [clone(model).set_params(beta=1e4)],
    )


def test_divergence_is_that_of_draws():
    """I9: within one percent; 0 where mean and variance are 0 and 1, else above."""
    random = np.random.RandomState(0)
    mean, deviation = np.array([0.5, -1.0, 0.0, 2.0]), np.array([0.3, 1.0, 2.0, 0.7])
    z = mean + deviation * random.normal(size=(100_000, 4))
    logs = norm.logpdf(z, mean, deviation) - norm.logpdf(z)
    normal = Normal(torch.tensor(mean), torch.tensor(2 * np.log(deviation)))
    exact = normal.divergence_from_standard().numpy()

    def check(divergence):
        assert_allclose(divergence.sum(), logs.sum(axis=1).mean(), rtol=0.01)

    without_signs = 0.5 * (1 + 2 * np.log(deviation) - mean**2 - deviation**2)
    check_identity(check, exact, without_signs, exact / 4, 2 * exact)
    assert (exact > 0).all()
    standard = Normal(torch.zeros(3), torch.zeros(3))
    assert_array_equal(standard.divergence_from_standard(), np.zeros(3))


# I12 on digits


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No component is active")
def test_beta_trades_divergence_for_error():
    """I12: strictly; that beta=1 is the plain one is I20's objective by hand."""
    X, X_test, _, _ = digits_split(0)
    model = VariationalAutoencoder(8, max_epochs=30, random_state=0)
    divergences, errors = [], []
    for beta in (0.25, 1.0, 4.0, 16.0):
        model.set_params(beta=beta).fit(X)
        divergences.append(model.kl_per_component_.sum())
        errors.append(sse(model, X_test))
    assert (np.diff(divergences) < 0).all()
    assert (np.diff(errors) > 0).all()
