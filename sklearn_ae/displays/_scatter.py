"""Points coloured by a target, and what tells the colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_ae.displays._drawing import COLORS, MARKERS, MISSING_COLOR


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


def add_legend(
    ax: Any, scatters: Sequence[Any], classes: Sequence[str] | None, title: str | None
) -> Any:
    """Add a legend of classes, or answer the colorbar of numbers."""
    if classes is None:
        return ax.figure.colorbar(scatters[0], ax=ax, label=title or "target")
    # Beside the points, but only where a layout engine makes the room.
    place = {"loc": "upper right"}
    if ax.figure.get_layout_engine() is not None:
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
    legend = ax.legend(handles=scatters, title=title, **place)
    for handle in legend.legend_handles:
        handle.set(sizes=[36], alpha=1)
    return None
