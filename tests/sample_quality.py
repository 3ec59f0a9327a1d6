"""How good are generated rows: four figures, each of which a different stub fails.

The mean image is like the data but covers nothing, noise is unlike it, and a memoriser
copies.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.neighbors import NearestNeighbors
from theory import Stub

from sklearn_ae import Autoencoder

N_NEIGHBORS = 5
# Of the median distance of the reference rows.
_WIDTHS = (0.5, 1.0, 2.0)


def nearest_distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Answer each row's distance to the nearest of the others."""
    return NearestNeighbors(n_neighbors=1).fit(others).kneighbors(rows)[0][:, 0]


def fidelity_radius(X_train: np.ndarray, X_test: np.ndarray) -> float:
    """Answer how near to a training row 95 % of the held-out rows are."""
    return float(np.quantile(nearest_distances(X_test, X_train), 0.95))


def fidelity(generated: np.ndarray, X_train: np.ndarray, X_test: np.ndarray) -> float:
    """Answer the share of rows that are as near to a training row as held-out ones."""
    radius = fidelity_radius(X_train, X_test)
    return float(np.mean(nearest_distances(generated, X_train) <= radius))


def coverage(generated: np.ndarray, X_test: np.ndarray) -> float:
    """Answer the share of held-out rows that a generated row is a neighbour of.

    A neighbour is nearer than the fifth nearest held-out row (Naeem et al. 2020).
    """
    neighbors = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(X_test)
    radii = neighbors.kneighbors()[0][:, -1]
    return float(np.mean(nearest_distances(X_test, generated) <= radii))


def copy_rate(generated: np.ndarray, X_train: np.ndarray) -> float:
    """Answer the share of rows that are training rows, for features in [0, 1]."""
    near = 1e-3 * np.sqrt(X_train.shape[1])
    return float(np.mean(nearest_distances(generated, X_train) < near))


def maximum_mean_discrepancy(
    X: np.ndarray, reference: np.ndarray, widths: tuple[float, ...] | None = None
) -> float:
    """Answer the unbiased squared MMD, a sum over Gaussian kernels.

    It is negative by chance where both sets are draws of one distribution.

    Parameters
    ----------
    X, reference : ndarray of shape (n, d), (m, d)
    widths : tuple of float, default=None
        Standard deviations of the kernels; half, one and two median distances of the
        reference rows by default, so that rivals are measured by the same kernels.
    """
    if widths is None:
        median = np.median(pdist(reference))
        widths = tuple(w * median for w in _WIDTHS)

    def similarities(squares: np.ndarray) -> float:
        return sum(np.exp(-0.5 * squares / w**2).mean() for w in widths)

    within = sum(similarities(pdist(rows, "sqeuclidean")) for rows in (X, reference))
    return float(within - 2 * similarities(cdist(X, reference, "sqeuclidean")))


# Stubs that draw rows


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
