"""The pictures of the comparison: maps, reconstructions, loss curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from benchmarks.common import Row
from benchmarks.data.datasets import Split
from benchmarks.methods.embeddings import METHODS

MAX_COLUMNS = 4
MAX_POINTS = 5000
# More classes than the display tells apart are shown as numbers, with a colorbar.
MAX_CLASSES = 20
PNG = {"dpi": 150, "bbox_inches": "tight"}


def draw_pictures(
    runs: Sequence[Row], image_shape: tuple[int, ...] | None, split: Split, folder: Path
) -> list[Path]:
    """Draw what the runs of one seed allow, and return the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "maps": draw_maps([r for r in runs if r["n_components"] == 2], split.y_train),
        "loss_curves": draw_loss_curves(runs),
    }
    if image_shape is not None:
        figures["reconstructions"] = draw_reconstructions(
            runs, split.X_test, image_shape
        )
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths.append(folder / f"{name}.png")
            figure.savefig(paths[-1], **PNG)
            pyplot.close(figure)
    return paths


def draw_maps(runs: Sequence[Row], y: np.ndarray | None) -> Figure | None:
    """Draw the training rows in two dimensions, one panel for each method."""
    from sklearn_ae.displays import LatentSpaceDisplay

    if not runs:
        return None
    n_rows = -(-len(runs) // MAX_COLUMNS)
    n_columns = -(-len(runs) // n_rows)
    figure = Figure(figsize=(3.8 * n_columns, 4.1 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    colors, colored_by_class = _colors(y)
    for ax, run in zip(axes, runs, strict=False):
        rows = np.arange(len(run["_codes"]))
        if len(rows) > MAX_POINTS:
            rows = np.random.default_rng(0).choice(rows, MAX_POINTS, replace=False)
        Z = run["_codes"][rows]
        LatentSpaceDisplay.from_codes(
            Z,
            None if colors is None else colors[rows],
            ax=ax,
            scatter_kw={"s": 7, "alpha": 0.8, "linewidths": 0},
        )
        _frame(ax, run)
    for ax in axes[len(runs) :]:
        ax.remove()
    if colored_by_class:
        _share_legend(figure, axes[: len(runs)])
    return figure


def _colors(y: np.ndarray | None) -> tuple[np.ndarray | None, bool]:
    """Return what colours the points, and whether it is a legend of classes."""
    if y is None:
        return None, False
    classes, numbers = np.unique(y, return_inverse=True)
    if len(classes) <= MAX_CLASSES:
        return y, True
    return (y if np.issubdtype(y.dtype, np.number) else numbers), False


def _frame(ax: Any, run: Row) -> None:
    """Give a map its title; the units of a map mean nothing, so it has no ticks."""
    title = run["label"]
    if run["train_knn"] is not None:
        title += f"\n5-NN accuracy {run['train_knn']:.2f}"
    ax.set(title=title, xticks=[], yticks=[], xlabel="", ylabel="")


def _share_legend(figure: Figure, axes: Sequence[Any]) -> None:
    """Replace the legends of the panels by one beside them."""
    legend = axes[0].get_legend()
    if legend is None:
        return
    labels = [text.get_text() for text in legend.get_texts()]
    handles = legend.legend_handles
    for ax in axes:
        ax.get_legend().remove()
    figure.legend(
        handles, labels, loc="outside right center", frameon=False, markerscale=1.6
    )


def draw_loss_curves(runs: Sequence[Row]) -> Figure | None:
    """Draw the training losses of the autoencoders."""
    from sklearn_ae.displays import LossCurveDisplay

    fitted = {
        _name(run): run["_estimator"]
        for run in runs
        if hasattr(run["_estimator"], "loss_curve_")
    }
    if not fitted:
        return None
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    LossCurveDisplay.from_estimators(fitted, ax=figure.subplots())
    return figure


def draw_reconstructions(
    runs: Sequence[Row], X: np.ndarray, image_shape: tuple[int, ...]
) -> Figure | None:
    """Draw test rows as images, with each method's reconstructions below."""
    from sklearn_ae.displays import ReconstructionDisplay

    inverting = {_name(run): run["_estimator"] for run in runs if run["r2"] is not None}
    if not inverting:
        return None
    display = ReconstructionDisplay.from_estimators(
        inverting, X, n_samples=10, image_shape=image_shape
    )
    return display.figure_


def _name(run: Row) -> str:
    """Return a method with the size of its code."""
    return f"{METHODS[run['method']].label}, {run['n_components']}"
