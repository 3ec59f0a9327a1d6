"""Data for the benchmarks: bundled, downloaded, or from a file of the user's own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import (
    fetch_olivetti_faces,
    fetch_openml,
    load_breast_cancer,
    load_digits,
    load_wine,
)
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.common import BenchmarkError
from benchmarks.data.files import READERS, read_file

TEST_SIZE = 0.25
# t-SNE's perplexity of 30 asks for more training rows than that.
MIN_ROWS = 60


@dataclass(frozen=True)
class Split:
    """Training and test rows; the labels are None where there are none."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray | None
    y_test: np.ndarray | None


@dataclass(frozen=True)
class Dataset:
    """A data set as float32 rows; `n_test` final rows are the published test set."""

    name: str
    X: np.ndarray
    y: np.ndarray | None
    image_shape: tuple[int, ...] | None = None
    n_test: int = 0
    standardize: bool = False

    def split(
        self, seed: int, *, max_train: int | None = None, max_test: int | None = None
    ) -> Split:
        """Return training and test rows drawn by `seed`, each at most so many."""
        if self.n_test:
            cut = len(self.X) - self.n_test
            train, test = np.arange(cut), np.arange(cut, len(self.X))
        else:
            train, test = self._draw(np.arange(len(self.X)), TEST_SIZE, seed)
        if max_train is not None and len(train) > max_train:
            _, train = self._draw(train, max_train, seed)
        if max_test is not None and len(test) > max_test:
            _, test = self._draw(test, max_test, seed)
        X_train, X_test = self.X[train], self.X[test]
        if self.standardize:
            scaler = StandardScaler().fit(X_train)
            X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
        if self.y is None:
            return Split(X_train, X_test, None, None)
        return Split(X_train, X_test, self.y[train], self.y[test])

    def _draw(
        self, rows: np.ndarray, size: float, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Part `rows` into the rest and `size` of them, by class where possible."""
        labels = None if self.y is None else self.y[rows]
        if labels is not None:
            counts = np.unique(labels, return_counts=True)[1]
            n_drawn = size if size >= 1 else size * len(rows)
            if counts.min() < 2 or n_drawn < len(counts):
                labels = None
        rest, drawn = train_test_split(
            rows, test_size=size, random_state=seed, stratify=labels
        )
        return rest, drawn


Loader = Callable[[str, Path | None], Dataset]


def add_dataset_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options that choose the data."""
    add_source_options(parser, default)
    add = parser.add_argument
    add(
        "--image-shape",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="draw the rows of a file as images of this shape",
    )
    add(
        "--standardize",
        action="store_true",
        help="give every feature unit variance, measured on the training rows",
    )


def add_source_options(
    parser: argparse.ArgumentParser, default: str, others: tuple[str, ...] = ()
) -> None:
    """Add the options that say where rows and labels come from.

    `others` are names that the benchmark itself knows.
    """
    add = parser.add_argument
    add(
        "--dataset",
        default=default,
        metavar="NAME|PATH",
        help=f"one of {', '.join([*others, *LOADERS])}, or a .npz, .csv or .parquet "
        "file (default: %(default)s)",
    )
    add("--target", metavar="COLUMN", help="column of a table that holds the labels")
    add_data_home(parser)


def add_data_home(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where downloaded data sets lie."""
    parser.add_argument(
        "--data-home",
        type=Path,
        metavar="DIR",
        help="folder with NAME.npz or NAME/NAME.npz for work offline",
    )


def load_from_options(arguments: argparse.Namespace) -> Dataset:
    """Load the data set that the options of `add_dataset_options` describe."""
    dataset = load(
        arguments.dataset, target=arguments.target, data_home=arguments.data_home
    )
    if arguments.image_shape is not None:
        height, width = arguments.image_shape
        if height * width != dataset.X.shape[1]:
            raise BenchmarkError(
                f"--image-shape {height} {width} asks for {height * width} features, "
                f"{dataset.name} has {dataset.X.shape[1]}"
            )
        dataset = replace(dataset, image_shape=(height, width))
    if arguments.standardize:
        dataset = replace(dataset, standardize=True)
    return dataset


def load_labelled(name: str, data_home: Path | None) -> Dataset:
    """Load a data set that has labels, as `load` does."""
    dataset = load(name, data_home=data_home)
    if dataset.y is None:
        raise BenchmarkError(f"{dataset.name} has no labels")
    return dataset


def load(
    name: str, *, target: str | None = None, data_home: Path | None = None
) -> Dataset:
    """Load a data set by its name or from a file.

    Parameters
    ----------
    name : str
        A key of `LOADERS`, or the path of a ``.npz``, ``.csv`` or ``.parquet`` file.
    target : str, optional
        The column of a table that holds the labels.
    data_home : Path, optional
        Folder with ``name.npz`` or ``name/name.npz``; downloads go there otherwise.

    Returns
    -------
    Dataset
        Rows in float32, labels as they were.

    Raises
    ------
    BenchmarkError
        If the name, the file or its contents cannot be used; the message says why.
    """
    path = Path(name)
    if name in LOADERS:
        if target is not None:
            raise BenchmarkError(f"{name} has its own labels; leave --target out")
        dataset = LOADERS[name](name, data_home)
    elif path.suffix in READERS:
        dataset = Dataset(path.stem, *read_file(path, target))
    else:
        raise BenchmarkError(
            f"unknown data set {name!r}: give one of {', '.join(LOADERS)}, or a file "
            f"that ends in {', '.join(READERS)}"
        )
    _check(dataset)
    return dataset


def _check(dataset: Dataset) -> None:
    """Refuse rows and labels that no method here could use."""
    n_rows = len(dataset.X)
    if dataset.y is not None and dataset.y.shape != (n_rows,):
        raise BenchmarkError(
            f"{dataset.name} has {n_rows} rows, but its labels are {dataset.y.shape}"
        )
    if dataset.y is not None and pd.isna(dataset.y).any():
        raise BenchmarkError(f"the labels of {dataset.name} have missing values")
    n_bad = int((~np.isfinite(dataset.X)).any(axis=1).sum())
    if n_bad:
        raise BenchmarkError(
            f"{n_bad} of {n_rows} rows of {dataset.name} hold NaN or infinite values; "
            "fill them in or drop them first"
        )
    if n_rows < MIN_ROWS:
        raise BenchmarkError(
            f"{dataset.name} has {n_rows} rows; a comparison needs {MIN_ROWS}"
        )


def _bundled(loader: Callable[..., tuple], **options: object) -> Loader:
    """Return a loader of data that comes with scikit-learn."""

    def load_bundled(name: str, data_home: Path | None) -> Dataset:
        X, y = loader(return_X_y=True)
        return Dataset(name, X.astype(np.float32), y, **options)

    return load_bundled


def _downloaded(
    fetch: Callable[[Path | None], tuple], image_shape: tuple[int, int], n_test: int
) -> Loader:
    """Return a loader that looks into `data_home` before it downloads."""

    def load_downloaded(name: str, data_home: Path | None) -> Dataset:
        if data_home is not None:
            for path in (data_home / f"{name}.npz", data_home / name / f"{name}.npz"):
                if path.is_file():
                    contents = read_file(path)._replace(image_shape=image_shape)
                    return Dataset(name, *contents)
        try:
            X, y = fetch(data_home)
        except OSError as error:
            raise BenchmarkError(
                f"{name} could not be downloaded ({error}); offline, give --data-home "
                f"a folder with {name}.npz or {name}/{name}.npz"
            ) from error
        return Dataset(name, X.astype(np.float32), y, image_shape, n_test)

    return load_downloaded


def _openml(name: str) -> Callable[[Path | None], tuple]:
    """Return a download of an OpenML data set."""

    def fetch(data_home: Path | None) -> tuple:
        return fetch_openml(
            name, version=1, as_frame=False, return_X_y=True, data_home=data_home
        )

    return fetch


def _olivetti(data_home: Path | None) -> tuple:
    """Download the Olivetti faces."""
    return fetch_olivetti_faces(data_home=data_home, return_X_y=True)


LOADERS = {
    "digits": _bundled(load_digits, image_shape=(8, 8)),
    "breast_cancer": _bundled(load_breast_cancer, standardize=True),
    "wine": _bundled(load_wine, standardize=True),
    "mnist": _downloaded(_openml("mnist_784"), (28, 28), n_test=10_000),
    "fashion_mnist": _downloaded(_openml("Fashion-MNIST"), (28, 28), n_test=10_000),
    "olivetti": _downloaded(_olivetti, (64, 64), n_test=0),
}
