"""Choose the defaults of `Autoencoder` by measurement on real data sets.

Every candidate is fitted to every task, a data set with a size of the code. The table
ranks candidates by the reconstruction of held-out rows and says what each costs.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.progress import Progress
from scipy.stats import rankdata
from sklearn.decomposition import PCA

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
from benchmarks.datasets import LOADERS, Dataset, Split, add_data_home, load
from benchmarks.quality import knn_accuracy

HELP = "rank candidates for the default widths, batches and training"
BUNDLED = ["digits", "breast_cancer", "wine"]
HIDDEN = ["none", "128", "256-64", "256-128", "256-128-128"]
MAX_TRAIN, MAX_TEST = 2000, 1000

RANKING = [
    Column("mark", ""),
    Column("hidden", "hidden"),
    Column("batch_size", "batch"),
    Column("max_epochs", "epochs"),
    Column("learning_rate", "rate"),
    Column("schedule", "schedule"),
    Column("rank", "mean\nrank", ".1f"),
    Column("shortfall", "shortfall\nmean", ".3f"),
    Column("worst_shortfall", "worst", ".3f"),
    Column("knn", "k-NN\naccuracy", ".3f"),
    Column("fit_seconds", "fit (s)\nall tasks", ".1f"),
]

RUN_KEYS = [
    *("dataset", "n_components", "seed"),
    *("hidden", "batch_size", "max_epochs", "learning_rate", "schedule"),
    *("r2", "knn", "fit_seconds", "n_iter"),
]


@dataclass(frozen=True)
class Candidate:
    """One choice of the parameters whose defaults are in question."""

    hidden_layer_sizes: tuple[int, ...]
    batch_size: int | str
    max_epochs: int
    learning_rate: float
    learning_rate_schedule: str | None

    def shown(self) -> dict[str, str]:
        """Return the parameters as text for a table."""
        hidden = "-".join(map(str, self.hidden_layer_sizes)) or "none"
        return {
            "hidden": hidden,
            "batch_size": str(self.batch_size),
            "max_epochs": str(self.max_epochs),
            "learning_rate": f"{self.learning_rate:g}",
            "schedule": self.learning_rate_schedule or "none",
        }


def widths(text: str) -> tuple[int, ...]:
    """Parse hidden widths such as ``256-128``; ``none`` is no hidden layer."""
    return () if text == "none" else tuple(positive(part) for part in text.split("-"))


def batch(text: str) -> int | str:
    """Parse a batch size or ``auto``."""
    return text if text == "auto" else positive(text)


def schedule(text: str) -> str | None:
    """Parse the name of a schedule or ``none``."""
    return None if text == "none" else text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    lists = [
        ("--datasets", str, BUNDLED, f"some of {', '.join(LOADERS)}"),
        ("--components", positive, [2, 16], "sizes of the code"),
        ("--hidden", widths, HIDDEN, "hidden widths"),
        ("--batches", batch, ["auto"], "batch sizes, or auto"),
        ("--epochs", positive, [30, 60, 120], "numbers of epochs"),
        ("--rates", float, [1e-3], "learning rates"),
        ("--schedules", schedule, ["none"], "learning-rate schedules"),
    ]
    for flag, kind, default, what in lists:
        shown = " ".join(map(str, default))
        text = f"{what} (default: {shown})"
        # argparse parses a default only where it is one string.
        values = [kind(str(value)) for value in default]
        parser.add_argument(flag, type=kind, nargs="+", default=values, help=text)
    # With one seed the ranks are mostly chance.
    parser.add_argument("--seeds", type=positive, default=5, help="default: 5")
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit every candidate to every task, print the ranking and write it."""
    for name in arguments.datasets:
        if name not in LOADERS:
            raise BenchmarkError(f"unknown data set {name!r}")
    datasets = [
        load(name, data_home=arguments.data_home) for name in arguments.datasets
    ]
    candidates = [
        Candidate(*values)
        for values in itertools.product(
            arguments.hidden,
            arguments.batches,
            arguments.epochs,
            arguments.rates,
            arguments.schedules,
        )
    ]
    default = current_default()
    if default not in candidates:
        candidates.append(default)
    folder = arguments.output / "defaults"
    runs: list[dict[str, Any]] = []
    with progress_bar() as progress:
        for part in _run_tasks(datasets, candidates, arguments, progress):
            runs += part
            # After each task, so that a run cut short has not been for nothing.
            write_rows(folder / "runs.csv", RUN_KEYS, runs)
    if not runs:
        raise BenchmarkError("no data set has as many features as components")
    table = ranking(runs, candidates, default)
    table.notes = [*_notes(runs, arguments), f"{environment()}."]
    table.show()
    table.write(folder, "ranking")
    print(f"\nwritten to {folder}")


def current_default() -> Candidate:
    """Return the defaults as `Autoencoder` has them now."""
    from sklearn_ae import Autoencoder

    parameters = Autoencoder().get_params(deep=False)
    return Candidate(**{name: parameters[name] for name in Candidate.__annotations__})


def _run_tasks(
    datasets: Sequence[Dataset],
    candidates: Sequence[Candidate],
    arguments: argparse.Namespace,
    progress: Progress,
) -> Iterator[list[dict[str, Any]]]:
    """Fit PCA and every candidate to one task after the other."""
    tasks = list(
        itertools.product(range(arguments.seeds), datasets, arguments.components)
    )
    bar = progress.add_task("fits", total=len(tasks) * (len(candidates) + 1))
    for seed, dataset, k in tasks:
        if k > dataset.X.shape[1]:
            progress.advance(bar, len(candidates) + 1)
            continue
        progress.update(bar, description=f"{dataset.name}, {k}, seed {seed}")
        split = dataset.split(seed, max_train=MAX_TRAIN, max_test=MAX_TEST)
        task = {"dataset": dataset.name, "n_components": k, "seed": seed}
        runs = []
        for candidate in [None, *candidates]:
            runs.append(
                task | {"candidate": candidate} | _fit(candidate, k, split, seed)
            )
            progress.advance(bar)
        yield runs


def _fit(
    candidate: Candidate | None, k: int, split: Split, seed: int
) -> dict[str, Any]:
    """Fit a candidate, or PCA where there is none, and measure it on test rows."""
    from sklearn_ae import Autoencoder
    from sklearn_ae.metrics import reconstruction_r2

    if candidate is None:
        estimator, shown = PCA(k, random_state=seed), {"hidden": "PCA"}
    else:
        estimator = Autoencoder(k, random_state=seed, **asdict(candidate))
        shown = candidate.shown()
    seconds, _ = timed(lambda: estimator.fit(split.X_train))
    Z_train, Z_test = (estimator.transform(X) for X in (split.X_train, split.X_test))
    return shown | {
        "r2": reconstruction_r2(estimator, split.X_test),
        "knn": knn_accuracy(Z_train, split.y_train, Z_test, split.y_test),
        "fit_seconds": seconds,
        "n_iter": getattr(estimator, "n_iter_", None),
    }


def ranking(
    runs: Sequence[Mapping[str, Any]],
    candidates: Sequence[Candidate],
    default: Candidate,
) -> Table:
    """Return the candidates by their mean rank over the tasks, PCA below them."""
    tasks = list(dict.fromkeys((run["dataset"], run["n_components"]) for run in runs))
    medians = {
        key: np.array(
            [
                [_median(runs, candidate, task, key) for task in tasks]
                for candidate in [*candidates, None]
            ]
        )
        for key in ("r2", "knn", "fit_seconds")
    }
    ranks = rankdata(-medians["r2"][:-1], axis=0).mean(axis=1)
    shortfalls = medians["r2"][:-1].max(axis=0) - medians["r2"]
    rows = [
        {
            "mark": "default" if candidate == default else "",
            "rank": None if candidate is None else float(ranks[i]),
            "shortfall": float(shortfalls[i].mean()),
            "worst_shortfall": float(shortfalls[i].max()),
            "knn": float(medians["knn"][i].mean()),
            "fit_seconds": float(medians["fit_seconds"][i].sum()),
        }
        | ({"hidden": "PCA"} if candidate is None else candidate.shown())
        for i, candidate in enumerate([*candidates, None])
    ]
    rows[:-1] = sorted(rows[:-1], key=lambda row: row["rank"])
    return Table("Candidates for the defaults", RANKING, rows)


def _median(
    runs: Sequence[Mapping[str, Any]],
    candidate: Candidate | None,
    task: tuple[str, int],
    key: str,
) -> float:
    """Return the median over the seeds of one candidate on one task."""
    own = [
        run
        for run in runs
        if run["candidate"] == candidate
        and (run["dataset"], run["n_components"]) == task
    ]
    return median_of(own, key)


def _notes(
    runs: Sequence[Mapping[str, Any]], arguments: argparse.Namespace
) -> list[str]:
    """Say what the figures are."""
    names = ", ".join(dict.fromkeys(run["dataset"] for run in runs))
    sizes = ", ".join(map(str, arguments.components))
    return [
        f"Tasks: {names}, each with {sizes} components; medians over "
        f"{arguments.seeds} seed(s); at most {MAX_TRAIN:,} training rows.",
        "rank: among the candidates, by R2 of the test rows; shortfall: the best R2 of "
        "the task minus the candidate's own.",
        "k-NN accuracy: test codes by training codes, mean over the tasks.",
    ]
