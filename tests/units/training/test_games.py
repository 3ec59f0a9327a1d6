"""A game is apart from what its players are shown, and from the module."""

import pickle

import numpy as np
import pytest
from contract.table import assert_same_model, weights
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from toys.game import RealisticAutoencoder


@pytest.fixture(scope="module")
def X():
    return load_digits(return_X_y=True)[0][:400]


def small(**params):
    params = {"hidden_layer_sizes": (16,), "max_epochs": 4, "random_state": 0, **params}
    return RealisticAutoencoder(4, **params)


def test_figures_of_a_game_over_rows(X):
    fitted = small().fit(X)
    assert len(fitted.discriminator_accuracy_) == len(fitted.discriminator_loss_) == 4
    assert set(fitted.loss_terms_) == {"reconstruction", "adversarial"}


def test_more_turns_make_a_better_discriminator(X):
    one, five = (
        small(n_turns=n, realism=0.0).fit(X).discriminator_loss_[-1] for n in (1, 5)
    )
    assert five < one


def test_who_plays_is_harder_to_tell(X):
    told = [
        small(realism=realism, max_epochs=20).fit(X).discriminator_loss_[-1]
        for realism in (0.0, 0.3)
    ]
    assert told[1] > told[0]


def test_a_discriminator_takes_an_architecture(X):
    images = X.reshape(-1, 8, 8)
    fitted = small(architecture="convolutional", hidden_layer_sizes=(2, 3)).fit(images)
    kept = fitted.set_params(warm_start=True).fit(images)._model.training_state
    assert sum(weight.ndim == 4 for weight in kept["discriminator"].values()) == 2


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_game_goes_on_as_if_never_stopped(X, averaging):
    """From memory and from a pickle, with the last weights where the mean is kept."""
    params = {"averaging": averaging, "warm_start": True}
    whole = small(**params, max_epochs=6).fit(X)
    half = small(**params, max_epochs=3).fit(X)
    copied = pickle.loads(pickle.dumps(half))
    for part in (half, copied):
        assert_same_model(part.fit(X), whole)
        assert part.discriminator_loss_ == whole.discriminator_loss_


def test_averaged_weights_are_the_mean_of_the_steps(X):
    """One with one step an epoch, whose weights callbacks have seen."""
    seen = []

    class Watch(Callback):
        def on_epoch_begin(self, net, **_):
            seen.append([p.detach().clone() for p in net.module_.parameters()])

        def on_train_end(self, net, **_):
            seen.append([p.detach().clone() for p in net.module_.parameters()])

    options = {"batch_size": 400, "callbacks": [Watch()], "max_epochs": 3}
    fitted = small(averaging=0.5, **options).fit(X)
    for place, found in enumerate(weights(fitted).values()):
        mean = seen[0][place]
        for later in seen[1:]:
            mean = 0.5 * mean + 0.5 * later[place]
        np.testing.assert_allclose(found, mean.numpy(), rtol=1e-5, atol=1e-7)
    assert_same_model(
        small(max_epochs=3, batch_size=400).fit(X), small(**options).fit(X)
    )


def test_early_stopping_keeps_the_best_mean(X):
    options = {"early_stopping": True, "averaging": 0.9, "max_epochs": 30, "tol": 1.0}
    fitted = small(**options, n_iter_no_change=2, learning_rate=0.01).fit(X)
    best = int(np.argmax(fitted.validation_scores_))
    assert fitted.loss_ == fitted.loss_curve_[best]
