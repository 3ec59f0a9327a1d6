"""How many threads compute: one where the work is small, else all of torch's.

The same number of torch's threads gives the same bits. What is computed in one thread
is the same with any number of them.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from threadpoolctl import LibController, ThreadpoolController

# Below this many multiplications a second thread costs more than it brings.
_WORK_PER_THREAD = 5e7

_forked = False


def _mark_forked() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    # Windows begins every process afresh.
    os.register_at_fork(after_in_child=_mark_forked)


class _Products(LibController):
    """The limit that MKL, inside of torch's library, has of its own in each thread.

    Once somebody has called `torch.set_num_threads`, matrix products look at it and no
    longer at OpenMP's: held to one thread by that, small ones still had two and took
    three times as long, and more on a busy machine; in a forked child they would hang.
    To call torch's setter here would reach threads that are born meanwhile, and the
    limit could not be taken away again.
    """

    user_api, internal_api = "blas", "mkl of torch"
    filename_prefixes = ("libtorch_cpu",)

    def get_num_threads(self) -> int:
        """Answer the limit of this thread; 0 where OpenMP's counts."""
        n_threads: int = self.dynlib.MKL_Set_Num_Threads_Local(0)
        self.set_num_threads(n_threads)
        return n_threads

    def set_num_threads(self, num_threads: int) -> None:
        """Set the limit of this thread."""
        self.dynlib.MKL_Set_Num_Threads_Local(num_threads)

    def get_version(self) -> None:
        """Answer nothing: nobody asks."""


@functools.cache
def _pools() -> ThreadpoolController:
    """Answer what sets torch's number of threads in the current thread."""
    pools = ThreadpoolController().select(user_api="openmp")
    # On other systems it has another name, and does not export MKL's setter.
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if library.exists():
        products = _Products(filepath=str(library), prefix=library.stem)
        if hasattr(products.dynlib, "MKL_Set_Num_Threads_Local"):
            pools.lib_controllers.append(products)
    return pools


def _available_threads() -> int:
    # Asking torch also creates this thread's settings of OpenMP, which a limit edits.
    n_threads = torch.get_num_threads()
    # A forked child has lost the parent's worker threads: a second one would hang.
    return 1 if _forked else n_threads


@contextmanager
def _limited_to(n_threads: int) -> Iterator[None]:
    """Let torch have at most so many threads, in this thread alone."""
    with _pools().limit(limits=min(n_threads, _available_threads())):
        yield


def one_thread() -> AbstractContextManager[None]:
    """Hold torch to one thread."""
    return _limited_to(1)


def threads_for(work: float) -> AbstractContextManager[None]:
    """Hold torch to one thread where a second one costs more than it brings.

    Parameters
    ----------
    work : float
        Multiplications in one call.
    """
    return _limited_to(1 if work < 2 * _WORK_PER_THREAD else sys.maxsize)


def shared_among(n_workers: int) -> AbstractContextManager[None]:
    """Leave one of several workers its part of the threads."""
    return _limited_to(max(1, _available_threads() // n_workers))


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

    def compute(rows: slice) -> None:
        with one_thread():
            function(rows)

    n_threads = int(min(_available_threads(), work / _WORK_PER_THREAD))
    if n_threads <= 1:
        for rows in slices:
            compute(rows)
        return
    pool = ThreadPoolExecutor(n_threads)
    try:
        for _ in pool.map(compute, slices):
            pass
    finally:
        # After Ctrl-C, or rows that are refused, what waits is not begun.
        pool.shutdown(cancel_futures=True)
