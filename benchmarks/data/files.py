"""Rows and labels from files of the user's own: .npz, .csv, .parquet."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.common import BenchmarkError


class Contents(NamedTuple):
    """What a file holds; its last `n_test` rows are a published test set."""

    X: np.ndarray
    y: np.ndarray | None = None
    image_shape: tuple[int, ...] | None = None
    n_test: int = 0


def read_file(path: Path, target: str | None = None) -> Contents:
    """Read a file of a kind in `READERS`.

    Parameters
    ----------
    path : Path
        The file; its suffix says how to read it.
    target : str, optional
        The column of a table that holds the labels.

    Returns
    -------
    Contents
        Rows in float32, labels as they were.

    Raises
    ------
    BenchmarkError
        If the file is missing, is no such file, or does not hold numbers.
    """
    if not path.is_file():
        raise BenchmarkError(f"there is no file {path}")
    try:
        return READERS[path.suffix](path, target)
    except BenchmarkError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BenchmarkError(f"{path} cannot be read: {error}") from error


def _read_npz(path: Path, target: str | None) -> Contents:
    """Read ``X[, y]`` or ``X_train[, X_test, y_train, y_test]``."""
    if target is not None:
        raise BenchmarkError(f"--target names a column of a table, and {path} is none")
    with np.load(path) as arrays:
        names = set(arrays)
        if "X" in names:
            parts = ["X"]
        elif "X_train" in names:
            parts = [part for part in ("X_train", "X_test") if part in names]
        else:
            raise BenchmarkError(
                f"{path} has neither X nor X_train; it holds {', '.join(sorted(names))}"
            )
        X = np.concatenate([arrays[part] for part in parts])
        n_test = len(arrays["X_test"]) if "X_test" in parts else 0
        labels = [part.replace("X", "y") for part in parts]
        y = None
        if names.issuperset(labels):
            y = np.concatenate([arrays[label] for label in labels])
    if X.ndim < 2 or not (np.issubdtype(X.dtype, np.number) or X.dtype == bool):
        raise BenchmarkError(f"X of {path} is no table of numbers: {X.dtype}{X.shape}")
    image_shape = X.shape[1:] if X.ndim == 3 else None
    return Contents(X.reshape(len(X), -1).astype(np.float32), y, image_shape, n_test)


def _table_reader(
    read: Callable[[Path], pd.DataFrame],
) -> Callable[[Path, str | None], Contents]:
    """Return a reader of tables whose columns are features, and perhaps a target."""

    def read_table(path: Path, target: str | None) -> Contents:
        frame = read(path)
        y = None if target is None else _pop_target(frame, target, path)
        strings = [str(c) for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]
        if strings:
            raise BenchmarkError(
                f"columns of {path} that are not numeric: {', '.join(strings)}; drop "
                "them, encode them as numbers, or name one as --target"
            )
        return Contents(frame.to_numpy(dtype=np.float32, na_value=np.nan), y)

    return read_table


def _pop_target(frame: pd.DataFrame, target: str, path: Path) -> np.ndarray:
    """Take the labels out of a table."""
    if target not in frame:
        raise BenchmarkError(
            f"{path} has no column {target!r}; it has "
            f"{', '.join(map(str, frame.columns))}"
        )
    return frame.pop(target).to_numpy()


READERS = {
    ".npz": _read_npz,
    ".csv": _table_reader(pd.read_csv),
    ".parquet": _table_reader(pd.read_parquet),
}
