"""LSTM, dense and convolutional nets of the same size on sequences.

They have as many parameters (within five per cent) and are trained on normal sequences
for as many epochs, then for as long as the slowest of them. Rebuilding is measured on
normal sequences that they have not seen, and the error of a sequence is the score that
tells anomalous ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from benchmarks.common import (
    Column,
    Table,
    environment,
    positive,
    progress_bar,
    timed,
    write_rows,
)
from benchmarks.curves import draw_learning_curves, draw_sequences
from benchmarks.data.anomalies import Task, load_task
from benchmarks.data.datasets import add_source_options
from benchmarks.methods import nets
from benchmarks.methods.embeddings import check_device

HELP = "LSTM, dense and convolutional nets with as many parameters, on sequences"
ARCHITECTURES = ("LSTM", "dense", "convolutional")
SINGLE = "dense, single steps"
PROFILES = {"fast": (20, 2000), "full": (60, 4000)}
BATCH, KERNEL, SINGLE_HIDDEN = 64, 5, (16,)
N_SHOWN = 3
COLUMNS = [*nets.COLUMNS[:-1], Column("auc", "AUC", ".4f"), nets.COLUMNS[-1]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_source_options(parser, default="waves", others=("waves",))
    add = parser.add_argument
    add("--normal", metavar="LABEL", help="of normal rows; all others are anomalous")
    add(
        "--steps",
        type=positive,
        help="of a row, in C order (steps, features); default: one for each feature",
    )
    add("--components", type=positive, default=8, help="default: %(default)s")
    add(
        "--units",
        type=positive,
        default=32,
        help="of the LSTM; the others have as many parameters (default: %(default)s)",
    )
    nets.add_training_options(parser, 3e-3, PROFILES)


def run(arguments: argparse.Namespace) -> None:
    """Fit, measure, print the table, write it and the pictures."""
    check_device(arguments.device)
    epochs, n_rows = PROFILES[arguments.profile]
    epochs, n_rows = arguments.epochs or epochs, arguments.rows or n_rows
    task = load_task(arguments, 0, n_rows)
    kinds = make_kinds(task.shape, arguments.components, arguments.units)
    runs: list[dict[str, Any]] = []
    n_fits = 2 * len(ARCHITECTURES) + (SINGLE in kinds)
    with progress_bar() as progress:
        bar = progress.add_task(task.name, total=n_fits * arguments.seeds)
        for seed in range(arguments.seeds):
            task = load_task(arguments, seed, n_rows)
            for row in compare(task, kinds, epochs, seed, arguments):
                runs.append(row)
                progress.advance(bar)
            runs += references(task, arguments.components, seed)
    folder = arguments.output / "sequences" / task.name
    table = make_table(task, runs, arguments)
    table.show()
    table.write(folder, "table")
    keys = [key for key in runs[0] if not key.startswith("_")]
    write_rows(folder / "runs.csv", keys, runs)
    draw(runs, arguments, n_rows, folder)
    print(f"\nwritten to {folder}")


@dataclass(frozen=True)
class Kind:
    """A kind of net, and how it wants its sequences.

    Attributes
    ----------
    architecture : str
    shape : tuple of int
        Steps of a sequence, and features of each of them.
    hidden : tuple of int
    k : int
        Numbers in a code.
    """

    architecture: str
    shape: tuple[int, int]
    hidden: tuple[int, ...]
    k: int

    def make(self, **params: Any) -> Any:
        """Return an estimator."""
        from sklearn_ae import Autoencoder
        from sklearn_ae.architectures import LSTM, Convolutional, Dense

        n_steps, n_features = self.shape
        spec = {
            "LSTM": lambda: LSTM(n_steps),
            "dense": Dense,
            "convolutional": lambda: Convolutional(
                (n_features, n_steps), kernel_size=KERNEL, dimensions=1
            ),
            SINGLE: Dense,
        }[self.architecture]()
        # A batch of single steps has those of as many sequences.
        batch = BATCH * (n_steps if self.architecture == SINGLE else 1)
        return Autoencoder(
            self.k,
            architecture=spec,
            hidden_layer_sizes=self.hidden,
            batch_size=batch,
            tol=0.0,
            **params,
        )

    def arrange(self, X: np.ndarray) -> np.ndarray:
        """Return the rows that the net is given for rows of shape (steps, features)."""
        if self.architecture == SINGLE:
            return X.reshape(-1, self.shape[1])
        if self.architecture == "convolutional":
            return X.reshape(-1, *self.shape).swapaxes(1, 2).reshape(len(X), -1)
        return X

    def restore(self, rows: np.ndarray) -> np.ndarray:
        """Undo `arrange`."""
        if self.architecture == "convolutional":
            rows = rows.reshape(-1, *self.shape[::-1]).swapaxes(1, 2)
        return rows.reshape(-1, self.shape[0] * self.shape[1])

    def anomaly_scores(self, net: Any, X: np.ndarray) -> np.ndarray:
        """Return the error of each sequence."""
        errors = net.reconstruction_error(self.arrange(X))
        return errors.reshape(len(X), -1).mean(axis=1)


def count_parameters(
    hidden: tuple[int, ...], architecture: str, shape: tuple[int, int], k: int
) -> int:
    """Return how many parameters such a net has."""
    net = Kind(architecture, shape, hidden, k).make()
    return nets.count_parameters(net, shape[0] * shape[1])


def make_kinds(shape: tuple[int, int], k: int, units: int) -> dict[str, Kind]:
    """Return the nets, with as many parameters as possible alike.

    Single steps of more than one feature have a small net: no size tells it their
    order.
    """
    counters = {
        name: partial(count_parameters, architecture=name, shape=shape, k=k)
        for name in ARCHITECTURES
    }
    wanted = counters["LSTM"]((units,))
    channels = range(2, units + 1)
    candidates = {
        "LSTM": [(units,)],
        "dense": nets.one_layer(counters["dense"], wanted),
        # About twice as many channels where the map is half as long.
        "convolutional": [
            (n, m) for n in channels for m in range(3 * n // 2, 5 * n // 2 + 1)
        ],
    }
    kinds = {
        name: Kind(
            name,
            shape,
            nets.of_size(name, sizes, counters[name], wanted, "--units"),
            k,
        )
        for name, sizes in candidates.items()
    }
    if shape[1] > 1:
        kinds[SINGLE] = Kind(SINGLE, shape, SINGLE_HIDDEN, shape[1] // 2)
    return kinds


def compare(
    task: Task,
    kinds: Mapping[str, Kind],
    epochs: int,
    seed: int,
    arguments: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    """Yield what each net does in as many epochs, then in as much time."""

    def measure(name: str, n_epochs: int) -> dict[str, Any]:
        kind = kinds[name]
        net = kind.make(
            learning_rate=arguments.rate,
            learning_rate_schedule="cosine",
            max_epochs=n_epochs,
            device=arguments.device,
            random_state=seed,
        )
        rows = kind.arrange(task.X_train)
        took, _ = timed(lambda: net.fit(rows))

        def rebuild(X: np.ndarray) -> np.ndarray:
            return kind.restore(net.reconstruct(kind.arrange(X)))

        scores = [kind.anomaly_scores(net, X) for X in (task.X_test, task.X_anomalous)]
        return {
            "architecture": name,
            "hidden": "-".join(map(str, kind.hidden)),
            "n_parameters": sum(p.numel() for p in net.to_module().parameters()),
            "seed": seed,
            "epochs": n_epochs,
            **quality(task, rebuild(task.X_test), *scores),
            "fit_seconds": took,
            "_curve": net.loss_curve_,
            "_shown": rebuild(shown(task)),
        }

    for kind in kinds.values():
        # Once before, so that imports and caches are not timed.
        kind.make(max_epochs=1, device=arguments.device).fit(
            kind.arrange(task.X_train[: 2 * BATCH])
        )
    yield from nets.in_epochs_then_time(ARCHITECTURES, measure, epochs)
    if SINGLE in kinds:
        yield {**measure(SINGLE, epochs), "budget": f"{epochs} epochs"}


def references(task: Task, k: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what PCA does, and the mean of the training rows."""
    pca = PCA(k, random_state=0)
    took, _ = timed(lambda: pca.fit(task.X_train))
    mean = task.X_train.mean(axis=0, keepdims=True)
    for name, rebuild, seconds in (
        (f"PCA({k})", partial(nets.rebuilt_by_pca, pca), took),
        ("mean", lambda X: np.broadcast_to(mean, X.shape), None),
    ):
        rebuilt = rebuild(task.X_test)
        scores = [
            np.square(X - rebuild(X)).mean(axis=1)
            for X in (task.X_test, task.X_anomalous)
        ]
        yield {
            "architecture": name,
            "seed": seed,
            **quality(task, rebuilt, *scores),
            "fit_seconds": seconds,
            "_shown": rebuild(shown(task)),
        }


def quality(
    task: Task, rebuilt: np.ndarray, scores: np.ndarray, anomalous: np.ndarray
) -> dict[str, float]:
    """Return the error of normal test rows, its R2, and the AUC of the scores."""
    error = nets.squared_error(task.X_test, rebuilt)
    spread = nets.squared_error(task.X_test, task.X_train.mean(axis=0))
    is_anomalous = np.repeat([False, True], [len(scores), len(anomalous)])
    return {
        "error": error,
        "r2": 1 - error / spread,
        "auc": float(roc_auc_score(is_anomalous, np.r_[scores, anomalous])),
    }


def shown(task: Task) -> np.ndarray:
    """Return the rows of the picture: the first normal and anomalous ones."""
    return np.vstack([task.X_test[:N_SHOWN], task.X_anomalous[:N_SHOWN]])


def make_table(
    task: Task, runs: list[dict[str, Any]], arguments: argparse.Namespace
) -> Table:
    """Return the table: medians over the seeds."""
    measured = ("epochs", "error", "r2", "auc", "fit_seconds")
    rows = nets.medians(runs, measured, "error")
    n_steps, n_features = task.shape
    notes = [
        f"{task.name}: {task.note}",
        f"{n_steps} steps of {n_features} feature(s); {len(task.X_train):,} normal "
        f"training rows, {len(task.X_test):,} normal and {len(task.X_anomalous):,} "
        f"anomalous test rows; {arguments.components} components, Adam, batches of "
        f"{BATCH}, learning rate {arguments.rate:g} falling by a cosine; medians over "
        f"{arguments.seeds} fit(s).",
        "Test error: squared, summed over steps and features, of normal rows; R2: of "
        "them, 0 for the mean of the training rows. AUC: of reconstruction_error, "
        "normal against anomalous test rows; .5 is chance.",
        "Equal time: as many epochs as the slowest net's training in the upper rows "
        "leaves room for.",
    ]
    if any(row["architecture"] == SINGLE for row in rows):
        notes.append(
            "Single steps: a dense net whose rows are steps; it cannot know their "
            f"order, so it has {SINGLE_HIDDEN[0]} units, and half as many components "
            "as a step has features."
        )
    notes.append(f"{environment()}.")
    return Table(f"{task.name}: nets of one size", COLUMNS, rows, notes)


def draw(
    runs: list[dict[str, Any]],
    arguments: argparse.Namespace,
    n_rows: int,
    folder: Path,
) -> None:
    """Draw the loss over seconds, and what each net makes of the first sequences."""
    task = load_task(arguments, 0, n_rows)
    first = [run for run in runs if run["seed"] == 0]
    longer = [run for run in first if run.get("budget") == "equal time"]
    mean = task.X_train.mean(axis=0)
    pca = PCA(arguments.components, random_state=0).fit(task.X_train)
    figure = draw_learning_curves(
        nets.losses_over_time(longer),
        {
            "mean of the training rows": nets.squared_error(task.X_train, mean),
            f"PCA({arguments.components})": nets.squared_error(
                task.X_train, nets.rebuilt_by_pca(pca, task.X_train)
            ),
        },
        x_label="seconds",
        y_label="squared error of training rows",
    )
    figure.savefig(folder / "curves.png", dpi=150)
    names = ["normal"] * N_SHOWN + ["anomalous"] * N_SHOWN
    rebuilt = {run["architecture"]: run["_shown"] for run in first}
    rebuilt |= {run["architecture"]: run["_shown"] for run in longer}
    rebuilt.pop("mean")
    figure = draw_sequences(names, shown(task), rebuilt, task.shape)
    figure.savefig(folder / "reconstructions.png", dpi=150)
