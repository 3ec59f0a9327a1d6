"""What is promised of some kinds only, and that toys which break a promise fail."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from toys.game import RealisticAutoencoder, RowsAgainstReconstructions
from toys.generator import MomentMatcher
from toys.predictor import BottleneckRegressor
from toys.variant import SmoothAutoencoder

from contract.table import TOYS, every_class, structured_rows
from contract.test_determinism import test_samples_are_repeatable as ask_for_samples
from contract.test_invariance import test_answers_are_repeatable as ask_twice
from contract.test_sklearn import test_clone_and_get_params_round_trip as ask_a_clone


@every_class
def test_targets_come_back(row, X):
    """Of any shape that `fit` saw, which later calls have to keep."""
    Y = X[:, :4] ** 2
    for shape in [(), (4,), (2, 2), (1, 4)]:
        y = Y[:, 0] if shape == () else Y.reshape(-1, *shape)
        fitted = row.make().fit(X, y)
        assert fitted.predict(X).shape == y.shape
        assert fitted.predict(X[:1]).shape == (1, *shape)
        assert isinstance(fitted.score(X, y), float)
        with pytest.raises(ValueError, match="y has targets of shape"):
            fitted.partial_fit(X, Y[:, :3])


@every_class
def test_targets_are_needed(row, X, y):
    """Where they are missing, or not as many as rows, nothing is trained."""
    fitted = row.make().fit(X, y)
    expected = fitted.predict(X)
    for other in (None, y[:-1]):
        with pytest.raises(ValueError, match="requires y|inconsistent numbers"):
            fitted.fit(X, other)
    np.testing.assert_array_equal(fitted.predict(X), expected)


@every_class
def test_codes_of_another_width(row, X, y):
    """They are refused, whether somebody encodes or not."""
    estimator = row.make().fit(X, y)
    with pytest.raises(ValueError, match="3 components, but 2 are expected"):
        estimator.inverse_transform(np.zeros((4, 3)))


class Forgetful(MomentMatcher):
    def sample(self, n_samples=1, random_state=None):
        return super().sample(n_samples)


class Flat(BottleneckRegressor):
    def predict(self, X):
        return super().predict(X).reshape(len(X), -1)


class Restless(SmoothAutoencoder):
    def transform(self, X):
        Z = super().transform(X)
        return Z + np.random.default_rng().normal(size=Z.shape)


class RestlessRound(RowsAgainstReconstructions):
    def real(self, batch, made, generator):
        return batch.x + torch.rand(1).item()


class RestlessGame(RealisticAutoencoder):
    def _build_net(self, model, seen, **options):
        net = super()._build_net(model, seen, **options)
        net.game.round = RestlessRound()
        return net


def row_of(cls):
    """Answer the row of the toy that a class has spoilt."""
    row = next(row for row in TOYS if issubclass(cls, row.cls))
    return dataclasses.replace(row, cls=cls)


@pytest.mark.parametrize(
    ("cls", "ask"),
    [
        (Forgetful, lambda row, X, y: ask_for_samples(row, "mixture", X, y)),
        (Flat, lambda row, X, y: test_targets_come_back(row, X)),
        (Restless, lambda row, X, y: ask_twice(row, {}, X, y)),
        (RestlessGame, lambda row, X, y: ask_a_clone(row, {}, X, y)),
    ],
)
def test_a_broken_promise_is_seen(cls, ask):
    """And a kept one is not taken for broken."""
    X = structured_rows()
    row = row_of(cls)
    with pytest.raises(AssertionError):
        ask(row, X, row.targets(X))
    kept = row_of(cls.__mro__[1])
    ask(kept, X, kept.targets(X))
