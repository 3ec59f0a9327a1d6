"""scikit-learn's own searches, in one process, in several, and on Dask."""

from __future__ import annotations

import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
import torch
from contract.test_search import assert_same_table
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)

from sklearn_ae import Autoencoder, SparseAutoencoder
from sklearn_ae._compute import devices as compute_devices
from sklearn_ae._compute.devices import resolve_device
from sklearn_ae.model_selection import BatchedGridSearchCV

FAST = {"hidden_layer_sizes": (12,), "batch_size": 16, "max_epochs": 4}


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:120]


def threads_of_worker(estimator, X, y=None):
    return float(torch.get_num_threads())


def test_halving_by_epochs(X):
    """`max_epochs` is the resource: the longest fit is of few candidates."""
    search = HalvingGridSearchCV(
        Autoencoder(4, **FAST, random_state=0),
        {"learning_rate": [1e-5, 1e-4, 1e-3, 1e-2]},
        resource="max_epochs",
        max_resources=8,
        min_resources=2,
        factor=2,
        cv=2,
    ).fit(X)
    results = search.cv_results_
    assert results["n_resources"].tolist() == [2, 2, 2, 2, 4, 4, 8]
    assert search.best_params_["learning_rate"] == 1e-2
    assert search.best_estimator_.n_iter_ == 8


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_searches_by_processes(X, n_jobs):
    """The same table, whatever the number of processes."""
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    grid = GridSearchCV(code, {"alpha": [0.1, 1.0]}, cv=2, n_jobs=n_jobs).fit(X)
    options = {"n_iter": 3, "cv": 2, "random_state": 0}
    random = RandomizedSearchCV(
        code, {"alpha": loguniform(0.1, 1)}, n_jobs=n_jobs, **options
    ).fit(X)
    for search in (grid, random):
        one = clone(search).set_params(n_jobs=1).fit(X)
        for name in ("split0_test_score", "split1_test_score"):
            np.testing.assert_array_equal(
                search.cv_results_[name], one.cv_results_[name]
            )


def test_workers_leave_threads_to_each_other(X):
    """No more of them, in all workers together, than there are cores."""
    n_cores = joblib.cpu_count()
    if n_cores < 2:
        pytest.skip("there is one core")
    search = GridSearchCV(
        Autoencoder(2, **FAST),
        {"weight_decay": [0.1, 1.0]},
        cv=2,
        n_jobs=n_cores,
        scoring=threads_of_worker,
        refit=False,
    ).fit(X)
    assert (search.cv_results_["mean_test_score"] == 1).all()


def test_workers_take_turns_at_the_devices(monkeypatch):
    """`device="auto"`: each worker process the next one."""
    devices = ["cpu", "cuda:0", "cuda:1"]
    monkeypatch.setattr(compute_devices, "available_devices", lambda: devices)
    found = []
    for number in range(4):
        monkeypatch.setattr(compute_devices, "worker_number", lambda n=number: n)
        found.append(str(resolve_device("auto")))
    assert found == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert str(resolve_device("cuda")) == "cuda"
    del devices[1:]
    assert str(resolve_device("auto")) == "cpu"


def worker_number_of(_):
    from sklearn_ae._compute.devices import worker_number

    # Long enough that each worker gets one.
    time.sleep(0.5)
    return os.getpid(), worker_number()


def test_workers_have_numbers():
    numbers = joblib.Parallel(n_jobs=2)(
        joblib.delayed(worker_number_of)(i) for i in range(6)
    )
    by_process = dict(numbers)
    assert len(by_process) == len(set(by_process.values()))
    assert len({number % 2 for number in by_process.values()}) == len(by_process)
    assert worker_number_of(0)[1] >= 0


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [GridSearchCV, BatchedGridSearchCV])
def test_dask(X, cluster, kind):
    """A search on the workers has the table of a search here."""
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    grid = {"alpha": [0.1, 1.0], "hidden_layer_sizes": [(), (9,)]}
    here = kind(code, grid, cv=2).fit(X)
    with joblib.parallel_config(backend="dask"):
        there = kind(code, grid, cv=2, error_score="raise").fit(X)
    assert_same_table(there, here)
    np.testing.assert_array_equal(there.transform(X), here.transform(X))


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_costs_its_own_tasks(X, cluster):
    """The search ends, and with the right table.

    Of scikit-learn's own search Dask may forget tasks then, on a busy machine.
    """
    params = {**FAST, "max_epochs": 150, "tol": 0.0}
    code = SparseAutoencoder(8, penalty="l1", **params, random_state=0)
    grid = {"alpha": [0.1, 1.0], "hidden_layer_sizes": [(), (9,), (10,), (11,)]}
    here = BatchedGridSearchCV(code, grid, cv=2, refit=False).fit(X)
    pids = list(cluster.run(os.getpid).values())
    killed = []

    def kill():
        # When there is work on it.
        while not any(cluster.processing().values()):
            time.sleep(0.01)
        time.sleep(0.3)
        killed.append(pids[0])
        os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with joblib.parallel_config(backend="dask"):
        there = BatchedGridSearchCV(
            code, grid, cv=2, refit=False, error_score="raise"
        ).fit(X)
    thread.join()
    assert killed == pids[:1]
    assert pids[0] not in cluster.run(os.getpid).values()
    assert_same_table(there, here)
