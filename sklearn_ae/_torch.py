"""Seeds, devices, threads and precision: what keeps torch's global state untouched."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from sklearn.utils import check_random_state
from threadpoolctl import ThreadpoolController

# Below this many multiplications a second thread costs more than it brings.
_WORK_PER_THREAD = 5e7

_controllers = threading.local()
_forked = False


def _mark_forked() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_mark_forked)


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Answer one integer that every stream of random numbers of a fit starts from."""
    if random_state is None:
        # Fresh entropy: check_random_state(None) would advance numpy's global state.
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def derive_seed(seed: int, stream: str, index: int = 0) -> int:
    """Answer the seed of a named stream, so that no stream disturbs another."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(stream.encode()), index])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def make_generator(
    seed: int, stream: str, index: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Answer the generator of a named stream on a device."""
    generator = torch.Generator(device)
    generator.manual_seed(derive_seed(seed, stream, index))
    return generator


def available_devices() -> list[str]:
    """List the devices that torch can compute on here."""
    return ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]


def resolve_device(device: str) -> torch.device:
    """Turn the parameter `device` into a torch device that exists.

    Raises
    ------
    ValueError
        If the device is unknown or absent; nothing falls back silently.
    """
    available = available_devices()
    if device == "auto":
        return torch.device("cuda" if len(available) > 1 else "cpu")
    if device not in available and not (device == "cuda" and len(available) > 1):
        raise ValueError(
            f"device={device!r} is not available here; the devices are "
            f"{', '.join(map(repr, available))} and 'auto'."
        )
    return torch.device(device)


@functools.cache
def _mkl_limit() -> Callable[[int], int] | None:
    """Answer MKL's setter of this thread's limit, where torch is built with MKL.

    `torch.set_num_threads` sets it, and then MKL no longer looks at OpenMP's limit.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not library.exists():
        return None
    return getattr(ctypes.CDLL(str(library)), "MKL_Set_Num_Threads_Local", None)


@contextmanager
def limited_threads(work: float) -> Iterator[None]:
    """Let torch use no more threads than `work` multiplications per call can feed.

    `torch.set_num_threads` would outlive the call and reach other threads; the OpenMP
    limit of this thread does neither.
    """
    # Asking torch first creates this thread's OpenMP settings, which the limit edits.
    available = torch.get_num_threads()
    # A forked child has lost the parent's worker threads: a second one would hang.
    useful = 1 if _forked else max(1.0, work // _WORK_PER_THREAD)
    if useful >= available and not _forked:
        yield
        return
    if not hasattr(_controllers, "controller"):
        _controllers.controller = ThreadpoolController()
    useful = int(useful)
    set_mkl = _mkl_limit()
    before = set_mkl(useful) if set_mkl else 0
    try:
        with _controllers.controller.limit(limits=useful, user_api="openmp"):
            yield
    finally:
        if set_mkl:
            set_mkl(before)


# TF32 is a setting of the process: the first evaluation turns it off, the last one
# turns it back.
_precision_lock = threading.Lock()
_evaluations: list[tuple[str, str]] = []


@contextmanager
def evaluation(device: torch.device) -> Iterator[None]:
    """Compute without gradients and, on CUDA, without TF32; restore the flags after."""
    with torch.no_grad():
        if device.type != "cuda":
            yield
            return
        matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn.conv
        with _precision_lock:
            before = (matmul.fp32_precision, convolution.fp32_precision)
            _evaluations.append(_evaluations[0] if _evaluations else before)
            matmul.fp32_precision = convolution.fp32_precision = "ieee"
        try:
            yield
        finally:
            with _precision_lock:
                before = _evaluations.pop()
                if not _evaluations:
                    matmul.fp32_precision, convolution.fp32_precision = before
