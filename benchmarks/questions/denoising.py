"""How much noise is removed, and how much outliers in the training rows cost.

The rival is the best linear filter for the noise, computed from the covariance of the
clean training rows: no linear model removes more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

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
from benchmarks.curves import draw_image_rows
from benchmarks.data.datasets import Split, add_dataset_options, load_from_options

HELP = "noise removed, beside the best linear filter; outliers in the training rows"
PROFILES = {"fast": (2, 100), "full": (5, 300)}
MAX_TRAIN, MAX_TEST = 10_000, 2000
N_SHOWN = 10
N_ROBUST = 8
# A tenth of the range: above the errors of clean entries, far below the outliers.
WIDTH = 0.1
SPIKE = 30.0
NOISES = [
    Column("noise", "noise", ".2f"),
    Column("method", "method"),
    Column("psnr", "PSNR\n(dB)", ".2f"),
    Column("gain", "above the\nnoisy rows", ".2f"),
    Column("over_filter", "above the\nfilter", ".2f"),
    Column("fit_seconds", "fit\n(s)", ".1f"),
]
OUTLIERS = [
    Column("outliers", "outliers in training"),
    Column("method", "method"),
    Column("error", "clean test\nerror", ".3f"),
    Column("ratio", "to squared\nerror", ".3f"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_dataset_options(parser, default="digits")
    add = parser.add_argument
    add(
        "--noise",
        type=float,
        nargs="+",
        default=[0.1, 0.3, 0.5],
        metavar="SIGMA",
        help="deviations of the noise, of rows in [0, 1] (default: 0.1 0.3 0.5)",
    )
    add("--components", type=positive, default=64, help="default: %(default)s")
    add("--seeds", type=positive, help="splits, in place of the profile's")
    add("--epochs", type=positive, help="in place of the profile's")
    add(
        "--profile",
        choices=PROFILES,
        default="fast",
        help="2 splits and 100 epochs, or 5 and 300 (default: %(default)s)",
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit, measure, print the tables, write them and the picture."""
    dataset = load_from_options(arguments)
    n_seeds, n_epochs = PROFILES[arguments.profile]
    n_seeds, n_epochs = arguments.seeds or n_seeds, arguments.epochs or n_epochs
    noisy, robust, shown = [], [], {}
    with progress_bar() as progress:
        steps = n_seeds * (len(arguments.noise) + len(CONTAMINATIONS))
        task = progress.add_task(dataset.name, total=steps)
        for seed in range(n_seeds):
            split = dataset.split(seed, max_train=MAX_TRAIN, max_test=MAX_TEST)
            split = in_unit_range(split)
            settings = {
                "k": arguments.components,
                "epochs": n_epochs,
                "seed": seed,
            }
            for sigma in arguments.noise:
                rows, images = remove_noise(split, sigma, **settings)
                noisy += rows
                if seed == 0:
                    shown[sigma] = images
                progress.advance(task)
            for name in CONTAMINATIONS:
                robust += resist(split, name, **settings)
                progress.advance(task)
    folder = arguments.output / "denoising"
    size = (
        f"{dataset.name} scaled to [0, 1]: {len(split.X_train):,} training and "
        f"{len(split.X_test):,} test rows; {arguments.components} components, "
        f"{n_epochs} epochs; medians over {n_seeds} split(s)."
    )
    for stem, table in make_tables(noisy, robust, size).items():
        table.show()
        table.write(folder, stem)
    for stem, runs in {"noise_runs": noisy, "outlier_runs": robust}.items():
        write_rows(folder / f"{stem}.csv", list(runs[0]), runs)
    if dataset.image_shape is not None:
        for sigma, images in shown.items():
            figure = draw_image_rows(images, dataset.image_shape, 1.0)
            figure.savefig(folder / f"noise_{sigma:g}.png", dpi=150)
    print(f"\nwritten to {folder}")


def in_unit_range(split: Split) -> Split:
    """Return the rows scaled by one number, so that PSNR has the peak 1."""
    low, high = float(split.X_train.min()), float(split.X_train.max())
    if low == high:
        raise BenchmarkError("all entries of the training rows are equal")
    X_train, X_test = (
        (X.astype(np.float64) - low) / (high - low)
        for X in (split.X_train, split.X_test)
    )
    return replace(split, X_train=X_train, X_test=X_test)


def linear_filter(X: np.ndarray, sigma: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return mu + S (S + sigma^2 I)^-1 (x - mu), S the covariance of clean rows."""
    mean = X.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(X.T, bias=True))
    variances = variances.clip(0)
    gains = variances / (variances + sigma**2)

    def apply(rows: np.ndarray) -> np.ndarray:
        return mean + ((rows - mean) @ axes * gains) @ axes.T

    return apply


def psnr(clean: np.ndarray, rebuilt: np.ndarray) -> float:
    """Return 10 log10(1 / mean squared error): the peak of the rows is 1."""
    return float(-10 * np.log10(np.square(clean - rebuilt).mean()))


def denoisers(
    sigma: float, k: int, epochs: int, seed: int
) -> Mapping[str, BaseEstimator]:
    """Return the nets of one noise: all the same but for what they are trained on."""
    from sklearn_ae import Autoencoder, DenoisingAutoencoder

    same = {
        "hidden_layer_sizes": (512,),
        "learning_rate_schedule": "cosine",
        "max_epochs": epochs,
        "tol": 0.0,
        "random_state": seed,
    }
    return {
        "plain autoencoder": Autoencoder(k, **same),
        "denoising autoencoder": DenoisingAutoencoder(
            k, noise="gaussian", noise_level=sigma, **same
        ),
    }


def remove_noise(
    split: Split, sigma: float, k: int, epochs: int, seed: int
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Measure every method at one noise; return rows and images of the first rows."""
    clean = split.X_test
    draws = np.random.default_rng(seed).normal(scale=sigma, size=clean.shape)
    noisy = clean + draws
    rebuilt, seconds = {"noisy": noisy}, {}
    took, apply = timed(lambda: linear_filter(split.X_train, sigma))
    rebuilt["best linear filter"], seconds["best linear filter"] = apply(noisy), took
    for name, net in denoisers(sigma, k, epochs, seed).items():
        seconds[name], _ = timed(lambda net=net: net.fit(split.X_train))
        rebuilt[name] = net.reconstruct(noisy)
    found = {name: psnr(clean, rows) for name, rows in rebuilt.items()}
    rows = [
        {
            "noise": sigma,
            "method": name,
            "seed": seed,
            "psnr": value,
            "gain": value - found["noisy"],
            "over_filter": value - found["best linear filter"],
            "fit_seconds": seconds.get(name),
        }
        for name, value in found.items()
    ]
    images = rebuilt | {"clean": clean}
    return rows, {name: rows[:N_SHOWN] for name, rows in images.items()}


def _spikes(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    hit = rng.random(X.shape) < 0.05
    return np.where(hit, X + rng.choice([-SPIKE, SPIKE], X.shape), X)


def _cauchy(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return X + 0.05 * rng.standard_cauchy(X.shape)


CONTAMINATIONS = {
    "none": lambda X, rng: X,
    f"5% spikes of ±{SPIKE:g}": _spikes,
    "Cauchy, scale 0.05": _cauchy,
}


def robust_nets(k: int, epochs: int, seed: int) -> Mapping[str, BaseEstimator]:
    """Return the same net with each loss."""
    from sklearn_ae import Autoencoder, Huber, RobustAutoencoder

    same = {
        "hidden_layer_sizes": (128,),
        "max_epochs": epochs,
        "tol": 0.0,
        "random_state": seed,
    }
    return {
        "squared error": Autoencoder(k, **same),
        f"Huber, delta {WIDTH:g}": Autoencoder(k, loss=Huber(WIDTH), **same),
        f"correntropy, width {5 * WIDTH:g}": RobustAutoencoder(
            k, kernel_width=5 * WIDTH, **same
        ),
        "correntropy, automatic width": RobustAutoencoder(k, **same),
    }


def resist(
    split: Split, name: str, k: int, epochs: int, seed: int
) -> list[dict[str, Any]]:
    """Train on contaminated rows; return the errors on clean test rows."""
    X = CONTAMINATIONS[name](split.X_train, np.random.default_rng(seed))
    # A narrow code: one as wide as the rows could copy the outliers, too.
    k = min(k, N_ROBUST)
    errors = {}
    for method, net in robust_nets(k, epochs, seed).items():
        rebuilt = net.fit(X).reconstruct(split.X_test)
        errors[method] = float(np.square(split.X_test - rebuilt).sum(axis=1).mean())
    mean = np.square(split.X_test - split.X_train.mean(axis=0)).sum(axis=1).mean()
    errors["mean of the clean rows"] = float(mean)
    return [
        {
            "outliers": name,
            "method": method,
            "seed": seed,
            "error": error,
            "ratio": error / errors["squared error"],
        }
        for method, error in errors.items()
    ]


def make_tables(
    noisy: Sequence[Mapping[str, Any]], robust: Sequence[Mapping[str, Any]], size: str
) -> dict[str, Table]:
    """Return both tables: medians over the splits."""
    noise_notes = [
        size,
        "PSNR of the clean test rows, peak 1. The filter knows the covariance of the "
        "clean training rows and the noise; the denoising net gets noise of the same "
        "deviation, drawn anew for each batch.",
        f"{environment()}.",
    ]
    outlier_notes = [
        size,
        f"Squared error of clean test rows, summed over features; at most {N_ROBUST} "
        "components.",
    ]
    return {
        "noise": Table(
            "Noise removed",
            NOISES,
            _medians(noisy, ("noise", "method"), ("psnr", "gain", "over_filter")),
            noise_notes,
        ),
        "outliers": Table(
            "Training rows with outliers",
            OUTLIERS,
            _medians(robust, ("outliers", "method"), ("error", "ratio")),
            outlier_notes,
        ),
    }


def _medians(
    runs: Sequence[Mapping[str, Any]], by: Sequence[str], measured: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a row for each group, with the medians over its runs."""
    rows = []
    for group in dict.fromkeys(tuple(run[key] for key in by) for run in runs):
        same = [run for run in runs if tuple(run[key] for key in by) == group]
        names = (*measured, "fit_seconds")
        rows.append(
            dict(zip(by, group, strict=True))
            | {name: median_of(same, name) for name in names}
        )
    return rows
