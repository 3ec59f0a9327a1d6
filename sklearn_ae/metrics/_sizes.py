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
# Numbers with more leave no room for sums, of columns or of two of them.
_MOST_DIGITS = 960
# Metrics by the unit that decides nothing: of all X, of a row, of a column. Sums of
# absolute values are in none of these, nor is whether entries are the same, or 0.
_EUCLIDEAN = ("euclidean", "l2", "sqeuclidean", "nan_euclidean", "minkowski")
_OF_ROWS = ("cosine", "correlation")
_OF_COLUMNS = ("seuclidean", "mahalanobis")
# These divide by a sum, and so their overflow would not be seen.
_OF_SUMS = ("braycurtis", "canberra")
# Angles, in radians.
_OF_UNITS = ("haversine",)


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
    """Return rows that have the neighbours of X, and distances that are numbers.

    Metrics that are not named here have no squares, and leave sizes as they are.

    Raises
    ------
    ValueError
        If the metric's neighbours depend on the unit, and X is of unusual size.
    """
    if not isinstance(metric, str) or X.dtype == bool:
        return X
    if metric in _EUCLIDEAN:
        return _near_one_from_first(X)
    if metric in _OF_ROWS:
        return _rows_near_one(X)
    if metric in _OF_UNITS and exponent_of([_entries(X)]):
        raise ValueError(
            f"metric={metric!r} depends on the unit of X, and squares of its entries, "
            f"of up to {np.abs(_entries(X)).max():.2g}, are beyond what float64 can "
            "hold: scale X."
        )
    if issparse(X):
        return X
    if metric in _OF_COLUMNS:
        return np.column_stack([_near_one_from_first(c[:, None]) for c in X.T])
    return _with_room(X) if metric in _OF_SUMS else X


def _entries(X):
    """Return all entries that may differ from 0, as a column."""
    values = np.ravel(X.data if issparse(X) else X)
    return np.append(values, 0.0)[:, None]


def _near_one_from_first(X):
    """Return rows in a unit of their spread, and from the first if they are far."""
    if issparse(X):
        moved = X.copy()
        moved.data = near_one(X.data[:, None])[:, 0] if X.nnz else X.data
        return moved
    with np.errstate(over="ignore"):
        spread, size = np.abs(X - X[:1]).max(), np.abs(X).max()
        is_far = size > spread * 2**_LOST_DIGITS
    # Moving rows rounds them, and so decides ties.
    return difference(X, X[:1], exponent_of([X])) if is_far else near_one(X)


def _rows_near_one(X):
    """Return rows, each in a unit of its own.

    To scikit-learn the norm of a small row is 0, and others overflow.
    """
    if not issparse(X):
        return np.ldexp(X, -np.frexp(np.abs(X).max(axis=1, keepdims=True))[1])
    moved = X.copy()
    moved.sum_duplicates()
    sizes = abs(moved).max(axis=1).toarray().ravel()
    exponents = np.repeat(np.frexp(sizes)[1], np.diff(moved.indptr))
    moved.data = np.ldexp(moved.data, -exponents)
    return moved


def _with_room(X):
    """Return rows that are small enough for their sums."""
    is_large = np.frexp(np.abs(X).max())[1] > _MOST_DIGITS
    return np.ldexp(X, _MOST_DIGITS - 1024) if is_large else X
