"""How like real rows are drawn ones, by the measures of `sklearn_ae.metrics`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_ae.metrics import _samples as measures
from sklearn_ae.metrics._samples import mmd

__all__ = ["Judge", "mmd"]


@dataclass(frozen=True)
class Judge:
    """What drawn rows are compared with: rows held out, of which as many are best.

    Attributes
    ----------
    X_train, X_test : ndarray of shape (n_rows, n_features)
    near : float
        Most held-out rows have a training row that is nearer.
    """

    X_train: np.ndarray
    X_test: np.ndarray
    near: float

    @classmethod
    def of(cls, X_train: np.ndarray, X_test: np.ndarray) -> Judge:
        """Return the judge that knows these rows."""
        return cls(X_train, X_test, measures.usual_gap(X_train, X_test))

    def mmd(self, drawn: np.ndarray) -> float:
        """Return the squared maximum mean discrepancy, unbiased (Gretton 2012).

        Below 0 it is no different from 0.
        """
        return mmd(drawn, self.X_test)

    def fidelity(self, drawn: np.ndarray) -> float:
        """Return the share of drawn rows that are as near to training rows as real."""
        return measures.fidelity(drawn, self.X_train, self.near)

    def coverage(self, drawn: np.ndarray) -> float:
        """Return the share of held-out rows with a drawn one nearby (Naeem 2020)."""
        return measures.coverage(drawn, self.X_test)

    def copies(self, drawn: np.ndarray) -> float:
        """Return the share of drawn rows that are training rows."""
        return measures.copies(drawn, self.X_train)
