"""One concept of a prior: names, priors of one's own, and what is refused."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import InvalidParameterError
from theory.claims import gaussian_rows

import sklearn_ae
from sklearn_ae import (
    AdversarialAutoencoder,
    ConditionalVariationalAutoencoder,
    GaussianMixturePrior,
    GaussianRing,
    StandardNormal,
    SwissRoll,
    UniformBox,
    VampPrior,
    VariationalAutoencoder,
)
from sklearn_ae._files.values import Decoder, Encoder
from sklearn_ae._objective.specs import resolve_spec
from sklearn_ae._priors.names import PRIORS
from sklearn_ae._priors.prior import Prior
from sklearn_ae.model_selection import BatchedGridSearchCV

FAST = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
X = gaussian_rows(0, 90)
Y = np.array(["b", "a", "c"])[np.digitize(X[:, 0], [-1, 1])]
DRAWN = ("normal", "uniform", "swiss_roll", "gaussian_ring")
DENSE = ("normal", "gaussian_mixture", "vamp", "flow")


# Toys: priors of one's own, in a few lines each.


class Corners(Prior):
    """One of the corners of a cube, and a little around it."""

    def sample(self, n_samples=1, n_components=2, random_state=None):
        random = check_random_state(random_state)
        corners = random.choice([-self.size, self.size], (n_samples, n_components))
        return corners + 0.1 * random.normal(size=corners.shape)

    def __init__(self, size=1.0):
        self.size = size


class Laplace(Prior):
    """Independent Laplace distributions."""

    def sample(self, n_samples=1, n_components=2, random_state=None):
        return check_random_state(random_state).laplace(size=(n_samples, n_components))

    def log_density(self, z):
        return torch.distributions.Laplace(0.0, 1.0).log_prob(z).sum(-1)


class Sides(Prior):
    """Two components, told by numbers as `GaussianMixture` tells them."""

    def sample(self, n_samples=1, n_components=2, random_state=None):
        random = check_random_state(random_state)
        sides = random.randint(3, size=n_samples)
        codes = random.normal(size=(n_samples, n_components))
        return codes + 9 * sides[:, np.newaxis], sides


def test_a_prior_with_draws_alone_is_drawn_from():
    """By the adversarial autoencoder: repeatable, searched, copied, of its width."""
    params = FAST | {"max_epochs": 150, "learning_rate": 5e-3}
    model = AdversarialAutoencoder(3, prior=Corners(4.0), **params)
    Z = model.fit(X).transform(X)
    assert 2 < np.abs(Z).mean() < 6
    drawn = model._draw_codes(500, 0)
    assert_allclose(np.abs(drawn).mean(axis=0), 4.0, atol=0.05)
    assert_array_equal(clone(model).fit(X).transform(X), Z)
    copied = pickle.loads(pickle.dumps(model))
    assert_array_equal(copied.sample(9, 0), model.sample(9, 0))
    grid = {"prior__size": [1.0, 2.0]}
    search = GridSearchCV(model.set_params(max_epochs=1), grid, cv=2).fit(X)
    assert search.best_estimator_.prior_.size in (1.0, 2.0)


def test_a_prior_with_a_density_is_learned_under():
    """By the variational autoencoder, whose bound it is in, and by the other one."""
    model = VariationalAutoencoder(prior=Laplace(), mmd_weight=1.0, **FAST).fit(X)
    normal = VariationalAutoencoder(mmd_weight=1.0, **FAST).fit(X)
    assert not np.array_equal(model.transform(X), normal.transform(X))
    drawn = model._draw_codes(20_000, 0)
    assert_allclose(np.abs(drawn).mean(axis=0), 1.0, atol=0.03)
    z = torch.linspace(-5, 5, 20, dtype=torch.float64).reshape(10, 2)
    density = model.to_module().double().prior.log_density(z)
    assert_allclose(density, -z.abs().sum(-1) - 2 * np.log(2))
    assert np.isfinite(model.log_likelihood(X)).all()
    copied = pickle.loads(pickle.dumps(model))
    assert_array_equal(copied.sample(9, 0), model.sample(9, 0))
    assert AdversarialAutoencoder(prior=Laplace(), **FAST).fit(X).n_iter_ == 3


def test_many_nets_train_at_once_under_a_density_of_ones_own():
    model = VariationalAutoencoder(prior=Laplace(), mmd_weight=1.0, **FAST)
    grid = {"beta": [0.5, 1.0], "learning_rate": [1e-3, 1e-2]}
    scores = [
        search(model, grid, cv=2).fit(X).cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
    ]
    assert_allclose(*scores, rtol=1e-5)


def test_components_of_a_prior_of_ones_own_get_classes():
    """Where `sample` tells them: as many codes are drawn of each as it has rows."""
    model = AdversarialAutoencoder(prior=Sides(), label_conditioned=True, **FAST)
    drawn = model.fit(X, Y)._draw_codes(5000, 0).mean(axis=1)
    shares = np.bincount((drawn / 9).round().astype(int)) / 5000
    assert_allclose(shares, model.class_count_ / len(X), atol=0.02)
    other = model.fit(X, Y).transform(X)
    assert not np.array_equal(other, model.fit(X, Y[::-1]).transform(X))
    with pytest.raises(ValueError, match=r"Corners\(\) has none for 3 classes"):
        model.set_params(prior=Corners()).fit(X, Y)


class Normal(torch.nn.Module):
    """What a variational autoencoder takes for a prior: it draws by a generator."""

    def log_density(self, z):
        return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)

    def sample(self, n_samples, generator):
        return torch.randn(n_samples, 2, generator=generator)


def test_objects_with_a_density_are_drawn_from_too():
    model = AdversarialAutoencoder(prior=Normal(), **FAST).fit(X)
    assert_array_equal(model.sample(9, 0), clone(model).fit(X).sample(9, 0))
    assert_allclose(np.cov(model._draw_codes(20_000, 0).T), np.eye(2), atol=0.05)


def test_priors_of_ones_own_are_in_no_file(tmp_path):
    for cls in (AdversarialAutoencoder, VariationalAutoencoder):
        with pytest.raises(ValueError, match=r"^prior=Laplace\(\) cannot be written"):
            cls(prior=Laplace()).save(tmp_path / "model")


# Names


def test_one_name_for_each_prior():
    assert {*DRAWN, *DENSE} == {*PRIORS}
    assert all(spec.name == name for name, spec in PRIORS.items())
    assert PRIORS["gaussian_ring"] is GaussianRing
    assert PRIORS["gaussian_mixture"] is GaussianMixturePrior
    for name, spec in PRIORS.items():
        assert type(resolve_spec("prior", name)) is spec
        assert issubclass(spec, Prior)


@pytest.mark.parametrize(
    "cls",
    [AdversarialAutoencoder, ConditionalVariationalAutoencoder, VariationalAutoencoder],
)
def test_the_normal_prior_is_one_object(cls, tmp_path):
    """By name, as a spec, and in files."""
    named = cls(**FAST).fit(X, Y)
    model = cls(prior=StandardNormal(), **FAST).fit(X, Y)
    assert_array_equal(model.transform(X), named.transform(X))
    assert_array_equal(model.sample(9, 0), named.sample(9, 0))
    probabilities = np.array([0.1, 0.5])
    quantiles = model._prior_quantiles(probabilities)
    assert_allclose(quantiles, np.tile(norm.ppf(probabilities)[:, None], 2))
    model.save(tmp_path / "model")
    loaded = sklearn_ae.load(tmp_path / "model")
    assert repr(loaded) == repr(model)
    assert_array_equal(loaded.sample(9, 0), model.sample(9, 0))


def test_the_normal_prior_may_give_way_to_those_of_classes():
    model = ConditionalVariationalAutoencoder(conditional_prior=True, **FAST)
    named = model.fit(X, Y).score(X)
    assert model._prior_quantiles(np.array([0.5])) is None
    assert model.set_params(prior=StandardNormal()).fit(X, Y).score(X) == named
    with pytest.raises(ValueError, match="does not work with prior='vamp'"):
        model.set_params(prior="vamp").fit(X, Y)


def test_log_densities_of_the_normal_spec():
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
    assert_allclose(StandardNormal().log_density(z), norm.logpdf(z).sum(-1))
    for prior in (UniformBox(), VampPrior()):
        with pytest.raises(NotImplementedError, match="no density of its own"):
            prior.log_density(z)
    with pytest.raises(NotImplementedError, match="nothing is drawn yet"):
        VampPrior().sample(3)


# Refusals


@pytest.mark.parametrize(
    ("cls", "prior", "needed", "names"),
    [
        (VariationalAutoencoder, SwissRoll(), "log_density", DENSE),
        (VariationalAutoencoder, "uniform", "log_density", DENSE),
        (VariationalAutoencoder, Corners(), "log_density", DENSE),
        (VariationalAutoencoder, GaussianMixture(), "log_density", DENSE),
        (VariationalAutoencoder, norm.rvs, "log_density", DENSE),
        (AdversarialAutoencoder, VampPrior(), "sample", DRAWN),
        (AdversarialAutoencoder, "flow", "sample", DRAWN),
    ],
)
def test_what_a_prior_lacks_is_told(cls, prior, needed, names):
    """With those that have it."""
    with pytest.raises(InvalidParameterError) as refusal:
        cls(prior=prior).fit(X)
    message = str(refusal.value)
    start = f"The 'prior' parameter of {cls.__name__} needs `{needed}`, which {prior!r}"
    assert message.startswith(start)
    assert f"lacks: {', '.join(map(repr, names))} have it" in message


@pytest.mark.parametrize("cls", [AdversarialAutoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("prior", [object(), 3, None, "gamma"])
def test_what_is_no_prior(cls, prior):
    with pytest.raises(InvalidParameterError, match="'prior' parameter of"):
        cls(prior=prior).fit(X)


# The name of the ring in 0.1.0


def ring(**params):
    return AdversarialAutoencoder(**FAST | params)


@pytest.mark.parametrize("pretraining", [None, "greedy"])
def test_the_former_name_of_the_ring_warns(pretraining):
    """Once for each fit, where it was called; answers are the ring's."""
    params = {"pretraining": pretraining, "pretraining_epochs": 1}
    expected = ring(prior="gaussian_ring", **params).fit(X)
    model = ring(prior="gaussian_mixture", **params)
    with pytest.warns(FutureWarning, match="called 'gaussian_ring'") as log:
        model.fit(X)
    assert len(log) == 1
    assert log[0].filename == __file__
    assert_array_equal(model.transform(X), expected.transform(X))
    assert_array_equal(model.sample(9, 0), expected.sample(9, 0))
    assert model.get_params()["prior"] == "gaussian_mixture"


def test_files_with_the_former_name(tmp_path):
    """Answer as before, without a word until they are trained on."""
    with pytest.warns(FutureWarning, match="called 'gaussian_ring'"):
        model = ring(prior="gaussian_mixture", label_conditioned=True).fit(X, Y)
    model.save(tmp_path / "model")
    loaded = sklearn_ae.load(tmp_path / "model")
    assert_array_equal(loaded.sample(9, 0), model.sample(9, 0))
    with pytest.warns(FutureWarning, match="called 'gaussian_ring'"):
        loaded.partial_fit(X, Y)


def test_files_of_before_have_two_kinds_of_priors():
    """Each with a mixture of its own."""
    decoder = Decoder({})
    specs = (["imposed_prior", GaussianRing], ["latent_prior", GaussianMixturePrior])
    for kind, spec in specs:
        node = {"spec": [kind, "gaussian_mixture", {"n_modes": 3}]}
        found = decoder.decode(node)
        assert type(found) is spec
        assert found.n_modes == 3
        encoded = Encoder("fitted", {}).encode("prior", found)
        assert encoded["spec"][:2] == ["prior", spec.name]
        assert repr(decoder.decode(encoded)) == repr(found)


def test_the_former_name_gives_way_to_parameters_of_the_ring():
    with pytest.warns(FutureWarning, match="called 'gaussian_ring'") as log:
        model = ring(prior="gaussian_mixture").set_params(prior__width=0.2)
    assert log[0].filename == __file__
    assert repr(model.prior) == "GaussianRing(width=0.2)"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X)


def test_the_learned_mixture_has_its_name_elsewhere():
    model = VariationalAutoencoder(prior="gaussian_mixture").set_params(
        prior__n_modes=3
    )
    assert repr(model.prior) == "GaussianMixturePrior(n_modes=3)"
