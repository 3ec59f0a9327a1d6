"""Checks of make_denoising_scorer."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer

from sklearn_ae import GaussianNoise, MaskingNoise, SaltAndPepperNoise
from sklearn_ae.metrics import (
    make_denoising_scorer,
    reconstruction_r2,
)
from units.metrics.cases import SQUARE, Codes, X, exactly

NOISES = ["gaussian", "masking", "salt_and_pepper"]
SPECS = [GaussianNoise(), MaskingNoise(), SaltAndPepperNoise()]
NAMED = dict(zip(NOISES, SPECS, strict=True))


@pytest.mark.parametrize("noise", NOISES)
def test_no_noise_is_plain_reconstruction(noise):
    pca = PCA(2).fit(X)
    score = make_denoising_scorer(noise, 0.0)(pca, X)
    assert type(score) is float
    assert score == reconstruction_r2(pca, X)


def test_gaussian_noise_is_in_units_of_the_overall_deviation():
    rows = np.random.default_rng(0).normal([5, -70], [3, 4], (20_000, 2))
    seen = Codes()
    score = make_denoising_scorer("gaussian", 0.5)(seen, rows)
    noise = seen.seen_ - rows
    # One deviation for both features: half of sqrt((9 + 16) / 2).
    assert_allclose(noise.std(axis=0), 0.5 * np.sqrt(12.5), rtol=0.02)
    assert_allclose(noise.mean(axis=0), 0, atol=0.05)
    assert_allclose(score, 1 - 0.5**2, atol=0.01)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_means_the_same_in_all_units(noise):
    scorer = make_denoising_scorer(noise, 0.5)
    scores = [scorer(PCA(2).fit(Z), Z) for Z in (X, X * 1e-4, X * 1e4 + 1e6)]
    assert_allclose(scores, scores[0], rtol=1e-6)


def test_masking_sets_a_share_of_the_entries_to_the_mean():
    seen = Codes()
    rows = np.random.default_rng(0).normal([5, -7], 1, (5000, 2))
    make_denoising_scorer("masking", 0.3)(seen, rows)
    changed = seen.seen_ != rows
    assert_allclose(changed.mean(axis=0), 0.3, atol=0.03)
    means = np.broadcast_to(rows.mean(axis=0), rows.shape)
    assert_allclose(seen.seen_[changed], means[changed], rtol=1e-12)
    # All gone: what is left is the mean.
    assert make_denoising_scorer("masking", 1)(Codes(), SQUARE) == 0
    # To 0: the error is sum x^2 = 16, the squared deviations are 8.
    assert make_denoising_scorer(MaskingNoise(fill=0), 1)(Codes(), SQUARE) == -1


@pytest.mark.parametrize(
    "noise", [*SPECS, MaskingNoise(fill=2.0)], ids=lambda noise: str(noise)
)
def test_noise_is_what_the_estimator_is_trained_with(noise):
    """Whether it is named or given; only the level of "gaussian" is in other units."""
    level, unit = 0.4, 1.0
    if noise.name == "gaussian":
        unit = np.sqrt(((X - X.mean(axis=0)) ** 2).mean())
    expected = noise.corrupt(X, level * unit, random_state=5)
    for given in (noise, noise.name) if noise in SPECS else (noise,):
        for rows in (X, scipy.sparse.csr_array(X), pd.DataFrame(X)):
            seen = Codes()
            make_denoising_scorer(given, level, random_state=5)(seen, rows)
            assert_allclose(seen.seen_, expected, rtol=1e-12)


def test_salt_and_pepper_sets_entries_to_the_limits_of_their_feature():
    seen = Codes()
    rows = np.random.default_rng(0).normal([5, 50], 1, (5000, 2))
    make_denoising_scorer("salt_and_pepper", 0.4)(seen, rows)
    low = (seen.seen_ == rows.min(axis=0)).mean(axis=0)
    high = (seen.seen_ == rows.max(axis=0)).mean(axis=0)
    assert_allclose([low, high], 0.2, atol=0.03)
    assert_allclose((seen.seen_ == rows).mean(), 0.6, atol=0.03)


def test_denoising_prefers_the_true_rank_where_reconstruction_wants_more():
    random = np.random.default_rng(0)
    signal = random.normal(size=(300, 3)) @ random.normal(size=(3, 10))
    rows = signal + 0.01 * random.normal(size=signal.shape)
    models = [PCA(k).fit(rows) for k in range(1, 11)]
    plain = [reconstruction_r2(model, rows) for model in models]
    denoised = [make_denoising_scorer("gaussian", 0.3)(model, rows) for model in models]
    assert np.argmax(plain) == 9
    assert np.argmax(denoised) == 2


def test_own_noise_gets_its_own_copy_of_all_rows_and_a_seed():
    def swap(rows, random_state):
        assert isinstance(random_state, np.random.RandomState)
        assert rows.dtype == np.float64
        random_state.shuffle(rows)
        return rows

    seen, before = Codes(), X.copy()
    make_denoising_scorer(swap, random_state=3)(seen, X)
    assert_allclose(X, before, rtol=0)
    expected = X.copy()
    np.random.RandomState(3).shuffle(expected)
    assert_allclose(seen.seen_, expected, rtol=0)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (lambda X, r: X[:, 1:], "The noise gives rows of 3 features, X has 4."),
        (
            lambda X, r: X[1:],
            "Found input variables with inconsistent numbers of samples: [149, 150]",
        ),
    ],
)
def test_own_noise_must_keep_the_shape(noise, message):
    with pytest.raises(ValueError, match=exactly(message)):
        make_denoising_scorer(noise)(Codes(), X)


@pytest.mark.parametrize("noise", [*NOISES, lambda X, r: X + r.normal(size=X.shape)])
def test_noise_is_repeatable_and_leaves_the_global_state(noise):
    pca, before = PCA(2).fit(X), X.copy()
    state = pickle.dumps(np.random.get_state())
    first = make_denoising_scorer(noise, 0.3, random_state=1)(pca, X)
    assert make_denoising_scorer(noise, 0.3, random_state=1)(pca, X) == first
    assert make_denoising_scorer(noise, 0.3, random_state=2)(pca, X) != first
    assert pickle.dumps(np.random.get_state()) == state
    assert_allclose(X, before, rtol=0)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_does_not_depend_on_the_slices(noise):
    rows = np.random.default_rng(0).normal(3, 1, (66_000, 64))
    sliced = Codes()
    make_denoising_scorer(noise, 0.5)(sliced, rows)
    assert len(sliced.batches_) > 1
    level = 0.5
    if noise == "gaussian":
        level *= np.sqrt(((rows - rows.mean(axis=0)) ** 2).mean())
    expected = NAMED[noise].corrupt(rows, level, random_state=0)
    assert_allclose(sliced.seen_, expected, rtol=0, atol=1e-12)


def test_noisy_rows_keep_the_dtype_and_the_names():
    types = []
    watch = FunctionTransformer(lambda Z: types.append(type(Z)) or Z)
    frame = pd.DataFrame(X, columns=list("abcd"))
    scorer = make_denoising_scorer("gaussian", 0.2)
    score = scorer(watch.fit(frame), frame)
    assert types[-1] is pd.DataFrame
    assert_allclose(score, scorer(Codes(), X), rtol=1e-12)
    narrow = Codes()
    scorer(narrow, X.astype(np.float32))
    assert narrow.batches_[0].dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("pink",),
            "noise must be a noise object, a callable or in ['gaussian', 'masking', "
            "'salt_and_pepper'], got 'pink'.",
        ),
        (
            ("gaussian", -0.1),
            "The 'noise_level' parameter must be in [0, inf] with noise='gaussian'. "
            "Got -0.1 instead.",
        ),
        (
            ("masking", 1.5),
            "The 'noise_level' parameter must be in [0, 1] with noise='masking'. "
            "Got 1.5 instead.",
        ),
        (
            ("salt_and_pepper", float("nan")),
            "The 'noise_level' parameter must be in [0, 1] with "
            "noise='salt_and_pepper'. Got nan instead.",
        ),
    ],
)
def test_denoising_scorer_refuses_unknown_noise(arguments, message):
    with pytest.raises(ValueError, match=exactly(message)):
        make_denoising_scorer(*arguments)
