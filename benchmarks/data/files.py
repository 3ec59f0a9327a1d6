"""Rows and labels from files of the user's own: arrays and tables."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.common import BenchmarkError
from benchmarks.data.delimited import read_delimited
from benchmarks.data.tables import LabelChoice, part_columns


class Contents(NamedTuple):
    """What a file holds; its last `n_test` rows are a published test set.

    Values that are missing are NaN. The columns of a table have units of their own.
    """

    X: np.ndarray
    y: np.ndarray | None = None
    image_shape: tuple[int, ...] | None = None
    n_test: int = 0
    standardize: bool = False
    notes: tuple[str, ...] = ()
    label_name: str | None = None


def read_file(path: Path, label: LabelChoice) -> Contents:
    """Read a file of a kind in `READERS`.

    Parameters
    ----------
    path : Path
        The file; its suffix says how to read it.
    label : LabelChoice
        The column of a table that holds the labels.

    Returns
    -------
    Contents
        Rows, and labels as they were.

    Raises
    ------
    BenchmarkError
        If the file is missing, is no such file, or does not hold numbers.
    """
    if not path.is_file():
        raise BenchmarkError(f"there is no file {path}")
    try:
        return READERS[path.suffix.lower()](path, label)
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BenchmarkError(f"{path} cannot be read: {error}") from error


def _read_npz(path: Path, label: LabelChoice) -> Contents:
    """Read ``X[, y]`` or ``X_train[, X_test, y_train, y_test]``."""
    if label.name is not None:
        raise BenchmarkError("--label names a column of a table, and this is none")
    with np.load(path) as arrays:
        names = set(arrays)
        if "X" in names:
            parts = ["X"]
        elif "X_train" in names:
            parts = [part for part in ("X_train", "X_test") if part in names]
        else:
            raise BenchmarkError(
                f"it has neither X nor X_train; it holds {', '.join(sorted(names))}"
            )
        X = np.concatenate([arrays[part] for part in parts])
        n_test = len(arrays["X_test"]) if "X_test" in parts else 0
        labels = [part.replace("X", "y") for part in parts]
        y = None
        if names.issuperset(labels):
            y = np.concatenate([arrays[label] for label in labels])
    if X.ndim < 2 or not (np.issubdtype(X.dtype, np.number) or X.dtype == bool):
        raise BenchmarkError(f"X is no table of numbers: {X.dtype}{X.shape}")
    image_shape = X.shape[1:] if X.ndim == 3 else None
    return Contents(X.reshape(len(X), -1).astype(np.float32), y, image_shape, n_test)


def _read_text(path: Path, label: LabelChoice) -> Contents:
    """Read a table of fields between commas or the like."""
    return _read_frame(*read_delimited(path), label)


def _read_parquet(path: Path, label: LabelChoice) -> Contents:
    return _read_frame(pd.read_parquet(path), [], label)


def _read_frame(frame: pd.DataFrame, notes: list[str], label: LabelChoice) -> Contents:
    """Return features and labels of a table, whose columns have their own units."""
    columns = part_columns(frame, label)
    notes = (*notes, *columns.notes)
    return Contents(
        columns.X,
        columns.y,
        standardize=True,
        notes=notes,
        label_name=columns.label_name,
    )


READERS = {
    ".npz": _read_npz,
    ".parquet": _read_parquet,
    **dict.fromkeys([".csv", ".tsv", ".txt", ".data"], _read_text),
}
