"""What denoising nets add on digits, over linear filters and plain nets: H6 to H11."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import Autoencoder, DenoisingAutoencoder
from theory.claims import (
    Claim,
    Identity,
    MeanPredictor,
    RandomProjection,
    Stub,
    check_claims,
    digits,
    digits_split,
    rebuild,
)

NET = {
    "learning_rate": 2e-3,
    "learning_rate_schedule": "cosine",
    "max_epochs": 60,
}


def covariance(X):
    return np.cov(X.T, bias=True)


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
