"""Targets that are rows: numbers of any shape, to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from sklearn_ae._data.checks import refuse_lazy
from sklearn_ae._data.rows import Array


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
