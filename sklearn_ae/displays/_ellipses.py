"""Ellipses around points: where a code may lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array


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
        linewidths=0.8,
        alpha=0.5,
        zorder=scatter.get_zorder() - 0.1,
    )
    if scatter.get_array() is None:
        ellipses.set_edgecolor(scatter.get_facecolor())
    else:
        ellipses.set(array=scatter.get_array(), cmap=scatter.get_cmap())
        ellipses.set_norm(scatter.norm)
    ax.add_collection(ellipses)
    # Matplotlib counts the centres only.
    ax.update_datalim(np.concatenate([centers - radii, centers + radii]))
    ax.autoscale_view()
    return ellipses
