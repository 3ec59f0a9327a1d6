"""A generator has no encoder: it makes rows of draws, and what it makes is judged."""

import copy
import pickle

import numpy as np
import pytest
import torch
from contract.table import assert_same_model
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator
from toys.generator import MomentMatcher

import sklearn_ae
from sklearn_ae._files.registry import CLASSES


def small(**params):
    params = {"hidden_layer_sizes": (16,), "max_epochs": 4, "random_state": 0, **params}
    return MomentMatcher(3, **params)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    sides = rng.choice([-4, 4], (400, 1))
    return sides * [1, 0.5] + rng.normal(size=(400, 2)) + [1000, 7]


def test_rows_follow_the_training_rows(X):
    fitted = small(max_epochs=80, learning_rate=0.01).fit(X)
    S = fitted.sample(2000, random_state=0)
    assert np.abs(S.mean(axis=0) - X.mean(axis=0)).max() < 0.5
    assert np.abs(S.std(axis=0) / X.std(axis=0) - 1).max() < 0.3
    assert np.mean(np.abs(S[:, 0] - 1000) < 1) < 0.15, "between the sides"
    assert fitted.score(X) > 10 * small().fit(X).score(X)
    assert set(fitted.loss_terms_) == {"discrepancy"}


def test_draws(X):
    """One seed, one draw; codes of one's own; shapes of rows; refused numbers."""
    fitted = small().fit(X)
    np.testing.assert_array_equal(fitted.sample(9, 3), copy.copy(fitted).sample(9, 3))
    assert not np.array_equal(fitted.sample(9), fitted.sample(9))
    codes = np.random.default_rng(0).normal(size=(5, 3))
    assert fitted.inverse_transform(codes).shape == (5, 2)
    assert fitted.inverse_transform(codes.astype("f4")).dtype == np.float32
    with pytest.raises(ValueError, match="2 components, but 3 are expected"):
        fitted.inverse_transform(codes[:, :2])
    with pytest.raises(ValueError, match="n_samples"):
        fitted.sample(0)


def test_there_is_nothing_of_an_encoder(X):
    fitted = small().fit(X)
    for name in ("transform", "reconstruct", "score_samples", "layer_codes"):
        assert not hasattr(fitted, name)
    assert not {"code_activation", "latent_density"} & fitted.get_params().keys()
    assert list(fitted.summary().layer) == ["decoder.0", "decoder.1"]
    module = fitted.to_module()
    codes = torch.zeros(2, 3)
    np.testing.assert_allclose(
        module(codes).detach(), fitted.inverse_transform(codes), rtol=1e-6
    )


def test_images_are_made_of_maps():
    images = np.random.default_rng(0).random((64, 8, 8))
    fitted = small(architecture="convolutional", hidden_layer_sizes=(2, 3)).fit(images)
    assert fitted.sample(3, 0).shape == (3, 8, 8)


def test_training_goes_on(X):
    whole = small(max_epochs=6).fit(X)
    half = small(max_epochs=3, warm_start=True).fit(X)
    for part in (pickle.loads(pickle.dumps(half)), half):
        assert_same_model(part.fit(X), whole)
    assert_same_model(clone(whole).fit(X), whole)


def test_early_stopping_judges_by_draws_that_stay(X):
    options = {"early_stopping": True, "max_epochs": 50, "tol": 1.0}
    fitted = small(**options, n_iter_no_change=2).fit(X)
    best = int(np.argmax(fitted.validation_scores_))
    assert fitted.loss_ == fitted.loss_curve_[best]


def test_files(X, tmp_path, monkeypatch):
    monkeypatch.setitem(CLASSES, "MomentMatcher", MomentMatcher)
    fitted = small(warm_start=True).fit(X)
    fitted.save(tmp_path / "generator")
    loaded = sklearn_ae.load(tmp_path / "generator")
    np.testing.assert_array_equal(loaded.sample(5, 0), fitted.sample(5, 0))
    assert_same_model(loaded.fit(X), fitted.fit(X))


@pytest.mark.parametrize(
    ("estimator", "check"), list(estimator_checks_generator(small(max_epochs=1)))
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)
