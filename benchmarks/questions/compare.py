"""Compare autoencoders with PCA, t-SNE and UMAP on the same rows.

Each seed draws a split and fits every method on the same training rows, one after the
other, so that a change in the machine's load reaches all of them.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks.common import (
    BenchmarkError,
    Column,
    Table,
    add_output,
    environment,
    median_of,
    positive,
    progress_bar,
    write_rows,
)
from benchmarks.data.datasets import (
    Split,
    add_dataset_options,
    load_from_options,
)
from benchmarks.measures.quality import (
    MAX_PAIRED_ROWS,
    N_NEIGHBORS,
    knn_accuracy,
    measure,
)
from benchmarks.methods.embeddings import METHODS, Method, check_device, choose, warm_up
from benchmarks.methods.tuning import N_FOLDS, tune
from benchmarks.pictures import draw_pictures

HELP = "compare autoencoders with PCA, t-SNE, UMAP on one data set"
ROWS_OF_PROFILE = {"fast": (3000, 1000), "full": (None, None)}

NEW_ROWS = [
    Column("label", "method"),
    Column("n_components", "k", "d"),
    Column("fit_seconds", "fit\n(s)", ".2f"),
    Column("embed_ms", "embed\n(ms)", ".1f"),
    Column("r2", "R2", ".3f"),
    Column("trustworthiness", "trust\u00ad\nworthiness", ".3f"),
    Column("continuity", "conti\u00ad\nnuity", ".3f"),
    Column("knn", f"{N_NEIGHBORS}-NN\naccuracy", ".3f"),
    Column("angle", "angle to\nPCA (deg)", ".2f"),
]
TRAINING_ROWS = [
    Column("label", "method"),
    Column("n_components", "k", "d"),
    Column("train_trustworthiness", "trust\u00ad\nworthiness", ".3f"),
    Column("train_continuity", "conti\u00ad\nnuity", ".3f"),
    Column("train_knn", f"{N_NEIGHBORS}-NN\naccuracy", ".3f"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_dataset_options(parser, default="digits")
    add = parser.add_argument
    add(
        "--methods",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
        help=f"some of {', '.join(METHODS)} (default: all that are installed)",
    )
    add(
        "--components",
        type=positive,
        nargs="+",
        default=[2, 16],
        metavar="K",
        help="sizes of the code (default: 2 16)",
    )
    add(
        "--seeds",
        type=positive,
        default=3,
        metavar="N",
        help="repetitions, each with its own split (default: %(default)s)",
    )
    add(
        "--tune",
        action="store_true",
        help="choose each method's settings by a search on the training rows",
    )
    add("--device", default="cpu", help="of the autoencoders (default: %(default)s)")
    add(
        "--profile",
        choices=ROWS_OF_PROFILE,
        default="fast",
        help="fast takes at most 3,000 training and 1,000 test rows, full takes all "
        "(default: %(default)s)",
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit, measure, print the tables, write them and the pictures."""
    check_device(arguments.device)
    dataset = load_from_options(arguments)
    methods, hints = choose(arguments.methods)
    max_train, max_test = ROWS_OF_PROFILE[arguments.profile]
    shown = dataset.split(0, max_train=max_train, max_test=max_test)
    jobs, without = _jobs(methods, arguments.components, shown.X_train.shape)
    runs: list[dict[str, Any]] = []
    with progress_bar() as progress:
        task = progress.add_task(dataset.name, total=len(jobs) * arguments.seeds)
        for key, k in dict(jobs).items():
            progress.update(task, description=f"warming up {key}")
            warm_up(methods[key], shown.X_train, arguments.device, k)
        for seed in range(arguments.seeds):
            split = dataset.split(seed, max_train=max_train, max_test=max_test)
            runs += _run_seed(jobs, methods, split, seed, arguments, progress)
    folder = arguments.output / dataset.name
    notes = [*_circumstances(shown, arguments.seeds), *dataset.notes, *without]
    if hints:
        notes.append(f"Not installed, so without a row: {', '.join(hints)}.")
    if arguments.tune:
        notes += _choices(runs)
    notes.append(f"{environment()}.")
    written = []
    for stem, table in make_tables(medians(runs), dataset.name, notes).items():
        table.show()
        written += table.write(folder, stem)
    keys = [key for key in runs[0] if not key.startswith("_")]
    written.append(write_rows(folder / "runs.csv", keys, runs))
    first = [run for run in runs if run["seed"] == 0]
    written += draw_pictures(first, dataset, shown, folder)
    print(f"\nwritten to {folder}: {', '.join(path.name for path in written)}")


def _jobs(
    methods: dict[str, Method], components: list[int], shape: tuple[int, int]
) -> tuple[list[tuple[str, int]], list[str]]:
    """Pair methods with the code sizes that they and the data allow, and tell others.

    `shape` is that of the training rows.
    """
    jobs, notes = [], []
    for k in dict.fromkeys(components):
        if k > min(shape):
            notes.append(
                f"k = {k} is left out: {shape[0]:,} training rows of {shape[1]:,} "
                f"features have no more than {min(shape)} components (--components)."
            )
            continue
        unable = [m.label for m in methods.values() if k > (m.max_components or k)]
        jobs += [(key, k) for key, m in methods.items() if m.label not in unable]
        if unable:
            notes.append(f"Not made for k = {k}: {', '.join(unable)}.")
    if not jobs:
        raise BenchmarkError(f"nothing to compare. {' '.join(notes)}")
    return jobs, notes


def _run_seed(
    jobs: list[tuple[str, int]],
    methods: dict[str, Method],
    split: Split,
    seed: int,
    arguments: argparse.Namespace,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Measure every method on one split."""
    runs = []
    for key, k in jobs:
        method = methods[key]
        name = f"{method.label}, {k}, seed {seed}"
        progress.update(progress.task_ids[0], description=name)
        estimator = method.make(k, seed, arguments.device)
        chosen = tune(method, estimator, split.X_train) if arguments.tune else {}
        result = measure(estimator.set_params(**chosen), split)
        settings = ", ".join(f"{name}={value:g}" for name, value in chosen.items())
        runs.append(
            {"method": key, "label": method.label, "n_components": k, "seed": seed}
            | result
            | {"settings": settings}
        )
        progress.advance(progress.task_ids[0])
    return runs


def medians(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each method and code size: the medians over the seeds."""
    measured = [column.key for column in NEW_ROWS + TRAINING_ROWS]
    rows = []
    for method, k in dict.fromkeys((r["method"], r["n_components"]) for r in runs):
        same = [r for r in runs if (r["method"], r["n_components"]) == (method, k)]
        row = {"method": method, "label": same[0]["label"], "n_components": k}
        row |= {key: median_of(same, key) for key in measured if key not in row}
        rows.append(row)
    return rows


def make_tables(
    rows: list[dict[str, Any]], name: str, notes: list[str]
) -> dict[str, Table]:
    """Return the tables by the stem of their files."""
    starred = [
        row if row["embed_ms"] is not None else row | {"label": f"{row['label']} *"}
        for row in rows
    ]
    reading = [
        "R2: share of the variance that is rebuilt; 1 is all, 0 is the mean. "
        f"Trustworthiness: the {N_NEIGHBORS} nearest rows in the map are near in the "
        "data; continuity: the other way round. Both are 1 at best.",
        "embed: the time to embed all test rows. angle: the largest one between the "
        "subspaces of a linear model and an exact PCA (of many features scikit-learn's "
        "own draws a random sketch).",
    ]
    if any(row["knn"] is not None for row in rows):
        reading.append(
            f"{N_NEIGHBORS}-NN accuracy: how often the {N_NEIGHBORS} nearest training "
            "rows in the map tell the label."
        )
    if any(row["embed_ms"] is None for row in rows):
        reading.append(
            "* cannot embed new rows: its figures are of the training rows, each left "
            "out of its own neighbours; the second table has all methods on those."
        )
    training_reading = [
        f"Each row is left out of its own {N_NEIGHBORS} neighbours; trustworthiness "
        f"and continuity are measured on at most {MAX_PAIRED_ROWS:,} of the rows."
    ]

    def filled(columns: list[Column]) -> list[Column]:
        """Leave out what was measured of no method, as accuracies without labels."""
        return [c for c in columns if any(row[c.key] is not None for row in rows)]

    return {
        "table": Table(
            f"{name}: new rows", filled(NEW_ROWS), starred, [*notes, *reading]
        ),
        "training_rows": Table(
            f"{name}: maps of the training rows, like for like",
            filled(TRAINING_ROWS),
            rows,
            training_reading,
        ),
    }


def _circumstances(split: Split, n_seeds: int) -> list[str]:
    """Say what the figures were measured on, and what they are to be held against."""
    lines = [
        f"{len(split.X_train):,} training and {len(split.X_test):,} test rows of "
        f"{split.X_train.shape[1]:,} features"
        + (
            f"; medians over {n_seeds} seeds, each with its own split and fit."
            if n_seeds > 1
            else "; one seed, one split."
        )
    ]
    accuracy = knn_accuracy(split.X_train, split.y_train, split.X_test, split.y_test)
    if accuracy is not None:
        frequent = np.unique(split.y_test, return_counts=True)[1].max()
        lines.append(
            f"{N_NEIGHBORS}-NN accuracy with all features is {accuracy:.3f}, and "
            f"{frequent / len(split.y_test):.3f} is had by always naming the most "
            "frequent label (seed 0)."
        )
    return lines


def _choices(runs: list[dict[str, Any]]) -> list[str]:
    """Say how settings were chosen, and which."""
    how = (
        "Settings by a search on the training rows, six for each method that has some: "
        f"by R2 on {N_FOLDS} folds, of maps of the training rows by their "
        "trustworthiness there. The search is no part of the times."
    )
    names = dict.fromkeys((run["label"], run["n_components"]) for run in runs)
    lines = []
    for label, k in names:
        same = [r for r in runs if (r["label"], r["n_components"]) == (label, k)]
        chosen = dict.fromkeys(run["settings"] for run in same if run["settings"])
        if chosen:
            lines.append(f"{label}, {k}: {'; '.join(chosen)}.")
    return [how, *lines]
