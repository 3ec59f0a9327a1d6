"""Data for the benchmarks: bundled, downloaded, or from a file of the user's own."""

from __future__ import annotations

import argparse
import difflib
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
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.common import BenchmarkError, say
from benchmarks.data.files import READERS, read_file
from benchmarks.data.tables import LabelChoice

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
    """Rows and labels; the `n_test` final rows are the published test set.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        NaN where a value is missing; splits fill it in.
    standardize : bool
        Whether splits have features of mean 0 and variance 1.
    notes : tuple of str
        What was done to the rows of a file.
    label_name : str or None
        Of the column that y was.
    """

    name: str
    X: np.ndarray
    y: np.ndarray | None
    image_shape: tuple[int, ...] | None = None
    n_test: int = 0
    standardize: bool = False
    notes: tuple[str, ...] = ()
    label_name: str | None = None

    def split(
        self, seed: int, *, max_train: int | None = None, max_test: int | None = None
    ) -> Split:
        """Return float32 rows to train and test on, drawn by `seed`, at most so many.

        Missing values are the medians of the training rows.
        """
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
        steps = []
        if np.isnan(self.X).any():
            steps.append(SimpleImputer(strategy="median", keep_empty_features=True))
        if self.standardize:
            steps.append(StandardScaler())
        for step in steps:
            X_train, X_test = step.fit_transform(X_train), step.transform(X_test)
        X_train, X_test = X_train.astype(np.float32), X_test.astype(np.float32)
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
        "--drop-missing",
        action="store_true",
        help="leave out rows with missing values, which are filled in with medians "
        "otherwise",
    )
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument(
        "--standardize",
        action="store_true",
        default=None,
        help="give every feature unit variance, measured on the training rows, as is "
        "done for tables without being asked",
    )
    scale.add_argument(
        "--raw",
        action="store_false",
        dest="standardize",
        help="leave the columns of a table in their own units",
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
        help=f"one of {', '.join([*others, *LOADERS])}, or a file ({' '.join(READERS)})"
        " (default: %(default)s)",
    )
    label = parser.add_mutually_exclusive_group()
    label.add_argument(
        "--label",
        metavar="NAME",
        help="column of a table that holds the labels (default: guessed, and said)",
    )
    label.add_argument(
        "--no-label", action="store_true", help="take no column for the labels"
    )
    add_data_home(parser)


def add_data_home(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where downloaded data sets lie."""
    parser.add_argument(
        "--data-home",
        type=Path,
        metavar="DIR",
        help="folder with NAME.npz or NAME/NAME.npz for work offline",
    )


def label_choice(arguments: argparse.Namespace) -> LabelChoice:
    """Return which column the options of `add_source_options` take for the label."""
    return LabelChoice(arguments.label, guess=not arguments.no_label)


def load_from_options(arguments: argparse.Namespace) -> Dataset:
    """Load the data set that the options of `add_dataset_options` describe."""
    dataset = _find(arguments.dataset, label_choice(arguments), arguments.data_home)
    dataset = _handle_missing(dataset, drop=arguments.drop_missing)
    if arguments.image_shape is not None:
        height, width = arguments.image_shape
        if height * width != dataset.X.shape[1]:
            raise BenchmarkError(
                f"--image-shape {height} {width} asks for {height * width} features, "
                f"{dataset.name} has {dataset.X.shape[1]}"
            )
        # Pixels are of one unit.
        dataset = replace(dataset, image_shape=(height, width), standardize=False)
    if arguments.standardize is not None:
        dataset = replace(dataset, standardize=arguments.standardize)
    _check(dataset)
    if np.all(dataset.X[:1] == dataset.X):
        raise BenchmarkError(f"all rows of {dataset.name} are the same")
    scale = (
        "Features have mean 0 and variance 1 on the training rows, so that each counts "
        "the same; --raw leaves them in their own units."
        if dataset.standardize
        else "Features are in their own units, and those with the largest numbers "
        "count most; --standardize has each count the same."
    )
    _tell(dataset)
    return replace(dataset, notes=(*dataset.notes, scale))


def load_labelled(name: str, data_home: Path | None) -> Dataset:
    """Load a data set that has labels, as `load` does."""
    dataset = load(name, data_home=data_home)
    if dataset.y is None:
        raise BenchmarkError(f"{dataset.name} has no labels")
    return dataset


def load(
    name: str,
    *,
    label: LabelChoice | None = None,
    data_home: Path | None = None,
) -> Dataset:
    """Load a data set without missing values by its name or from a file.

    Parameters
    ----------
    name : str
        A key of `LOADERS`, or the path of a file with a suffix in `READERS`.
    label : LabelChoice, optional
        The column of a table that holds the labels; None guesses it.
    data_home : Path, optional
        Folder with ``name.npz`` or ``name/name.npz``; downloads go there otherwise.

    Returns
    -------
    Dataset
        Labels are as they were.

    Raises
    ------
    BenchmarkError
        If the name, the file or its contents cannot be used; the message says why.
    """
    dataset = _find(name, label or LabelChoice(), data_home)
    n_bad = int(np.isnan(dataset.X).any(axis=1).sum())
    if n_bad:
        raise BenchmarkError(
            f"{n_bad} of {len(dataset.X)} rows of {dataset.name} hold NaN; fill them "
            "in or drop them first"
        )
    _check(dataset)
    _tell(dataset)
    return dataset


def _find(name: str, label: LabelChoice, data_home: Path | None) -> Dataset:
    """Load a data set as it is."""
    path = Path(name)
    if name in LOADERS:
        if label.name is not None:
            raise BenchmarkError(f"{name} has its own labels; leave --label out")
        dataset = LOADERS[name](name, data_home)
    elif path.suffix.lower() in READERS:
        dataset = Dataset(path.stem, *read_file(path, label))
    else:
        alike = difflib.get_close_matches(name, LOADERS, n=1)
        hint = f" (did you mean {alike[0]}?)" if alike else ""
        raise BenchmarkError(
            f"unknown data set {name!r}{hint}: give one of {', '.join(LOADERS)}, or a "
            f"file that ends in {', '.join(READERS)}; spreadsheets can be saved as .csv"
        )
    return dataset if label.guess else replace(dataset, y=None)


def _handle_missing(dataset: Dataset, *, drop: bool) -> Dataset:
    """Leave out rows with missing values, or say that they are filled in."""
    bad = np.isnan(dataset.X).any(axis=1)
    if not bad.any():
        return dataset
    counted = f"{bad.sum():,} of {len(bad):,} rows have missing values"
    if not drop:
        note = (
            f"{counted}, {int(np.isnan(dataset.X).sum()):,} in all, filled in with the "
            "medians of the training rows; --drop-missing leaves those rows out."
        )
        return replace(dataset, notes=(*dataset.notes, note))
    if len(bad) - bad.sum() < MIN_ROWS:
        raise BenchmarkError(
            f"{counted}, so --drop-missing leaves {len(bad) - bad.sum()}, and a "
            f"comparison needs {MIN_ROWS}; without it they are filled in"
        )
    return replace(
        dataset,
        X=dataset.X[~bad],
        y=None if dataset.y is None else dataset.y[~bad],
        n_test=int((~bad[len(bad) - dataset.n_test :]).sum()),
        notes=(*dataset.notes, f"{counted} and are left out."),
    )


def _tell(dataset: Dataset) -> None:
    """Say what was done to a file before a long run begins."""
    for note in dataset.notes:
        say(note)


def _check(dataset: Dataset) -> None:
    """Refuse rows and labels that no method here could use."""
    n_rows = len(dataset.X)
    if dataset.y is not None and dataset.y.shape != (n_rows,):
        raise BenchmarkError(
            f"{dataset.name} has {n_rows} rows, but its labels are {dataset.y.shape}"
        )
    if dataset.y is not None and pd.isna(dataset.y).any():
        raise BenchmarkError(f"the labels of {dataset.name} have missing values")
    n_bad = int((np.abs(dataset.X) > np.finfo(np.float32).max).any(axis=1).sum())
    if n_bad:
        raise BenchmarkError(
            f"{n_bad} of {n_rows} rows of {dataset.name} hold infinite values, or some "
            "beyond float32; fill them in or drop them first"
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
                    contents = read_file(path, LabelChoice())
                    contents = contents._replace(image_shape=image_shape)
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
