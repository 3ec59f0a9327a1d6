"""Denoising: closed forms of linear nets, the score, and what nets add: H1 to H11, C5.

What noise does to a linear net follows from P = E x x~' and Q = E x~ x~', of the clean
row x and of the corrupted one x~, both less the mean.
"""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from theory import (
    SPECTRUM,
    Claim,
    Identity,
    MeanPredictor,
    RandomProjection,
    Stub,
    check_claims,
    digits,
    digits_split,
    end_to_end_matrix,
    gaussian_rows,
    principal_axes,
    rebuild,
)

from sklearn_ae import Autoencoder, DenoisingAutoencoder, MaskingNoise

K, D = 5, len(SPECTRUM)
LINEAR = {
    "hidden_layer_sizes": (),
    "learning_rate": 1e-2,
    "learning_rate_schedule": "cosine",
    "batch_size": 100,
    "max_epochs": 200,
}
NET = {
    "learning_rate": 2e-3,
    "learning_rate_schedule": "cosine",
    "max_epochs": 60,
}


def rows(seed, n=500):
    """Draw few enough rows that noise drawn once for all of them can be learned."""
    return gaussian_rows(seed, n) + 5


def covariance(X):
    return np.cov(X.T, bias=True)


def expected_error(model, X, P, Q):
    """Answer the SSE of an affine model over the rows and over all noise."""
    mean = X.mean(axis=0)
    answers = rebuild(model, np.vstack([mean + np.eye(D), mean[None]]))
    A, b = (answers[:-1] - answers[-1]).T, answers[-1] - mean
    cross = np.trace(A @ P.T)
    return np.trace(covariance(X)) - 2 * cross + np.trace(A @ Q @ A.T) + b @ b


def frozen(X, random_state, level):
    """Add Gaussian noise that is always the same for an entry."""
    quantile = np.clip(np.abs(X * 1e4) % 1, 1e-6, 1 - 1e-6)
    return X + level * norm.ppf(quantile)


def of_half_the_level(name):
    return DenoisingAutoencoder(D, noise=name, noise_level=0.15, **LINEAR)


def test_linear_net_with_gaussian_noise(request):
    """H1, H2: the error of a noisy row is sum_k lam s^2 / (lam + s^2) and the tail.

    A noisy target (which is PCA), noise drawn once, half of it, none, and a code of
    another size miss it.
    """
    s = 2.0

    def figures(model, seed):
        X = rows(seed)
        lam = principal_axes(X)[0]
        floor = (lam * s**2 / (lam + s**2))[:K].sum() + lam[K:].sum()
        S = covariance(X)
        error = expected_error(model.fit(X), X, S, S + s**2 * np.eye(D))
        return {"error": error / floor}

    denoising = DenoisingAutoencoder(K, noise="gaussian", noise_level=s, **LINEAR)
    check_claims(
        request,
        figures,
        denoising,
        [Claim("error", at_most=1.01, never_below=1 - 1e-5)],
        stubs=[
            PCA(K),
            clone(denoising).set_params(noise=partial(frozen, level=s)),
            clone(denoising).set_params(noise_level=s / 2),
            clone(denoising).set_params(n_components=K - 1),
            clone(denoising).set_params(n_components=K + 1),
            Autoencoder(K, **LINEAR),
            MeanPredictor(K),
        ],
    )


def test_overcomplete_net_is_the_wiener_filter(request):
    """H5: noise alone keeps 2 d components from copying: gains lam / (lam + s^2)."""
    s = 1.0

    def figures(model, seed):
        X = rows(seed)
        lam, axes = principal_axes(X)
        gain = np.diag(axes.T @ end_to_end_matrix(model.fit(X), D) @ axes)
        return {"gain off by": np.abs(gain - lam / (lam + s**2)).max()}

    check_claims(
        request,
        figures,
        DenoisingAutoencoder(2 * D, noise="gaussian", noise_level=s, **LINEAR),
        [Claim("gain off by", at_most=0.03)],
        stubs=[
            Identity(2 * D),
            Autoencoder(2 * D, **LINEAR),
            DenoisingAutoencoder(2 * D, noise="gaussian", noise_level=1.2, **LINEAR),
        ],
    )


def test_linear_net_with_masking_noise(request):
    """H3: the error is tr(S) - tr(P Q^-1 P'), where features have means that are not 0.

    P = (1 - nu) S; Q is (1 - nu)^2 S but for its diagonal, (1 - nu) S. Half the noise,
    none, and zeros in place of means miss it.
    """
    nu = 0.3

    def figures(model, seed):
        X = rows(seed)
        S = covariance(X)
        P, Q = (1 - nu) * S, (1 - nu) ** 2 * S
        np.fill_diagonal(Q, (1 - nu) * np.diag(S))
        floor = np.trace(S) - np.trace(P @ np.linalg.solve(Q, P.T))
        return {"error": expected_error(model.fit(X), X, P, Q) / floor}

    check_claims(
        request,
        figures,
        DenoisingAutoencoder(D, noise_level=nu, **LINEAR),
        [Claim("error", at_most=1.02, never_below=1 - 1e-5)],
        stubs=[
            of_half_the_level("masking"),
            DenoisingAutoencoder(
                D, noise=MaskingNoise(fill=0), noise_level=nu, **LINEAR
            ),
            Autoencoder(D, **LINEAR),
            Identity(D),
        ],
    )


def test_linear_net_with_salt_and_pepper(request):
    """H4: within 2% of least squares on 200,000 rows that numpy has corrupted.

    An entry becomes the feature's minimum or its maximum, each with nu / 2.
    """
    nu = 0.3

    def figures(model, seed):
        X = rows(seed)
        clean = np.tile(X, (400, 1))
        draw = np.random.RandomState(seed).uniform(size=clean.shape)
        ends = np.where(draw < nu / 2, X.min(axis=0), X.max(axis=0))
        noisy = np.where(draw < nu, ends, clean)
        inputs = np.column_stack([noisy, np.ones(len(noisy))])
        fitted = inputs @ np.linalg.solve(inputs.T @ inputs, inputs.T @ clean)
        errors = [
            np.square(answer - clean).sum(axis=1).mean()
            for answer in (rebuild(model.fit(X), noisy), fitted)
        ]
        return {"error": errors[0] / errors[1]}

    check_claims(
        request,
        figures,
        DenoisingAutoencoder(D, noise="salt_and_pepper", noise_level=nu, **LINEAR),
        [Claim("error", at_most=1.02, never_below=1 - 1e-6)],
        stubs=[
            of_half_the_level("salt_and_pepper"),
            DenoisingAutoencoder(D, noise_level=nu, **LINEAR),
            Autoencoder(D, **LINEAR),
            MeanPredictor(D),
        ],
    )


CENTRES = 2 * np.array([(np.cos(t), np.sin(t)) for t in np.arange(8) * np.pi / 4])
SPREAD, NOISE = 0.2, 0.5


def ring(seed, n):
    """Draw from a mixture of eight Gaussians."""
    random = np.random.RandomState(seed)
    return CENTRES[random.randint(8, size=n)] + SPREAD * random.normal(size=(n, 2))


def mixture_score(X, variance):
    """Answer the gradient of the log density of a ring with this variance."""
    gaps = CENTRES - X[:, None]
    exponents = -np.square(gaps).sum(-1) / (2 * variance)
    shares = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return (shares[..., None] * gaps).sum(axis=1) / variance


class ScoreOf(Stub):
    """Knows the density of the data, convolved with some noise or with none."""

    def __init__(self, level=0.0, random_state=None):
        self.level = level
        self.random_state = random_state

    def score_function(self, X):
        return mixture_score(X, SPREAD**2 + self.level**2)


class HalfVariance(DenoisingAutoencoder):
    """Divides by the deviation of the noise in place of its variance."""

    def score_function(self, X):
        return super().score_function(X) * self.noise_level


DENOISER = {
    "hidden_layer_sizes": (64, 64),
    "activation": "tanh",
    "noise": "gaussian",
    "noise_level": NOISE,
    "learning_rate": 3e-3,
    "learning_rate_schedule": "cosine",
}


@pytest.mark.slow
def test_score_function_is_that_of_the_smoothed_density(request):
    """H8: the residual of the best denoiser over s^2 is the score of noisy rows.

    The score of the data without the noise, the wrong power of s, and a net that was
    trained with another s than it was asked for do not pass.
    """

    def figures(model, seed):
        random = np.random.RandomState(100 + seed)
        X = ring(50 + seed, 2000)
        X = X + NOISE * random.normal(size=X.shape)
        expected = mixture_score(X, SPREAD**2 + NOISE**2)
        answer = model.fit(ring(seed, 4000)).score_function(X)
        lengths = np.linalg.norm(answer, axis=1) * np.linalg.norm(expected, axis=1)
        return {
            "1 - cosine": 1 - ((answer * expected).sum(axis=1) / lengths).mean(),
            "error": np.linalg.norm(answer - expected) / np.linalg.norm(expected),
        }

    check_claims(
        request,
        figures,
        DenoisingAutoencoder(2, **DENOISER),
        [Claim("1 - cosine", at_most=0.03), Claim("error", at_most=0.15)],
        stubs=[
            ScoreOf(),
            HalfVariance(2, **DENOISER),
            DenoisingAutoencoder(2, **DENOISER).set_params(noise_level=NOISE / 2),
        ],
    )


def gain(model, noisy, clean):
    """Answer by how many decibels reconstructing reduces the squared error."""
    error = np.square(rebuild(model, noisy) - clean).mean()
    return 10 * np.log10(np.square(noisy - clean).mean() / error)


class Wiener(Stub):
    """The best of all linear filters, with as many components as features."""

    level = 0.3

    def fit(self, X, y=None):
        S = covariance(X)
        self.filter_ = np.linalg.solve(S + self.level**2 * np.eye(len(S)), S)
        return super().fit(X)

    def transform(self, X):
        return (X - self.mean_) @ self.filter_

    def inverse_transform(self, X):
        return X + self.mean_


class NoisyCodes(DenoisingAutoencoder):
    """Corrupts the rows that it encodes, as in training."""

    def transform(self, X):
        noise = np.random.RandomState().normal(size=X.shape)
        return super().transform(X + self.noise_level * noise)


def noisy_digits(seed, level=0.3):
    X_train, X_test, *_ = digits_split(seed)
    noise = np.random.RandomState(100 + seed).normal(size=X_test.shape)
    return X_train, X_test, X_test + level * noise


OVERCOMPLETE = {"hidden_layer_sizes": (512,), **NET}


@pytest.mark.slow
def test_denoises_digits(request):
    """H6, M7, H11: 3 dB better and above the best linear filter; a plain one cannot.

    An overcomplete plain autoencoder gains at most 1 dB. Codes are those of the rows
    as they are: two calls answer the same bits.
    """

    def figures(model, seed):
        X_train, X_test, noisy = noisy_digits(seed)
        # Trained out: a net that is stopped early smooths a little.
        plain = Autoencoder(
            128,
            hidden_layer_sizes=(),
            code_activation="relu",
            max_epochs=120,
            random_state=seed,
        )
        gained = gain(model.fit(X_train), noisy, X_test)
        codes = model.transform(noisy), model.transform(noisy)
        return {
            "gain": gained,
            "above the linear filter": gained
            - gain(Wiener().fit(X_train), noisy, X_test),
            "gain of a plain one": gain(plain.fit(X_train), noisy, X_test),
            "codes differ": np.abs(codes[0] - codes[1]).max(),
        }

    settings = {"noise": "gaussian", "noise_level": 0.3, **OVERCOMPLETE}
    check_claims(
        request,
        figures,
        DenoisingAutoencoder(128, **settings),
        [
            Claim("gain", at_least=3),
            Claim("above the linear filter", at_least=0.3),
            Claim("gain of a plain one", at_most=1),
            Claim("codes differ", never_above=0),
        ],
        stubs=[
            Autoencoder(128, **OVERCOMPLETE),
            NoisyCodes(128, **settings),
            Wiener(64),
            PCA(16),
            Identity(),
        ],
    )


class Filling(Stub):
    """Fills in by PCA: projects, puts what was observed back, and again."""

    def fit(self, X, y=None):
        self.axes_ = PCA(self.n_components).fit(X).components_
        return super().fit(X)

    def impute(self, X):
        filled = np.where(np.isnan(X), self.mean_, X)
        for _ in range(100):
            projected = (filled - self.mean_) @ self.axes_.T @ self.axes_ + self.mean_
            filled = np.where(np.isnan(X), projected, X)
        return filled


class MeanFilling(MeanPredictor):
    """Fills in the mean of the feature."""

    def impute(self, X):
        return np.where(np.isnan(X), self.mean_, X)


@pytest.mark.slow
@pytest.mark.parametrize("trained_on", ["whole rows", "rows with gaps"])
def test_fills_in_missing_pixels(request, trained_on):
    """H7: a quarter of the pixels of held-out digits, better than means and than PCA.

    PCA is iterated, from whole training rows, with its best number of components.
    """

    def error_of(model, X, gaps):
        filled = model.impute(np.where(gaps, np.nan, X))
        assert_array_equal(filled[~gaps], X[~gaps])
        return np.sqrt(np.square(filled - X)[gaps].mean())

    def figures(model, seed):
        X_train, X_test, *_ = digits_split(seed)
        random = np.random.RandomState(seed)
        gaps = random.uniform(size=X_test.shape) < 0.25
        others = random.uniform(size=X_train.shape) < 0.25
        seen = X_train
        if trained_on == "rows with gaps" and isinstance(model, DenoisingAutoencoder):
            seen = np.where(others, np.nan, X_train)
        error = error_of(model.fit(seen), X_test, gaps)
        means = error_of(MeanFilling().fit(X_train), X_test, gaps)
        pca = (Filling(k).fit(X_train) for k in (6, 8, 10, 12, 14, 16))
        return {
            "against means": error / means,
            "against PCA": error / min(error_of(p, X_test, gaps) for p in pca),
        }

    check_claims(
        request,
        figures,
        DenoisingAutoencoder(32, **NET),
        [Claim("against means", at_most=0.7), Claim("against PCA", at_most=0.95)],
        stubs=[
            DenoisingAutoencoder(32, noise_level=0, **NET),
            Filling(12),
            MeanFilling(),
        ],
    )


@pytest.mark.slow
def test_codes_of_noisy_rows_tell_the_class(request):
    """H10: of noisy test rows a classifier that saw 100 labels gets 2 points more."""
    X, y = digits(), load_digits().target

    def accuracy(model, seed):
        train, test = train_test_split(np.arange(len(X)), random_state=seed)
        noise = np.random.RandomState(100 + seed).normal(size=(len(test), 64))
        model.fit(X[train])
        codes = model.transform(X[test] + 0.3 * noise)
        scores = []
        for split in range(10):
            few = np.random.RandomState(split).choice(train, 100, replace=False)
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            probe.fit(model.transform(X[few]), y[few])
            scores.append(probe.score(codes, y[test]))
        return np.mean(scores)

    def figures(model, seed):
        plain = accuracy(Autoencoder(32, random_state=seed), seed)
        return {"points more": 100 * (accuracy(model, seed) - plain)}

    check_claims(
        request,
        figures,
        DenoisingAutoencoder(32, noise="gaussian", noise_level=0.3),
        [Claim("points more", at_least=2)],
        stubs=[Autoencoder(32), RandomProjection(32)],
    )


@pytest.mark.parametrize("noise", ["masking", "gaussian", "salt_and_pepper", frozen])
def test_without_noise_it_is_the_plain_autoencoder(noise):
    """C5: at noise level 0 every bit is that of `Autoencoder`; a little noise shows."""
    X = digits()[:200]
    settings = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0}
    plain = Autoencoder(4, **settings).fit(X)
    denoising = DenoisingAutoencoder(4, noise=noise, noise_level=0, **settings).fit(X)
    assert_array_equal(denoising.transform(X), plain.transform(X))
    assert_array_equal(denoising.reconstruct(X), plain.reconstruct(X))
    assert denoising.loss_curve_ == plain.loss_curve_
    assert denoising.score(X) == plain.score(X)
    little = DenoisingAutoencoder(4, noise_level=0.01, **settings).fit(X)
    assert np.abs(little.transform(X) - plain.transform(X)).max() > 0
