"""Behaviour of the adversarial autoencoder: priors, labels, and the second player."""

import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import check_estimator
from skorch.callbacks import Callback
from theory.claims import digits_split, gaussian_rows

import sklearn_ae
from sklearn_ae import (
    AdversarialAutoencoder,
    DenoisingAutoencoder,
    DivergenceError,
    GaussianRing,
    SparseAutoencoder,
    StandardNormal,
    SwissRoll,
    UniformBox,
)
from sklearn_ae.architectures import LSTM

FAST = {
    "hidden_layer_sizes": (16,),
    "discriminator_hidden_layer_sizes": (16,),
    "max_epochs": 4,
    "random_state": 0,
}
RING = FAST | {"prior": GaussianRing(n_modes=3), "label_conditioned": True}
X = gaussian_rows(0, 120)
Y = np.array(["b", "a", "c"])[np.digitize(X[:, 0], [-1, 1])]


def make(**params):
    return AdversarialAutoencoder(**FAST | params)


def labelled(**params):
    return AdversarialAutoencoder(**RING | params)


def mixture(n_modes=3, width=2, **params):
    means = 3 * np.eye(n_modes, width)
    Z = np.concatenate(
        [m + np.random.RandomState(0).normal(size=(50, 1)) for m in means]
    )
    Z += 0.1 * np.random.RandomState(1).normal(size=Z.shape)
    return GaussianMixture(n_modes, random_state=0, **params).fit(Z)


class Seedless:
    """A prior that draws from numpy's global state, and counts how often."""

    n_calls = 0

    def sample(self, n_samples):
        self.n_calls += 1
        return np.random.normal(size=(n_samples, 2))


def shifted(n_samples, random_state):
    return 5 + random_state.normal(size=(n_samples, 2))


# Priors


@pytest.mark.parametrize("spec", [StandardNormal, UniformBox, SwissRoll, GaussianRing])
def test_a_name_is_its_spec_at_its_defaults(spec):
    named, own = make(prior=spec.name).fit(X), make(prior=spec()).fit(X)
    assert_array_equal(named.transform(X), own.transform(X))
    assert_array_equal(named.sample(5, 0), own.sample(5, 0))
    other = {"normal": "uniform"}.get(spec.name, "normal")
    assert not np.array_equal(make(prior=other).fit(X).transform(X), own.transform(X))


def test_moments_of_the_specs():
    normal = StandardNormal().sample(20_000, 3, random_state=0)
    assert_allclose(np.cov(normal.T), np.eye(3), atol=0.05)
    box = UniformBox().sample(20_000, 3, random_state=0)
    assert_allclose(np.cov(box.T), np.eye(3) / 3, atol=0.02)
    roll = SwissRoll(n_turns=2, radius=1, noise=0).sample(20_000, random_state=0)
    radius = np.linalg.norm(roll, axis=1)
    angle = np.arctan2(roll[:, 1], roll[:, 0])
    # On the spiral, and as much of it as of a disc within each radius.
    assert_allclose(np.exp(1j * angle), np.exp(4j * np.pi * radius), atol=1e-4)
    assert np.mean(radius < 0.5) == pytest.approx(0.25, abs=0.02)
    assert_array_equal(
        SwissRoll().sample(3, random_state=1), SwissRoll().sample(3, 2, 1)
    )


@pytest.mark.parametrize("name", ["swiss_roll", "gaussian_ring"])
def test_shapes_of_the_plane_need_two_components(name):
    with pytest.raises(
        ValueError, match=f"prior='{name}' lies in a plane .*got n_comp"
    ):
        make(n_components=3, prior=name).fit(X)
    with pytest.raises(ValueError, match="n_components=2"):
        GaussianRing().sample(3, n_components=1)


def test_parameters_of_a_prior_are_nested():
    model = make(prior="gaussian_ring").set_params(prior__n_modes=4)
    assert repr(model.prior) == "GaussianRing(n_modes=4)"
    assert clone(model).prior is not model.prior
    search = GridSearchCV(model, {"prior__radius": [1.0, 3.0]}, cv=2).fit(X)
    assert search.best_estimator_.prior.radius in (1.0, 3.0)
    assert model.prior.radius == 2.0
    with pytest.raises(
        InvalidParameterError, match="'width' parameter of GaussianRing"
    ):
        make(prior=GaussianRing(width=0.0)).fit(X)


@pytest.mark.parametrize(
    "prior",
    [
        mixture(),
        FrozenEstimator(mixture()),
        KernelDensity().fit(np.eye(2)),
        Seedless(),
        shifted,
    ],
    ids=["mixture", "frozen", "kernel", "seedless", "function"],
)
def test_objects_and_functions_are_priors(prior):
    """Fits are repeatable, draws fresh, and nothing global is touched."""
    before = np.random.get_state()[1].copy()
    models = [make(prior=prior).fit(X) for _ in range(2)]
    assert_array_equal(models[0].transform(X), models[1].transform(X))
    drawn = models[0].sample(300, 0, observation_noise=False)
    assert len(np.unique(drawn.round(9), axis=0)) == 300
    assert_array_equal(drawn, models[1].sample(300, 0, observation_noise=False))
    assert_array_equal(np.random.get_state()[1], before)
    copied = pickle.loads(pickle.dumps(models[0]))
    assert_array_equal(copied.sample(5, 1), models[0].sample(5, 1))


def test_an_object_without_a_seed_is_asked_once():
    prior = Seedless()
    make(prior=prior).fit(X)
    assert prior.n_calls == 1


def test_codes_go_where_the_prior_is():
    params = {"max_epochs": 200, "hidden_layer_sizes": (64,), "learning_rate": 3e-3}
    # The game is slow here: after as many epochs seed 0 still goes round.
    model = make(prior=shifted, **params).set_params(random_state=1)
    codes = model.fit(X).transform(X)
    assert_allclose(codes.mean(axis=0), [5, 5], atol=0.3)


def test_clones_keep_a_fitted_prior_fitted():
    """With it in a search, too; a copy, so that nothing is shared."""
    model = make(prior=mixture())
    copied = clone(model)
    assert copied.prior is not model.prior
    assert_array_equal(copied.prior.means_, model.prior.means_)
    assert_array_equal(copied.fit(X).transform(X), model.fit(X).transform(X))
    assert clone(make(prior=shifted)).prior is shifted
    grid = {"alpha": [0.1, 1.0]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X)
    assert hasattr(search.best_estimator_, "sample")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (GaussianMixture(2), "could not be drawn from: This GaussianMixture instance"),
        (mixture(width=4), r"shape \(\d+, 4\), where \(\d+, 2\) is expected"),
        (lambda n, random_state: np.full((n, 2), np.nan), "contains NaN"),
        (lambda n: np.zeros((n, 2)), "could not be drawn from: .*positional argument"),
        (torch.distributions.Normal(0, 1), "could not be drawn from"),
        (GaussianRing, "Got the class GaussianRing instead; call it"),
    ],
    ids=["unfitted", "wide", "nan", "arguments", "torch", "class"],
)
def test_priors_that_are_none(prior, message):
    with pytest.raises(ValueError, match=message):
        make(prior=prior).fit(X)
    with pytest.raises(ValueError, match=message):
        make(prior=prior, pretraining="greedy").fit(X)


# Labels


def test_y_changes_no_bit_unless_it_is_asked_for():
    expected = make(prior="gaussian_ring").fit(X)
    model = make(prior="gaussian_ring").fit(X, Y)
    assert_array_equal(model.transform(X), expected.transform(X))
    assert model.history_[-1]["figures"] == expected.history_[-1]["figures"]
    assert not hasattr(model, "classes_")
    told = labelled().fit(X, Y)
    assert not np.array_equal(told.transform(X), expected.transform(X))
    other = labelled().fit(X, Y[::-1])
    assert not np.array_equal(told.transform(X), other.transform(X))


@pytest.mark.parametrize(
    "y",
    [Y, list(Y), pd.Series(Y), Y.astype(object), Y == "a", (Y == "a") * 2.0 - 1],
    ids=["text", "list", "series", "objects", "bool", "float"],
)
def test_labels_of_any_kind(y):
    model = labelled().fit(X, y)
    assert_array_equal(model.classes_, np.unique(np.asarray(y)))
    assert model.class_count_.sum() == len(X)
    if len(model.classes_) == 3:
        reference = labelled().fit(X, Y)
        assert_array_equal(model.transform(X), reference.transform(X))


def nearest_mode(Z):
    turn = 2 * np.pi * np.arange(3) / 3
    means = GaussianRing().radius * np.column_stack([np.cos(turn), np.sin(turn)])
    return np.square(Z[:, None] - means).sum(axis=-1).argmin(axis=1)


# The mixture's components are long and side by side: 7 % of its own draws are nearest
# to another one's mean, so its own posterior says which component a code is of.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("prior", "component_of"),
    [(GaussianRing(n_modes=3), nearest_mode), (mixture(), mixture().predict)],
    ids=["ring", "mixture"],
)
def test_classes_go_to_components_of_their_own(prior, component_of):
    """Of a foreign mixture, too, and `sample` keeps to their frequencies.

    By the medians of three seeds, as single games come out better or worse.
    """
    X_train, X_test, y, y_test = digits_split(0)
    few, few_test = y < 3, y_test < 3
    params = {"prior": prior, "max_epochs": 400, "hidden_layer_sizes": (64,)}
    params |= {"discriminator_hidden_layer_sizes": (64, 64)}
    accuracies, distances = [], []
    for seed in range(3):
        model = labelled(**params, random_state=seed).fit(X_train[few], y[few])
        assert_array_equal(model.class_count_, np.bincount(y[few]))
        found = component_of(model.transform(X_test[few_test]))
        accuracies.append(np.mean(found == y_test[few_test]))
        back = component_of(model.transform(model.sample(600, random_state=0)))
        shares = model.class_count_ / model.class_count_.sum()
        distances.append(np.abs(np.bincount(back, minlength=3) / 600 - shares).max())
    assert np.median(accuracies) > 0.9
    assert np.median(distances) < 0.1


def test_fewer_classes_than_components():
    """The others stay empty, in `sample` too."""
    model = labelled(prior="gaussian_ring").fit(X, Y)
    assert model.sample(3, 0).shape == (3, 20)
    codes = model._draw_codes(500, 0)
    angle = np.angle(codes[:, 0] + 1j * codes[:, 1])
    assert angle.min() > -0.4
    assert angle.max() < 2 * np.pi * 2.5 / 10


def test_labels_that_cannot_be_used():
    with pytest.raises(
        ValueError, match="requires y to be passed, but the target y is"
    ):
        labelled().fit(X)
    with pytest.raises(ValueError, match="prior='normal' has none for 3 classes"):
        labelled(prior="normal").fit(X, Y)
    with pytest.raises(ValueError, match="has 2 for 3 classes"):
        labelled(prior=GaussianRing(n_modes=2)).fit(X, Y)
    with pytest.raises(ValueError, match="has none for 3 classes"):
        labelled(prior=shifted).fit(X, Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        labelled().fit(X, Y[:5])
    with pytest.raises(ValueError, match="Unknown label type"):
        labelled().fit(X, X[:, 0])
    assert get_tags(labelled()).target_tags.required
    assert not get_tags(make()).target_tags.required


def test_a_stream_of_labels():
    """Classes are those of the first call; an unseen one is named."""
    model = labelled().partial_fit(X, Y)
    first = Y == "a"
    model.partial_fit(X[first], Y[first])
    assert model.class_count_.tolist() == [
        2 * first.sum(),
        *np.unique(Y, return_counts=True)[1][1:],
    ]
    with pytest.raises(ValueError, match="'z'. The classes are 'a', 'b', 'c'"):
        model.partial_fit(X[:2], ["a", "z"])
    whole = labelled(batch_size=16).partial_fit(X[:96], Y[:96])
    halves = labelled(batch_size=16).partial_fit(X[:96], Y[:96])
    whole.partial_fit(X[:96], Y[:96])
    for rows in (slice(0, 48), slice(48, 96)):
        halves.partial_fit(X[rows], Y[rows])
    assert_array_equal(whole.transform(X), halves.transform(X))


def test_labels_and_everything_else(tmp_path):
    """Early stopping, going on, files, refits without labels, sparse rows."""
    early = labelled(early_stopping=True, max_epochs=30, n_iter_no_change=3, tol=1.0)
    assert np.isfinite(early.fit(X, Y).score(X))
    params = {"tol": 0.0, "batch_size": 16}
    whole = labelled(**params, max_epochs=6).fit(X, Y)
    halves = labelled(**params, max_epochs=3, warm_start=True).fit(X, Y).fit(X, Y)
    assert_array_equal(halves.transform(X), whole.transform(X))
    assert halves.discriminator_accuracy_ == whole.discriminator_accuracy_
    whole.save(tmp_path / "model")
    loaded = sklearn_ae.load(tmp_path / "model")
    assert_array_equal(loaded.classes_, whole.classes_)
    assert_array_equal(loaded.sample(5, 0), whole.sample(5, 0))
    loaded.set_params(label_conditioned=False).fit(X)
    assert not hasattr(loaded, "classes_")
    with pytest.raises(NotFittedError):
        labelled().sample()


@pytest.mark.slow
def test_check_estimator_with_labels():
    """scikit-learn's own; some ask for one component, which a ring refuses."""
    model = labelled(prior="gaussian_ring", max_epochs=1)
    results = check_estimator(model, on_skip=None, on_fail=None)
    refusals = [str(r["exception"]) for r in results if r["status"] == "failed"]
    assert len(results) > 30
    assert all("lies in a plane and needs n_comp" in refusal for refusal in refusals)


# The second player


def test_the_discriminator_is_recorded():
    """Accuracy and loss per epoch; it wins at first and guesses at last."""
    model = make(max_epochs=40, learning_rate=3e-3, batch_size=16).fit(100 + 50 * X)
    for name in ("discriminator_accuracy", "discriminator_loss"):
        curve = getattr(model, f"{name}_")
        assert curve == [row["figures"][name] for row in model.history_]
        assert len(curve) == model.n_iter_ == 40
    accuracy, loss = model.discriminator_accuracy_, model.discriminator_loss_
    assert 0.4 < np.mean(accuracy[-5:]) < 0.65
    assert np.mean(loss[-5:]) == pytest.approx(np.log(2), abs=0.1)
    # Hardly an encoder that plays: it is found out.
    lost = make(max_epochs=40, alpha=1e-6, prior=shifted).fit(X)
    assert lost.discriminator_accuracy_[-1] > 0.9
    terms = model.loss_terms_
    assert set(terms) == {"reconstruction", "adversarial"}
    assert_allclose(np.add(*terms.values()), model.loss_curve_)


def test_each_player_moves_its_own_weights():
    """A step of one leaves the other's weights as they were."""
    seen = []

    class Look(Callback):
        def on_grad_computed(self, net, **_):
            seen.append(
                (net.flat_.vector.detach().clone(), net.opposed_.vector.clone())
            )
            gradients = [p.grad for p in net.discriminator_.parameters()]
            assert all(g is not None for g in gradients)

        def on_batch_end(self, net, **_):
            seen.append(
                (net.flat_.vector.detach().clone(), net.opposed_.vector.clone())
            )

    make(callbacks=[Look()], max_epochs=1).fit(X)
    (own, opposed), (own_after, opposed_after) = seen[:2]
    assert torch.equal(opposed, opposed_after)
    assert not torch.equal(own, own_after)
    assert not torch.equal(seen[2][1], opposed)


def test_its_learning_rate_follows():
    rates = []

    class Look(Callback):
        def on_epoch_end(self, net, **_):
            groups = net.optimizer_.param_groups, net.opposed_optimizer_.param_groups
            rates.append([group["lr"] for (group,) in groups])

    params = {"learning_rate_schedule": "cosine", "learning_rate_ratio": 0.5}
    make(callbacks=[Look()], **params).fit(X)
    own, opposed = np.array(rates).T
    assert_allclose(opposed, 0.5 * own)
    assert own[-1] < own[0]


def test_both_players_are_kept_as_in_the_best_epoch():
    """And go on from there: encoder, decoder and discriminator are of one epoch."""
    nets, own, opposed = [], [], []

    class Look(Callback):
        def on_epoch_end(self, net, **_):
            nets.append(net)
            own.append(net.flat_.vector.detach().clone())
            opposed.append(net.opposed_.vector.detach().clone())

    stopping = {"early_stopping": True, "n_iter_no_change": 3, "max_epochs": 100}
    model = make(callbacks=[Look()], learning_rate=0.05, **stopping).fit(X)
    best = int(np.argmax(model.validation_scores_))
    assert 0 < best < model.n_iter_ - 1
    for seen, parts in ((own, nets[0].module_), (opposed, nets[0].discriminator_)):
        kept = torch.nn.utils.parameters_to_vector(parts.parameters())
        assert torch.equal(kept, seen[best])
        assert not torch.equal(kept, seen[-1])


@pytest.mark.parametrize("penalty", [0.0, 0.03, 10.0, "auto"])
@pytest.mark.parametrize("n_components", [2, 3])
def test_what_the_discriminator_minimises(penalty, n_components):
    """Half the log loss by draws, half that by codes, and the squared gradient."""
    draws = np.random.default_rng(0).normal(size=(len(X), n_components))
    found = []

    class Look(Callback):
        def on_grad_computed(self, net, **_):
            gradients = [p.grad.clone() for p in net.discriminator_.parameters()]
            found.append((net.discriminator_, gradients))

    model = AdversarialAutoencoder(
        n_components,
        prior=lambda n, random_state: draws[:n],
        gradient_penalty=penalty,
        optimizer=torch.optim.SGD,
        callbacks=[Look()],
        batch_size=len(X),
        **{**FAST, "max_epochs": 1, "learning_rate": 1e-30},
    ).fit(X)
    ((player, gradients),) = found
    points = torch.tensor(np.vstack([draws, model.transform(X)]), dtype=torch.float32)
    points.requires_grad_()
    odds = player(points, None)
    log_loss = -torch.nn.functional.logsigmoid(odds[: len(X)]).mean() / 2
    log_loss = log_loss - torch.nn.functional.logsigmoid(-odds[len(X) :]).mean() / 2
    (slope,) = torch.autograd.grad(odds.sum(), points, create_graph=True)
    weight = 0.0075 * n_components**2 if penalty == "auto" else penalty
    objective = log_loss + weight * slope.square().sum(dim=1).mean()
    expected = torch.autograd.grad(objective, list(player.parameters()))
    torch.testing.assert_close(gradients, list(expected), rtol=1e-4, atol=1e-6)
    assert model.discriminator_loss_ == pytest.approx([log_loss.item()], rel=1e-5)


def test_it_may_diverge_alone():
    with pytest.raises(DivergenceError, match="diverged in epoch"):
        make(optimizer="sgd", learning_rate_ratio=1e30, alpha=1e-30).fit(X)


def test_another_discriminator_does_not_go_on():
    model = make(warm_start=True).fit(X)
    with pytest.raises(ValueError, match="shape of the discriminator has changed"):
        model.set_params(discriminator_hidden_layer_sizes=(5,)).fit(X)
    assert model.set_params(warm_start=False).fit(X).n_iter_ == 4


@pytest.mark.parametrize("method", ["fit", "pretrained"])
def test_lbfgs_plays_no_game(method):
    with pytest.raises(InvalidParameterError, match="'optimizer' parameter .* must be"):
        make(optimizer="lbfgs").fit(X)
    kind = torch.optim.LBFGS
    pretraining = {"fit": None, "pretrained": "greedy"}[method]
    with pytest.raises(ValueError, match="does not work in a game of two"):
        make(optimizer=kind, pretraining=pretraining).fit(X)


@pytest.mark.parametrize("architecture", ["convolutional", "residual", LSTM(1)])
def test_every_architecture_plays(architecture):
    model = make(architecture=architecture, hidden_layer_sizes=(4,)).fit(X)
    assert len(model.discriminator_accuracy_) == 4
    assert model.sample(3, 0).shape == (3, 20)


def test_it_combines_with_other_objectives():
    """The codes that the encoder gives in training are those that are judged."""

    class Both(AdversarialAutoencoder, DenoisingAutoencoder, SparseAutoencoder):
        pass

    model = Both(2, penalty="l1", code_activation="identity", max_epochs=2)
    model.set_params(batch_size=32, random_state=0).fit(X)
    assert set(model.loss_terms_) == {"reconstruction", "sparsity", "adversarial"}


def test_what_a_file_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="^prior=.*cannot be written"):
        make(prior=shifted).fit(X).save(tmp_path / "model")
    with pytest.raises(ValueError, match="^prior=.*cannot be written"):
        make(prior=Seedless()).save(tmp_path / "model")
    model = make(prior=mixture()).fit(X)
    model.save(tmp_path / "model")
    loaded = sklearn_ae.load(tmp_path / "model")
    assert_array_equal(loaded.sample(5, 0), model.sample(5, 0))


class Conditional(BaseEstimator):
    """A prior of one's own that tells components, in text."""

    def sample(self, n_samples, random_state=None):
        labels = np.array(["left", "right"])[random_state.randint(2, size=n_samples)]
        return random_state.normal(size=(n_samples, 2)), labels


def test_components_are_told_by_numbers():
    assert make(prior=Conditional()).fit(X).n_iter_ == 4
    with pytest.raises(ValueError, match="has none for 3 classes"):
        labelled(prior=Conditional()).fit(X, Y)


@pytest.mark.parametrize("prior", ["swiss_roll", "gaussian_ring", "once"])
def test_pretraining_with_priors_of_one_width(prior):
    """Layers of other widths are trained without the game."""
    prior = Torch() if prior == "once" else prior
    model = AdversarialAutoencoder(
        2, prior=prior, pretraining="greedy", pretraining_epochs=1, max_epochs=1
    )
    model.set_params(hidden_layer_sizes=(5, 4), random_state=0).fit(X)
    assert len(model.pretraining_curves_) == 3


class Torch:
    """Draws from the generators of torch and of python, as others do."""

    def sample(self, n_samples):
        return torch.randn(n_samples, 2).numpy() + 0.1 * random.random()


def test_priors_that_draw_from_other_generators():
    """Are repeatable, and leave those as they were."""
    before = torch.get_rng_state(), random.getstate()
    one, other = (
        AdversarialAutoencoder(2, prior=Torch(), max_epochs=2, random_state=0).fit(X)
        for _ in range(2)
    )
    assert_array_equal(one.transform(X), other.transform(X))
    assert_array_equal(one.sample(5, 0), other.sample(5, 0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_samples_are_of_the_prior_that_was_trained_on():
    """Whatever has become of the parameter, or of the object."""
    mixture = GaussianMixture(2, random_state=0).fit(X[:, :2])
    model = AdversarialAutoencoder(2, prior=mixture, max_epochs=1, random_state=0)
    expected = model.fit(X).sample(5, 0)
    mixture.means_ += 100.0
    assert_array_equal(model.sample(5, 0), expected)
    model.set_params(prior="uniform")
    assert_array_equal(model.sample(5, 0), expected)
    assert model.fit(X).prior_ == "uniform"


def test_a_game_begins_later():
    """With `warm_start`, where there was none before."""
    model = AdversarialAutoencoder(2, alpha=0.0, warm_start=True, max_epochs=1)
    model.set_params(random_state=0).fit(X).set_params(alpha=1.0).fit(X)
    assert len(model.loss_curve_) == 2
    assert model.loss_terms_["adversarial"][0] == 0.0
