"""What a penalty or noise costs in reconstruction and what it gives to a classifier.

Each grid is fitted to several splits, twice: on the labelled rows alone, which is what
a pipeline that ends in a classifier does, and on all training rows without labels.
A second table says which value each scorer of `sklearn_ae.metrics` picks.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.progress import Progress
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.common import (
    BenchmarkError,
    Column,
    Table,
    add_output,
    environment,
    median_of,
    positive,
    progress_bar,
    timed,
    write_rows,
)
from benchmarks.curves import draw_regularization
from benchmarks.data.datasets import Split, add_data_home, load_labelled
from benchmarks.measures.choosing import picks, score_all
from benchmarks.methods.penalties import (
    FAMILIES,
    Family,
    code_shares,
    mean_jacobian_norm,
    rivals,
)

HELP = "penalties and noise against reconstruction, sparsity and few labels"
SPLITS_OF_PROFILE = {"fast": 3, "full": 10}
MAX_TRAIN, MAX_TEST = 2000, 1000
N_JACOBIANS = 100
MEASURES = ("r2", "accuracy_all", "accuracy_labelled", "jacobian", "zero", "active")
COLUMNS = [
    Column("family", "model"),
    Column("setting", "setting", "s"),
    Column("r2", "R2", ".3f"),
    Column("accuracy_labelled", "accuracy,\nfitted on the\nlabelled rows", ".3f"),
    Column("accuracy_all", "accuracy,\nfitted on all\ntraining rows", ".3f"),
    Column("jacobian", "Jacobian\nnorm", ".2f"),
    Column("zero", "codes\nat 0", ".2f"),
    Column("active", "active\ncodes", ".2f"),
    Column("fit_seconds", "fit\n(s)", ".2f"),
]
PICKS = [
    Column("family", "model"),
    Column("parameter", "parameter"),
    Column("scorer", "scorer"),
    Column("picked", "picked", "g"),
    Column("accuracy_all", "accuracy\nthere", ".3f"),
    Column("inside", "inside\nthe grid"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add("--dataset", default="digits", help="with labels (default: %(default)s)")
    add(
        "--families",
        nargs="+",
        choices=FAMILIES,
        default=list(FAMILIES),
        metavar="FAMILY",
        help=f"some of {', '.join(FAMILIES)} (default: all)",
    )
    add("--labels", type=positive, default=100, help="default: %(default)s")
    add("--components", type=positive, default=128, help="default: %(default)s")
    add("--epochs", type=positive, default=100, help="default: %(default)s")
    add("--seeds", type=positive, help="splits, in place of the profile's")
    add(
        "--profile",
        choices=SPLITS_OF_PROFILE,
        default="fast",
        help="3 or 10 splits (default: %(default)s)",
    )
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit the grids, print the tables, write them and the picture."""
    dataset = load_labelled(arguments.dataset, arguments.data_home)
    n_seeds = arguments.seeds or SPLITS_OF_PROFILE[arguments.profile]
    folder = arguments.output / "regularization"
    n_fits = sum(len(FAMILIES[key].grid) for key in arguments.families)
    runs: list[dict[str, Any]] = []
    with progress_bar() as progress:
        progress.add_task(dataset.name, total=n_seeds * n_fits)
        for seed in range(n_seeds):
            split = dataset.split(seed, max_train=MAX_TRAIN, max_test=MAX_TEST)
            runs += run_split(split, seed, arguments, progress)
            keys = list(dict.fromkeys(key for run in runs for key in run))
            # After each split, so that a run cut short has not been for nothing.
            write_rows(folder / "runs.csv", keys, runs)
    rows = medians(runs)
    tables = {
        "table": Table(
            f"{dataset.name}: what regularisation costs and gives",
            COLUMNS,
            rows,
            [*_notes(split, n_seeds, arguments), f"{environment()}."],
        ),
        "picks": make_picks(runs, arguments.families),
    }
    for stem, table in tables.items():
        table.show()
        table.write(folder, stem)
    _draw(rows, arguments).savefig(folder / "curves.png", dpi=150)
    print(f"\nwritten to {folder}")


def run_split(
    split: Split, seed: int, arguments: argparse.Namespace, progress: Progress
) -> list[dict[str, Any]]:
    """Fit every grid and the rivals to one split."""
    n_labels = arguments.labels
    if n_labels >= len(split.y_train):
        raise BenchmarkError(f"{n_labels} labels ask for more training rows than that")
    labelled = draw_labels(split.y_train, n_labels, seed)
    runs = []
    others = rivals(arguments.components, split.X_train.shape[1], n_labels)
    for setting, estimator in others.items():
        run = {"family": "PCA", "key": "pca", "setting": setting, "seed": seed}
        runs.append(run | measure(estimator, split, labelled))
    for key in arguments.families:
        family = FAMILIES[key]
        progress.update(
            progress.task_ids[0], description=f"{family.label}, seed {seed}"
        )
        for value in _grid(family, arguments.components):
            estimator = family.estimator(
                value, arguments.components, arguments.epochs, seed
            )
            run = {
                "family": family.label,
                "key": key,
                "parameter": family.parameter,
                "value": value,
                "setting": f"{family.parameter} {value:g}",
                "seed": seed,
            }
            runs.append(run | measure(estimator, split, labelled))
            progress.advance(progress.task_ids[0])
    return runs


def _grid(family: Family, n_components: int) -> list[float]:
    """Return the values that this size of the code allows."""
    if family.parameter != "k":
        return list(family.grid)
    # All codes kept is the unpenalised net, whatever its size.
    return [n_components, *(k for k in family.grid if k < n_components)]


def draw_labels(y: np.ndarray, n_labels: int, seed: int) -> np.ndarray:
    """Return the training rows whose labels are known, in the shares of the classes."""
    rows = np.arange(len(y))
    stratify = y if n_labels >= len(np.unique(y)) else None
    drawn, _ = train_test_split(
        rows, train_size=n_labels, random_state=seed, stratify=stratify
    )
    return drawn


def measure(
    estimator: BaseEstimator, split: Split, labelled: np.ndarray
) -> dict[str, Any]:
    """Measure the pipeline with one encoder, fitted both ways, on the test rows."""
    X = split.X_train
    few = make_pipeline(StandardScaler(), clone(estimator)).fit(X[labelled])
    encoder = make_pipeline(StandardScaler(), clone(estimator))
    seconds, _ = timed(lambda: encoder.fit(X))
    rows = encoder[0].transform(split.X_test)
    scores = score_all(encoder, split.X_test, split.y_test, len(labelled))
    codes = encoder.transform(split.X_test)
    return {
        "r2": scores["score_reconstruction_r2"],
        "accuracy_all": accuracy(encoder, split, labelled),
        "accuracy_labelled": accuracy(few, split, labelled),
        "jacobian": mean_jacobian_norm(encoder[1], rows[:N_JACOBIANS]),
        "fit_seconds": seconds,
        **code_shares(codes),
        **scores,
    }


def accuracy(encoder: BaseEstimator, split: Split, labelled: np.ndarray) -> float:
    """Return the test accuracy of logistic regression on the codes of labelled rows."""
    probe = LogisticRegression(max_iter=1000)
    probe.fit(encoder.transform(split.X_train[labelled]), split.y_train[labelled])
    return float(probe.score(encoder.transform(split.X_test), split.y_test))


def medians(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each setting: the medians over the splits."""
    rows = []
    for key, setting in dict.fromkeys((r["key"], r["setting"]) for r in runs):
        same = [r for r in runs if (r["key"], r["setting"]) == (key, setting)]
        measured = (*MEASURES, "fit_seconds")
        rows.append(same[0] | {name: median_of(same, name) for name in measured})
    return rows


def make_picks(runs: Sequence[Mapping[str, Any]], families: Sequence[str]) -> Table:
    """Return the table of what each scorer picks."""
    rows = [
        row
        for key in families
        for row in picks(FAMILIES[key], [run for run in runs if run["key"] == key])
    ]
    notes = [
        "Each scorer sees the test rows of each split and the encoder that was fitted "
        "on all of its training rows; the best mean over the splits is picked.",
        "The pipeline's own rows show the best medians of the table above.",
        "inside the grid: neither its first nor its last value. sparsity_score counts "
        "zeros, which logistic codes never reach: there it picks the first value.",
    ]
    return Table("What each scorer picks", PICKS, rows, notes)


def _draw(rows: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> Any:
    """Draw the curves, with the PCA of as many components as reference."""
    lines = {
        FAMILIES[key].label: [row for row in rows if row["key"] == key]
        for key in arguments.families
    }
    reference = [row for row in rows if row["key"] == "pca"][-1]
    measures = ("accuracy_all", "accuracy_labelled", "r2")
    return draw_regularization(lines, {name: reference[name] for name in measures})


def _notes(split: Split, n_seeds: int, arguments: argparse.Namespace) -> list[str]:
    """Say what the figures are."""
    return [
        f"Pipeline(StandardScaler, encoder, LogisticRegression) on "
        f"{len(split.X_train):,} training and {len(split.X_test):,} test rows, "
        f"{arguments.labels} labels; {arguments.components} components, "
        f"{arguments.epochs} epochs of batches of 64, learning rate 0.002; medians "
        f"over {n_seeds} split(s).",
        "Fitted on the labelled rows: scaler and encoder see nothing else, as in "
        "Pipeline.fit(X_labelled, y). Fitted on all training rows: they see the rows "
        "without labels too; the classifier never does.",
        "R2, Jacobian (of the encoder, standardised rows) and codes: of test rows, "
        "fitted on all training rows. Active: above 0.1.",
    ]
