"""What the variational autoencoder promises besides its theory."""

import builtins
import importlib.util

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError
from theory.claims import digits, total_variance

import sklearn_ae
from sklearn_ae import (
    AdversarialAutoencoder,
    FlowPrior,
    VampPrior,
    VariationalAutoencoder,
)
from sklearn_ae._layers.codes import drawn_points
from sklearn_ae.architectures import LSTM
from sklearn_ae.displays import LatentManifoldDisplay


def small(**params):
    defaults = {"hidden_layer_sizes": (16,), "max_epochs": 5, "random_state": 0}
    return VariationalAutoencoder(3, **defaults | params)


@pytest.fixture(scope="module")
def X():
    return digits()[:300]


@pytest.mark.parametrize("factor", [1 / 16, 1.0, 1000.0])
def test_units_of_rows_change_nothing_but_the_unit(factor):
    """At the defaults: components are active, and scores are shifted by d log c."""
    X = digits()[:600]
    model = VariationalAutoencoder(8, max_epochs=20, random_state=0)
    score = model.fit(X).score(X)
    active = model.active_components_
    moved = model.fit(factor * X)
    assert moved.active_components_ == active >= 2
    assert_allclose(moved.score(factor * X), score - 64 * np.log(factor), atol=1e-3)


def test_learned_variance_is_that_of_the_residuals(X):
    """In squared units of X, one or one per feature, and never below its floor."""
    rows = 3 * X
    rows[:, 0] = 5.0
    model = small(max_epochs=60, beta=1e-3, noise_variance="learned").fit(rows)
    assert isinstance(model.noise_variance_, float)
    residuals = np.square(rows - model.reconstruct(rows))
    assert 0.5 * residuals.mean() < model.noise_variance_ < 2 * residuals.mean()
    per_feature = small(max_epochs=60, noise_variance="learned_per_feature").fit(rows)
    floor = 1e-4 * total_variance(rows) / 64
    assert per_feature.noise_variance_.shape == (64,)
    assert (per_feature.noise_variance_ >= floor * (1 - 1e-6)).all()
    assert per_feature.noise_variance_[0] < 10 * residuals.mean()
    assert small(noise_variance=0.3).fit(rows).noise_variance_ == pytest.approx(0.3)
    assert not hasattr(small(likelihood="bernoulli").fit(X), "noise_variance_")


def test_warm_up_raises_the_weight_of_the_divergence(X):
    """Linearly from 0, on through `warm_start`, and what is held out has all of it."""
    still = {"learning_rate": 1e-30, "n_latent_samples": 1, "batch_size": 300}
    model = small(kl_warmup_epochs=4, max_epochs=3, warm_start=True, **still)
    for _ in range(2):
        model.fit(X)
    curve = np.array(model.loss_terms_["divergence"])
    assert_allclose(curve / curve[-1], [0, 0.25, 0.5, 0.75, 1, 1], atol=1e-6)
    held_out = small(kl_warmup_epochs=50, early_stopping=True, max_epochs=3, **still)
    with pytest.warns(ConvergenceWarning):
        scores = held_out.fit(X).validation_scores_
    assert_allclose(scores, scores[0])
    plain = small(early_stopping=True, max_epochs=3, **still)
    with pytest.warns(ConvergenceWarning):
        assert_allclose(plain.fit(X).validation_scores_, scores)


def test_a_rising_objective_does_not_end_the_training(X):
    """While the weight of the divergence rises, so does the objective."""
    params = {"kl_warmup_epochs": 30, "n_iter_no_change": 3, "tol": 0.5}
    assert small(max_epochs=40, **params).fit(X).n_iter_ > 30


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("n_warmup_epochs", [0, 1, 4])
def test_convergence_is_told_from_the_first_whole_objective(
    n_warmup_epochs, early_stopping, X
):
    """The epoch after the warm-up is what later ones are compared with, no other."""
    still = {"learning_rate": 1e-30, "tol": 10.0, "n_iter_no_change": 3}
    still |= {"early_stopping": early_stopping, "max_epochs": 20}
    model = small(kl_warmup_epochs=n_warmup_epochs, warm_start=True, **still).fit(X)
    assert model.n_iter_ == n_warmup_epochs + 1 + 3
    # Which is over when training goes on.
    assert model.fit(X).n_iter_ == n_warmup_epochs + 2 * (1 + 3)


def test_free_bits_cost_the_same_below(X):
    """The divergence of each component counts as that many nats at least."""
    model = small(free_bits=2.0, learning_rate=1e-30, max_epochs=1).fit(X)
    assert model.kl_per_component_.max() < 2.0
    assert model.loss_terms_["divergence"][0] == pytest.approx(6.0)


@pytest.mark.parametrize("prior", ["normal", "vamp", "gaussian_mixture", "flow"])
def test_free_bits_are_of_each_component_whatever_the_prior(prior, X):
    """Also where a prior, no product over components, has one divergence for all."""
    model = small(free_bits=20.0, prior=prior, learning_rate=1e-30, max_epochs=1)
    assert model.fit(X).loss_terms_["divergence"][0] == pytest.approx(60.0)


@pytest.mark.filterwarnings("ignore:No component is active")
@pytest.mark.parametrize("prior", ["normal", "vamp", "gaussian_mixture"])
def test_divergences_of_components_are_over_all_rows(prior, X, monkeypatch):
    """From N(0, 1), or from the moments of all rows' codes, by slices of any size."""
    monkeypatch.setattr("sklearn_ae._data.rows._SLICE_ENTRIES", 64 * 70)
    model = small(prior=prior).fit(X)
    mean, deviation = model.encode_distribution(X)
    logs = np.log(deviation).mean(axis=0)
    squares = np.square(mean).mean(axis=0) + np.square(deviation).mean(axis=0)
    expected = 0.5 * (squares - 1) - logs
    if prior != "normal":
        expected = 0.5 * np.log(squares - np.square(mean.mean(axis=0))) - logs
    assert_allclose(model.kl_per_component_, expected, rtol=1e-5, atol=1e-7)


def test_collapse_warns(X):
    """And says what to do."""
    model = small(beta=1e6, max_epochs=30)
    for method in (model.fit, model.partial_fit):
        with pytest.warns(ConvergenceWarning, match="No component.*Lower beta") as seen:
            method(X)
        assert seen[0].filename == __file__


def test_a_collapse_is_told_to_code_without_a_name(X):
    """What `exec` runs need not be in a module."""
    names = {"model": small(beta=1e9), "X": X}
    with pytest.warns(ConvergenceWarning, match="No component is active"):
        exec("model.fit(X)", names)
    assert names["model"].active_components_ == 0


def test_bernoulli_refuses_other_rows(X):
    """In `fit` and in scores, with the range that was seen and the remedy."""
    model = small(likelihood="bernoulli").fit(X)
    message = r"likelihood='bernoulli' needs X in \[0, 1\].*0 to 2.*MinMaxScaler"
    for method in (model.fit, model.score_samples, model.log_likelihood, model.score):
        with pytest.raises(ValueError, match=message):
            method(2 * X)
    with pytest.raises(ValueError, match="likelihood='bernoulli' needs output_act"):
        small(likelihood="bernoulli", output_activation="relu").fit(X)


@pytest.mark.filterwarnings("ignore:No component is active")
def test_samples_follow_the_likelihood(X):
    """Binary rows or normal noise around what is decoded."""
    binary = small(likelihood="bernoulli").fit(X)
    assert set(np.unique(binary.sample(50, 0))) == {0.0, 1.0}
    decoded = binary.sample(50, 0, observation_noise=False)
    assert 0 < decoded.min() < decoded.max() < 1
    normal = small(noise_variance=4.0).fit(X)
    noise = normal.sample(500, 0) - normal.sample(500, 0, observation_noise=False)
    assert noise.std() == pytest.approx(2.0, rel=0.02)


def test_log_likelihood_needs_a_number_of_samples(X):
    model = small().fit(X)
    with pytest.raises(ValueError, match="n_importance_samples == 0"):
        model.log_likelihood(X, 0)
    with pytest.raises(TypeError, match="n_importance_samples must be an instance"):
        model.log_likelihood(X, 2.5)


def test_likelihoods_of_rows_do_not_depend_on_other_rows(X):
    """Codes are drawn once for all rows, in slices too."""
    model = small().fit(X)
    whole = model.log_likelihood(X, 50)
    assert_array_equal(whole, model.log_likelihood(X, 50))
    assert_allclose(model.log_likelihood(X[7:9], 50), whole[7:9], rtol=1e-9)
    many = model.log_likelihood(np.tile(X, (40, 1)), 50)
    assert_allclose(many, np.tile(whole, 40), rtol=1e-9)
    # Squares of float32 rows may exceed float32.
    assert model.log_likelihood(X.astype("f4"), 50).dtype == np.float64
    assert model.score_samples(X.astype("f4")).dtype == np.float64


@pytest.mark.filterwarnings("ignore:No component is active")
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_sequences_that_end_early(likelihood):
    """Padding counts in no likelihood: rows of either length have their own."""
    X = np.random.RandomState(0).randint(2, size=(80, 6)).astype(float)
    X[::2, 4:] = np.nan
    model = small(architecture=LSTM(), hidden_layer_sizes=(8,), likelihood=likelihood)
    model.set_params(noise_variance=0.3).fit(X)
    assert np.isnan(model.reconstruct(X)[::2, 4:]).all()
    mean, deviation = model.encode_distribution(X)
    points = drawn_points(50, 3, model._model.seed).numpy()
    Z = mean + deviation * points[:, None]
    X_hat = model.inverse_transform(Z.reshape(-1, 3)).reshape(50, 80, 6)
    if likelihood == "gaussian":
        log_p = norm.logpdf(X, X_hat, np.sqrt(0.3))
    else:
        log_p = np.log(np.where(X == 1, X_hat, 1 - X_hat))
    log_p[:, np.isnan(X)] = 0.0
    ratio = (norm.logpdf(Z) - norm.logpdf(Z, mean, deviation)).sum(-1)
    by_hand = logsumexp(log_p.sum(-1) + ratio, axis=0) - np.log(50)
    assert_allclose(model.log_likelihood(X, 50), by_hand, rtol=1e-6)
    still = {"max_epochs": 1, "learning_rate": 1e-30, "warm_start": True, "beta": 0.0}
    model.set_params(**still, n_latent_samples=200).fit(X)
    assert_allclose(-model.loss_, log_p.sum(-1).mean(), rtol=0.02)


def test_warm_up_goes_before_convergence(X):
    """L-BFGS is at the minimum of an objective that is still to change."""
    params = {"optimizer": "lbfgs", "noise_variance": 1.0, "hidden_layer_sizes": ()}
    model = small(kl_warmup_epochs=12, max_epochs=30, **params).fit(X[:100])
    assert model.n_iter_ > 12


def test_weight_decay_leaves_the_prior_alone(X):
    """It is of the weights of encoder and decoder."""
    params = {"max_epochs": 1, "learning_rate": 1e-30, "weight_decay": 1.0}
    terms = {
        small(prior=prior, **params).fit(X).loss_terms_["weight_decay"][0]
        for prior in ("normal", "vamp", "gaussian_mixture", "flow")
    }
    assert len(terms) == 1


@pytest.mark.parametrize("pretraining", ["greedy", "rbm"])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_pretraining_starts_from_means(X, pretraining, likelihood):
    """The layers are those of a plain autoencoder, and the code's are the means."""
    model = small(
        pretraining=pretraining,
        activation="logistic",
        likelihood=likelihood,
        pretraining_epochs=30,
        max_epochs=0,
        weight_decay=1e-4,
    ).fit(X)
    assert len(model.pretraining_curves_) == 2
    error = np.square(model.reconstruct(X) - X).sum(axis=1).mean()
    assert error < 0.95 * total_variance(X)
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize("cls", [VariationalAutoencoder, AdversarialAutoencoder])
def test_grids_follow_the_prior_where_it_is_normal(X, cls):
    """Without rows, by its quantiles; of another prior, rows are asked for."""
    pytest.importorskip("matplotlib")
    params = {"hidden_layer_sizes": (8,), "max_epochs": 1, "random_state": 0}
    model = cls(2, **params).fit(X)
    display = LatentManifoldDisplay.from_estimator(model, grid_size=5)
    probabilities = (np.arange(5) + 0.5) / 5
    assert_allclose(display.x_codes, norm.ppf(probabilities))
    mixture = {VariationalAutoencoder: "gaussian_mixture"}.get(cls, "gaussian_ring")
    model.set_params(prior=mixture).fit(X)
    with pytest.raises(ValueError, match="X"):
        LatentManifoldDisplay.from_estimator(model, grid_size=5)


# Priors


class Scaled(torch.nn.Module):
    """A prior with a parameter of its own: normal, with a scale that is learned."""

    def __init__(self):
        super().__init__()
        self.log_scale = torch.nn.Parameter(torch.ones(()))

    def log_density(self, z):
        normal = torch.distributions.Normal(0.0, self.log_scale.exp())
        return normal.log_prob(z).sum(-1)

    def sample(self, n_samples, generator):
        return self.log_scale.exp() * torch.randn(n_samples, 3, generator=generator)


def test_a_prior_of_ones_own_is_trained(X, tmp_path):
    """As a copy; it cannot be written to a file."""
    prior = Scaled()
    model = small(prior=prior, max_epochs=30).fit(X)
    assert prior.log_scale.item() == 1.0
    assert model.to_module().prior.density.log_scale.item() != 1.0
    assert_array_equal(model.sample(4, 0), model.sample(4, 0))
    assert model.sample(4, 0).shape == (4, 64)
    assert np.isfinite(model.log_likelihood(X)).all()
    with pytest.raises(ValueError, match=r"^prior=.*cannot be written to a file"):
        model.save(tmp_path / "file")
    for wrong in (object(), Scaled):
        with pytest.raises(InvalidParameterError, match="'prior' parameter"):
            small(prior=wrong).fit(X)


class Total(Scaled):
    """Answers one number for all codes."""

    def log_density(self, z):
        return super().log_density(z).sum()


class Arrays(Scaled):
    """Draws arrays."""

    def sample(self, n_samples, generator):
        return np.zeros((n_samples, 3))


def test_priors_that_answer_something_else(X):
    """Are told what was expected."""
    message = r"log_density of prior=Total\(\) answers a tensor .* shape \(1, 32\)"
    with pytest.raises(ValueError, match=message):
        small(prior=Total()).fit(X)
    message = r"sample of prior=Arrays\(\) answers ndarray, where .* \(5, 3\)"
    with pytest.raises(ValueError, match=message):
        small(prior=Arrays()).fit(X).sample(5)


@pytest.mark.parametrize("prior", ["vamp", "flow", "gaussian_mixture"])
def test_learned_priors_are_searched_copied_and_saved(X, prior, tmp_path):
    """By name and by their own parameters."""
    model = small(prior=prior, max_epochs=2).fit(X)
    model.save(tmp_path / "file")
    loaded = sklearn_ae.load(tmp_path / "file")
    assert_array_equal(loaded.sample(5, 0), model.sample(5, 0))
    assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    assert_array_equal(loaded.log_likelihood(X, 9), model.log_likelihood(X, 9))
    again = loaded.set_params(warm_start=True).fit(X)
    assert again.n_iter_ == 4


def test_a_search_over_the_prior(X):
    """`prior__n_pseudo_inputs` on the bare name."""
    grid = {"prior__n_pseudo_inputs": [3, 50], "beta": [0.5, 1.0]}
    search = GridSearchCV(small(prior="vamp", max_epochs=2), grid, cv=2).fit(X)
    assert np.unique(search.cv_results_["mean_test_score"]).size == 4
    assert isinstance(search.best_estimator_.prior, VampPrior)


def test_more_pseudo_inputs_than_rows(X):
    model = small(prior=VampPrior(n_pseudo_inputs=50), max_epochs=2).fit(X[:7])
    assert np.isfinite(model.log_likelihood(X[:7])).all()


def test_flow_without_zuko(X, monkeypatch):
    """Says what to install."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "sklearn_ae._priors.learned.find_spec",
        lambda name: None if name == "zuko" else real(name),
    )
    monkeypatch.setattr(builtins, "__import__", _without_zuko(builtins.__import__))
    with pytest.raises(ImportError, match=r"needs the package zuko: pip install"):
        small(prior=FlowPrior()).fit(X)


def _without_zuko(original):
    def imported(name, *args, **kwargs):
        assert name.partition(".")[0] != "zuko"
        return original(name, *args, **kwargs)

    return imported
