"""Stubs that draw rows, each of which another measure of sample quality fails.

The mean image is like the data but covers nothing, noise is unlike it, and a memoriser
copies.
"""

from __future__ import annotations

import numpy as np

from sklearn_ae import Autoencoder
from theory.claims import Stub


class FullGaussian(Stub):
    """Draws of a Gaussian with the mean and the covariance of the rows."""

    def fit(self, X, y=None):
        self.covariance_ = np.cov(X.T)
        return super().fit(X)

    def sample(self, n_samples=1, random_state=None, *, observation_noise=True):
        random = np.random.RandomState(random_state)
        return random.multivariate_normal(self.mean_, self.covariance_, n_samples)


class DiagonalGaussian(FullGaussian):
    """Draws each pixel for itself."""

    def fit(self, X, y=None):
        super().fit(X)
        self.covariance_ = np.diag(np.diag(self.covariance_))
        return self


class MeanImage(DiagonalGaussian):
    """Draws around the mean image, which it answers as a decoded code."""

    def sample(self, n_samples=1, random_state=None, *, observation_noise=True):
        if observation_noise:
            return super().sample(n_samples, random_state)
        return np.tile(self.mean_, (n_samples, 1))


class Memoriser(Stub):
    """Draws training rows."""

    def fit(self, X, y=None):
        self.rows_ = X
        return super().fit(X)

    def sample(self, n_samples=1, random_state=None, *, observation_noise=True):
        random = np.random.RandomState(random_state)
        return self.rows_[random.randint(len(self.rows_), size=n_samples)]


class PlainAutoencoder(Stub):
    """A plain net whose codes are standardised, and drawn as if they were normal."""

    def fit(self, X, y=None):
        self.net_ = Autoencoder(self.n_components, random_state=self.random_state)
        Z = self.net_.fit(X).transform(X)
        self.shift_, self.scale_ = Z.mean(axis=0), Z.std(axis=0)
        self.noise_ = (X - self.net_.reconstruct(X)).std(axis=0)
        return super().fit(X)

    def transform(self, X):
        return (self.net_.transform(X) - self.shift_) / self.scale_

    def inverse_transform(self, X):
        return self.net_.inverse_transform(self.shift_ + self.scale_ * X)

    def sample(self, n_samples=1, random_state=None, *, observation_noise=True):
        random = np.random.RandomState(random_state)
        codes = random.normal(size=(n_samples, self.n_components))
        rows = self.inverse_transform(codes)
        noise = random.normal(scale=self.noise_, size=rows.shape)
        return rows + noise if observation_noise else rows
