"""Promise 29: joblib's backends give the answers of the sequential one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import joblib
import numpy as np
import pytest
from contract.subprocesses import TESTS
from joblib.parallel import ParallelBackendBase
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import LinearAutoencoder, SparseAutoencoder
from sklearn_ae.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    regularization_path,
)

FAST = {"batch_size": 16, "max_epochs": 2, "random_state": 0}
SPARSE = SparseAutoencoder(6, penalty="l1", **FAST)
LINEAR = LinearAutoencoder(2, optimizer="lbfgs", max_epochs=1, random_state=0)

# What is searched, by the number of its groups.
GROUPS = {
    "one": (SPARSE, {"alpha": [0.1, 1.0]}),
    "several": (SPARSE, {"alpha": [0.1, 1.0], "hidden_layer_sizes": [(), (5,)]}),
    "none": (LINEAR, {"weight_decay": [1e-3, 0.1]}),
}


class Own(ParallelBackendBase):
    """A backend of one's own: what joblib asks for, and nothing that it need not."""

    supports_retrieve_callback = True

    def effective_n_jobs(self, n_jobs):
        return 2 if n_jobs < 0 else n_jobs

    def configure(self, n_jobs=1, parallel=None, **options):
        self.parallel, self.pool = parallel, ThreadPoolExecutor(2)
        return self.effective_n_jobs(n_jobs)

    def submit(self, func, callback=None):
        future = self.pool.submit(func)
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out):
        return out.result()

    def terminate(self):
        self.pool.shutdown()


joblib.register_parallel_backend("own", Own)

BACKENDS = ["sequential", "multiprocessing", "threading", "own", "loky", "dask"]


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:80]


@contextmanager
def dask_cluster():
    """Two worker processes of Dask."""
    distributed = pytest.importorskip("distributed")
    with (
        warnings.catch_warnings(action="ignore"),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def cluster():
    with dask_cluster() as client:
        yield client


@pytest.fixture(autouse=True)
def quietly():
    """Newer pythons warn of forking where there are threads, Dask of much."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def backend(request):
    """Answer the name of a backend that is ready.

    Those that fork come before those that leave threads behind, of which a child might
    inherit a lock.
    """
    with dask_cluster() if request.param == "dask" else nullcontext():
        yield request.param


every_backend = pytest.mark.parametrize(
    "backend", BACKENDS, indirect=True, scope="module"
)
every_group = pytest.mark.parametrize("groups", GROUPS)


def table(search):
    """Answer the scores of all candidates, and the codes of the best one."""
    scores = {
        name: column.tolist()
        for name, column in search.cv_results_.items()
        if "score" in name and "time" not in name
    }
    assert np.isfinite([*scores.values()]).all()
    return scores


@every_backend
@pytest.mark.parametrize(
    ("kind", "groups"),
    # One fit after another knows of no groups.
    [*((BatchedGridSearchCV, name) for name in GROUPS), (GridSearchCV, "several")],
)
def test_searches(kind, backend, groups, X):
    """29: bit for bit, with one job, with two, and with what the backend says."""
    estimator, grid = GROUPS[groups]
    here = kind(estimator, grid, cv=2).fit(X)
    for n_jobs in (1, 2, None):
        with joblib.parallel_config(backend=backend):
            there = kind(estimator, grid, cv=2, n_jobs=n_jobs).fit(X)
        assert table(there) == table(here), n_jobs
        np.testing.assert_array_equal(there.transform(X), here.transform(X))


@every_backend
def test_what_else_searches_and_validates(backend, X):
    """29: steps around, random candidates, a path, and folds; jobs by the context."""
    pipeline = Pipeline([("scale", StandardScaler()), ("code", SPARSE)])
    random = BatchedRandomizedSearchCV(
        pipeline, {"code__alpha": loguniform(0.1, 1)}, n_iter=2, cv=2, random_state=0
    )

    def all_of_it():
        path = regularization_path(SPARSE, X, "alpha", [0.1, 1.0])
        return (
            table(clone(random).fit(X)),
            cross_val_score(pipeline, X, cv=2).tolist(),
            path.reconstruction_error.tolist(),
        )

    expected = all_of_it()
    for n_jobs in (1, 2, -1):
        with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
            assert all_of_it() == expected


@every_backend
@every_group
def test_a_search_inside_of_workers(backend, groups, X):
    """29: each of which may have workers of its own."""
    search = BatchedGridSearchCV(*GROUPS[groups], cv=2, n_jobs=2)
    expected = cross_val_score(search, X, cv=2)
    with joblib.parallel_config(backend=backend):
        found = cross_val_score(search, X, cv=2, n_jobs=2)
    np.testing.assert_array_equal(found, expected)


def test_jobs_of_the_context_reach_the_groups(X, monkeypatch):
    """`parallel_config(n_jobs=2)` alone: groups in two threads, as it says."""
    names = set()
    both = threading.Barrier(2)

    def wait(estimator, X, y=None):
        if threading.current_thread().name not in names:
            names.add(threading.current_thread().name)
            both.wait(timeout=30)
        return 0.0

    search = BatchedGridSearchCV(*GROUPS["several"], cv=2, scoring=wait, refit=False)
    with joblib.parallel_config(n_jobs=2):
        search.fit(X)
    assert len(names) == 2


def _fit_in_child(backend, X, pipe):
    # What joblib says of nested workers is as it should be.
    warnings.simplefilter("ignore")
    tables = []
    for estimator, grid in GROUPS.values():
        with joblib.parallel_config(backend=backend):
            search = BatchedGridSearchCV(estimator, grid, cv=2, n_jobs=2).fit(X)
        tables.append(table(search))
    pipe.send(tables)


def fitted_in_child(method, daemon, backend, X):
    """Answer the tables of searches in a process that multiprocessing has begun."""
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    child = context.Process(
        target=_fit_in_child, args=(backend, X, theirs), daemon=daemon
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    try:
        assert ours.poll(120)
        return ours.recv()
    finally:
        child.kill()
        child.join()
        ours.close()
        theirs.close()


@pytest.mark.parametrize(
    ("method", "daemon", "backend"),
    [
        *(("fork", True, backend) for backend in BACKENDS[1:-1]),
        *(
            pytest.param(method, daemon, backend, marks=pytest.mark.slow)
            for method in ("spawn", "forkserver")
            for daemon in (True, False)
            for backend in ("threading", "multiprocessing")
        ),
    ],
)
def test_a_search_in_a_process_of_multiprocessing(method, daemon, backend, X):
    """29: a daemonic one may have no processes; not all systems fork."""
    expected = [
        table(BatchedGridSearchCV(*searched, cv=2).fit(X))
        for searched in GROUPS.values()
    ]
    assert fitted_in_child(method, daemon, backend, X) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_worker_is_killed_with_the_only_group(X, cluster):
    """The group is computed again, on the other one."""
    code = clone(SPARSE).set_params(max_epochs=300, tol=0.0)
    search = BatchedGridSearchCV(code, GROUPS["one"][1], cv=2, refit=False)
    here = clone(search).fit(X)
    pids, killed = cluster.run(os.getpid), []

    def kill():
        while not killed:
            busy = [worker for worker, keys in cluster.processing().items() if keys]
            # Long enough that it has begun.
            time.sleep(0.1)
            killed.extend(pids[worker] for worker in busy[:1])
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with joblib.parallel_config(backend="dask"):
        there = clone(search).fit(X)
    thread.join()
    assert killed[0] not in cluster.run(os.getpid).values()
    assert table(there) == table(here)


INTERRUPTED = """
import signal, sys
import joblib
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn_ae.model_selection import BatchedGridSearchCV
from units.model_selection.test_backends import GROUPS

# A run in the background ignores it, and hands that down.
signal.signal(signal.SIGINT, signal.default_int_handler)
code, grid = GROUPS["several"]
code = clone(code).set_params(max_epochs=10**7, tol=0.0)
search = BatchedGridSearchCV(code, grid, cv=2, n_jobs=2)
X = load_digits().data[:80]
print("begun", flush=True)
try:
    with joblib.parallel_config(backend=sys.argv[1]):
        search.fit(X)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS[:-1])
def test_ctrl_c_ends_a_search(backend):
    """17: whoever its workers are."""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, backend],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            time.sleep(2)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=120)[0] == "interrupted\n"
        finally:
            process.kill()
