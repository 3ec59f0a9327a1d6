"""Binary images: grey ones binarised by one fixed draw, or the literature's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import BenchmarkError
from benchmarks.data.datasets import Dataset, load

# The largest grey level: ink with certainty.
WHITES = {"digits": 16, "mnist": 255, "fashion_mnist": 255}
AMAT_PARTS = ("train", "valid", "test")
AMAT_NAME = "binarized_mnist_{}.amat"


@dataclass(frozen=True)
class BinaryImages:
    """Rows of zeros and ones, float32; those for validation are among `X_train`."""

    X_train: np.ndarray
    X_test: np.ndarray
    shape: tuple[int, int]
    note: str


def load_binary_images(
    name: str, seed: int, data_home: Path | None, amat_folder: Path | None
) -> BinaryImages:
    """Return binary images: of the files in `amat_folder` if there is one.

    Otherwise each pixel of each image is drawn once, ink with a probability of its grey
    level. The draw depends on `seed` only.
    """
    if amat_folder is not None:
        return read_amat(amat_folder)
    dataset = load(name, data_home=data_home)
    split = dataset.split(0)
    rng = np.random.default_rng(seed)
    white = WHITES[name]
    return BinaryImages(
        binarize(split.X_train, white, rng),
        binarize(split.X_test, white, rng),
        _shape_of(dataset),
        f"{name}, each pixel binarised by one draw (seed {seed})",
    )


def binarize(X: np.ndarray, white: float, rng: np.random.Generator) -> np.ndarray:
    """Draw pixels: 1 with a probability of the grey level, `white` being certain."""
    return (rng.random(X.shape, dtype=np.float32) < X / white).astype(np.float32)


def read_amat(folder: Path) -> BinaryImages:
    """Read ``binarized_mnist_{train,valid,test}.amat``, text files of zeros and ones.

    They are those of Larochelle and Murray (2011), which published figures are for.

    Raises
    ------
    BenchmarkError
        If one is missing or holds anything else.
    """
    parts = {part: _read_pixels(folder / AMAT_NAME.format(part)) for part in AMAT_PARTS}
    widths = {X.shape[1] for X in parts.values()}
    side = round(max(widths) ** 0.5)
    if widths != {side**2}:
        raise BenchmarkError(
            f"the files of {folder} have rows of {sorted(widths)} pixels: no squares "
            "of one size"
        )
    X_train = np.concatenate([parts["train"], parts["valid"]])
    note = f"{folder / AMAT_NAME.format('*')}, training and validation rows in one"
    return BinaryImages(X_train, parts["test"], (side, side), note)


def _read_pixels(path: Path) -> np.ndarray:
    """Read lines of as many zeros and ones, parted by blanks."""
    if not path.is_file():
        raise BenchmarkError(f"there is no file {path}")
    # Their text is all digits and blanks: as bytes they are read in seconds.
    lines = path.read_bytes().split(b"\n")
    rows = [line.translate(None, b" \t\r") for line in lines]
    rows = [row for row in rows if row]
    if not rows or len({len(row) for row in rows}) > 1:
        raise BenchmarkError(f"the lines of {path} are not of one length")
    X = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1) - ord("0")
    if X.max() > 1:
        raise BenchmarkError(f"{path} holds more than zeros and ones")
    return X.astype(np.float32)


def _shape_of(dataset: Dataset) -> tuple[int, int]:
    """Return the shape of a data set's images."""
    if dataset.image_shape is None:
        raise BenchmarkError(f"{dataset.name} has no images")
    height, width = dataset.image_shape
    return height, width
