"""Priors of codes: I18 to I20, and what a prior may be."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone

from benchmarks.measures.sample_quality import mmd
from sklearn_ae import (
    Autoencoder,
    FlowPrior,
    GaussianMixturePrior,
    VampPrior,
    VariationalAutoencoder,
)
from sklearn_ae._data.rows import Batch
from sklearn_ae._objective.divergences import discrepancy
from theory.claims import Claim, check_claims, check_identity, digits_split, sse

PRIORS = [
    VampPrior(n_pseudo_inputs=30),
    FlowPrior(n_transforms=2, hidden_layer_sizes=(32,)),
    GaussianMixturePrior(n_modes=10),
]


def clusters(seed, n=1500):
    """Draw rows of two features around ten points of a ring."""
    random = np.random.RandomState(seed)
    angle = 2 * np.pi * random.randint(10, size=n) / 10
    ring = 4 * np.column_stack([np.cos(angle), np.sin(angle)])
    return ring + 0.15 * random.normal(size=(n, 2))


def on_clusters(prior="normal"):
    return VariationalAutoencoder(
        2,
        hidden_layer_sizes=(32,),
        activation="tanh",
        prior=prior,
        # The decoder cannot make a cluster out of a part of a normal distribution.
        noise_variance=0.02,
        learning_rate=0.01,
        learning_rate_schedule="cosine",
        batch_size=100,
        max_epochs=60,
    )


@pytest.fixture(scope="module", params=PRIORS, ids=lambda prior: prior.name)
def fitted(request):
    """Answer a model of clusters with a learned prior."""
    return on_clusters(request.param).set_params(random_state=0).fit(clusters(0))


def prior_of(model):
    """Answer log p(z) of a fitted model as a function of arrays."""
    prior = model.to_module().double().prior

    def log_density(Z):
        with torch.no_grad():
            return prior.log_density(torch.from_numpy(Z)).numpy()

    return log_density


def test_densities_of_codes_integrate_to_one(fitted):
    """I19: on a grid of two components."""
    side = np.linspace(-12, 12, 601)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    area = (side[1] - side[0]) ** 2
    total = np.exp(prior_of(fitted)(grid)).sum() * area
    assert_allclose(total, 1.0, atol=0.01)


def test_draws_follow_the_density(fitted):
    """I18, I19: the mean log-density of draws is minus the entropy on the grid."""
    side = np.linspace(-12, 12, 601)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    logs = prior_of(fitted)(grid)
    weights = np.exp(logs) / np.exp(logs).sum()
    Z = fitted._draw_codes(20_000, 0)
    assert_allclose(Z.mean(axis=0), weights @ grid, atol=0.06)
    assert_allclose(prior_of(fitted)(Z).mean(), weights @ logs, atol=0.03)


def gain_figures(model, seed):
    X, X_test = clusters(seed), clusters(100 + seed)
    plain = on_clusters().set_params(random_state=seed).fit(X)
    own, normal = (m.log_likelihood(X_test, 500).mean() for m in (model.fit(X), plain))
    return {"nats above the normal prior": own - normal}


@pytest.mark.slow
@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: prior.name)
def test_learned_priors_fit_clusters_better(request, prior):
    """I18, I19: of ten clusters in a plane."""
    check_claims(
        request,
        gain_figures,
        on_clusters(prior),
        [Claim("nats above the normal prior", at_least=0.3)],
        [on_clusters()],
    )


def test_vamp_density_is_the_mixture_of_posteriors():
    """I18: by hand, of pseudo-inputs as they have been learned."""
    X = clusters(0, 200)
    model = on_clusters(VampPrior(n_pseudo_inputs=7)).set_params(max_epochs=5)
    module = model.set_params(random_state=0).fit(X).to_module().double()
    pseudo_inputs = module.prior.pseudo_inputs.detach()
    rows = module.reconstruction.to_data_units(pseudo_inputs).numpy()
    mean, deviation = model.encode_distribution(rows)
    Z = model.transform(X[:20])
    each = norm.logpdf(Z[:, None], mean, deviation).sum(-1)
    by_hand = logsumexp(each, axis=1) - np.log(7)

    def check(log_density):
        assert_allclose(log_density, by_hand, atol=1e-4)

    # Without the weights of the parts.
    found = prior_of(model)(Z)
    check_identity(check, found, found + np.log(7))


@pytest.mark.filterwarnings("ignore:No component is active")
def test_pseudo_inputs_start_as_rows():
    """I18: all of them, where there are as many; then KL <= log n on average."""
    X = clusters(0, 40)
    model = on_clusters(VampPrior(n_pseudo_inputs=40))
    model.set_params(max_epochs=1, learning_rate=1e-30, random_state=0).fit(X)
    module = model.to_module()
    rows = module.reconstruction.to_data_units(module.prior.pseudo_inputs.detach())
    assert_allclose(np.sort(rows.numpy(), axis=0), np.sort(X, axis=0), atol=1e-5)
    mean, deviation = model.encode_distribution(X)
    draws = np.random.RandomState(0).normal(size=(200, *mean.shape))
    log_q = norm.logpdf(draws).sum(-1) - np.log(deviation).sum(-1)
    log_p = prior_of(model)((mean + deviation * draws).reshape(-1, 2))
    divergence = log_q.mean() - log_p.mean()
    assert 0 <= divergence <= np.log(40)


def test_flow_is_invertible():
    """I19."""
    model = on_clusters(PRIORS[1]).set_params(random_state=0, max_epochs=10)
    prior = model.fit(clusters(0)).to_module().double().prior
    z = 2 * torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator())
    with torch.no_grad():
        transform = prior.flow().transform
        assert_allclose(transform.inv(transform(z)), z, atol=1e-4)


class StandardNormal:
    """The standard normal distribution as someone else would write it."""

    def log_density(self, z):
        return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)

    def sample(self, n_samples, generator):
        return torch.randn(n_samples, 2, generator=generator)


def test_prior_as_an_object_is_that_by_name():
    """The divergence by draws is the exact one, to the error of the draws."""
    X = clusters(0)
    by_name = on_clusters().set_params(random_state=0, max_epochs=20).fit(X)
    by_draws = clone(by_name).set_params(prior=StandardNormal()).fit(X)
    one, other = (m.log_likelihood(X).mean() for m in (by_draws, by_name))
    assert_allclose(one, other, atol=0.1)
    # Trained no further, with as many draws as the batch has rows.
    still = {"warm_start": True, "max_epochs": 1, "learning_rate": 1e-30}
    for prior in ("normal", StandardNormal()):
        by_name.set_params(**still, prior=prior, n_latent_samples=100).fit(X)
    exact, estimated = by_name.loss_terms_["divergence"][-2:]
    assert_allclose(estimated, exact, rtol=0.01)


# I20: InfoVAE


@pytest.mark.parametrize(("alpha", "lambda_"), [(0.0, 1.0), (1.0, 5.0), (0.5, 3.0)])
def test_objective_is_that_of_info_vae(alpha, lambda_):
    """I20: by hand for a batch and its draws; alpha = 0, lambda = 1 is the VAE."""
    X = clusters(0, 200)
    beta, weight = 1 - alpha, alpha + lambda_ - 1
    model = on_clusters().set_params(beta=beta, mmd_weight=weight, max_epochs=3)
    module = model.set_params(random_state=0).fit(X).to_module().double()
    generator, x = torch.Generator().manual_seed(0), torch.from_numpy(X)
    u = module.standardize(x)
    parts = module.random_parts()
    drawn = {name: part.draw(u, generator) for name, part in parts.items()}
    with torch.no_grad():
        terms = module.objective(Batch(u, drawn=drawn))
    mean, deviation = model.encode_distribution(X)
    z = mean + deviation * drawn["posterior"][0].numpy()
    scale = np.sqrt(model.noise_variance_)
    log_p = norm.logpdf(X, model.inverse_transform(z), scale).sum(axis=1).mean()
    divergence = norm.logpdf(z, mean, deviation) - norm.logpdf(z)
    exact = 0.5 * (mean**2 + deviation**2 - 1) - np.log(deviation)
    assert abs(divergence.sum(1).mean() - exact.sum(1).mean()) < 0.3
    by_hand = -log_p + beta * exact.sum(axis=1).mean()
    if weight:
        prior = drawn["discrepancy"]
        by_hand += weight * float(discrepancy(torch.from_numpy(z), prior))
    total = float(sum(terms.values())) * module.unit + module.floor

    def check(value):
        assert_allclose(total, value, rtol=1e-5)

    # Without the constant of the density, and with the divergence twice.
    wrong = by_hand + np.log(2 * np.pi), by_hand + exact.sum(axis=1).mean()
    check_identity(check, by_hand, *wrong)


def test_discrepancy_of_two_normal_distributions():
    """The closed form for one kernel, of the mean of the three kernels."""
    random, D = np.random.RandomState(0), 1.0
    draws = torch.from_numpy(random.normal([[[0.0]], [[D]]], 1.0, (10, 2, 2000, 1)))
    measured = np.mean([float(discrepancy(*pair)) for pair in draws])

    def check(factor):
        squares = factor * np.square([0.5, 1.0, 2.0])
        heights = 2 * np.sqrt(squares / (squares + 2))
        exact = np.mean(heights * (1 - np.exp(-(D**2) / (2 * (squares + 2)))))
        # Pairs of a row with itself, which the mean has in it, add (1 - E k) / n each.
        assert measured == pytest.approx(exact, rel=0.03)

    # Widths are in units of the square root of twice the number of components.
    check_identity(check, 2.0, 1.0, 4.0)
    assert discrepancy(*draws[0, :, :1]) >= 0


def effect(model, X, seed):
    """Answer the discrepancy of drawn codes from the prior."""
    mean, deviation = model.transform(X), 0.0
    if hasattr(model, "encode_distribution"):
        mean, deviation = model.encode_distribution(X)
    random = np.random.RandomState(seed)
    codes = mean + deviation * random.normal(size=mean.shape)
    return mmd(codes, random.normal(size=mean.shape))


TRAINING = {
    "batch_size": 128,
    "learning_rate": 3e-3,
    "learning_rate_schedule": "cosine",
    "max_epochs": 40,
}


def info_figures(model, seed):
    X, X_test, _, _ = digits_split(seed)
    params = {**TRAINING, "random_state": seed}
    plain = Autoencoder(8, **params).fit(X)
    strict = VariationalAutoencoder(8, beta=4.0, **params).fit(X)
    model.fit(X)
    return {
        "discrepancy against plain": effect(model, X, seed) / effect(plain, X, seed),
        "SSE against beta=4": sse(model, X_test) / sse(strict, X_test),
    }


@pytest.mark.slow
def test_discrepancy_in_place_of_divergence(request):
    """I20: alpha = 1 fills the prior, and reconstructs better than beta = 4."""
    info = VariationalAutoencoder(8, beta=0.0, mmd_weight=300.0, **TRAINING)
    check_claims(
        request,
        info_figures,
        info,
        [
            Claim("discrepancy against plain", at_most=0.1),
            Claim("SSE against beta=4", at_most=0.8),
        ],
        [
            clone(info).set_params(mmd_weight=0.0),
            clone(info).set_params(mmd_weight=0.0, beta=4.0),
        ],
    )
