"""What y says of rows: labels, or rows of numbers to be predicted; and what is none."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import torch
from sklearn.utils import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
)
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from sklearn_ae._data.checks import refuse_lazy
from sklearn_ae._data.rows import Array, read_rows, row_slices, slice_size

# Rows that tell whether y has those of X in other units.
_MOST_SAMPLED = 1000
# Of a column's largest deviation: what scaling back and forth leaves at most.
_SCALED = 1e-3


def encode_labels(
    X: Any, y: Any, earlier: Any = None, classes: Any = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Answer the numbers of labels, and the fitted attributes that tell of them.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    earlier : estimator or None, default=None
        The one that this fit goes on from; it counts if it has seen labels.
    classes : array-like of shape (n_classes,), default=None
        All labels that may come, where there was no earlier fit; those of `y` if None.

    Returns
    -------
    numbers : ndarray of shape (n_samples,), of int64
    attributes : dict of str to ndarray
        `classes_` in order, and `class_count_`.

    Raises
    ------
    ValueError
        If there are not as many as rows, or they are no labels, or none of the classes,
        or if `classes` are others than before.
    """
    y = _vector(y, "y")
    check_consistent_length(X, y)
    if classes is not None:
        classes = _vector(classes, "classes")
    known, counts = getattr(earlier, "classes_", None), 0
    if known is None:
        # Classes several times: they all differ, as regression targets do.
        labels = y if classes is None else np.repeat(classes, 3)
        try:
            check_classification_targets(labels)
        except ValueError as error:
            raise ValueError(
                f"{error} Group numbers into labels first, as pandas.qcut does."
            ) from error
        known = np.unique(labels)
    else:
        counts = earlier.class_count_
        if classes is not None and {*classes.tolist()} != {*known.tolist()}:
            raise ValueError(
                f"classes={classes.tolist()!r} are others than in the first call: "
                f"{_listed(known)}."
            )
    numbers = class_numbers(y, known)
    counts = counts + np.bincount(numbers, minlength=len(known))
    return numbers, {"classes_": known, "class_count_": counts}


def numbers_of_rows(y: Any, n_rows: int, classes: np.ndarray) -> np.ndarray:
    """Answer the places among `classes` of one label, or of one for each row.

    Raises
    ------
    ValueError
        If there are others, or more or fewer than rows.
    """
    if np.ndim(y) == 0:
        return np.repeat(class_numbers(_vector([y], "y"), classes), n_rows)
    y = _vector(y, "y")
    if len(y) != n_rows:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"[{n_rows}, {len(y)}]. Pass a label for each row, or one for all."
        )
    return class_numbers(y, classes)


def class_numbers(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Answer the places of labels among `classes`, as int64.

    Raises
    ------
    ValueError
        If some are not among them; the message names them.
    """
    # Not by `LabelEncoder`, which casts to the type of `classes` first: of "abc" it
    # would make "a" where all known labels have one letter, and 0 of 0.5.
    places = {label: place for place, label in enumerate(classes.tolist())}
    labels = y.tolist()
    unseen = list(dict.fromkeys(label for label in labels if label not in places))
    if unseen:
        named = ", ".join(map(repr, unseen[:5])) + (", ..." if unseen[5:] else "")
        raise ValueError(
            f"y has labels that fit has not seen: {named}. The classes are "
            f"{_listed(classes)}."
        )
    return np.array([places[label] for label in labels], np.int64)


def class_frequencies(class_count: np.ndarray) -> tuple[float, ...]:
    """Answer how often each class is there, as a share of the rows."""
    return tuple((class_count / class_count.sum()).tolist())


def draw_classes(class_count: np.ndarray, n: int, generator: torch.Generator) -> Tensor:
    """Draw the numbers of classes, with their frequencies."""
    weights = torch.tensor(class_frequencies(class_count), dtype=torch.float64)
    return torch.multinomial(weights, n, replacement=True, generator=generator)


def _vector(labels: Any, name: str) -> np.ndarray:
    """Answer labels as a vector, if that is what they are."""
    labels = column_or_1d(labels, warn=True)
    if not len(labels):
        raise ValueError(f"{name} has no labels.")
    if labels.dtype == object:
        # None, and what other libraries have in its place.
        for label in labels:
            if not isinstance(label, (str, bytes, Number, np.generic)):
                raise ValueError(
                    f"{name} has {label!r} among its labels. Leave such rows out, or "
                    "give them a label of their own."
                )
    assert_all_finite(labels, input_name=name)
    return labels


@dataclass(frozen=True)
class TargetRows:
    """Targets of training rows.

    Attributes
    ----------
    rows : ndarray of shape (n_samples, n_outputs)
        In the dtype, and on the disk, that they were given in.
    shape : tuple of int
        That of a target as it was given: () of numbers.
    """

    rows: np.ndarray
    shape: tuple[int, ...]


def check_target_rows(
    X: Array, y: Any, shape: tuple[int, ...] | None = None
) -> TargetRows:
    """Check targets as scikit-learn does, whatever the shape of each is.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
        Checked rows.
    y : array-like of shape (n_samples, ...)
    shape : tuple of int, default=None
        What a target has to look like; None takes it from y.

    Raises
    ------
    ValueError
        If they are no finite numbers, of another shape, or not as many as rows.
    """
    refuse_lazy("y", y)
    y = check_array(y, ensure_2d=False, allow_nd=True, dtype="numeric", input_name="y")
    check_consistent_length(X, y)
    found = y.shape[1:]
    if shape is not None and found != shape:
        raise ValueError(f"y has targets of shape {found}, but {shape} is expected.")
    if 0 in found:
        raise ValueError(
            f"y has targets of shape {found}: there is nothing to predict."
        )
    return TargetRows(y.reshape(len(y), -1), found)


def are_other_rows(y: Any, X: Array, given: Any) -> bool:
    """Whether y has rows of numbers like those of X, that are not the same rows.

    The same rows may be in other units, column by column, as those before a scaler are,
    and in another precision. Nothing is read of a y of another shape, and no more than
    tells them apart.

    Parameters
    ----------
    y : object
        What was passed as the target.
    X : ndarray or CSR array of shape (n_samples, n_features)
        Checked rows.
    given : object
        What was passed as X.
    """
    if y is given or not _has_shape(y, X):
        return False
    if isinstance(y, Tensor):
        y = y.detach().cpu()
        y = y.double() if y.is_floating_point() else y
    try:
        rows = check_array(
            y, accept_sparse="csr", ensure_all_finite=False, allow_nd=True
        )
    except (TypeError, ValueError):
        # What is no number is a label.
        return False
    kind = rows.dtype.kind
    if kind not in "fiu" or all(
        _are_close(*_read_both(X, rows, part)) for part in row_slices(*X.shape)
    ):
        return False
    n_sampled = min(X.shape[0], _MOST_SAMPLED, max(3, slice_size(X.shape[1])))
    places = np.linspace(0, X.shape[0] - 1, n_sampled).astype(int)
    sample = _read_both(X, rows, places)
    # Integers are labels, unless X has integers too.
    return (kind == "f" or X.dtype.kind in "iu") and not _are_scaled(*sample)


def _read_both(
    X: Array, y: Array, rows: slice | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Answer the same rows of two arrays, as float64 vectors."""
    double = np.dtype(np.float64)
    return read_rows(X, rows, double), read_rows(y, rows, double).reshape(
        -1, X.shape[1]
    )


def _are_close(x: np.ndarray, y: np.ndarray, precision: float | None = None) -> bool:
    """Whether columns differ by roundings only, of the coarser of the two by default.

    Rows that went through float32 have its precision, whatever they are stored in.
    """
    if precision is None and np.array_equal(x, y, equal_nan=True):
        return True
    if _lacks_any(x, y):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        if precision is None:
            are_single = [np.array_equal(v.astype("f4"), v, True) for v in (x, y)]
            precision = np.finfo("f4" if any(are_single) else "f8").eps
        sizes = np.nan_to_num(np.maximum(np.abs(x), np.abs(y))).max(axis=0)
        gaps = np.abs(np.where(np.isnan(y), 0.0, x - y))
        # As many as a mean and a division make of one.
        return bool((gaps <= 16 * precision * sizes).all())


def _lacks_any(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether x lacks an entry that y has; what y lacks may have been imputed in x."""
    return bool((np.isnan(x) & ~np.isnan(y)).any())


def _are_scaled(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether rows that are known to differ are the same in other units, by column."""
    if len(x) < 3 or _lacks_any(x, y):
        # Any two numbers are others in other units.
        return False
    # Scaling leaves no column as it was but for a few digits.
    if _are_close(x, y, np.finfo("f4").eps):
        return False
    are_there = ~(np.isnan(x) | np.isnan(y))
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = (_deviations(v, are_there) for v in (x, y))
        gaps = (np.abs(x - sign * y).max(axis=0) for sign in (1, -1))
        return bool((np.minimum(*gaps) < _SCALED).all())


def _deviations(values: np.ndarray, are_there: np.ndarray) -> np.ndarray:
    """Answer deviations from the mean of each column, of which the largest are 1."""
    values = _over_largest(np.where(are_there, values, 0.0))
    means = values.sum(axis=0) / np.maximum(are_there.sum(axis=0), 1)
    deviations = np.where(are_there, values - means, 0.0)
    # What the mean of equal values is off by.
    deviations[:, np.abs(deviations).max(axis=0) <= 16 * np.finfo("f8").eps] = 0.0
    return _over_largest(deviations)


def _over_largest(values: np.ndarray) -> np.ndarray:
    largest = np.abs(values).max(axis=0)
    return values / np.where(largest > 0, largest, 1.0)


def _has_shape(y: Any, X: Array) -> bool:
    """Whether y has as many rows as X, and more than one number in each, as many."""
    shape = getattr(y, "shape", ())
    if isinstance(y, (list, tuple)) and len(y):
        with suppress(ValueError):
            # Of the first: there may be millions of labels.
            shape = len(y), *np.shape(y[0])
    n_features = math.prod(shape[1:])
    return shape[:1] == X.shape[:1] and n_features == X.shape[1] > 1


def _listed(classes: np.ndarray) -> str:
    first = ", ".join(map(repr, classes[:10].tolist()))
    return first + (f", ... ({len(classes)} in all)" if len(classes) > 10 else "")
