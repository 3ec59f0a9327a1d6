"""Promises 19 and 21: one seed, one model, one sample, wherever it is computed."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from threadpoolctl import threadpool_limits

from contract.kinds import GENERATOR
from contract.table import (
    ROWS,
    SETS,
    answers,
    assert_same_model,
    digest,
    every_case,
    every_class,
    labels,
    structured_rows,
    weights,
)
from sklearn_ae import Autoencoder
from sklearn_ae._training import dense_gradient

DENSITIES = {
    "mixture": GaussianMixture(3, random_state=0),
    "mixture without a seed": GaussianMixture(3),
    "kernel": KernelDensity(bandwidth=0.1),
}


def digests_of(set_name):
    """Answer a hash of each case of a set of the table, fitted on the same rows."""
    X = structured_rows()
    y = labels(X)
    return [digest(row.make(**params).fit(X, y), X) for row, params in SETS[set_name]]


def wide_digests(*_):
    """Answer a hash of every class as a wide net, codes and scores included."""
    X = structured_rows(600, 300)
    y = labels(X)
    return [digest(row.make(**wide).fit(X, y), X) for row in ROWS for wide in row.wide]


@pytest.fixture(scope="module")
def expected_digests(set_name):
    return digests_of(set_name)


def disturb():
    """Move every global generator on."""
    random.random()
    np.random.rand(3)
    torch.rand(3)


def test_in_one_process(set_name, expected_digests):
    """19: bit-equal, whatever was drawn in between, and small nets with any threads."""
    disturb()
    with threadpool_limits(3):
        assert digests_of(set_name) == expected_digests


@pytest.mark.usefixtures("two_threads")
def test_in_four_threads_at_once(set_name, expected_digests):
    """19: fits share no generator, no lock and no thread setting."""
    X = structured_rows()

    def fit(case):
        row, params = case
        return digest(row.make(**params).fit(X, labels(X)), X)

    n_threads = torch.get_num_threads()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fit, [case for case in SETS[set_name] for _ in range(2)]))
    assert found == [d for d in expected_digests for _ in range(2)]
    assert torch.get_num_threads() == n_threads


@pytest.mark.slow
def test_in_workers(set_name, expected_digests):
    """19: n_jobs=2, which leaves each worker half of the cores."""
    jobs = [partial(digests_of, set_name), wide_digests, torch.get_num_threads]
    small, wide, n_threads = Parallel(n_jobs=2)(delayed(job)() for job in jobs)
    assert small == expected_digests
    with threadpool_limits(n_threads):
        assert wide == wide_digests()


@pytest.mark.usefixtures("two_threads")
def test_large_nets():
    """19: by two threads each, one net after another, or two at once."""
    expected = wide_digests()
    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(wide_digests, range(2))] == [expected] * 2


@pytest.mark.parametrize(
    "is_written_out", [True, pytest.param(False, marks=pytest.mark.slow)]
)
@every_class
def test_a_step_by_other_numbers_of_threads(row, is_written_out, monkeypatch):
    """19: up to rounding; Adam would make a step of the sign of a gradient near 0."""
    if not is_written_out:
        monkeypatch.setattr(dense_gradient, "supports", lambda module: False)
    X = structured_rows(600, 300)
    step = {"optimizer": "sgd", "batch_size": 600, "max_epochs": 1}
    found = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            fitted = row.make(**row.wide[-1] | step).fit(X, row.targets(X))
            found.append({**weights(fitted), "loss": np.array(fitted.loss_curve_)})
    for other in found[1:]:
        for name, array in found[0].items():
            scale = np.abs(array).max()
            np.testing.assert_allclose(other[name], array, rtol=0, atol=1e-5 * scale)


@every_case
def test_seeds(row, params, X, y):
    """19: other seeds differ, None varies, a RandomState is an int of its own."""
    fitted = [row.make(**params, random_state=s).fit(X, y) for s in (0, 1, None, None)]
    for i, one in enumerate(fitted):
        for other in fitted[:i]:
            for name, array in weights(one).items():
                if array.ndim == 2:
                    assert not np.array_equal(array, weights(other)[name]), name
    states = [np.random.RandomState(3), np.random.RandomState(3)]
    one, other = (row.make(**params, random_state=s).fit(X, y) for s in states)
    assert_same_model(one, other)
    again = row.make(**params, random_state=states[0]).fit(X, y)
    assert digest(again, X) != digest(one, X)


@every_class
def test_streams_do_not_disturb_each_other(row, X, y):
    """19: an outer layer's first weights do not depend on the layers inside."""
    if "hidden_layer_sizes" not in row.cls().get_params():
        return
    params = {"max_epochs": 1, "learning_rate": 1e-12, "optimizer": "sgd"}
    shallow = weights(row.make(**params, hidden_layer_sizes=(8,)).fit(X, y))
    deep = weights(row.make(**params, hidden_layer_sizes=(8, 5)).fit(X, y))
    first = next(iter(shallow))
    np.testing.assert_allclose(shallow[first], deep[first], rtol=1e-6)
    other = row.make(**params, hidden_layer_sizes=(8,), n_components=4).fit(X, y)
    np.testing.assert_allclose(shallow[first], weights(other)[first], rtol=1e-6)


@every_class
@pytest.mark.parametrize("density", DENSITIES)
def test_samples_are_repeatable(row, density, X, y):
    """21: whatever happened before, in any order, from a copy too."""
    params = row.sampling(DENSITIES[density])
    estimator = row.make(**params).fit(X, y)
    other = row.make(**params).fit(X, y)
    first = {s: estimator.sample(20, random_state=s) for s in (0, 1)}
    assert first[0].shape == (20, X.shape[1])
    assert len(np.unique(first[0], axis=0)) == 20
    assert not np.array_equal(first[0], first[1])
    disturb()
    estimator.sample(3)
    answers(estimator, X)
    if row.takes_density:
        other.latent_density_.sample(5)
    for seed in (1, 0):
        np.testing.assert_array_equal(estimator.sample(20, seed), first[seed])
        np.testing.assert_array_equal(other.sample(20, seed), first[seed])
    assert not np.array_equal(estimator.sample(20), estimator.sample(20))
    states = np.random.RandomState(5), np.random.RandomState(5)
    one, same = (estimator.sample(4, state) for state in states)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(estimator.sample(4, states[0]), one)
    if row.kind is GENERATOR:
        # It has no noise around what it makes.
        return
    decoded = estimator.sample(20, random_state=0, observation_noise=False)
    assert not np.array_equal(decoded, first[0])
    np.testing.assert_array_equal(
        decoded, other.sample(20, random_state=0, observation_noise=False)
    )


@pytest.mark.slow
@every_class
def test_samples_follow_the_rows(row):
    """21: they are draws of the training distribution, not of the density's corner."""
    X = structured_rows(400)
    params = {**row.learns, "n_components": 2, "random_state": 0}
    estimator = row.cls(**params, **row.sampling(GaussianMixture(4))).fit(X, labels(X))
    S = estimator.sample(2000, random_state=0)
    deviation = X.std(axis=0)
    assert (np.abs(S.mean(axis=0) - X.mean(axis=0)) < 0.25 * deviation).all()
    assert (np.abs(S.std(axis=0) - deviation) < 0.3 * deviation).all()
    # Rows come in random order, not by component of the mixture.
    half = np.abs(S[:1000].mean(axis=0) - S[1000:].mean(axis=0))
    assert (half < 0.2 * deviation).all()


def test_densities_have_double_precision():
    """21: numpy warns of covariances that are positive definite up to float32 only."""
    X = load_digits().data.astype(np.float32)
    density = GaussianMixture(10, random_state=0)
    autoencoder = Autoencoder(
        16, latent_density=density, max_epochs=2, random_state=0
    ).fit(X)
    assert autoencoder.latent_density_.covariances_.dtype == np.float64
    assert autoencoder.sample(50, random_state=0).shape == (50, 64)


@every_class
def test_sample_needs_a_density(row, X, y):
    """21: the method is not there without one; a bad number of rows is refused."""
    assert hasattr(row.make().fit(X, y), "sample") is row.generative
    params = row.sampling(GaussianMixture())
    with pytest.raises(NotFittedError):
        row.make(**params).sample()
    estimator = row.make(**params).fit(X, y)
    for n_samples in (0, -1):
        with pytest.raises(ValueError, match="n_samples == "):
            estimator.sample(n_samples)
    with pytest.raises(TypeError, match="n_samples must be an instance of int"):
        estimator.sample(1.5)
