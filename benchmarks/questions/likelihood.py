"""Log-likelihoods of binary images, beside the published ones.

Variational autoencoders whose priors are a normal distribution and a VampPrior, on
images that are binarised once (a fixed draw, not a new one each epoch). The weights
that are best on validation images are kept, and test images have importance-weighted
bounds of their log-likelihoods.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.common import (
    BenchmarkError,
    Column,
    Table,
    add_output,
    environment,
    positive,
    timed,
    write_rows,
)
from benchmarks.curves import draw_image_rows
from benchmarks.data.binary_images import BinaryImages, load_binary_images
from benchmarks.data.datasets import add_data_home
from benchmarks.methods.embeddings import check_device
from benchmarks.methods.likelihoods import TASKS, Task, make_vae

HELP = "log-likelihoods of binary images by variational autoencoders"
N_SHOWN = 12
PRIORS = ("normal", "vamp")
# Pixels that no training image has inked are possible all the same.
LEAST_PROBABILITY = 1e-3


COLUMNS = [
    Column("label", "prior"),
    Column("epochs", "epochs", "d"),
    Column("best_epoch", "best\nepoch", "d"),
    Column("train_bound", "training\nELBO", ".2f"),
    Column("test_bound", "test\nELBO", ".2f"),
    Column("log_likelihood", "test log-\nlikelihood", ".2f"),
    Column("published", "published", ".2f"),
    Column("active", "active\ncomponents", "d"),
    Column("fit_seconds", "fit\n(s)", ".0f"),
    Column("cpu_seconds", "fit, CPU\n(s)", ".0f"),
    Column("test_seconds", "test\n(s)", ".0f"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add("--dataset", choices=TASKS, default="digits", help="default: %(default)s")
    add(
        "--amat",
        type=Path,
        metavar="DIR",
        help="folder with binarized_mnist_{train,valid,test}.amat, for --dataset mnist",
    )
    add("--priors", nargs="+", choices=PRIORS, default=PRIORS, help="default: both")
    for flag, what in [
        ("--rows", "images for training and validation"),
        ("--test-rows", "test images"),
        ("--epochs", "epochs at most"),
        ("--batch", "rows of a batch"),
    ]:
        add(flag, type=positive, help=f"{what}, in place of the profile's")
    for flag, kind, what in [
        ("--activation", str, "of hidden layers"),
        ("--rate", float, "learning rate"),
        ("--weight-decay", float, "weight decay"),
    ]:
        add(flag, type=kind, help=f"{what}, in place of the data set's")
    add("--warmup", type=int, help="epochs of growing beta (default: a tenth of all)")
    add("--samples", type=positive, default=500, help="of a bound (default: 500)")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--device", default="cpu", help="default: %(default)s")
    add(
        "--profile",
        choices=["fast", "full"],
        default="fast",
        help="few rows and epochs, or those of a comparison with published figures "
        "(default: %(default)s)",
    )
    add_data_home(parser)
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit with each prior, print the table, write it, the nets and the samples."""
    check_device(arguments.device)
    if arguments.amat is not None and arguments.dataset != "mnist":
        raise BenchmarkError("--amat is for --dataset mnist")
    task = TASKS[arguments.dataset]
    arguments = complete(arguments, task)
    images = take(
        load_binary_images(
            arguments.dataset, arguments.seed, arguments.data_home, arguments.amat
        ),
        arguments,
    )
    folder = arguments.output / "likelihood" / arguments.dataset
    folder.mkdir(parents=True, exist_ok=True)
    rows, curves, samples = [], [], {"test images": images.X_test[:N_SHOWN]}
    for prior in arguments.priors:
        vae = make_vae(task, prior, arguments)
        row = measure(vae, images, arguments.samples)
        vae.set_params(callbacks=None).save(folder / f"{prior}.safetensors")
        row |= {"label": prior, "published": task.published.get(prior)}
        rows.append(row)
        curves += learning_curve(vae, prior)
        samples[prior] = vae.sample(
            N_SHOWN, random_state=arguments.seed, observation_noise=False
        )
    rows.append(independent_pixels(images))
    table = make_table(rows, images, task, arguments)
    table.show()
    table.write(folder, "table")
    write_rows(folder / "curves.csv", list(curves[0]), curves)
    draw_image_rows(samples, images.shape, 1.0).savefig(folder / "samples.png", dpi=150)
    print(f"\nwritten to {folder}")


def complete(arguments: argparse.Namespace, task: Task) -> argparse.Namespace:
    """Fill in what the options leave to the profile."""
    n_rows, n_epochs, n_test = getattr(task, arguments.profile)
    defaults = {
        "rows": n_rows,
        "epochs": n_epochs,
        "test_rows": n_test,
        "batch": task.batch_size,
        "activation": task.activation,
        "rate": task.learning_rate,
        "weight_decay": task.weight_decay,
        "warmup": (arguments.epochs or n_epochs) // 10,
    }
    given = {key: value for key, value in vars(arguments).items() if value is not None}
    return argparse.Namespace(**vars(arguments) | defaults | given)


def take(images: BinaryImages, arguments: argparse.Namespace) -> BinaryImages:
    """Return as many of the images as are asked for, the training ones at random."""
    order = np.random.default_rng(arguments.seed).permutation(len(images.X_train))
    return BinaryImages(
        images.X_train[order[: arguments.rows]],
        images.X_test[: arguments.test_rows],
        images.shape,
        images.note,
    )


def measure(vae: Any, images: BinaryImages, n_samples: int) -> dict[str, Any]:
    """Fit a net and return its bounds, in nats."""
    cpu = time.process_time()
    with warnings.catch_warnings():
        # The schedule is gone through to its end, so early stopping never stops.
        warnings.filterwarnings("ignore", "Early stopping", ConvergenceWarning)
        fit_seconds, _ = timed(lambda: vae.fit(images.X_train))
    cpu = time.process_time() - cpu
    test_seconds, log_likelihoods = timed(
        lambda: vae.log_likelihood(images.X_test, n_importance_samples=n_samples)
    )
    return {
        "epochs": vae.n_iter_,
        "best_epoch": int(np.argmax(vae.validation_scores_)) + 1,
        "train_bound": vae.score(images.X_train[: len(images.X_test)]),
        "test_bound": vae.score(images.X_test),
        "log_likelihood": float(log_likelihoods.mean(dtype=np.float64)),
        "active": vae.active_components_,
        "fit_seconds": fit_seconds,
        "cpu_seconds": cpu,
        "test_seconds": test_seconds,
    }


def independent_pixels(images: BinaryImages) -> dict[str, Any]:
    """Return the row of a model that takes each pixel for itself."""
    p = images.X_train.mean(axis=0, dtype=np.float64)
    p = p.clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    bits = images.X_test.astype(np.float64)
    log_likelihoods = bits @ np.log(p) + (1 - bits) @ np.log1p(-p)
    return {
        "label": "no net: independent pixels",
        "log_likelihood": float(log_likelihoods.mean()),
    }


def learning_curve(vae: Any, prior: str) -> list[dict[str, Any]]:
    """Return the objective of each epoch."""
    pairs = zip(vae.loss_curve_, vae.validation_scores_, strict=True)
    return [
        {"prior": prior, "epoch": epoch, "train_loss": loss, "validation_score": score}
        for epoch, (loss, score) in enumerate(pairs, start=1)
    ]


def make_table(
    rows: list[dict[str, Any]],
    images: BinaryImages,
    task: Task,
    arguments: argparse.Namespace,
) -> Table:
    """Return the table of bounds."""
    widths = (images.X_train.shape[1], *task.hidden, task.n_components)
    notes = [
        f"{images.note}; {len(images.X_train):,} images, a sixth of them for "
        f"validation, and {len(images.X_test):,} test images; "
        f"{'-'.join(map(str, widths))}, {arguments.activation}, Adam, learning rate "
        f"{arguments.rate:g} falling by a cosine, batches of {arguments.batch}, weight "
        f"decay {arguments.weight_decay:g}, warm-up of {arguments.warmup} epochs; "
        f"vamp: {task.n_pseudo_inputs} pseudo-inputs; seed {arguments.seed}.",
        "Nats per image. ELBO: score, of as many training images and of the test "
        f"images; log-likelihood: its bound by {arguments.samples} importance samples. "
        "The weights of the best epoch are kept, by the ELBO of validation images.",
    ]
    if task.published:
        notes.append(
            "Published: Tomczak and Welling (2018), by 5,000 importance samples, on "
            "the files of Larochelle and Murray (2011) (--amat); another draw is "
            "another data set, of the same distribution."
        )
    notes.append(f"{environment()}.")
    title = f"{arguments.dataset}: log-likelihoods of binary images"
    return Table(title, COLUMNS, rows, notes)
