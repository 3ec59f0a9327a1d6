"""Location and scale by medians, which outliers among the rows hardly move."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from sklearn_ae._input import Array, read_rows

_DOUBLE = np.dtype(np.float64)
# The deviation of a Gaussian over the median distance from its mean.
GAUSSIAN_SHARE = 1.4826
# Entries that tell medians closely enough, and rows that are read however wide.
_SAMPLED_ENTRIES, _LEAST_ROWS = 2**18, 256
_CHUNK_ENTRIES = 2**19
# Of a typical row's distance: below it, what differs are but a few of the rows.
_LEAST_SHARE = 1e-6
# Of the largest deviation, whose square float32 is to hold in units of the scale.
_LEAST_RATIO = 1e-12


def medians(
    X: Array, mean: np.ndarray, scale: float, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Answer each feature's median and robust deviation, and one of all of them.

    A robust deviation is 1.4826 times the median distance from the median; that of all
    features is the root mean square, so that those of large variance decide. Where
    more than half of the entries of most features are alike, as in images of little ink
    or counts of words, that says nothing: then it is the median distance of a row, and
    where most rows are alike, the root mean square deviation.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
        Of which rows drawn at random are read, where there are many.
    mean, low, high : ndarray of shape (n_features,)
    scale : float
        The root mean square deviation.
    """
    center, deviation = np.empty(X.shape[1]), np.empty(X.shape[1])
    total, n_observed = 0.0, 0
    for columns, part in _column_chunks(X):
        middle = _median(part)
        # Of a column of which the sample has seen nothing.
        middle = np.where(np.isnan(middle), mean[columns], middle)
        distance = np.abs(part - middle)
        center[columns] = middle
        deviation[columns] = np.nan_to_num(_median(distance))
        total = total + np.nansum(np.square(distance), axis=1)
        n_observed = n_observed + np.isfinite(distance).sum(axis=1)
    per_entry = (total / np.maximum(n_observed, 1))[:, None]
    by_row = math.sqrt(float(_median(per_entry)[0]))
    deviation *= GAUSSIAN_SHARE
    by_feature = math.sqrt(float(np.square(deviation).mean()))
    is_told = np.median(deviation) > 0 and by_feature > _LEAST_SHARE * by_row
    robust = by_feature if is_told else by_row
    largest = float(np.maximum(high - center, center - low).max())
    return center, deviation, robust if robust > _LEAST_RATIO * largest else scale


def _column_chunks(X: Array) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield some columns at a time of the sampled rows, dense."""
    n_rows, n_features = X.shape
    n_sampled = max(_LEAST_ROWS, _SAMPLED_ENTRIES // n_features)
    sample = X
    if n_sampled < n_rows:
        # Not evenly spaced: rows may have a period. The seed is fixed, so that fits of
        # the same rows start from the same numbers.
        order = np.random.default_rng(0).choice(n_rows, n_sampled, replace=False)
        sample = X[np.sort(order)]
    step = max(1, _CHUNK_ENTRIES // sample.shape[0])
    for start in range(0, n_features, step):
        columns = slice(start, start + step)
        yield columns, read_rows(sample[:, columns], slice(None), _DOUBLE)


def _median(part: np.ndarray) -> np.ndarray:
    """Answer the median of each column; NaN is a missing entry, and sorts last."""
    ordered = np.sort(part, axis=0)
    n_observed = np.isfinite(ordered).sum(axis=0)
    middle = np.stack([(n_observed - 1) // 2, n_observed // 2]).clip(0)
    return np.take_along_axis(ordered, middle, axis=0).mean(axis=0)
