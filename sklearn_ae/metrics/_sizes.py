"""Rows in units in which squares of their differences are numbers of float64.

Units are powers of two, by which nothing is rounded, and 1 for rows of usual size.
"""

from collections.abc import Iterable

import numpy as np
from scipy.sparse import issparse

# Squares of so many binary digits have room for each other's sums.
_USUAL_DIGITS = 400
# Rows whose squares lose so many digits to their distance from zero are moved there.
_LOST_DIGITS = 10
_EUCLIDEAN = ("euclidean", "l2", "sqeuclidean")


def exponent_of(parts: Iterable[np.ndarray]) -> int:
    """Return the binary exponent of how far entries are from the first row's.

    Parameters
    ----------
    parts : iterable of array of shape (n_rows, n_features)
        Slices of the rows.
    """
    first, largest = None, 0.0
    for part in parts:
        first = part[:1] if first is None else first
        with np.errstate(over="ignore"):
            largest = max(largest, float(np.abs(part - first).max()))
    # Where even a difference overflows, it is below the next power.
    exponent = 1025 if np.isinf(largest) else int(np.frexp(largest)[1])
    return exponent if abs(exponent) > _USUAL_DIGITS else 0


def difference(a: np.ndarray, b: np.ndarray, exponent: int) -> np.ndarray:
    """Return ``(a - b) / 2**exponent``."""
    if not exponent:
        return a - b
    if exponent > 0:
        return np.ldexp(a, -exponent) - np.ldexp(b, -exponent)
    return np.ldexp(a - b, -exponent)


def near_one(values: np.ndarray) -> np.ndarray:
    """Return values divided by a power of two, if they are of unusual size."""
    exponent = exponent_of([np.zeros_like(values[:1]), values])
    return np.ldexp(values, -exponent) if exponent else values


def columns_near_one(rows: np.ndarray) -> np.ndarray:
    """Return each column's differences from its first entry, in a unit of its own."""
    exponents = [exponent_of([column[:, None]]) for column in rows.T]
    columns = zip(rows.T, exponents, strict=True)
    return np.column_stack([difference(c, c[:1], exponent) for c, exponent in columns])


def for_distances(X, metric):
    """Return rows that have the neighbours of X, and distances that are numbers."""
    if not isinstance(metric, str) or X.dtype == bool:
        return X
    if metric == "cosine" and not issparse(X):
        # To scikit-learn the norm of a small row is 0.
        return np.ldexp(X, -np.frexp(np.abs(X).max(axis=1, keepdims=True))[1])
    if metric not in _EUCLIDEAN:
        return X
    if issparse(X):
        moved = X.copy()
        moved.data = near_one(X.data[:, None])[:, 0] if X.nnz else X.data
        return moved
    with np.errstate(over="ignore"):
        spread, size = np.abs(X - X[:1]).max(), np.abs(X).max()
        is_far = size > spread * 2**_LOST_DIGITS
    # Moving rows rounds them, and so decides ties.
    return difference(X, X[:1], exponent_of([X])) if is_far else near_one(X)
