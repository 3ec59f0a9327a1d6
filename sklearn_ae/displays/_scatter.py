"""Points coloured by a target, and ellipses around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from sklearn_ae.displays._drawing import COLORS, MARKERS, MISSING_COLOR


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


def scatter(
    ax: Any,
    x: np.ndarray,
    heights: np.ndarray,
    values: np.ndarray | None,
    classes: Sequence[str] | None,
    scatter_kw: Mapping[str, Any] | None,
) -> list[Any]:
    """Draw points, one artist for each class; those without a class are the last."""
    size = np.clip(30_000 / len(x), 2, 36)
    common = {"s": size, "alpha": 0.8, "edgecolors": "none"}
    if classes is None:
        style = {"color": COLORS[0]}
        if values is not None:
            style = {"c": values, "cmap": "viridis", "plotnonfinite": True}
        points = ax.scatter(x, heights, **common | style | dict(scatter_kw or {}))
        if values is not None:
            points.set_cmap(points.get_cmap().with_extremes(bad=MISSING_COLOR))
        return [points]
    scatters = []
    for number in np.unique(values):
        # Neighbours differ in marker too, for those who see little colour.
        repeat, color = divmod(number, len(COLORS))
        marker = MARKERS[(color + repeat) % len(MARKERS)]
        style = {"color": COLORS[color], "marker": marker}
        if number == len(classes):
            style = {"color": MISSING_COLOR, "zorder": 0.5}
        style["label"] = [*classes, "missing"][number]
        rows = values == number
        style = common | style | dict(scatter_kw or {})
        scatters.append(ax.scatter(x[rows], heights[rows], **style))
    return scatters


def check_deviations(deviations: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    deviations = check_array(deviations, input_name="standard_deviations")
    if deviations.shape != shape:
        raise ValueError(
            f"standard_deviations have shape {deviations.shape}, but Z has {shape}."
        )
    if deviations.min() < 0:
        raise ValueError("standard_deviations must not be negative.")
    return deviations


def draw_ellipses(ax: Any, scatter: Any, radii: np.ndarray) -> Any:
    """Draw ellipses around the points of a scatter plot, below them, in its colours."""
    from matplotlib.collections import EllipseCollection

    centers = np.asarray(scatter.get_offsets())
    ellipses = EllipseCollection(
        *(2 * radii.T),
        np.zeros(len(radii)),
        units="xy",
        offsets=centers,
        offset_transform=ax.transData,
        facecolors="none",
        linewidths=1,
        zorder=scatter.get_zorder() - 0.1,
    )
    if scatter.get_array() is None:
        color = scatter.get_facecolor()[0, :3]
        ellipses.set(edgecolor=(*color, 0.7), facecolor=(*color, 0.06))
    else:
        ellipses.set(array=scatter.get_array(), cmap=scatter.get_cmap(), alpha=0.7)
        ellipses.set_norm(scatter.norm)
    ax.add_collection(ellipses)
    # Matplotlib counts the centres only.
    ax.update_datalim(np.concatenate([centers - radii, centers + radii]))
    ax.autoscale_view()
    return ellipses
