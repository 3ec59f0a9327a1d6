"""Devices, what they can hold, and how exact they compute."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from sklearn_ae._compute.suggestions import did_you_mean
from sklearn_ae._compute.warnings import warn_caller


def available_devices() -> list[str]:
    """List the devices that torch can compute on here."""
    found = ["cpu"]
    for kind in (torch.cuda, torch.xpu):
        name = kind.__name__.rpartition(".")[2]
        found += [f"{name}:{i}" for i in range(kind.device_count())]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def worker_number() -> int:
    """Answer which of the processes of joblib, Dask or multiprocessing this is."""
    numbers = multiprocessing.current_process()._identity
    return numbers[-1] - 1 if numbers else 0


def found_device(device: str | torch.device) -> torch.device | None:
    """Answer a torch device if it exists: "cuda" is the current one of them."""
    name, available = str(device), available_devices()
    if name in ("cpu", "cpu:0"):
        return torch.device("cpu")
    if name in available or f"{name}:0" in available:
        return torch.device(name)
    kind, _, number = name.partition(":")
    # Of those there is one, which has no number.
    return torch.device(kind) if kind in available and number == "0" else None


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn the parameter `device` into a torch device that exists.

    Raises
    ------
    ValueError
        If the device is unknown or absent; nothing falls back silently.
    """
    available = available_devices()
    if device == "auto":
        gpus = [name for name in available if name.startswith("cuda")] or ["cpu"]
        return torch.device(gpus[worker_number() % len(gpus)])
    found = found_device(device)
    if found is None:
        kinds = [name.partition(":")[0] for name in available]
        raise ValueError(
            f"device={str(device)!r} is not available here; the devices are "
            f"{', '.join(map(repr, available))} and 'auto'."
            f"{did_you_mean(str(device), kinds)}"
        )
    return found


def device_or_cpu(name: str) -> torch.device:
    """Answer the device of a stored model, or the CPU, with a warning, without it."""
    device = found_device(name)
    if device is not None:
        return device
    warn_caller(
        f"This model was trained on device={name!r}, which is not available here: it "
        "is evaluated on the CPU.",
        UserWarning,
    )
    return torch.device("cpu")


class AllocationLimit(TorchFunctionMode):
    """Refuses tensors that together are larger or more than they may be.

    It looks at what makes tensors of a given shape, before they are made.

    Parameters
    ----------
    n_bytes, n_tensors : int
    """

    _factories = frozenset(
        {
            *(torch.empty, torch.zeros, torch.ones, torch.full, torch.eye),
            *(torch.rand, torch.randn, torch.arange, torch.linspace),
            *(torch.Tensor.new_empty, torch.Tensor.new_zeros, torch.Tensor.new_ones),
            torch.Tensor.new_full,
        }
    )

    def __init__(self, n_bytes: int, n_tensors: int) -> None:
        super().__init__()
        self.n_bytes, self.n_tensors = n_bytes, n_tensors

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function of torch, unless its answer is too large."""
        kwargs = kwargs or {}
        if function in self._factories:
            without = {k: v for k, v in kwargs.items() if k not in ("generator", "out")}
            planned = function(*args, **{**without, "device": "meta"})
            self.n_bytes -= planned.numel() * planned.itemsize
            self.n_tensors -= 1
            if min(self.n_bytes, self.n_tensors) < 0:
                raise ValueError("a net of its parameters is larger than its arrays")
        return function(*args, **kwargs)


# TF32 is a setting of the process, one for each kind of operation: the first evaluation
# turns it off, the last one turns it back.
_precision_lock = threading.Lock()
_evaluations: list[tuple[str, ...]] = []


@contextmanager
def evaluation(device: torch.device) -> Iterator[None]:
    """Compute without gradients and, on CUDA, without TF32; restore the flags after."""
    with torch.no_grad():
        if device.type != "cuda":
            yield
            return
        cudnn = torch.backends.cudnn
        kinds = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
        with _precision_lock:
            before = tuple(kind.fp32_precision for kind in kinds)
            _evaluations.append(_evaluations[0] if _evaluations else before)
            for kind in kinds:
                kind.fp32_precision = "ieee"
        try:
            yield
        finally:
            with _precision_lock:
                before = _evaluations.pop()
                if not _evaluations:
                    for kind, precision in zip(kinds, before, strict=True):
                        kind.fp32_precision = precision
