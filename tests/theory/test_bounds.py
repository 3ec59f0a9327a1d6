"""Bounds of likelihoods, estimates and densities: I5, I10, I11."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import norm

from benchmarks.data.binary_images import binarize
from sklearn_ae import VariationalAutoencoder
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.codes import spread_points
from theory.claims import Claim, check_claims, check_identity
from theory.test_variational import exact_log_density, linear, rows


@pytest.fixture(scope="module")
def early():
    """Answer a linear model that is far from trained, so that its bounds are loose."""
    X = rows(0, 1000)
    model = linear(random_state=0).set_params(max_epochs=5, learning_rate=0.003)
    return model.fit(X), X


def test_bound_is_below_the_likelihood_in_every_epoch():
    """I5, and a bound without the constant of the density is none."""
    X = rows(1, 1000)
    model = linear(random_state=0, warm_start=True)
    model.set_params(max_epochs=1, learning_rate_schedule=None)
    for _ in range(15):
        exact = exact_log_density(model.fit(X), X)
        bound = model.score_samples(X)
        assert (bound <= exact + 1e-6).all()
    constant = 0.5 * X.shape[1] * np.log(2 * np.pi * model.noise_variance_)
    assert (bound + constant > exact).mean() > 0.9


def test_bounds_are_ordered(early):
    """I5: L1 <= L5 <= L50 <= L500 <= log p(x), and L5000 is it."""
    model, X = early
    exact = exact_log_density(model, X).mean()
    assert exact - model.score(X) > 0.5
    bounds = {n: model.log_likelihood(X, n) for n in (1, 5, 50, 500, 5000)}
    for fewer, more in ((1, 5), (5, 50), (50, 500)):
        gain = bounds[more] - bounds[fewer]
        assert gain.mean() >= -2 * gain.std() / np.sqrt(len(gain))
    assert bounds[500].mean() <= exact + 0.01
    assert abs(bounds[5000].mean() - exact) < 0.02


def test_estimates_by_many_codes_vary_less(early):
    """I10: the variance of a mean over L draws is that of one over L."""
    model, X = early
    module, x = model.to_module().double(), torch.from_numpy(X[:50])
    u = module.standardize(x)
    generator = torch.Generator().manual_seed(0)

    def estimates(n_draws, n=600):
        module.posterior.n_draws = n_draws
        with torch.no_grad():
            costs = [
                module.objective(
                    Batch(u, drawn={"posterior": module.posterior.draw(u, generator)})
                )["reconstruction"]
                for _ in range(n)
            ]
        return torch.stack(costs).numpy()

    one, many = estimates(1), estimates(16)
    assert 10 <= one.var() / many.var() <= 24
    error = np.sqrt(one.var() / len(one) + many.var() / len(many))
    assert abs(one.mean() - many.mean()) <= 3 * error


@pytest.mark.filterwarnings("ignore:No component is active")
@pytest.mark.parametrize("variance", ["learned", "learned_per_feature", 0.3])
def test_gaussian_density_integrates_to_one(variance):
    """I11: with one feature, on a grid; a density without its constant does not."""
    random = np.random.RandomState(0)
    X = np.concatenate([random.normal(-2, 0.5, 300), random.normal(1, 1, 300)])
    X = 5 * X.reshape(-1, 1)
    model = VariationalAutoencoder(
        1, hidden_layer_sizes=(16,), max_epochs=30, noise_variance=variance
    )
    grid = np.linspace(-60, 60, 4001).reshape(-1, 1)
    log_density = model.set_params(random_state=0).fit(X).log_likelihood(grid, 1000)

    def check(log_density):
        assert_allclose(np.trapezoid(np.exp(log_density), grid[:, 0]), 1.0, atol=0.02)

    check_identity(check, log_density, log_density + 0.5, log_density - 0.5)


def test_bernoulli_probabilities_sum_to_one():
    """I11: over all rows of four bits."""
    bits = np.array([[i >> j & 1 for j in range(4)] for i in range(16)], float)
    X = bits[[0, 0, 3, 3, 3, 12, 15, 15, 9]].repeat(20, axis=0)
    model = VariationalAutoencoder(
        2, hidden_layer_sizes=(16,), likelihood="bernoulli", max_epochs=40
    )
    log_p = model.set_params(random_state=0).fit(X).log_likelihood(bits, 2000)
    assert_allclose(logsumexp(log_p), 0.0, atol=0.02)


@pytest.mark.parametrize("n_components", [1, 2, 7, 40])
def test_spread_points_are_exact_for_squares(n_components):
    """I5: their mean is 0, their covariance the identity, and odd moments vanish."""
    points = spread_points(n_components, seed=3).numpy()
    assert len(points) >= 16
    assert_allclose(points.mean(axis=0), 0, atol=1e-12)
    covariance = points.T @ points / len(points)
    assert_allclose(covariance, np.eye(n_components), atol=1e-12)


def curved(seed, n=400):
    """Draw rows of two features on a cubic curve."""
    z, noise = np.random.RandomState(seed).normal(size=(2, n, 1))
    return np.column_stack([z**3, z + 0.1 * noise])


def by_quadrature(model, X):
    """Answer the ELBO and log p(x) of rows, by a grid over the one component."""
    z = np.linspace(-8, 8, 4001)
    decoded = model.inverse_transform(z.reshape(-1, 1))
    log_p = norm.logpdf(X[:, None], decoded, np.sqrt(model.noise_variance_)).sum(-1)
    step, prior = z[1] - z[0], norm.logpdf(z)
    mean, deviation = model.encode_distribution(X)
    q = norm.pdf(z, mean, deviation)
    divergence = 0.5 * (mean**2 + deviation**2 - 1 - 2 * np.log(deviation))[:, 0]
    bound = (q * log_p).sum(axis=1) * step - divergence
    return bound, logsumexp(log_p + prior, axis=1) + np.log(step)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_bound_of_a_curved_model(activation):
    """I5: it is a bound where the decoder is not linear, too."""
    X = curved(0)
    model = VariationalAutoencoder(
        1, hidden_layer_sizes=(32,), activation=activation, noise_variance="learned"
    )
    # How many codes it takes depends on the posteriors: of six seeds most need 2,000.
    model.set_params(learning_rate=0.01, max_epochs=10, random_state=2).fit(X)
    bound, exact = by_quadrature(model, X)
    assert (bound <= exact).all()
    found = model.score_samples(X)
    assert abs(found.mean() - bound.mean()) < 0.01
    assert (found <= exact + 0.02).mean() > 0.97
    assert -0.1 < (model.log_likelihood(X, 2000) - exact).mean() < 0.01


@pytest.mark.slow
def test_likelihood_of_binary_images(request, load_real):
    """I11: MNIST binarised by one draw; a mixture of 500 Bernoullis has 137.64 nats."""
    grey = load_real("mnist")["X_train"][:12000]

    def figures(model, seed):
        X = binarize(grey, 255, np.random.default_rng(seed))
        found = model.fit(X[:10000]).log_likelihood(X[10000:], 500)
        return {"nats": -found.mean()}

    net = {"likelihood": "bernoulli", "max_epochs": 30, "batch_size": 128}
    check_claims(
        request,
        figures,
        VariationalAutoencoder(50, hidden_layer_sizes=(200, 200), **net),
        [Claim("nats", at_most=120)],
        [VariationalAutoencoder(50, hidden_layer_sizes=(), **net | {"beta": 4.0})],
    )
