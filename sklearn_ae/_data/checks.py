"""From anything array-like to a checked array of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from sklearn_ae._data.hints import (
    hint_on_columns,
    hint_on_infinity,
    hint_on_missing,
    hint_on_table,
)
from sklearn_ae._data.rows import (
    Array,
    read_rows,
    row_slices,
)

Shape = tuple[int, ...]

# Numbers of float64 that there are at least between integers that are told apart.
_LEAST_STEPS = 2**10


@dataclass(frozen=True)
class Accepted:
    """What kinds of rows an estimator accepts.

    Attributes
    ----------
    sparse : bool
    missing : bool
        Whether they may have NaN.
    row_shape : callable or None
        Of a number of features, and of the shape of a row of X if it is no vector: the
        shape that rows may also have, or None.
    check_missing : callable or None
        Where NaN may not be anywhere: refuses dense rows in which they are not right.
    ended : callable or None
        Where NaN may stand for what a row does not have: tells it from missing entries.
    advice, doubt : callable or None
        See `Architecture`.
    """

    sparse: bool = False
    missing: bool = False
    row_shape: Callable[[int, Shape | None], Shape | None] | None = None
    check_missing: Callable[[np.ndarray], None] | None = None
    ended: Callable[[np.ndarray], np.ndarray] | None = None
    advice: Callable[[Shape | None, Shape | None], str | None] | None = None
    doubt: Callable[[Shape], str | None] | None = None


def shape_of_rows(X: object) -> tuple[int, ...] | None:
    """Answer the shape of a row that is no vector; None of other X."""
    shape = getattr(X, "shape", None)
    if isinstance(X, (list, tuple)):
        # Of lists of different lengths there is none.
        with suppress(ValueError):
            shape = np.shape(X)
    return tuple(shape[1:]) if shape is not None and len(shape) > 2 else None


def flatten_rows(X: object, accepted: Accepted) -> object:
    """Answer X with one axis for all of a row, if its rows may have more of them.

    Raises
    ------
    ValueError
        If they have another shape than they may have.
    """
    found = shape_of_rows(X)
    if found is None or accepted.row_shape is None or scipy.sparse.issparse(X):
        return X
    n_features = math.prod(found)
    if n_features:
        expected = accepted.row_shape(n_features, found)
        if expected is None:
            return X
        if found != expected:
            advice = _advice_on_single(X, np.shape(X), expected)
            advice = advice or (accepted.advice and accepted.advice(found, expected))
            raise ValueError(
                f"X has rows of shape {found}, but {expected} is expected: "
                f"{advice or 'reshape X, or fit to rows of that shape'}."
            )
    return np.asarray(X).reshape(len(X), n_features)


def advice_on_shape(
    estimator: BaseEstimator, X: object, reset: bool, accepted: Accepted
) -> str | None:
    """Say what to do about X if it has a shape that is not accepted."""
    if accepted.advice is None:
        return None
    shape = getattr(X, "shape", None)
    # Frames of polars have a shape, but neither `ndim` nor `dtype`.
    is_ragged = shape is not None and len(shape) == 1 and X.dtype == object
    if isinstance(X, (list, tuple)) or is_ragged:
        try:
            shape = np.shape(list(X))
        except ValueError:
            return accepted.advice(None, None)
    if shape is None or len(shape) < 2:
        return None
    n_features = math.prod(shape[1:])
    if len(shape) == 2 and (reset or n_features == estimator.n_features_in_):
        return None
    expected = accepted.row_shape(n_features, None) if not reset else None
    single = _advice_on_single(X, tuple(shape), expected)
    return single or accepted.advice(tuple(shape[1:]), expected)


def _advice_on_single(
    X: object, shape: tuple[int, ...], expected: Shape | None
) -> str | None:
    """Say how one row is given, if X is that: the axis of rows is missing."""
    # One channel, or one feature, may have an axis or none.
    if expected is None or _without_ones(shape) != _without_ones(expected):
        return None
    if scipy.sparse.issparse(X):
        return "a single row is given as X.reshape(1, -1)"
    name = "X" if isinstance(X, (np.ndarray, Tensor)) else "np.asarray(X)"
    axis = "[np.newaxis]" if shape == expected else f".reshape{(1, *expected)}"
    return f"a single row is given as {name}{axis}"


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size > 1]


def check_rows(
    estimator: BaseEstimator, X: object, *, reset: bool, accepted: Accepted
) -> Array:
    """Check X as scikit-learn does, keeping its dtype: rows are cast as they are read.

    Returns
    -------
    ndarray or CSR array of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        For X that cannot be used; where NaN is accepted, for a row of nothing else.
    """
    refuse_lazy("X", X)
    row_shape = shape_of_rows(X)
    X = flatten_rows(X, accepted)
    given, finite = X, "allow-nan" if accepted.missing else True
    try:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse=("csr", "csc") if accepted.sparse else False,
            dtype="numeric",
            ensure_all_finite=finite,
        )
        if X.dtype == object:
            # Of frames with categories scikit-learn leaves the objects.
            X = check_array(X, dtype=np.float64, ensure_all_finite=finite)
    except (TypeError, ValueError) as error:
        advice = advice_on_shape(estimator, given, reset, accepted)
        advice = advice or hint_on_refused(given, str(error))
        if advice is None:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        message = f"{str(error).rstrip()} {advice[0].upper()}{advice[1:]}."
        raise kind(message) from error
    X = X.tocsr() if scipy.sparse.issparse(X) else X
    if accepted.missing:
        by_row, by_column = count_observed(X)
        refuse_empty("row", by_row)
        if accepted.check_missing is not None and (by_column < X.shape[0]).any():
            shape = accepted.row_shape(X.shape[1], row_shape)
            for rows in row_slices(*X.shape):
                part = read_rows(X, rows, np.dtype(np.float64))
                accepted.check_missing(with_shape(part, shape))
    return X


def hint_on_refused(X: object, message: str) -> str | None:
    """Say what to do about an X that scikit-learn has refused."""
    if scipy.sparse.issparse(X):
        columns = {}
    elif (frame := columns_of_frame(X)) is not None:
        # Of columns of one name, any tells where to look.
        columns = dict(zip(names_of_columns(X), map(np.asarray, frame), strict=True))
    else:
        table = hint_on_table(X)
        if table is not None:
            return table
        array = np.asarray(X)
        columns = dict(enumerate(array.T)) if array.ndim == 2 else {}
    if "contains NaN" in message:
        return hint_on_missing(columns)
    if "contains infinity" in message:
        return hint_on_infinity(columns)
    return hint_on_columns(columns)


def refuse_lazy(name: str, rows: object) -> None:
    """Refuse the plan of a frame, whose columns nobody has computed yet.

    scikit-learn takes it for a scalar, and old releases ask it for its types, about
    which it warns.

    Raises
    ------
    ValueError
    """
    if type(rows).__name__ == "LazyFrame":
        raise ValueError(
            f"Expected 2D array, got a LazyFrame instead, whose rows are not computed "
            f"yet: pass {name}.collect()."
        )


def with_shape(rows: np.ndarray, row_shape: tuple[int, ...] | None) -> np.ndarray:
    """Answer rows with the axes that each of them has, if it is no vector."""
    return rows if row_shape is None else rows.reshape(len(rows), *row_shape)


def count_observed(X: Array) -> tuple[np.ndarray, np.ndarray]:
    """Count the entries that are not NaN, of each row and of each column."""
    by_row = np.full(X.shape[0], X.shape[1])
    by_column = np.full(X.shape[1], X.shape[0])
    if X.dtype.kind == "f":
        for rows in row_slices(*X.shape):
            part = X[rows]
            missing = np.isnan(part.toarray() if scipy.sparse.issparse(part) else part)
            by_row[rows] -= missing.sum(axis=1)
            by_column -= missing.sum(axis=0)
    return by_row, by_column


def refuse_empty(kind: str, n_observed: np.ndarray) -> None:
    """Refuse rows, or columns, of which no entry was observed.

    Raises
    ------
    ValueError
    """
    empty = np.flatnonzero(n_observed == 0)
    if len(empty):
        raise ValueError(
            f"Input X contains NaN only in {kind} {empty[0]}: a {kind} needs at least "
            "one number. Leave it out."
        )


def check_training_rows(
    estimator: BaseEstimator, X: object, *, reset: bool, accepted: Accepted
) -> tuple[Array, dict[str, object]]:
    """Check X as `check_rows` does, and answer what was seen of it by attribute.

    It is checked on a stand-in: a refused X must not change the names that the
    estimator has seen.
    """
    stand_in = object.__new__(type(estimator))
    stand_in.__dict__.update(vars(estimator))
    checked = check_rows(stand_in, X, reset=reset, accepted=accepted)
    if reset:
        refuse_lost_digits(X if columns_of_frame(X) is not None else checked)
    names = ("n_features_in_", "feature_names_in_")
    return checked, {name: v for name, v in vars(stand_in).items() if name in names}


def check_codes(Z: object, n_components: int) -> Array:
    """Check codes for `inverse_transform`: a 2-D numeric array of the right width.

    Sparse ones stay so: most of them have few entries, and are wider than the rows.
    """
    refuse_lazy("Z", Z)
    Z = check_array(Z, accept_sparse=("csr", "csc"), dtype="numeric")
    if Z.shape[1] != n_components:
        raise ValueError(
            f"X has {Z.shape[1]} components, but {n_components} are expected: codes, "
            "as transform answers them."
        )
    return Z.tocsr() if scipy.sparse.issparse(Z) else Z


def refuse_lost_digits(X: object) -> None:
    """Refuse 64-bit integers that differ by less than float64 can tell, in a column.

    Parameters
    ----------
    X : array, frame or sparse matrix of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        Naming the first of those columns.
    """
    columns = columns_of_frame(X)
    if columns is None:
        # Most entries of sparse rows are 0, far from all that is large.
        rows = np.zeros((1, 1)) if scipy.sparse.issparse(X) else np.atleast_1d(X)
        # Nearly always: one pass in the order of memory.
        columns = rows.reshape(len(rows), -1).T if _may_lose_digits(rows) else ()
    # Beside others of float64, columns become such before anybody has seen them.
    for number, column in enumerate(map(np.asarray, columns)):
        if not _may_lose_digits(column):
            continue
        low, high = int(column.min()), int(column.max())
        step = float(np.spacing(float(max(-low, high))))
        # Of more distant ones, the difference is as good as their own.
        if low + _LEAST_STEPS * step <= high:
            continue
        # In python, since the largest have no way back.
        if any(int(float(value)) != value for value in np.unique(column).tolist()):
            raise ValueError(
                f"Column {number} of X has integers from {low} to {high}, of which "
                f"float64 has only every {step:.0f}th: subtract the least from all "
                "of them first."
            )


def columns_of_frame(X: object) -> Iterator[object] | None:
    """Answer the columns of a frame of pandas, polars or pyarrow; None of other X.

    By position: names may occur more than once.
    """
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        return (X.iloc[:, place] for place in range(len(X.columns)))
    if hasattr(X, "get_columns"):
        return iter(X.get_columns())
    return X.itercolumns() if hasattr(X, "itercolumns") else None


def names_of_columns(X: object) -> list[object]:
    """Answer the names that a frame of pandas, polars or pyarrow has."""
    # Where `columns` are the arrays themselves.
    is_arrow = not hasattr(X, "iloc") and hasattr(X, "itercolumns")
    return list(X.column_names if is_arrow else X.columns)


def _may_lose_digits(values: np.ndarray) -> bool:
    """Whether there are integers beyond those that float64 has all of."""
    is_wide = values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size
    return bool(is_wide) and max(-int(values.min()), int(values.max())) > 2**53
