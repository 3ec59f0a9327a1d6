"""Whether a grid search over `alpha` finds a penalty that helps a classifier.

`GridSearchCV` over a pipeline of scaler, sparse autoencoder and logistic regression.
Each of its splits is one choice of the labelled rows: the pipeline is fitted to those
and nothing else, and scored on all others.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from benchmarks.common import (
    Column,
    Table,
    add_output,
    environment,
    positive,
)
from benchmarks.data.datasets import Dataset, add_data_home, load_labelled

HELP = "a grid search over alpha in a pipeline with few labels"
ALPHAS = (0, 0.03, 0.1, 0.3, 1)
COLUMNS = [
    Column("label", "code"),
    Column("accuracy", "accuracy", ".4f"),
    Column("gain", "gain over\nalpha 0", "+.4f"),
    Column("error", "standard error\nof the gain", ".4f"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add("--dataset", default="digits", help="with labels (default: %(default)s)")
    add("--labels", type=positive, default=100, help="default: %(default)s")
    add("--splits", type=positive, default=5, help="default: %(default)s")
    add("--alphas", type=float, nargs="+", default=ALPHAS, metavar="ALPHA")
    add("--components", type=positive, default=256, help="default: %(default)s")
    add("--epochs", type=positive, default=400, help="default: %(default)s")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Search, print the table and write it."""
    from sklearn_ae import SparseAutoencoder

    dataset = load_labelled(arguments.dataset, arguments.data_home)
    alphas = sorted({0.0, *arguments.alphas})
    sparse = SparseAutoencoder(
        arguments.components,
        penalty="l1",
        tied_weights=True,
        batch_size=20,
        max_epochs=arguments.epochs,
        tol=0.0,
        random_state=arguments.seed,
    )
    scores = split_scores(sparse, {"code__alpha": alphas}, dataset, arguments)
    size = min(arguments.components, dataset.X.shape[1], arguments.labels)
    pca = split_scores(PCA(), {"code__n_components": [size]}, dataset, arguments)
    rows = [
        make_row(f"sparse, L1, alpha {alpha:g}", scores[:, i], scores[:, 0])
        for i, alpha in enumerate(alphas)
    ]
    rows.append(make_row(f"PCA({size})", pca[:, 0], scores[:, 0]))
    notes = [
        "Pipeline(MinMaxScaler, code, LogisticRegression), fitted to "
        f"{arguments.labels} labelled rows, scored on the other "
        f"{len(dataset.X) - arguments.labels:,}; mean over {arguments.splits} choices "
        "of them, the same for all rows of the table.",
        f"SparseAutoencoder({arguments.components}, penalty='l1', tied_weights=True), "
        f"{arguments.epochs} epochs of batches of 20.",
        f"{environment()}.",
    ]
    table = Table(f"{dataset.name}: a search over alpha", COLUMNS, rows, notes)
    table.show()
    folder = arguments.output / "few_labels"
    table.write(folder, "table")
    print(f"\nwritten to {folder}")


def split_scores(
    code: BaseEstimator,
    grid: dict[str, list[Any]],
    dataset: Dataset,
    arguments: argparse.Namespace,
) -> np.ndarray:
    """Return the accuracy of each split (rows) and candidate (columns)."""
    steps = [("scale", MinMaxScaler()), ("code", code)]
    pipeline = Pipeline([*steps, ("classify", LogisticRegression(max_iter=2000))])
    splits = StratifiedShuffleSplit(
        arguments.splits, train_size=arguments.labels, random_state=arguments.seed
    )
    search = GridSearchCV(
        pipeline, grid, cv=splits, refit=False, error_score="raise"
    ).fit(dataset.X, dataset.y)
    n_splits = range(arguments.splits)
    return np.stack([search.cv_results_[f"split{i}_test_score"] for i in n_splits])


def make_row(label: str, scores: np.ndarray, plain: np.ndarray) -> dict[str, Any]:
    """Return the mean accuracy, and what it gains split by split."""
    gains = scores - plain
    row: dict[str, Any] = {"label": label, "accuracy": float(scores.mean())}
    if gains.any():
        row["gain"] = float(gains.mean())
        row["error"] = float(gains.std() / np.sqrt(len(gains)))
    return row
