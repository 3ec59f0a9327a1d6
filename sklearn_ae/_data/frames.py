"""Rows and codes as frames, where `set_output` asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._set_output import _auto_wrap_is_configured, _get_container_adapter
from sklearn.utils.validation import _check_feature_names_in


def as_output(
    estimator: BaseEstimator,
    rows: np.ndarray,
    X: Any = None,
    columns: Sequence[str] | None = None,
) -> Any:
    """Answer rows in the container that an estimator's output is to have.

    scikit-learn does so with what `transform` answers alone.

    Parameters
    ----------
    estimator : estimator
    rows : ndarray of shape (n_samples, n_features) or (n_samples, ...)
        Of more axes, as images have them, there are no frames.
    X : array-like or sparse matrix, default=None
        What the rows are answers to; an index is that of X.
    columns : sequence of str, default=None
        Names of columns; None is for those of the rows of training.

    Returns
    -------
    ndarray or DataFrame
    """
    if rows.ndim != 2 or not _auto_wrap_is_configured(estimator):
        return rows
    adapter = _get_container_adapter("transform", estimator)
    if adapter is None:
        return rows
    columns = _check_feature_names_in(estimator) if columns is None else columns
    return adapter.create_container(rows, X, columns=columns)


def with_dtypes(frame: Any, X: Any, *, is_filled: bool = False) -> Any:
    """Give the columns of a frame the dtypes that they have in X, where these can hold.

    Parameters
    ----------
    frame : ndarray or DataFrame
        What is answered for X. An array stays as it is, and so does a frame of another
        library than that of X.
    X : array-like or sparse matrix
    is_filled : bool, default=False
        Whether it is X but for its missing entries: then a column without them is X's
        own, of whatever dtype. Else only columns of floats have the dtype of theirs.
    """
    if isinstance(frame, np.ndarray) or type(frame) is not type(X):
        return frame
    if hasattr(frame, "isetitem"):
        return _with_pandas_dtypes(frame, X, is_filled)
    own = []
    for i, given in enumerate(X.iter_columns()):
        is_float = given.dtype.is_float()
        n_missing = given.null_count() + (given.is_nan().sum() if is_float else 0)
        if is_filled and not n_missing:
            own.append(given.alias(frame.columns[i]))
        elif is_float:
            own.append(frame.to_series(i).cast(given.dtype))
    return frame.with_columns(own)


def _with_pandas_dtypes(frame: Any, X: Any, is_filled: bool) -> Any:
    wanted, dtypes = list(X.dtypes), list(frame.dtypes)
    if wanted == dtypes:
        return frame
    columns = {}
    for i, dtype in enumerate(wanted):
        column = frame.iloc[:, i]
        if dtype != dtypes[i]:
            given = X.iloc[:, i]
            if is_filled and not given.isna().any():
                column = given
            # Of sparse columns, nothing would be 0.
            elif dtype.kind == "f" and not hasattr(dtype, "fill_value"):
                column = column.astype(dtype)
        # Without an index, which may have an entry twice.
        columns[i] = column.array
    own = type(frame)(columns, index=frame.index)
    own.columns = frame.columns
    return own
