"""Dense, convolutional and residual nets of the same size on images.

They have as many parameters (within five per cent) and are trained for as many epochs,
then for as long as the slowest of them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from benchmarks.common import (
    BenchmarkError,
    Table,
    environment,
    positive,
    progress_bar,
    timed,
    write_rows,
)
from benchmarks.curves import draw_image_rows, draw_learning_curves
from benchmarks.data.datasets import (
    Dataset,
    Split,
    add_dataset_options,
    load_from_options,
)
from benchmarks.methods import nets
from benchmarks.methods.embeddings import check_device

HELP = "dense, convolutional and residual nets with as many parameters, on images"
ARCHITECTURES = ("dense", "convolutional", "residual")
PROFILES = {"fast": (20, 2000), "full": (40, 10_000)}
MAX_TEST = 2000
N_SHOWN = 10
MARGIN = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_dataset_options(parser, default="digits")
    add = parser.add_argument
    add("--components", type=positive, default=32, help="default: %(default)s")
    add(
        "--channels",
        type=positive,
        nargs=2,
        default=[16, 32],
        metavar="N",
        help="of the convolutional net; the others have as many parameters "
        "(default: 16 32)",
    )
    nets.add_training_options(parser, 2e-3, PROFILES)


def run(arguments: argparse.Namespace) -> None:
    """Fit, measure, print the table, write it and the pictures."""
    check_device(arguments.device)
    dataset = load_from_options(arguments)
    if dataset.image_shape is None:
        raise BenchmarkError(f"{dataset.name} has no images; see --image-shape")
    epochs, n_rows = PROFILES[arguments.profile]
    epochs, n_rows = arguments.epochs or epochs, arguments.rows or n_rows
    if dataset.name == "digits":
        dataset = shifted(dataset)
    hidden = same_size(
        dataset.image_shape, arguments.components, tuple(arguments.channels)
    )
    runs: list[dict[str, Any]] = []
    with progress_bar() as progress:
        bar = progress.add_task(dataset.name, total=2 * len(hidden) * arguments.seeds)
        for seed in range(arguments.seeds):
            split = dataset.split(seed, max_train=n_rows, max_test=MAX_TEST)
            for row in compare(dataset, split, hidden, epochs, seed, arguments):
                runs.append(row)
                progress.advance(bar)
    folder = arguments.output / "images" / dataset.name.replace(" ", "_")
    table = make_table(dataset, split, runs, arguments)
    table.show()
    table.write(folder, "table")
    keys = [key for key in runs[0] if not key.startswith("_")]
    write_rows(folder / "runs.csv", keys, runs)
    draw(runs, split, dataset, arguments.components, folder)
    print(f"\nwritten to {folder}")


def shifted(dataset: Dataset) -> Dataset:
    """Return the images at random places of a larger canvas, four pixels each way."""
    height, width = dataset.image_shape
    rng = np.random.default_rng(0)
    canvas = np.zeros(
        (len(dataset.X), height + 2 * MARGIN, width + 2 * MARGIN), np.float32
    )
    images = dataset.X.reshape(-1, height, width)
    places = MARGIN + rng.integers(-2, 3, (len(images), 2))
    for image, (y, x), target in zip(images, places, canvas, strict=True):
        target[y : y + height, x : x + width] = image
    return replace(
        dataset,
        name=f"shifted {dataset.name}",
        X=canvas.reshape(len(canvas), -1),
        image_shape=canvas.shape[1:],
    )


def make_net(
    architecture: str,
    hidden: tuple[int, ...],
    image_shape: tuple[int, int],
    k: int,
    **params: Any,
) -> Any:
    """Return an estimator."""
    from sklearn_ae import Autoencoder
    from sklearn_ae.architectures import Convolutional, Dense, Residual

    spec = {
        "dense": Dense,
        "convolutional": lambda: Convolutional(image_shape),
        "residual": lambda: Residual(image_shape),
    }[architecture]()
    return Autoencoder(
        k, architecture=spec, hidden_layer_sizes=hidden, tol=0.0, **params
    )


def count_parameters(
    architecture: str, hidden: tuple[int, ...], image_shape: tuple[int, int], k: int
) -> int:
    """Return how many parameters such a net has."""
    net = make_net(architecture, hidden, image_shape, k)
    return nets.count_parameters(net, math.prod(image_shape))


def same_size(
    image_shape: tuple[int, int], k: int, channels: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
    """Return the hidden layers of each net, with as many parameters as possible alike.

    Raises
    ------
    BenchmarkError
        If a net cannot have as many as the convolutional one has.
    """
    counters = {
        name: partial(count_parameters, name, image_shape=image_shape, k=k)
        for name in ARCHITECTURES
    }
    wanted = counters["convolutional"](channels)
    candidates = {
        "dense": nets.one_layer(counters["dense"], wanted),
        "convolutional": [channels],
        "residual": [
            *product(range(2, channels[0] + 1, 2), range(2, channels[1] + 1, 2))
        ],
    }
    return {
        name: nets.of_size(
            name, sizes, counters[name], wanted, "--channels or --components"
        )
        for name, sizes in candidates.items()
    }


def compare(
    dataset: Dataset,
    split: Split,
    hidden: Mapping[str, tuple[int, ...]],
    epochs: int,
    seed: int,
    arguments: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    """Yield what each net does in as many epochs, then in as much time."""

    def measure(name: str, n_epochs: int) -> dict[str, Any]:
        net = make_net(
            name,
            hidden[name],
            dataset.image_shape,
            arguments.components,
            learning_rate=arguments.rate,
            learning_rate_schedule="cosine",
            max_epochs=n_epochs,
            device=arguments.device,
            random_state=seed,
        )
        took, _ = timed(lambda: net.fit(split.X_train))
        rebuilt = net.reconstruct(split.X_test)
        return {
            "architecture": name,
            "hidden": "-".join(map(str, hidden[name])),
            "n_parameters": sum(p.numel() for p in net.to_module().parameters()),
            "seed": seed,
            "epochs": n_epochs,
            "error": nets.squared_error(split.X_test, rebuilt),
            "r2": net.score(split.X_test),
            "fit_seconds": took,
            "_curve": net.loss_curve_,
            "_images": rebuilt[:N_SHOWN],
        }

    for name in hidden:
        # Once before, so that imports and caches are not timed.
        make_net(
            name, hidden[name], dataset.image_shape, arguments.components, max_epochs=1
        ).fit(split.X_train[:MAX_TEST])
    yield from nets.in_epochs_then_time(list(hidden), measure, epochs)


def make_table(
    dataset: Dataset,
    split: Split,
    runs: list[dict[str, Any]],
    arguments: argparse.Namespace,
) -> Table:
    """Return the table: medians over the seeds."""
    rows = nets.medians(runs, ("epochs", "error", "r2", "fit_seconds"), "error")
    pca = PCA(arguments.components, random_state=0).fit(split.X_train)
    error = nets.squared_error(split.X_test, nets.rebuilt_by_pca(pca, split.X_test))
    spread = nets.squared_error(split.X_test, split.X_train.mean(axis=0))
    rows.append({"architecture": "PCA", "error": error, "r2": 1 - error / spread})
    height, width = dataset.image_shape
    notes = [
        f"{dataset.name}, {height} x {width}: {len(split.X_train):,} training and "
        f"{len(split.X_test):,} test images; {arguments.components} components, Adam, "
        f"learning rate {arguments.rate:g} falling by a cosine; medians over "
        f"{arguments.seeds} fit(s).",
        "Test error: squared, summed over pixels. Equal time: as many epochs as the "
        "slowest net's training in the upper rows leaves room for.",
        f"{environment()}.",
    ]
    return Table(f"{dataset.name}: nets of one size", nets.COLUMNS, rows, notes)


def draw(
    runs: list[dict[str, Any]], split: Split, dataset: Dataset, k: int, folder: Any
) -> None:
    """Draw the loss over seconds, and what each net makes of the first images."""
    first = [run for run in runs if run["seed"] == 0]
    longer = [run for run in first if run["budget"] == "equal time"]
    spread = nets.squared_error(split.X_train, split.X_train.mean(axis=0))
    figure = draw_learning_curves(
        nets.losses_over_time(longer),
        {"mean of the training images": spread},
        x_label="seconds",
        y_label="squared error of training images",
    )
    figure.savefig(folder / "curves.png", dpi=150)
    images = {"image": split.X_test[:N_SHOWN]}
    images |= {run["architecture"]: run["_images"] for run in longer}
    high = float(split.X_train.max())
    figure = draw_image_rows(images, dataset.image_shape, high)
    figure.savefig(folder / "reconstructions.png", dpi=150)
