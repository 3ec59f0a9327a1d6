"""Rows, read in slices and cast as they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

Array = np.ndarray | scipy.sparse.csr_array | scipy.sparse.csr_matrix
# Entries read at a time: large enough for the matrix products, small enough for caches.
_SLICE_ENTRIES = 2**19
# scikit-learn's words for it.
TOO_LARGE = "Input X contains infinity or a value too large for dtype('{}')."
# A file mapped into memory is read batch by batch from this size on.
_MAPPED_BYTES = 2**28


def compute_dtype(X: Array) -> np.dtype:
    """Answer float32 for float32 rows, float64 for everything else."""
    is_single = X.dtype.kind == "f" and X.dtype.itemsize == 4
    return np.dtype(np.float32 if is_single else np.float64)


def read_rows(X: Array, rows: slice | np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Answer some rows as a dense, native, C-contiguous array of their own."""
    part = X[rows]
    if scipy.sparse.issparse(part):
        part = part.toarray()
    return np.array(part, dtype=dtype, order="C", copy=True)


def view_rows(X: Array, rows: slice, dtype: np.dtype) -> np.ndarray:
    """Answer some rows as `read_rows` does, without a copy where torch can share."""
    # Another memory order would be summed in another order: only C order is shared.
    if isinstance(X, np.ndarray) and X.dtype == dtype and X.flags.carray:
        return X[rows]
    return read_rows(X, rows, dtype)


def slice_size(width: int) -> int:
    """Answer how many rows are computed with at a time: half a million entries.

    Parameters
    ----------
    width : int
        The most entries that a row becomes on the way.
    """
    return max(1, _SLICE_ENTRIES // max(1, width))


def row_slices(n_rows: int, width: int) -> Iterator[slice]:
    """Yield slices of consecutive rows, of `slice_size(width)` each."""
    step = slice_size(width)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def value_range(X: Array) -> tuple[float, float]:
    """Answer the smallest and the largest value."""
    ends = np.array(
        [
            (np.nanmin(part), np.nanmax(part))
            for part in (read_rows(X, rows, X.dtype) for rows in row_slices(*X.shape))
        ]
    )
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def refuse_row(row: np.ndarray, number: int, dtype: np.dtype) -> NoReturn:
    """Refuse a finite row, since what is computed of it is more than a dtype can hold.

    Raises
    ------
    ValueError
    """
    largest = np.nanmax(np.abs(row.astype(np.float64)))
    raise ValueError(
        f"Input X contains a value too large for dtype('{dtype}'): with an entry of "
        f"{largest:.2g}, what is computed of row {number} exceeds "
        f"{np.finfo(dtype).max:.2g}. Leave the row out"
        f"{', or pass X as float64' if dtype == np.float32 else ''}."
    )


def is_finite(values: Tensor) -> bool:
    """Whether all values are finite."""
    # Their sum tells in one pass, except where finite values add up to infinity.
    return math.isfinite(values.sum()) or bool(torch.isfinite(values).all())


def _is_large_map(X: Array) -> bool:
    owner = X
    while owner is not None and not isinstance(owner, np.memmap):
        owner = getattr(owner, "base", None)
    return owner is not None and X.nbytes > _MAPPED_BYTES


class Batch(NamedTuple):
    """Rows that the objective is computed for, and what goes along with them.

    Attributes
    ----------
    x : Tensor of shape (n_rows, n_features)
        Standardised, with 0 for missing entries.
    weights : Tensor of shape (n_rows, n_features) or None, default=None
        What each entry counts; None where none is missing.
    target : Tensor of shape (n_rows, ...) or None, default=None
        What y says of the rows, such as the numbers of their classes.
    drawn : dict of str to Tensor, default={}
        What is random, by the part of the net that has drawn it.
    """

    x: Tensor
    weights: Tensor | None = None
    target: Tensor | None = None
    drawn: dict[str, Tensor] = {}


class RowSource:
    """Rows of X, standardised, as tensors on a device.

    X becomes one tensor on the device when it fits; rows of sparse matrices and of
    large files mapped into memory are read as they are asked for.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
    shift : ndarray of shape (n_features,)
        Subtracted in float64, before the cast.
    scale : float
    dtype : torch.dtype
    device : torch.device
    has_missing : bool, default=False
        Whether entries may be NaN.
    targets : Tensor of shape (n_samples,) or RowSource or None, default=None
        What goes along with each row: the number of its class, or another row.
    """

    def __init__(
        self,
        X: Array,
        shift: np.ndarray,
        scale: float,
        dtype: torch.dtype,
        device: torch.device,
        has_missing: bool = False,
        targets: Tensor | RowSource | None = None,
    ) -> None:
        self.n_features = X.shape[1]
        self.targets = targets
        self.has_missing = has_missing
        self._X, self._shift, self._scale = X, shift, scale
        self._dtype, self._device = dtype, device
        self._index: np.ndarray | None = None
        self.resident: Tensor | None = None
        if self._fits():
            self.resident = torch.empty(X.shape, dtype=dtype, device=device)
            for rows in row_slices(*X.shape):
                self.resident[rows] = self._read(rows)

    def _fits(self) -> bool:
        if scipy.sparse.issparse(self._X) or _is_large_map(self._X):
            return False
        if self._device.type != "cuda":
            return True
        free, _ = torch.cuda.mem_get_info(self._device)
        return self._X.size * self._dtype.itemsize < free / 2

    def _read(self, rows: slice | np.ndarray) -> Tensor:
        part = read_rows(self._X, rows, np.dtype(np.float64))
        part -= self._shift
        part /= self._scale
        return torch.from_numpy(part).to(self._device, self._dtype)

    def __len__(self) -> int:
        source = self.resident if self.resident is not None else self._index
        return self._X.shape[0] if source is None else len(source)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """Answer all rows in data units, for callbacks that look at the data."""
        rows = self[0 : len(self)].double().cpu().numpy()
        return (rows * self._scale + self._shift).astype(dtype or np.float64)

    def like(self, X: Array) -> RowSource:
        """Answer a source of other rows, standardised in the same way."""
        return RowSource(
            X,
            self._shift,
            self._scale,
            self._dtype,
            self._device,
            self.has_missing,
        )

    def subset(self, index: np.ndarray) -> RowSource:
        """Answer a source of the rows of an index array."""
        part = object.__new__(RowSource)
        part.__dict__.update(self.__dict__)
        if isinstance(self.targets, RowSource):
            part.targets = self.targets.subset(index)
        elif self.targets is not None:
            part.targets = self.targets[torch.from_numpy(index).to(self._device)]
        if self.resident is not None:
            part.resident = self.resident[torch.from_numpy(index).to(self._device)]
        else:
            part._index = index if self._index is None else self._index[index]
        return part

    def take(self, order: Tensor) -> Tensor:
        """Answer the rows of a tensor of indices."""
        if self.resident is not None:
            return self.resident.index_select(0, order)
        rows = order.cpu().numpy()
        return self._read(rows if self._index is None else self._index[rows])

    def __getitem__(self, rows: slice) -> Tensor:
        """Answer consecutive rows."""
        if self.resident is not None:
            return self.resident[rows]
        return self._read(rows if self._index is None else self._index[rows])
