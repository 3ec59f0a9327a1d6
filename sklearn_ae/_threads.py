"""How many threads compute, and that the results do not depend on it.

Everything computes in one thread, but for two ways out of it that no result depends on.
`split` marks operations that round alike however threads share them out: arithmetic
entry by entry, and products of large matrices. `in_threads` computes each of several
items in a thread of its own: slices of rows in inference, and in training the shares of
a batch that nets without large products make (`_sharing`).
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from threadpoolctl import LibController, ThreadpoolController
from torch import Tensor, nn

Item, Answer = TypeVar("Item"), TypeVar("Answer")

# Below this many multiplications a second thread costs more than it brings.
_WORK_PER_THREAD = 5e7

# More than ever compute at the same time.
_MOST_THREADS = 1024

# Rows and columns of a product that each of its threads has at least. Measured with 1
# to 16 threads: some products that gave them 26 were rounded differently, one of 9,355
# that gave 37, and none of 9,390 that gave 64.
_SHARE = 64

# Entries for each thread of arithmetic entry by entry.
_ENTRIES = 2**16


class _Here(threading.local):
    """How many threads `split` may use; None outside of `one_thread`."""

    available: int | None = None


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


def _set_threads(n_threads: int) -> None:
    for pool in _openmp_pools():
        pool.set_num_threads(n_threads)
    if set_mkl := _mkl_setter():
        set_mkl(n_threads)


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
        _set_threads(1)
        _here.available = inner
        yield
    finally:
        _here.available = outer
        for pool, n_threads in zip(pools, before, strict=True):
            pool.set_num_threads(n_threads)
        if set_mkl:
            set_mkl(mkl_before)


def split(
    function: Callable[..., Any], shares: Callable[..., int] | None = None
) -> Callable[..., Any]:
    """Let threads share out a function whose rounding does not depend on it.

    At the edges of a share the kernels of torch and MKL may round differently: so do
    sums, exponentials and thin products, but not plain arithmetic entry by entry.

    Parameters
    ----------
    function : callable
        Its derivative by autograd is shared out, too.
    shares : callable, default=None
        Of the same arguments: among how many threads at most. Default: any number.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        n_threads = _here.available or 1
        if n_threads > 1 and shares is not None:
            n_threads = min(n_threads, shares(*args))
        if n_threads <= 1:
            return function(*args, **kwargs)
        try:
            _set_threads(n_threads)
            result = function(*args, **kwargs)
        finally:
            _set_threads(1)
        if getattr(result, "grad_fn", None) is not None:
            result.grad_fn.register_prehook(lambda _: _set_within(n_threads))
            result.grad_fn.register_hook(lambda *_: _set_within(1))
        return result

    return run


def _set_within(n_threads: int) -> None:
    # An interrupt may come between the two hooks: `one_thread` restores at its end.
    if _here.available is not None:
        _set_threads(n_threads)


def entry_shares(*args: Any) -> int:
    """Answer among how many threads arithmetic entry by entry is worth sharing out."""
    return max(a.numel() for a in args if isinstance(a, Tensor)) // _ENTRIES


def product_shares(a: Tensor, b: Tensor) -> int:
    """Answer among how many threads a product can be shared out.

    Of doubles, products are rounded differently at any size.

    Parameters
    ----------
    a, b : Tensor of shape (..., n_rows, n_columns)
        The factors, transposed or not.
    """
    if a.dtype != torch.float32:
        return 1
    return min(*a.shape[-2:], *b.shape[-2:]) // _SHARE


def count_products(part: nn.Module) -> int:
    """Answer how many multiplications with weights a row takes in a part of a net."""
    return sum(
        getattr(owner, "n_places", 1) * parameter.numel()
        for owner in part.modules()
        for parameter in owner.parameters(recurse=False)
    )


def _hold_to_one() -> None:
    """Hold torch to one thread for the rest of the current thread's life."""
    _here.available = _useful_threads(0)
    _set_threads(1)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Answer threads that compute in one thread each; they are begun when needed."""
    return ThreadPoolExecutor(_MOST_THREADS, initializer=_hold_to_one)


def in_threads(
    function: Callable[[Item], Answer], items: Sequence[Item]
) -> list[Answer]:
    """Call a function of each item in one thread, of several at the same time.

    There are as many threads as `one_thread` around the call leaves to `split`; this
    one is among them.
    """
    answers: list[Any] = [None] * len(items)
    waiting = deque(enumerate(items))

    def work() -> None:
        try:
            while waiting:
                try:
                    index, item = waiting.popleft()
                except IndexError:
                    # Another thread has taken the last one just now.
                    return
                answers[index] = function(item)
        except BaseException:
            # Ctrl-C, or rows that are refused: what waits is not begun.
            waiting.clear()
            raise

    n_threads = min(_here.available or 1, len(items))
    outer, _here.available = _here.available, 1
    others = [_pool().submit(work) for _ in range(n_threads - 1)]
    try:
        work()
    finally:
        _here.available = outer
        # Who has not begun by now has nothing left to do.
        for other in [other for other in others if not other.cancel()]:
            other.result()
    return answers


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
    with one_thread(work):
        in_threads(function, list(slices))
