"""Small work in one thread, large work in torch's own, and nothing is left behind."""

from __future__ import annotations

import functools
import math
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

from sklearn_ae._compute import threads
from sklearn_ae._compute.threads import (
    map_slices,
    one_thread,
    shared_among,
    threads_for,
)


@pytest.fixture(autouse=True)
def _four_threads():
    """Also where there are fewer cores."""
    torch.get_num_threads()
    with threadpool_limits(4):
        yield
        assert torch.get_num_threads() == 4


@pytest.mark.parametrize(
    ("work", "n_threads"), [(0, 1), (5e7, 1), (9e7, 1), (1e8, 4), (math.inf, 4)]
)
def test_large_work_has_all_threads(work, n_threads):
    with threads_for(work):
        assert torch.get_num_threads() == n_threads


def test_limits_within_limits():
    with threads_for(math.inf):
        with one_thread():
            assert torch.get_num_threads() == 1
            with threads_for(math.inf), shared_among(1):
                assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 4


@pytest.mark.parametrize(
    ("n_workers", "n_threads"), [(1, 4), (2, 2), (3, 1), (4, 1), (9, 1)]
)
def test_workers_share_threads(n_workers, n_threads):
    with shared_among(n_workers), threads_for(math.inf):
        assert torch.get_num_threads() == n_threads


def test_limits_end_with_an_error():
    with pytest.raises(KeyboardInterrupt), one_thread():
        raise KeyboardInterrupt


def test_other_threads_keep_theirs():
    """Those that are there, and those that are born within the limit."""
    with ThreadPoolExecutor(1) as old, ThreadPoolExecutor(1) as new:
        before = old.submit(torch.get_num_threads).result()
        with one_thread():
            assert old.submit(torch.get_num_threads).result() == before
            assert new.submit(torch.get_num_threads).result() == before


def limit_of_products():
    """Answer what MKL has for this thread; None where nobody can tell."""
    (products,) = [
        pool
        for pool in threads._pools().lib_controllers
        if isinstance(pool, threads._Products)
    ] or [None]
    return None if products is None else products.num_threads


@pytest.mark.skipif(limit_of_products() is None, reason="no MKL that can be limited")
@pytest.mark.usefixtures("two_threads")
def test_products_are_limited_too():
    """Torch's setter gives them a limit that OpenMP's does not reach."""
    assert limit_of_products() == 2
    with one_thread():
        assert limit_of_products() == 1
    assert limit_of_products() == 2
    with ThreadPoolExecutor(1) as other:
        assert other.submit(limit_of_products).result() == 0


@pytest.mark.parametrize("has_pool", [False, True])
def test_where_no_pool_is_known_it_computes_all_the_same(
    monkeypatch, tmp_path, has_pool
):
    """Libraries of torch have other names elsewhere, or export no setter."""
    library = tmp_path / "lib" / "libtorch_cpu.so"
    if has_pool:
        library.parent.mkdir()
        (pool, *_) = ThreadpoolController().select(user_api="openmp").lib_controllers
        library.symlink_to(pool.filepath)
    none = ThreadpoolController().select(user_api="none of all")
    monkeypatch.setattr(ThreadpoolController, "select", lambda self, **kwargs: none)
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "__init__.py"))
    uncached = functools.cache(threads._pools.__wrapped__)
    monkeypatch.setattr(threads, "_pools", uncached)
    seen = []
    with one_thread():
        assert torch.add(torch.ones(2), 1).tolist() == [2, 2]
    map_slices(seen.append, [slice(0, 1), slice(1, 2)], math.inf)
    assert len(seen) == 2
    assert not threads._pools().lib_controllers


def test_slices_are_computed_in_one_thread_each():
    seen, together = [], threading.Barrier(4)

    def note(rows):
        # Passes when four of them run at once.
        together.wait(timeout=60)
        seen.append((rows.start, torch.get_num_threads()))

    map_slices(note, [slice(i, i + 1) for i in range(8)], 1e12)
    assert sorted(seen) == [(i, 1) for i in range(8)]


@pytest.mark.parametrize("work", [0, 9e7])
def test_few_rows_are_computed_in_the_caller_s_thread(work):
    seen = []
    map_slices(
        lambda rows: seen.append((threading.current_thread(), torch.get_num_threads())),
        [slice(0, 1), slice(1, 2)],
        work,
    )
    assert seen == [(threading.current_thread(), 1)] * 2


@pytest.mark.parametrize("work", [0, 1e12])
def test_an_error_in_a_slice_ends_the_others(work):
    begun = []

    def refuse(rows):
        begun.append(rows)
        raise ValueError(f"row {rows.start}")

    with pytest.raises(ValueError, match="row 0"):
        map_slices(refuse, [slice(i, i + 1) for i in range(1000)], work)
    assert len(begun) < 1000


def compute_in_child(queue):
    a = torch.rand(300, 300)
    with threads_for(math.inf):
        (a @ a).tanh().sum()
        queue.put(torch.get_num_threads())
    map_slices(lambda rows: a @ a, [slice(0, 1), slice(1, 2)], 1e12)


@pytest.mark.usefixtures("two_threads")
def test_a_forked_child_has_one_thread():
    """The parent's have not come along: a product that waits for them would hang."""
    (torch.rand(300, 300) @ torch.rand(300, 300)).tanh().sum()
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=compute_in_child, args=(queue,))
    child.start()
    child.join(60)
    try:
        assert child.exitcode == 0
        assert queue.get() == 1
    finally:
        child.kill()
