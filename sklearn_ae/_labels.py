"""Labels of rows as the numbers of their classes, and what is no label."""

from __future__ import annotations

import math
from contextlib import suppress
from numbers import Number
from typing import Any

import numpy as np
from sklearn.utils import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
)
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from sklearn_ae._input import Array, read_rows, row_slices


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
        check_classification_targets(labels)
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
    check_consistent_length(np.empty(n_rows), y)
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


def _vector(labels: Any, name: str) -> np.ndarray:
    """Answer labels as a vector, if that is what they are."""
    labels = column_or_1d(labels, warn=True)
    if not len(labels):
        raise ValueError(f"{name} has no labels.")
    if labels.dtype == object:
        # None, and what other libraries have in its place.
        for label in labels:
            if not isinstance(label, (str, bytes, Number, np.generic)):
                raise ValueError(f"{name} has {label!r} among its labels.")
    assert_all_finite(labels, input_name=name)
    return labels


def are_other_rows(y: Any, X: Array, given: Any) -> bool:
    """Whether y has rows of numbers like those of X, that are not the same rows.

    Nothing is read of a y of another shape, and no more than tells them apart.

    Parameters
    ----------
    y : object
        What was passed as the target.
    X : ndarray or CSR array of shape (n_samples, n_features)
        Checked rows.
    given : object
        What was passed as X.
    """
    if y is None or y is given or not _has_shape(y, X):
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
    # Integers are labels, unless X has integers too.
    kind = rows.dtype.kind
    if kind != "f" and not (kind in "iu" and X.dtype.kind in "iu"):
        return False
    double = np.dtype(np.float64)
    return not all(
        np.array_equal(
            read_rows(rows, part, double).reshape(-1, X.shape[1]),
            read_rows(X, part, double),
            equal_nan=True,
        )
        for part in row_slices(*X.shape)
    )


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
