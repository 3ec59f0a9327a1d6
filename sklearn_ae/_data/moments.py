"""What a pass over the training rows tells of them, and the units they set."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from sklearn_ae._data.checks import count_observed, refuse_empty
from sklearn_ae._data.rows import TOO_LARGE, Array, read_rows, row_slices

# Its square, which Adam takes, is well within float32.
_LARGEST_WEIGHT = 1e12


class Units(NamedTuple):
    """What numbers of the objective are multiplied by to be in data units.

    A weight is converted once, by the term that knows what its units are.

    Attributes
    ----------
    cost : float
        Of what a reconstruction costs.
    rows : float
        Of the rows that the encoder gets.
    output : float
        Of the decoder's last pre-activations.
    """

    cost: float = 1.0
    rows: float = 1.0
    output: float = 1.0

    def within(self, outer: Units) -> Units:
        """Answer the units of a net whose own rows are in units of `outer`."""
        pairs = zip(self, outer, strict=True)
        return Units(*(own * other for own, other in pairs))


def objective_weight(weight: float, unit: float) -> float:
    """Turn the weight of a term in data units into units of the objective.

    It has a limit, at which the term has long been all that counts: rows of 1e-20 have
    squared errors that float32 cannot hold beside a term of order one.
    """
    if weight >= unit * _LARGEST_WEIGHT:
        return _LARGEST_WEIGHT
    return weight / unit


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


# How much farther than ever before a feature's rows are from its shift where steps in
# units of its deviation would come to nothing.
_NEW_SCALE = 4.0
_FLOAT32_MAX = float(np.finfo(np.float32).max)
# Of smaller ones float64 has not all digits, and squares of residuals are smaller yet.
_LEAST_VARIANCE = 1e-300


@dataclass(frozen=True)
class Moments:
    """What is known of the training rows, in float64.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Over the entries that are not missing.
    variance : float
        Mean squared distance of the rows from their mean; 0 where all are the same.
        With missing entries, a row's is that of its others times n_features / observed.
    low, high : ndarray of shape (n_features,)
        The smallest and the largest value of each feature.
    median : ndarray of shape (n_features,)
        Median of each feature; of rows drawn at random where there are many. The mean
        where medians were not asked for.
    robust_deviation : float
        What the root mean square deviation of an entry is without outliers, told by
        medians (see `medians`); 1 where the rows do not differ. With them in it where
        medians were not asked for.
    shift : ndarray of shape (n_features,)
        What the net subtracts from the rows first: the mean, unless the loss has chosen
        something else.
    scale : float
        What it then divides them by: the root mean square deviation of an entry, 1
        where the rows do not differ, unless the loss has chosen something else.
    has_missing : bool
        Whether entries are missing.
    deviation : ndarray of shape (n_features,) or None
        Root mean square deviation of each feature; 0 where it is constant. Where
        medians were asked for, 1.4826 times the median distance from the median, unless
        that is 0. None where nothing is known of it, as in files of 0.1.0.
    class_count : ndarray of shape (n_classes,) or None
        How many rows of each class there are, where rows have labels.
    target : Moments or None
        The same of the targets, where these are rows.
    target_shape : tuple of int or None
        Of a target, as it was given.
    """

    mean: np.ndarray
    variance: float
    low: np.ndarray
    high: np.ndarray
    median: np.ndarray
    robust_deviation: float
    shift: np.ndarray
    scale: float
    has_missing: bool = False
    deviation: np.ndarray | None = None
    class_count: np.ndarray | None = None
    target: Moments | None = None
    target_shape: tuple[int, ...] | None = None

    @property
    def answered(self) -> Moments:
        """Those of what the net answers: of the targets, where these are rows."""
        return self if self.target is None else self.target

    def parts(self) -> dict[str, Any]:
        """Answer copies of the attributes by name; those of the targets are parts."""
        return asdict(self)

    @classmethod
    def of(cls, parts: dict[str, Any]) -> Moments:
        """Answer what `parts` has taken apart."""
        target = parts.get("target")
        return cls(**parts | {"target": None if target is None else cls.of(target)})

    def continued(self, found: Moments) -> Moments:
        """Answer these moments for training that goes on with rows that were found.

        A feature that has hardly varied so far takes its deviation from them; where
        none has, so do all. The shift stays, which the net has been trained with.
        """
        target = None if self.target is None else self.target.continued(found.target)
        continued = replace(
            self,
            has_missing=found.has_missing,
            class_count=found.class_count,
            target=target,
        )
        if self.deviation is None:
            return continued
        distance = np.hypot(found.deviation, found.median - self.shift)
        # Of nothing but missing entries nothing is found.
        is_new = (found.low <= found.high) & (distance > _NEW_SCALE * self.deviation)
        deviation = np.where(is_new, distance, self.deviation)
        if self.variance or not found.variance:
            return replace(continued, deviation=deviation)
        scale = math.sqrt(float(np.square(deviation).mean())) or 1.0
        return replace(
            continued,
            variance=found.variance,
            robust_deviation=found.robust_deviation,
            scale=scale,
            deviation=deviation,
        )


def moments(
    X: Array,
    *,
    may_miss: bool = False,
    continues: bool = False,
    with_medians: bool = True,
) -> Moments:
    """Pass over the rows; once, unless entries are missing.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
    may_miss : bool, default=False
        Whether NaN stands for a missing entry.
    continues : bool, default=False
        Whether a mean is known from earlier rows, so that a column may be all NaN.
    with_medians : bool, default=True
        Whether somebody needs medians: they take as long as all the rest.

    Raises
    ------
    ValueError
        If X holds values that float32 cannot, or nothing but NaN in a column; if rows
        are to be the first, and differ by so little that float64 loses its square.
    """
    n_observed = None
    if may_miss:
        _, n_observed = count_observed(X)
        if not continues:
            refuse_empty("column", n_observed)
    if n_observed is not None and (n_observed < X.shape[0]).any():
        known = _moments_of_observed(X, n_observed)
    else:
        known = _moments_of_all(X)
    if not continues:
        _refuse_small(known)
    return _add_medians(X, known) if with_medians else known


def _refuse_small(known: Moments) -> None:
    spread = float((known.high - known.low).max())
    if spread and known.variance < _LEAST_VARIANCE:
        raise ValueError(
            f"The rows of X differ by {spread:.2g} at most, and float64 cannot hold "
            "the squares of that: multiply X, so that deviations are 1e-150 at least."
        )


def _add_medians(X: Array, known: Moments) -> Moments:
    median, by_feature, robust = medians(
        X, known.mean, known.scale, known.low, known.high
    )
    # Where most entries of a feature are alike, the others are all there is to tell.
    by_feature = np.where(by_feature > 0, by_feature, known.deviation)
    return replace(
        known,
        median=median,
        # Rows that do not differ are not told from their rounding.
        robust_deviation=robust if known.variance else 1.0,
        deviation=by_feature,
    )


def _moments_of_all(X: Array) -> Moments:
    """Update by Chan, Golub and LeVeque (1983), exact for data far from zero."""
    n_seen, mean, spread = 0, np.zeros(X.shape[1]), np.zeros(X.shape[1])
    extremes = _Extremes(X.shape[1])
    origin = read_rows(X, slice(1), _DOUBLE)[0]
    for rows in row_slices(*X.shape):
        part = read_rows(X, rows, _DOUBLE)
        extremes.update(part)
        # So that of constant columns nothing is left, and of others no digit is lost.
        part -= origin
        part_mean = part.mean(axis=0)
        part -= part_mean
        n_part, gap = len(part), part_mean - mean
        total = n_seen + n_part
        # Not by inner products, whose rounding depends on the number of threads.
        spread += np.einsum("ij,ij->j", part, part)
        spread += np.square(gap) * (n_seen * n_part / total)
        mean += gap * (n_part / total)
        n_seen = total
    variance = float(spread.sum()) / n_seen
    return _finished(origin + mean, variance, spread / n_seen, extremes)


def _moments_of_observed(X: Array, n_observed: np.ndarray) -> Moments:
    total, spread = np.zeros(X.shape[1]), 0.0
    extremes = _Extremes(X.shape[1])
    for rows in row_slices(*X.shape):
        extremes.update(read_rows(X, rows, _DOUBLE))
    # Of a column of which nothing was observed it is of no account.
    origin = np.where(n_observed > 0, extremes.low, 0.0)
    for rows in row_slices(*X.shape):
        total += np.nansum(read_rows(X, rows, _DOUBLE) - origin, axis=0)
    n_observed = np.maximum(n_observed, 1)
    mean, squares = total / n_observed, np.zeros(X.shape[1])
    for rows in row_slices(*X.shape):
        part = np.square(read_rows(X, rows, _DOUBLE) - origin - mean)
        spread += float(np.nanmean(part, axis=1).sum()) * X.shape[1]
        squares += np.nansum(part, axis=0)
    mean, variance = origin + mean, spread / X.shape[0]
    return _finished(mean, variance, squares / n_observed, extremes, has_missing=True)


class _Extremes:
    """The smallest and the largest value of each feature."""

    def __init__(self, n_features: int) -> None:
        self.low = np.full(n_features, math.inf)
        self.high = np.full(n_features, -math.inf)

    def update(self, part: np.ndarray) -> None:
        # Of a number and NaN, fmin and fmax answer the number.
        self.low = np.fmin(self.low, np.fmin.reduce(part))
        self.high = np.fmax(self.high, np.fmax.reduce(part))
        sizes = np.maximum(self.high, -self.low)
        if sizes.max() > _FLOAT32_MAX:
            raise ValueError(
                f"{TOO_LARGE.format('float32')} In column {sizes.argmax()} there is "
                f"{sizes.max():.2g}: divide X by a constant, or take logarithms."
            )


def _finished(
    mean: np.ndarray,
    variance: float,
    by_feature: np.ndarray,
    extremes: _Extremes,
    has_missing: bool = False,
) -> Moments:
    low, high = extremes.low, extremes.high
    scale = math.sqrt(variance / len(mean)) if variance else 1.0
    # Of a constant feature, what is left is rounding.
    deviation = np.where(low < high, np.sqrt(by_feature), 0.0)
    return Moments(
        mean, variance, low, high, mean, scale, mean, scale, has_missing, deviation
    )
