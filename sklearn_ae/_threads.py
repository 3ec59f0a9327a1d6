"""How many threads compute, and that the results do not depend on it.

Whatever fits in one thread is left to one: for a small net a second thread costs more
than it brings. What several threads share out is kept to operations that round the same
way however they are shared out; `unsplit` marks the others.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
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
