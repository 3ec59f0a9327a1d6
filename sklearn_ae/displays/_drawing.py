"""What all displays draw with: matplotlib, imported late, colours and legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Ten colours that stay apart, also in small points, and for colour-blind readers: the
# two nearest are twice as far from each other as those of usual sets of ten.
COLORS = ["#1f32d6", "#ff8205", "#05c179", "#ba0592", "#05adff"]
COLORS += ["#991d05", "#9755ff", "#135d5a", "#947c6a", "#50056e"]
MARKERS = "o^"
MISSING_COLOR = "#d9d9d9"
# About as wide as a letter of a label is.
INCHES_OF_LETTER = 0.085
# Of an Axes' width, what a legend beside it leaves at least; of a figure's, what there
# is between them.
_LEAST_SHARE, _GAP = 0.4, 0.01


def pyplot_for(caller: str) -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib: `pip install sklearn_ae[plot]`."
        ) from error
    return pyplot


def tick_whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    # Any other locator is the caller's own choice.
    if isinstance(axis.get_major_locator(), MaxNLocator):
        axis.get_major_locator().set_params(integer=True)


def add_legend(
    ax: Any, handles: Sequence[Any], labels: Sequence[str], title: str | None = None
) -> Any:
    """Put a legend to the right of an Axes, where it covers nothing.

    What is in a legend there already stays in it.
    """
    previous, whole = ax.get_legend(), ax.figure.bbox
    place = {"loc": "upper left", "bbox_to_anchor": (1, 1), "title": title}
    edge = ax.get_position().x1
    if previous is not None:
        # The Axes has given way to it.
        right = previous.get_window_extent().x1
        edge = max(edge, (right - whole.x0) / whole.width + _GAP)
        earlier = [
            (handle, text.get_text())
            for handle, text in zip(
                previous.legend_handles, previous.get_texts(), strict=True
            )
            if text.get_text() not in labels
        ]
        handles = [*(handle for handle, _ in earlier), *handles]
        labels = [*(label for _, label in earlier), *labels]
    legend = ax.legend(handles, labels, **place)
    if ax.figure.get_layout_engine() is not None:
        return legend
    # Nobody else makes room: the Axes gives way, as it does for a colorbar.
    box = ax.get_position()
    room = (1 - _LEAST_SHARE) * (edge - box.x0) - _GAP
    share = (legend.get_window_extent().x1 - ax.bbox.x1) / whole.width
    if share > room:
        size = legend.prop.get_size() * room / share
        legend = ax.legend(handles, labels, fontsize=size, title_fontsize=size, **place)
        share = (legend.get_window_extent().x1 - ax.bbox.x1) / whole.width
    ax.set_position([box.x0, box.y0, edge - share - _GAP - box.x0, box.height])
    # Later layouts are to see it.
    ax.set_in_layout(True)
    return legend


def widen(figure: Any, legends: Sequence[Any]) -> None:
    """Give a new figure the room that legends beside each other take."""
    width = sum(legend.get_window_extent().width for legend in legends) / figure.dpi
    figure.set_figwidth(figure.get_figwidth() + width)


def dense(values: Any) -> np.ndarray:
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)
