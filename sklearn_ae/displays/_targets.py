"""Targets as classes or as numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sklearn_ae.displays._drawing import COLORS, MARKERS


def read_target(y: ArrayLike) -> tuple[np.ndarray, list[str] | None]:
    """Return class numbers and names (missing: one more), or floats (NaN), None."""
    from pandas import isna

    y = np.asarray(y)
    missing = isna(y)
    present = y[~missing]
    if present.dtype == object:
        present = np.array(present.tolist())
    is_number = present.dtype.kind in "iuf"
    classes, index = np.unique(present, return_inverse=True)
    n_styles = len(COLORS) * len(MARKERS)
    if is_number and (len(classes) > n_styles or np.any(classes != np.round(classes))):
        values = np.full(len(y), np.nan)
        values[~missing] = present
        return values, None
    if len(classes) > n_styles:
        raise ValueError(
            f"y has {len(classes)} classes, more than the {n_styles} that colours and "
            "markers can tell apart: group them, or pass numbers."
        )
    values = np.full(len(y), len(classes))
    values[~missing] = index
    return values, [str(int(name) if is_number else name) for name in classes]
