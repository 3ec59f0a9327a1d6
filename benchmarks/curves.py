"""Curves over a grid, and rows of images under one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.common import Row

PANELS = [
    ("accuracy_all", "accuracy, fitted on\nall training rows"),
    ("accuracy_labelled", "accuracy, fitted on\nthe labelled rows"),
    ("r2", "R2 of test rows"),
    ("jacobian", "Jacobian norm"),
    ("active", "share of active codes"),
]
REFERENCE = {"color": "0.4", "linestyle": "--", "linewidth": 1}


def draw_regularization(
    rows: Mapping[str, Sequence[Row]], references: Mapping[str, float]
) -> Figure:
    """Draw each measure over each grid; columns are models, dashes PCA."""
    figure = Figure(
        figsize=(2.5 * len(rows) + 0.8, 1.9 * len(PANELS)), layout="constrained"
    )
    grid = figure.subplots(len(PANELS), len(rows), squeeze=False, sharey="row")
    for column, (title, line) in enumerate(rows.items()):
        positions = np.arange(len(line))
        for (key, label), ax in zip(PANELS, grid[:, column], strict=True):
            ax.plot(positions, [row[key] for row in line], "o-", markersize=4)
            if key in references:
                ax.axhline(references[key], **REFERENCE)
            ax.set_xticks(positions, [f"{row['value']:g}" for row in line])
            ax.tick_params(labelsize=8)
            ax.grid(alpha=0.3)
            if not column:
                ax.set_ylabel(label, fontsize=9)
        grid[0, column].set_title(title, fontsize=10)
        grid[-1, column].set_xlabel(line[0]["parameter"], fontsize=9)
    return figure


def draw_image_rows(
    rows: Mapping[str, np.ndarray], shape: tuple[int, int], high: float
) -> Figure:
    """Draw rows of images, each with its name on the left, on one grey scale."""
    n_columns = max(len(images) for images in rows.values())
    figure = Figure(
        figsize=(0.8 * n_columns + 1.6, 0.85 * len(rows)), layout="constrained"
    )
    grid = figure.subplots(len(rows), n_columns, squeeze=False)
    for (label, images), axes in zip(rows.items(), grid, strict=True):
        for image, ax in zip(images, axes, strict=True):
            ax.imshow(image.reshape(shape), cmap="gray_r", vmin=0, vmax=high)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        axes[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    return figure


def draw_learning_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    references: Mapping[str, float],
    *,
    x_label: str,
    y_label: str,
) -> Figure:
    """Draw errors over epochs or seconds; dashes are errors that are known."""
    figure = Figure(figsize=(6.6, 4.6), layout="constrained")
    ax = figure.subplots()
    for label, (x, y) in curves.items():
        # So many markers would be a band.
        marker = "o" if len(x) <= 100 else ""
        ax.plot(x, y, marker=marker, markersize=3, label=label)
    for label, value in references.items():
        draw_level(ax, label, value)
    ax.set(xlabel=x_label, ylabel=y_label, yscale="log")
    # Untrained nets are far above everything that there is to see.
    ax.set_ylim(top=2 * max(references.values()))
    ax.grid(alpha=0.3, which="both")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def draw_level(ax: Axes, label: str, value: float) -> None:
    """Draw a value that is known as a dashed line, with its name at the right end."""
    ax.axhline(value, **REFERENCE)
    ax.annotate(
        label,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color="0.3",
    )


def draw_sequences(
    names: Sequence[str],
    X: np.ndarray,
    rebuilt: Mapping[str, np.ndarray],
    shape: tuple[int, int],
) -> Figure:
    """Draw sequences side by side, and in each row what a model makes of them.

    `shape` is that of a sequence, (n_steps, n_features). What was given is broad and
    pale.
    """
    figure = Figure(
        figsize=(1.9 * len(names) + 1.2, 1.25 * len(rebuilt) + 0.4),
        layout="constrained",
    )
    grid = figure.subplots(
        len(rebuilt), len(names), squeeze=False, sharex=True, sharey="col"
    )
    for (label, rows), axes in zip(rebuilt.items(), grid, strict=True):
        for x, answer, ax in zip(X, rows, axes, strict=True):
            ax.plot(x.reshape(shape), alpha=0.3, linewidth=3)
            ax.set_prop_cycle(None)
            ax.plot(answer.reshape(shape), linewidth=1)
            error = np.square(x - answer).sum()
            ax.set_title(f"error {error:.3g}", fontsize=8, pad=2)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color("0.8")
        axes[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    for name, ax in zip(names, grid[0], strict=True):
        ax.set_title(f"{name}\n{ax.get_title()}", fontsize=9, pad=2)
    return figure
