"""Tensors, and arrays of other libraries, as arrays of numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor


def is_foreign(value: Any) -> bool:
    """Whether a value is a tensor, an array of another library, or a list of those."""
    if isinstance(value, (np.ndarray, np.generic, str)):
        return False
    if isinstance(value, (list, tuple)):
        return bool(value) and isinstance(value[0], Tensor)
    return isinstance(value, Tensor) or hasattr(value, "__array_namespace__")


def as_array(value: Any) -> Any:
    """Answer an array for what `is_foreign`, and everything else as it is.

    A tensor is detached and moved to the CPU; numpy has no bfloat16, for which float32
    stands, and sparse ones become CSR.
    """
    if not is_foreign(value):
        return value
    if isinstance(value, (list, tuple)):
        return [as_array(item) for item in value]
    if not isinstance(value, Tensor):
        return np.asarray(value)
    tensor = value.detach().cpu()
    is_short = tensor.dtype.is_floating_point and tensor.itemsize <= 2
    if is_short and tensor.dtype != torch.float16:
        tensor = tensor.float()
    if tensor.layout != torch.strided:
        return _as_csr(tensor)
    return tensor.resolve_conj().resolve_neg().numpy()


def _as_csr(tensor: Tensor) -> scipy.sparse.csr_array:
    # By coordinates, as torch warns of every tensor that it makes a CSR one.
    entries = tensor.to_sparse_coo().coalesce()
    places = tuple(entries.indices().numpy())
    found = scipy.sparse.coo_array((entries.values().numpy(), places), entries.shape)
    return found.tocsr()
