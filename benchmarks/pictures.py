"""The pictures of the comparison: maps, reconstructions, loss curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks.common import Row
from benchmarks.curves import draw_level
from benchmarks.data.datasets import Dataset, Split
from benchmarks.measures.quality import N_NEIGHBORS
from benchmarks.methods.embeddings import METHODS

MAX_COLUMNS = 4
MAX_POINTS = 5000
N_IMAGES = 10
# More classes than the display tells apart are shown as numbers, with a colorbar.
MAX_CLASSES = 20
PNG = {"dpi": 150, "bbox_inches": "tight"}


def draw_pictures(
    runs: Sequence[Row], dataset: Dataset, split: Split, folder: Path
) -> list[Path]:
    """Draw what the runs of one seed allow, and return the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "maps": draw_maps([r for r in runs if r["n_components"] == 2], dataset, split),
        "loss_curves": draw_loss_curves(runs, split.X_train),
    }
    if dataset.image_shape is not None:
        figures["reconstructions"] = draw_reconstructions(
            runs, split.X_test, dataset.image_shape
        )
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths.append(folder / f"{name}.png")
            figure.savefig(paths[-1], **PNG)
            pyplot.close(figure)
    return paths


def draw_maps(runs: Sequence[Row], dataset: Dataset, split: Split) -> Figure | None:
    """Draw the training rows in two dimensions, one panel for each method."""
    from sklearn_ae.displays import LatentSpaceDisplay

    if not runs:
        return None
    n_rows = -(-len(runs) // MAX_COLUMNS)
    n_columns = -(-len(runs) // n_rows)
    figure = Figure(figsize=(3.8 * n_columns, 4.1 * n_rows + 0.4), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    colors, colored_by_class = _colors(split.y_train, dataset.label_name or "label")
    shown, which = np.arange(len(split.X_train)), "all"
    if len(shown) > MAX_POINTS:
        shown = np.random.default_rng(0).choice(shown, MAX_POINTS, replace=False)
        which = f"{MAX_POINTS:,} of"
    # Few points are small dots lost in white, many of them a blot.
    size = float(np.clip(300 / len(shown) ** 0.5, 4, 25))
    for ax, run in zip(axes, runs, strict=False):
        LatentSpaceDisplay.from_codes(
            run["_codes"][shown],
            None if colors is None else colors.iloc[shown],
            ax=ax,
            scatter_kw={"s": size, "alpha": 0.8, "linewidths": 0},
        )
        _frame(ax, run)
    for ax in axes[len(runs) :]:
        ax.remove()
    title = f"{dataset.name}: {which} {len(split.X_train):,} training rows, "
    title += f"seed {runs[0]['seed']}, k = {runs[0]['n_components']}"
    if runs[0]["train_knn"] is not None:
        title += f"; {N_NEIGHBORS}-NN accuracy leaves each row out of its neighbours"
    figure.suptitle(title, fontsize=11)
    if colored_by_class:
        _share_legend(figure, axes[: len(runs)])
    return figure


def _colors(y: np.ndarray | None, name: str) -> tuple[pd.Series | None, bool]:
    """Return what colours the points, and whether it is a legend of classes."""
    if y is None:
        return None, False
    classes, numbers = np.unique(y, return_inverse=True)
    if len(classes) <= MAX_CLASSES:
        return pd.Series(y, name=name), True
    if np.issubdtype(y.dtype, np.number):
        return pd.Series(y, name=name), False
    return pd.Series(numbers, name=f"number of the {name} in the alphabet"), False


def _frame(ax: Any, run: Row) -> None:
    """Give a map its title; the units of a map mean nothing, so it has no ticks."""
    title = run["label"]
    if run["train_knn"] is not None:
        title += f"\n{N_NEIGHBORS}-NN accuracy {run['train_knn']:.2f}"
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
        handles,
        labels,
        title=legend.get_title().get_text(),
        loc="outside right center",
        frameon=False,
        markerscale=1.6,
    )


def draw_loss_curves(runs: Sequence[Row], X: np.ndarray) -> Figure | None:
    """Draw what autoencoders leave of the variance of X as they train, and PCA."""
    from sklearn_ae.displays import LossCurveDisplay

    trained = [run for run in runs if hasattr(run["_estimator"], "loss_terms_")]
    if not trained:
        return None
    variance = X.var(axis=0, dtype=np.float64).sum()
    curves = {
        f"{_name(run)}: {_ending(run['_estimator'])}": np.asarray(
            run["_estimator"].loss_terms_["reconstruction"]
        )
        / variance
        for run in trained
    }
    figure = Figure(figsize=(7, 5), layout="constrained")
    ax = figure.subplots()
    LossCurveDisplay(curves).plot(ax=ax)
    for run in runs:
        if run["method"] == "pca":
            left = 1 - run["_estimator"].explained_variance_ratio_.sum()
            draw_level(ax, _name(run), left)
    # Shares, not powers of ten.
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    ax.yaxis.set_minor_formatter("{x:g}")
    ax.set_ylabel("squared error of training rows\n(share of their variance, 1 - R2)")
    ax.get_legend().remove()
    figure.legend(loc="outside upper left", frameon=False)
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
        inverting, X, n_samples=N_IMAGES, image_shape=image_shape
    )
    display.figure_.suptitle(
        f"{N_IMAGES} of {len(X):,} test rows, seed {runs[0]['seed']}", fontsize=11
    )
    return display.figure_


def _name(run: Row) -> str:
    """Return a method with the size of its code."""
    return f"{METHODS[run['method']].label}, k = {run['n_components']}"


def _ending(estimator: Any) -> str:
    """Return how long an autoencoder was trained, and what ended that."""
    end = "tol" if estimator.n_iter_ < estimator.max_epochs else "max_epochs"
    return f"{estimator.n_iter_} epochs, ended by {end}"
