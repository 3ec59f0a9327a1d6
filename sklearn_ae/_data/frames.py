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
