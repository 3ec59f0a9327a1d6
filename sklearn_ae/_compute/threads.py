"""How many threads compute, and that the results do not depend on it.

Everything computes in one thread, but for two ways out of it that no result depends on.
`split` marks operations that round alike however threads share them out: arithmetic
entry by entry, products of large matrices, and what `_sharing` does row by row.
`map_slices` computes slices of rows, each in a thread of its own.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import LibController, ThreadpoolController
from torch import Tensor

# Below this many multiplications a second thread costs more than it brings.
_WORK_PER_THREAD = 5e7

# More than ever compute at the same time.
_MOST_THREADS = 1024

# Rows and columns of a product that each of its threads has at least. Measured with 1
# to 16 threads: some products that gave them 26 were rounded differently, one of 9,355
# that gave 37, and none of 9,390 that gave 64. Where all numbers are multiples of 16,
# none of 22,000 that gave them 16 was.
_SHARE, _ALIGNED = 64, 16

# Rows that each thread has at least of an operation on each row, where all have equally
# many and threads are a power of two. Of 4,456 convolutions of 32 to 512 rows with 2 to
# 16 threads none was rounded differently then; of 3,230 with fewer rows or unequal
# shares 96 were.
_ROWS = 16

# Multiplications for each thread of products of a stack of matrices.
_STACKED_WORK = 2**17

# Entries for each thread of arithmetic entry by entry; torch shares out no fewer.
_ENTRIES = 2**15


class _Here(threading.local):
    """How many threads `split` may use; None outside of `one_thread`."""

    available: int | None = None


_here = _Here()
_forked = False


def _mark_forked() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    # Windows begins every process afresh.
    os.register_at_fork(after_in_child=_mark_forked)


@functools.cache
def _mkl_setter() -> Callable[[int], int] | None:
    """Answer MKL's setter of this thread's limit, where torch has MKL and exports it.

    On Windows and macOS its library has another name, and exports none.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not library.exists():
        return None
    return getattr(ctypes.CDLL(str(library)), "MKL_Set_Num_Threads_Local", None)


@functools.cache
def _openmp_pools() -> list[LibController]:
    return ThreadpoolController().select(user_api="openmp").lib_controllers


def _available_threads() -> int:
    """Answer how many threads torch has here."""
    # Asking torch also creates this thread's OpenMP settings, which a limit edits.
    n_threads = torch.get_num_threads()
    if _here.available is not None:
        return _here.available
    # A forked child has lost the parent's worker threads: a second one would hang.
    return 1 if _forked else n_threads


def _useful_threads(work: float) -> int:
    return int(max(1, min(_available_threads(), work / _WORK_PER_THREAD)))


@functools.cache
def _setters() -> list[Callable[[int], Any]]:
    """Answer what sets torch's number of threads in this thread: OpenMP's and MKL's."""
    n_threads = torch.get_num_threads()
    setters: list[Callable[[int], Any]] = []
    for pool in _openmp_pools():
        set_pool = getattr(pool.dynlib, "omp_set_num_threads", None)
        if set_pool is None:
            continue
        before = pool.num_threads
        set_pool(n_threads + 1)
        # Other libraries may have pools of their own.
        if torch.get_num_threads() != n_threads:
            setters.append(set_pool)
        set_pool(before)
    set_mkl = _mkl_setter()
    return setters if set_mkl is None else [*setters, set_mkl]


def _set_threads(n_threads: int) -> None:
    for set_threads in _setters():
        set_threads(n_threads)


@contextmanager
def one_thread(work: float = 0.0) -> Iterator[None]:
    """Hold torch to one thread; `split` may use as many as `work` can feed.

    `torch.set_num_threads` would outlive the call and reach other threads. Once it has
    been called, MKL no longer looks at OpenMP's limit but has one of its own.

    Parameters
    ----------
    work : float, default=0.0
        Multiplications in one call.
    """
    outer, inner = _here.available, _useful_threads(work)
    pools, set_mkl = _openmp_pools(), _mkl_setter()
    before = [pool.num_threads for pool in pools]
    mkl_before = set_mkl(1) if set_mkl else 0
    try:
        for pool in pools:
            pool.set_num_threads(1)
        _here.available = inner
        yield
    finally:
        _here.available = outer
        for pool, n_threads in zip(pools, before, strict=True):
            pool.set_num_threads(n_threads)
        if set_mkl:
            set_mkl(mkl_before)


@contextmanager
def shared_among(n_workers: int) -> Iterator[None]:
    """Leave one of several workers its part of the threads; a single one has all.

    Whatever else computes in a worker has one: those of torch wait for their next work
    without a pause, and would be in the way of others.
    """
    if n_workers == 1:
        yield
        return
    with one_thread(_WORK_PER_THREAD * max(1, _available_threads() // n_workers)):
        yield


def split(
    function: Callable[..., Any],
    shares: Callable[..., int] | None = None,
    *,
    with_derivative: bool = True,
) -> Callable[..., Any]:
    """Let threads share out a function whose rounding does not depend on it.

    At the edges of a share the kernels of torch and MKL may round differently: so do
    sums, exponentials and thin products, but not plain arithmetic entry by entry.

    Parameters
    ----------
    function : callable
    shares : callable, default=None
        Of the number of threads there are, and the same arguments: how many of them
        share it out. Default: all.
    with_derivative : bool, default=True
        Whether the derivative by autograd of what it answers is shared out, too.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        n_threads = _here.available or 1
        if n_threads > 1 and shares is not None:
            n_threads = shares(n_threads, *args)
        if n_threads <= 1:
            return function(*args, **kwargs)
        try:
            _set_threads(n_threads)
            result = function(*args, **kwargs)
        finally:
            _set_threads(1)
        if with_derivative and getattr(result, "grad_fn", None) is not None:
            result.grad_fn.register_prehook(lambda _: _set_within(n_threads))
            result.grad_fn.register_hook(lambda *_: _set_within(1))
        return result

    return run


def _set_within(n_threads: int) -> None:
    # An interrupt may come between the two hooks: `one_thread` restores at its end.
    if _here.available is not None:
        _set_threads(n_threads)


def entry_shares(n_threads: int, *args: Any) -> int:
    """Answer among how many threads arithmetic entry by entry is worth sharing out."""
    n_entries = max(a.numel() for a in args if isinstance(a, Tensor))
    return min(n_threads, n_entries // _ENTRIES)


def product_shares(n_threads: int, a: Tensor, b: Tensor) -> int:
    """Answer among how many threads a product can be shared out.

    Of doubles, products are rounded differently at any size.

    Parameters
    ----------
    n_threads : int
        How many there are.
    a, b : Tensor of shape (..., n_rows, n_columns)
        The factors, transposed or not.
    """
    if a.dtype != torch.float32:
        return 1
    sizes = (*a.shape[-2:], *b.shape[-2:])
    is_aligned = all(size % _ALIGNED == 0 for size in sizes)
    return min(n_threads, min(sizes) // (_ALIGNED if is_aligned else _SHARE))


def model_shares(n_threads: int, *args: Tensor) -> int:
    """Answer among how many threads products of a stack of matrices can be shared out.

    Each matrix is one thread's: of 7,500 stacks at least as large as the number of
    threads none was rounded differently.

    Parameters
    ----------
    n_threads : int
        How many there are.
    *args : Tensor of shape (n_models, n_rows, n_columns)
        Among them, at the end, the factors.
    """
    a, b = args[-2:]
    enough = a.numel() * b.shape[-1] // _STACKED_WORK
    return min(n_threads, len(a), enough)


def row_shares(n_threads: int, h: Tensor) -> int:
    """Answer among how many threads an operation on each row can be shared out.

    Parameters
    ----------
    n_threads : int
        How many there are.
    h : Tensor of shape (n_rows, ...)
    """
    if h.dtype != torch.float32:
        return 1
    n_rows, n_shares = len(h), 1
    while (
        2 * n_shares <= n_threads
        and n_rows % (2 * n_shares) == 0
        and n_rows >= 2 * n_shares * _ROWS
    ):
        n_shares *= 2
    return n_shares


def _hold_to_one() -> None:
    """Hold torch to one thread for the rest of the current thread's life."""
    _here.available = _useful_threads(0)
    _set_threads(1)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Answer threads that compute in one thread each; they are begun when needed."""
    return ThreadPoolExecutor(_MOST_THREADS, initializer=_hold_to_one)


def map_slices(
    function: Callable[[slice], None], slices: Iterable[slice], work: float
) -> None:
    """Call a function of each slice in one thread, several slices at a time.

    Parameters
    ----------
    function : callable
    slices : iterable of slice
    work : float
        Multiplications in all.
    """
    waiting = deque(slices)

    def compute() -> None:
        try:
            while waiting:
                try:
                    rows = waiting.popleft()
                except IndexError:
                    # Another thread has taken the last one just now.
                    return
                function(rows)
        except BaseException:
            # Ctrl-C, or rows that are refused: what waits is not begun.
            waiting.clear()
            raise

    with one_thread(work):
        n_threads = min(_here.available, len(waiting))
        _here.available = 1
        others = [_pool().submit(compute) for _ in range(n_threads - 1)]
        try:
            compute()
        finally:
            # Who has not begun by now has nothing left to do.
            for other in [other for other in others if not other.cancel()]:
                other.result()
