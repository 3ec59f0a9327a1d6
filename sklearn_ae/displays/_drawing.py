"""What all displays draw with: matplotlib, imported late, and its colours."""

from __future__ import annotations

from typing import Any

import numpy as np

# Ten colours that colour-blind readers can tell apart (Petroff, arXiv:2107.02270).
COLORS = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"]
COLORS += ["#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"]
MARKERS = "o^"
MISSING_COLOR = "#d9d9d9"


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


def dense(values: Any) -> np.ndarray:
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)
