"""How like real rows are drawn ones: MMD, fidelity, coverage, copies.

No one of them is enough. The mean of all rows has fidelity and no coverage, noise has
neither, and copied training rows have both, with a copy rate of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.neighbors import NearestNeighbors

# In units of the median distance of real rows.
KERNEL_WIDTHS = (0.5, 1.0, 2.0)
# The share of real rows that is near enough to training rows.
NEAR = 0.95
N_NEIGHBORS = 5
# A copy is nearer than this to a training row, in each feature on average.
COPY = 1e-3


@dataclass(frozen=True)
class Judge:
    """What drawn rows are compared with: rows held out, of which as many are best.

    Attributes
    ----------
    X_test : ndarray of shape (n_rows, n_features)
    training : NearestNeighbors
        Of the training rows.
    near : float
        Most real rows have a training row that is nearer.
    radii : ndarray of shape (n_rows,)
        From each held-out row to the fifth of the others.
    """

    X_test: np.ndarray
    training: NearestNeighbors
    near: float
    radii: np.ndarray

    @classmethod
    def of(cls, X_train: np.ndarray, X_test: np.ndarray) -> Judge:
        """Return the judge that knows these rows."""
        training = NearestNeighbors(n_neighbors=1).fit(X_train)
        near = float(np.quantile(training.kneighbors(X_test)[0], NEAR))
        held_out = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(X_test)
        # Without rows to ask for, no row is a neighbour of itself.
        radii = held_out.kneighbors()[0][:, -1]
        return cls(X_test, training, near, radii)

    def mmd(self, drawn: np.ndarray) -> float:
        """Return the squared maximum mean discrepancy, unbiased (Gretton 2012).

        Below 0 it is no different from 0.
        """
        return mmd(drawn, self.X_test)

    def fidelity(self, drawn: np.ndarray) -> float:
        """Return the share of drawn rows that are as near to training rows as real."""
        return float((self.to_training(drawn) <= self.near).mean())

    def coverage(self, drawn: np.ndarray) -> float:
        """Return the share of held-out rows with a drawn one nearby (Naeem 2020)."""
        nearest = NearestNeighbors(n_neighbors=1).fit(drawn).kneighbors(self.X_test)[0]
        return float((nearest.ravel() <= self.radii).mean())

    def copies(self, drawn: np.ndarray) -> float:
        """Return the share of drawn rows that are training rows."""
        least = COPY * np.sqrt(drawn.shape[1])
        return float((self.to_training(drawn) < least).mean())

    def to_training(self, drawn: np.ndarray) -> np.ndarray:
        """Return the distance of each row to the nearest training row."""
        return self.training.kneighbors(drawn)[0].ravel()


def mmd(
    drawn: np.ndarray, real: np.ndarray, widths: Sequence[float] | None = None
) -> float:
    """Return the unbiased squared MMD of drawn rows (Gretton et al. 2012).

    It is a sum over Gaussian kernels, and below 0 by chance where both are draws of one
    distribution. Widths are half, one and two median distances of the real rows if not
    given, so that rivals are measured by the same kernels.
    """
    if widths is None:
        unit = float(np.median(pdist(real)))
        widths = [width * unit for width in KERNEL_WIDTHS]

    def similarity(squares: np.ndarray) -> float:
        return sum(np.exp(-0.5 * squares / width**2).mean() for width in widths)

    within = sum(similarity(pdist(rows, "sqeuclidean")) for rows in (drawn, real))
    return float(within - 2 * similarity(cdist(drawn, real, "sqeuclidean")))
