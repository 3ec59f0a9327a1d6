"""One thread where the rounding would depend on their number, several elsewhere."""

from __future__ import annotations

import functools
import multiprocessing
import threading

import pytest
import torch
from threadpoolctl import threadpool_limits

from sklearn_ae._compute import threads
from sklearn_ae._compute.threads import (
    map_slices,
    one_thread,
    product_shares,
    row_shares,
    split,
)

threads_of_split = split(torch.get_num_threads)
ENOUGH = 1e12


@pytest.fixture(autouse=True)
def _four_threads():
    """Also where there are fewer cores."""
    torch.get_num_threads()
    with threadpool_limits(4):
        yield
        assert torch.get_num_threads() == 4


@pytest.mark.parametrize(
    ("work", "n_threads"), [(0, 1), (5e7, 1), (1e8, 2), (1.5e8, 3), (ENOUGH, 4)]
)
def test_split_takes_as_many_threads_as_the_work_feeds(work, n_threads):
    with one_thread(work):
        assert torch.get_num_threads() == 1
        assert threads_of_split() == n_threads
        assert torch.get_num_threads() == 1


def test_outside_of_the_limit_nothing_is_limited():
    assert threads_of_split() == 4


def test_shares_limit_split():
    for n_shares, n_threads in [(0, 1), (1, 1), (3, 3), (9, 4)]:
        count = split(torch.get_num_threads, lambda n, most=n_shares: min(n, most))
        with one_thread(ENOUGH):
            assert count() == n_threads


class Pools:
    """What is found of thread pools where torch has none, or one of another kind."""

    def __init__(self, *pools):
        self.lib_controllers = list(pools)

    def select(self, **kwargs):
        return self


class StrangePool:
    """A pool whose library has not the functions of OpenMP."""

    dynlib = object()
    num_threads = None

    def set_num_threads(self, n_threads):
        return None


@pytest.mark.parametrize("pools", [Pools(), Pools(StrangePool())])
def test_where_no_pool_is_known_it_computes_all_the_same(monkeypatch, tmp_path, pools):
    """Libraries of torch have other names, and other pools, elsewhere."""
    monkeypatch.setattr(threads, "ThreadpoolController", lambda: pools)
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "__init__.py"))
    for name in ("_setters", "_openmp_pools", "_mkl_setter", "_pool"):
        cached = getattr(threads, name)
        monkeypatch.setattr(threads, name, functools.cache(cached.__wrapped__))
    seen = []
    with one_thread(ENOUGH):
        assert split(torch.add)(torch.ones(2), 1).tolist() == [2, 2]
    map_slices(seen.append, [slice(0, 1), slice(1, 2)], ENOUGH)
    assert len(seen) == 2


def test_limits_within_limits():
    with one_thread(ENOUGH):
        with one_thread():
            assert threads_of_split() == 1
        with one_thread(1e8):
            assert threads_of_split() == 2
        assert threads_of_split() == 4
    with one_thread(1e8), one_thread(ENOUGH):
        assert threads_of_split() == 2


def test_limits_end_with_an_error():
    @split
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), one_thread(ENOUGH):
        fail()
    with one_thread(ENOUGH):
        with pytest.raises(KeyboardInterrupt):
            fail()
        assert torch.get_num_threads() == 1


class Watched(torch.autograd.Function):
    """The identity, whose derivative notes the number of threads."""

    seen: list[int]

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        Watched.seen.append(torch.get_num_threads())
        return gradient


def test_the_derivative_is_shared_out_like_the_function():
    Watched.seen = []
    x = torch.ones(3, requires_grad=True)
    with one_thread(ENOUGH):
        (2 * split(Watched.apply)(Watched.apply(x))).sum().backward()
        assert torch.get_num_threads() == 1
    assert Watched.seen == [4, 1]


def test_a_derivative_after_the_limit_leaves_the_threads_alone():
    Watched.seen = []
    x = torch.ones(3, requires_grad=True)
    with one_thread(ENOUGH):
        y = split(Watched.apply)(x)
    y.sum().backward()
    assert Watched.seen == [4]


class Interrupted(Watched):
    """Its derivative is interrupted by Ctrl-C."""

    @staticmethod
    def backward(ctx, gradient):
        raise KeyboardInterrupt


def test_an_interrupted_derivative_leaves_no_limit_behind():
    x = torch.ones(3, requires_grad=True)

    def run():
        with one_thread(ENOUGH):
            split(Interrupted.apply)(x).sum().backward()

    with pytest.raises(KeyboardInterrupt):
        run()


def test_which_products_are_shared_out():
    def shares(*shapes, n_threads=8, dtype=torch.float32):
        factors = (torch.empty(shape, dtype=dtype) for shape in shapes)
        return product_shares(n_threads, *factors)

    assert shares((250, 784), (784, 130)) == 2
    assert shares((260, 784), (784, 512)) == 4
    assert shares((260, 784), (784, 512), n_threads=3) == 3
    assert shares((256, 784), (784, 60)) == 0
    assert shares((8, 784), (784, 512)) == 0
    # Multiples of 16 are rounded alike in smaller shares.
    assert shares((256, 784), (784, 128)) == 8
    assert shares((256, 784), (784, 32)) == 2
    assert shares((256, 784), (784, 512), dtype=torch.float64) == 1


def test_slices_are_computed_in_one_thread_each():
    seen, together = [], threading.Barrier(4)

    def note(rows):
        # Passes when four of them run at once.
        together.wait(timeout=60)
        seen.append((rows.start, torch.get_num_threads()))

    map_slices(note, [slice(i, i + 1) for i in range(8)], ENOUGH)
    assert sorted(seen) == [(i, 1) for i in range(8)]


def test_few_rows_are_computed_in_the_caller_s_thread():
    names = []
    map_slices(
        lambda rows: names.append(threading.current_thread().name),
        [slice(0, 1), slice(1, 2)],
        work=1e7,
    )
    assert names == [threading.current_thread().name] * 2


def test_an_error_in_a_slice_ends_the_others():
    begun = []

    def refuse(rows):
        begun.append(rows)
        raise ValueError(f"row {rows.start}")

    with pytest.raises(ValueError, match="row 0"):
        map_slices(refuse, [slice(i, i + 1) for i in range(1000)], ENOUGH)
    assert len(begun) < 1000


def fork(queue):
    with one_thread(ENOUGH):
        queue.put(threads_of_split())


def test_a_forked_child_has_one_thread():
    torch.rand(300, 300) @ torch.rand(300, 300)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=fork, args=(queue,))
    child.start()
    assert queue.get() == 1
    child.join()


@pytest.mark.parametrize(
    ("n_rows", "n_threads", "expected"),
    [
        (128, 1, 1),
        (128, 2, 2),
        (128, 3, 2),
        (128, 8, 8),
        (128, 64, 8),
        (100, 8, 4),
        (96, 8, 4),
        (31, 8, 1),
        (33, 2, 1),
        (0, 4, 1),
    ],
)
def test_rows_are_shared_out_equally(n_rows, n_threads, expected):
    assert row_shares(n_threads, torch.empty(n_rows, 3)) == expected
    assert row_shares(n_threads, torch.empty(n_rows, 3, dtype=torch.float64)) == 1
