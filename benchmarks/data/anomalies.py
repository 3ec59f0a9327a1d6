"""Normal sequences to learn from, and normal and anomalous ones to tell apart."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.common import BenchmarkError
from benchmarks.data.datasets import MIN_ROWS, Dataset, label_choice, load
from benchmarks.data.waves import N_FEATURES, N_STEPS, disorder, draw_waves

N_WAVES, MAX_TEST = 1000, 5000


@dataclass(frozen=True)
class Task:
    """Flat sequences of `shape` (steps, features); the training rows are normal."""

    name: str
    shape: tuple[int, int]
    X_train: np.ndarray
    X_test: np.ndarray
    X_anomalous: np.ndarray
    note: str


def load_task(arguments: argparse.Namespace, seed: int, n_rows: int) -> Task:
    """Draw waves or split the data set of the options, with at most `n_rows` to learn.

    Raises
    ------
    BenchmarkError
        If the data set cannot be parted into normal and anomalous sequences.
    """
    if arguments.dataset == "waves":
        if arguments.normal or arguments.steps or arguments.label:
            raise BenchmarkError(
                "waves are drawn; leave --normal, --steps and --label out"
            )
        return make_waves(seed, n_rows)
    dataset = load(
        arguments.dataset,
        label=label_choice(arguments),
        data_home=arguments.data_home,
    )
    return part(dataset, arguments.normal, arguments.steps, seed, n_rows)


def make_waves(seed: int, n_rows: int) -> Task:
    """Return waves; of the anomalous ones a quarter of the steps are out of order."""
    rng = np.random.default_rng(seed)
    X_train, X_test, others = (draw_waves(n, rng) for n in (n_rows, N_WAVES, N_WAVES))
    note = (
        "sinusoids of one frequency (1 to 4 cycles) and a phase and size for each "
        "feature; of anomalous rows a quarter of the steps have changed places, so "
        "that nothing but their order tells."
    )
    shape = N_STEPS, N_FEATURES
    return Task("waves", shape, X_train, X_test, disorder(others, rng), note)


def part(
    dataset: Dataset,
    normal: str | None,
    n_steps: int | None,
    seed: int,
    n_rows: int,
) -> Task:
    """Split the rows that have the label `normal`; all others are anomalous."""
    if dataset.y is None:
        raise BenchmarkError(f"{dataset.name} has no labels")
    labels = dataset.y.astype(str)
    counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    if normal not in counts:
        given = "--normal is missing" if normal is None else f"no label is {normal}"
        raise BenchmarkError(
            f"{given}; the labels of {dataset.name} are {', '.join(counts)}"
        )
    n_normal = int(counts[normal])
    if n_normal < MIN_ROWS or n_normal == len(labels):
        raise BenchmarkError(
            f"{n_normal} of the {len(labels)} rows of {dataset.name} are normal; at "
            f"least {MIN_ROWS} and not all must be"
        )
    is_normal = labels == normal
    published = is_normal[len(labels) - dataset.n_test :].sum() if dataset.n_test else 0
    ordinary = replace(dataset, X=dataset.X[is_normal], y=None, n_test=int(published))
    split = ordinary.split(seed, max_train=n_rows, max_test=MAX_TEST)
    # None of them is learnt from, so all can be told.
    others = np.random.default_rng(seed).permutation(dataset.X[~is_normal])[:MAX_TEST]
    note = (
        f"rows labelled {normal} are normal, those labelled "
        f"{', '.join(label for label in counts if label != normal)} anomalous."
    )
    shape = row_shape(dataset, n_steps)
    return Task(dataset.name, shape, split.X_train, split.X_test, others, note)


def row_shape(dataset: Dataset, n_steps: int | None) -> tuple[int, int]:
    """Return the steps of a row and their features, as told or as the file has them."""
    n_features = dataset.X.shape[1]
    if n_steps is None:
        n_steps = dataset.image_shape[0] if dataset.image_shape else n_features
    if n_features % n_steps:
        raise BenchmarkError(
            f"--steps {n_steps} does not divide the {n_features} features of "
            f"{dataset.name}"
        )
    return n_steps, n_features // n_steps
