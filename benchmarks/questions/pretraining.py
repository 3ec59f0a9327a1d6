"""Whether a deep net of logistic units learns from random weights, and pretrained.

By default the "curves" of Hinton and Salakhutdinov (2006): every net gets the same
fine-tuning. With `--dataset mnist` their net for MNIST, beside their test error.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from skorch.callbacks import Callback

from benchmarks.common import (
    BenchmarkError,
    Column,
    Table,
    add_output,
    environment,
    positive,
    progress_bar,
    say,
    timed,
    write_rows,
)
from benchmarks.curves import draw_image_rows, draw_learning_curves
from benchmarks.data.datasets import add_data_home, load
from benchmarks.data.strokes import SIDE, draw_strokes
from benchmarks.methods.embeddings import check_device

HELP = "deep nets of logistic units, from random weights and pretrained"
CURVES_NOTE = " Their curves are other images: only the order compares."
SLICE, N_SCORED, N_SHOWN = 2000, 5000, 10


@dataclass(frozen=True)
class Task:
    """A net, how it is trained, and the published test errors to stand beside."""

    hidden: tuple[int, ...]
    n_components: int
    starts: tuple[str, ...]
    # Training rows, pretraining and fine-tuning epochs, of the fast and full profile.
    fast: tuple[int, int, int]
    full: tuple[int, int, int]
    batch_size: int
    learning_rate: float
    pca: tuple[int, ...]
    published: Mapping[str, float]


TASKS = {
    "curves": Task(
        hidden=(400, 200, 100, 50, 25),
        n_components=6,
        starts=("small", "default", "greedy", "rbm"),
        fast=(4000, 10, 15),
        full=(20_000, 20, 100),
        batch_size=100,
        learning_rate=1e-3,
        pca=(6, 18),
        published={"published net": 1.44, "published PCA(18)": 5.90},
    ),
    "mnist": Task(
        hidden=(1000, 500, 250),
        n_components=30,
        starts=("rbm",),
        fast=(5000, 3, 5),
        full=(60_000, 20, 80),
        batch_size=256,
        learning_rate=3e-3,
        pca=(30,),
        published={"published net": 3.00, "published PCA(30)": 13.87},
    ),
}
STARTS = {
    "small": ("random, N(0, 0.01^2)", {"initialization": 0.01}),
    "default": ("random, default", {}),
    "greedy": ("greedy pretraining", {"pretraining": "greedy"}),
    "rbm": ("RBM pretraining", {"pretraining": "rbm"}),
}
COLUMNS = [
    Column("label", "start"),
    Column("epochs", "epochs", "d"),
    Column("test_error", "test\nerror", ".2f"),
    Column("train_error", "training\nerror", ".2f"),
    Column("to_small", "to random\nN(0, 0.01^2)", ".2f"),
    Column("to_mean", "to the mean\npredictor", ".3f"),
    Column("pretraining_seconds", "pretraining\n(s)", ".0f"),
    Column("seconds", "in all\n(s)", ".0f"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add("--dataset", choices=TASKS, default="curves", help="default: %(default)s")
    add(
        "--starts",
        nargs="+",
        choices=STARTS,
        metavar="START",
        help=f"some of {', '.join(STARTS)} (default: all for curves, rbm for mnist)",
    )
    add(
        "--optimizers",
        nargs="+",
        choices=["adam", "sgd"],
        default=["adam"],
        help="of the fine-tuning (default: adam)",
    )
    for flag, what in [
        ("--rows", "training rows"),
        ("--pretraining-epochs", "epochs of each layer"),
        ("--epochs", "epochs of fine-tuning"),
        ("--batch", "rows of a batch"),
    ]:
        add(flag, type=positive, help=f"{what}, in place of the profile's")
    add("--rate", type=float, help="learning rate, in place of the task's")
    add("--weight-decay", type=float, default=0.0, help="default: %(default)s")
    add("--every", type=positive, default=5, help="epochs between test errors")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--device", default="cpu", help="default: %(default)s")
    add(
        "--profile",
        choices=["fast", "full"],
        default="fast",
        help="few rows and epochs, or those of a comparison with the published figures "
        "(default: %(default)s)",
    )
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit every start, print the table, write it and the pictures."""
    check_device(arguments.device)
    task = TASKS[arguments.dataset]
    arguments = complete(arguments, task)
    X_train, X_test = load_rows(arguments)
    starts = arguments.starts or task.starts
    results, curves = [], {}
    with progress_bar() as progress:
        bar = progress.add_task("", total=len(starts) * len(arguments.optimizers))
        for optimizer in arguments.optimizers:
            for start in starts:
                label = STARTS[start][0]
                if len(arguments.optimizers) > 1:
                    label += f", {optimizer}"
                progress.update(bar, description=label)
                net = make_net(task, start, optimizer, arguments)
                result, watcher = fit(net, X_train, X_test, arguments.every)
                result |= {"start": start, "optimizer": optimizer, "label": label}
                results.append(result)
                curves[label] = watcher
                progress.advance(bar)
    rows = [*compare_with_small(results), *linear_rows(X_train, X_test, task)]
    folder = arguments.output / "pretraining" / arguments.dataset
    table = make_table(rows, X_train, X_test, task, arguments)
    table.show()
    table.write(folder, "table")
    write_curves(curves, folder)
    draw(curves, rows, X_test, folder)
    print(f"\nwritten to {folder}")


def complete(arguments: argparse.Namespace, task: Task) -> argparse.Namespace:
    """Fill in what the options leave to the profile."""
    n_rows, n_pretraining, n_epochs = getattr(task, arguments.profile)
    defaults = {
        "rows": n_rows,
        "pretraining_epochs": n_pretraining,
        "epochs": n_epochs,
        "batch": task.batch_size,
        "rate": task.learning_rate,
    }
    given = {key: value for key, value in vars(arguments).items() if value is not None}
    return argparse.Namespace(**vars(arguments) | defaults | given)


def load_rows(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test images in [0, 1], float32."""
    if arguments.dataset == "curves":
        X = draw_strokes(arguments.rows + arguments.rows // 4, arguments.seed)
        return X[: arguments.rows], X[arguments.rows :]
    dataset = load("mnist", data_home=arguments.data_home)
    if not dataset.n_test:
        raise BenchmarkError("mnist came without its published test images")
    X = dataset.X / np.float32(255)
    X_train, X_test = X[: -dataset.n_test], X[-dataset.n_test :]
    order = np.random.default_rng(arguments.seed).permutation(len(X_train))
    return X_train[order[: arguments.rows]], X_test


def make_net(
    task: Task, start: str, optimizer: str, arguments: argparse.Namespace
) -> BaseEstimator:
    """Return the net with one start; all else is the same for all of them."""
    from sklearn_ae import Autoencoder

    return Autoencoder(
        task.n_components,
        hidden_layer_sizes=task.hidden,
        activation="logistic",
        loss="binary_cross_entropy",
        optimizer=optimizer,
        learning_rate=arguments.rate,
        learning_rate_schedule="cosine",
        weight_decay=arguments.weight_decay,
        batch_size=arguments.batch,
        max_epochs=arguments.epochs,
        pretraining_epochs=arguments.pretraining_epochs,
        tol=0.0,
        device=arguments.device,
        random_state=arguments.seed,
        **STARTS[start][1],
    )


def squared_error(X: np.ndarray, rebuilt: np.ndarray) -> float:
    """Return the squared error of an image, summed over its pixels."""
    return float(np.square(X - rebuilt, dtype=np.float64).sum(axis=1).mean())


class Watcher(Callback):
    """Notes test error and time each few epochs; the clock stands still meanwhile."""

    def __init__(
        self, X: np.ndarray, every: int, notes: list[dict[str, float]]
    ) -> None:
        self.X, self.every, self.notes = X, every, notes
        # skorch takes names without an underscore for the constructor's.
        self.began_, self.paused_ = time.perf_counter(), 0.0

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **rest: Any):
        """Note the error that training starts from."""
        self.note(net, 0)

    def on_epoch_end(self, net: Any, **rest: Any) -> None:
        """Note the error where it is time to."""
        epoch = len(net.history)
        if epoch % self.every == 0 or epoch == net.max_epochs:
            self.note(net, epoch)

    def note(self, net: Any, epoch: int) -> None:
        """Measure the net as it is now."""
        start = time.perf_counter()
        seconds = start - self.began_ - self.paused_
        error = squared_error(self.X, rebuild(net.module_, self.X))
        self.notes.append({"epoch": epoch, "seconds": seconds, "test_error": error})
        say(f"  epoch {epoch}: test error {error:.3f} after {seconds:.0f} s")
        self.paused_ += time.perf_counter() - start


def rebuild(module: Any, X: np.ndarray) -> np.ndarray:
    """Return the reconstructions of a net that is still in training."""
    import torch

    device = next(module.parameters()).device
    with torch.no_grad():
        parts = [
            module(torch.from_numpy(X[start : start + SLICE]).to(device)).cpu().numpy()
            for start in range(0, len(X), SLICE)
        ]
    return np.concatenate(parts)


def fit(
    net: BaseEstimator, X_train: np.ndarray, X_test: np.ndarray, every: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit a net; return its errors, and its learning curve with reconstructions."""
    notes: list[dict[str, float]] = []
    watcher = Watcher(X_test, every, notes)
    net.set_params(callbacks=[watcher]).fit(X_train)
    mean, scored = squared_error(X_test, X_train.mean(axis=0)), X_train[:N_SCORED]
    result = {
        "epochs": net.n_iter_,
        "test_error": notes[-1]["test_error"],
        "train_error": squared_error(scored, net.reconstruct(scored)),
        "to_mean": notes[-1]["test_error"] / mean,
        "pretraining_seconds": notes[0]["seconds"],
        "seconds": notes[-1]["seconds"],
    }
    return result, {"notes": notes, "images": net.reconstruct(X_test[:N_SHOWN])}


def compare_with_small(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add each error as a share of that from small weights, by the same optimizer."""
    small = {
        result["optimizer"]: result["test_error"]
        for result in results
        if result["start"] == "small"
    }
    return [
        result | {"to_small": result["test_error"] / small[result["optimizer"]]}
        if result["optimizer"] in small
        else result
        for result in results
    ]


def linear_rows(
    X_train: np.ndarray, X_test: np.ndarray, task: Task
) -> list[dict[str, Any]]:
    """Return PCA's rows and that of the mean."""
    mean = squared_error(X_test, X_train.mean(axis=0))
    rows = []
    for k in task.pca:
        seconds, pca = timed(lambda k=k: PCA(k, random_state=0).fit(X_train))
        rebuilt = pca.inverse_transform(pca.transform(X_test))
        error = squared_error(X_test, rebuilt)
        rows.append(
            {
                "label": f"PCA({k})",
                "test_error": error,
                "to_mean": error / mean,
                "seconds": seconds,
            }
        )
    return [*rows, {"label": "mean predictor", "test_error": mean, "to_mean": 1.0}]


def make_table(
    rows: Sequence[Mapping[str, Any]],
    X_train: np.ndarray,
    X_test: np.ndarray,
    task: Task,
    arguments: argparse.Namespace,
) -> Table:
    """Return the table of errors."""
    widths = "-".join(map(str, (X_train.shape[1], *task.hidden, task.n_components)))
    published = ", ".join(f"{name} {x:g}" for name, x in task.published.items())
    notes = [
        f"{arguments.dataset}: {len(X_train):,} training and {len(X_test):,} test "
        f"images; {widths}, logistic units, linear code, cross-entropy; "
        f"{', '.join(arguments.optimizers)}, learning rate {arguments.rate:g} falling "
        f"by a cosine, batches of {arguments.batch}, weight decay "
        f"{arguments.weight_decay:g}, "
        f"{arguments.pretraining_epochs} epochs of each layer where pretrained.",
        "Errors are squared, summed over pixels in [0, 1]. "
        f"Hinton and Salakhutdinov (2006): {published}."
        + (CURVES_NOTE if arguments.dataset == "curves" else ""),
        f"Seconds leave the test errors out. {environment()}.",
    ]
    title = f"{arguments.dataset}: random weights and pretrained ones"
    return Table(title, COLUMNS, rows, notes)


def write_curves(curves: Mapping[str, Any], folder: Any) -> None:
    """Write the learning curves as CSV."""
    rows = [
        {"label": label, **note}
        for label, curve in curves.items()
        for note in curve["notes"]
    ]
    write_rows(folder / "curves.csv", list(rows[0]), rows)


def draw(
    curves: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    X_test: np.ndarray,
    folder: Any,
) -> None:
    """Draw test errors over epochs, and reconstructions."""
    lines = {
        label: (
            [note["epoch"] for note in curve["notes"]],
            [note["test_error"] for note in curve["notes"]],
        )
        for label, curve in curves.items()
    }
    known = {r["label"]: r["test_error"] for r in rows if "optimizer" not in r}
    figure = draw_learning_curves(
        lines, known, x_label="epochs of fine-tuning", y_label="test error"
    )
    figure.savefig(folder / "curves.png", dpi=150)
    images = {"test image": X_test[:N_SHOWN]}
    images |= {label: curve["images"] for label, curve in curves.items()}
    figure = draw_image_rows(images, (SIDE, SIDE), 1.0)
    figure.savefig(folder / "reconstructions.png", dpi=150)
