"""Seeds, devices, threads and precision: what keeps torch's global state untouched."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from threadpoolctl import LibController, ThreadpoolController
from torch import Tensor

# Below this many multiplications a second thread costs more than it brings.
_WORK_PER_THREAD = 5e7

# Products with a smaller size than this are thin. Of 8,000 products in one thread and
# in two, some with a size of 35 were rounded differently, none with more.
_THIN = 64


class _Here(threading.local):
    splits = False  # whether torch may share out work among threads


_here = _Here()
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
def _mkl_setter() -> Callable[[int], int] | None:
    """Answer MKL's setter of this thread's limit, where torch is built with MKL."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not library.exists():
        return None
    return getattr(ctypes.CDLL(str(library)), "MKL_Set_Num_Threads_Local", None)


@functools.cache
def _openmp_pools() -> list[LibController]:
    return ThreadpoolController().select(user_api="openmp").lib_controllers


@contextmanager
def _thread_limit(n_threads: int) -> Iterator[None]:
    """Hold torch and MKL to `n_threads`, in this thread and for a while.

    `torch.set_num_threads` would outlive the call and reach other threads. Once it has
    been called, MKL no longer looks at OpenMP's limit but has one of its own.
    """
    pools, set_mkl = _openmp_pools(), _mkl_setter()
    before = [pool.num_threads for pool in pools]
    mkl_before = set_mkl(n_threads) if set_mkl else 0
    for pool in pools:
        pool.set_num_threads(n_threads)
    try:
        yield
    finally:
        for pool, n in zip(pools, before, strict=True):
            pool.set_num_threads(n)
        if set_mkl:
            set_mkl(mkl_before)


@contextmanager
def limited_threads(work: float) -> Iterator[None]:
    """Let torch use no more threads than `work` multiplications per call can feed."""
    # Asking torch first creates this thread's OpenMP settings, which the limit edits.
    available = torch.get_num_threads()
    # A forked child has lost the parent's worker threads: a second one would hang.
    useful = 1 if _forked else int(max(1, min(available, work / _WORK_PER_THREAD)))
    outer, _here.splits = _here.splits, useful > 1
    try:
        with _thread_limit(useful):
            yield
    finally:
        _here.splits = outer


def unsplit(
    function: Callable[..., Tensor], when: Callable[..., bool] | None = None
) -> Callable[..., Tensor]:
    """Keep a function to one thread where a second one would change its rounding.

    At the edges of a share the kernels of torch and MKL round differently, so what
    several threads share out depends on their number. Products of large matrices and
    plain arithmetic do not; thin products, exponentials and what is made of them do.

    Parameters
    ----------
    function : callable
        Of tensors. Its derivative by autograd is kept to one thread, too.
    when : callable, default=None
        Of the same tensors: whether the rounding depends on threads. Default: always.
    """

    @functools.wraps(function)
    def run(*tensors: Tensor, **options: Any) -> Tensor:
        if not _here.splits or not (when is None or when(*tensors)):
            return function(*tensors, **options)
        with _thread_limit(1):
            result = function(*tensors, **options)
        if result.grad_fn is not None:
            limit = ExitStack()
            result.grad_fn.register_prehook(
                lambda _: limit.enter_context(_thread_limit(1))
            )
            result.grad_fn.register_hook(lambda *_: limit.close())
        return result

    return run


def is_thin(*matrices: Tensor) -> bool:
    """Whether the rounding of a product depends on how threads share it out."""
    sizes = [size for matrix in matrices for size in matrix.shape[-2:]]
    # Of doubles, products with a transposed matrix are rounded so at any size.
    return min(sizes) < _THIN or (
        matrices[0].dtype == torch.float64
        and not all(matrix.is_contiguous() for matrix in matrices)
    )


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
