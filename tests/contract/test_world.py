"""Promise 20: the process's global state is left as it was found."""

from __future__ import annotations

import locale
import logging
import random
import signal
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import get_config
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from threadpoolctl import threadpool_info

from contract.table import answers, every_case, every_class, labels
from contract.watchers import interrupting, watching
from sklearn_ae import DivergenceError

pytestmark = pytest.mark.usefixtures("two_threads")

# Whether torch computes in another way, by the name of the flag.
FLAGS = [
    "torch.backends.cuda.matmul.allow_tf32",
    "torch.backends.cudnn.allow_tf32",
    "torch.backends.cudnn.benchmark",
    "torch.backends.cudnn.deterministic",
    "torch.backends.mkldnn.enabled",
]


def read_flag(name):
    value = torch
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value


def world():
    """Answer what a library may not change behind its user's back."""
    state = {
        "python's generator": random.getstate(),
        "numpy's generator": repr(np.random.get_state(legacy=False)),
        "torch's generator": torch.get_rng_state().tolist(),
        "torch's threads": torch.get_num_threads(),
        "torch's threads between operations": torch.get_num_interop_threads(),
        "default dtype": torch.get_default_dtype(),
        "default device": str(torch.get_default_device()),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "anomaly mode": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "deterministic warnings": torch.is_deterministic_algorithms_warn_only_enabled(),
        "precision of products": torch.get_float32_matmul_precision(),
        "flushing of denormals": (torch.tensor(1e-310, dtype=torch.double) / 2).item(),
        "numpy's errors": np.geterr(),
        "numpy's printing": np.get_printoptions(),
        "scikit-learn's configuration": get_config(),
        "handler of SIGINT": signal.getsignal(signal.SIGINT),
        "excepthook": sys.excepthook,
        "trace": sys.gettrace(),
        "log handlers": list(logging.root.handlers),
        "locale": locale.setlocale(locale.LC_ALL),
        "thread pools": {
            info["filepath"]: info["num_threads"] for info in threadpool_info()
        },
        "flags": {name: read_flag(name) for name in FLAGS},
        "options of pandas": pd.get_option("display.max_rows"),
    }
    if torch.cuda.is_available():
        state["CUDA's generators"] = [
            s.tolist() for s in torch.cuda.get_rng_state_all()
        ]
    return state


def assert_same_world(before):
    after = world()
    # Libraries that are loaded later have pools of their own.
    pools = after["thread pools"]
    after["thread pools"] = {path: pools[path] for path in before["thread pools"]}
    for name, expected in before.items():
        assert after[name] == expected, name


def test_a_change_is_seen():
    before = world()
    torch.rand(1)
    with pytest.raises(AssertionError, match="torch's generator"):
        assert_same_world(before)
    with np.errstate(all="raise"), pytest.raises(AssertionError, match="numpy's err"):
        assert_same_world({**world(), "numpy's errors": before["numpy's errors"]})


@every_case
def test_fitting_and_looking(row, params, X, y):
    """20: with every kind of seed."""
    for seed in (0, None, np.random.RandomState(0)):
        before = world()
        estimator = row.make(**params, random_state=seed).fit(X, y)
        answers(estimator, X)
        estimator.inverse_transform(estimator.fit_transform(X, y))
        estimator.to_module()
        assert_same_world(before)


@every_class
@pytest.mark.parametrize("density", [GaussianMixture(2), KernelDensity()])
def test_sampling(row, density, X, y):
    """20: with densities that draw from numpy's global state, too."""
    before = world()
    estimator = row.make(**row.sampling(density)).fit(X, y)
    for seed in (None, 0, np.random.RandomState(0)):
        estimator.sample(5, seed)
    assert_same_world(before)


@every_class
def test_streams_and_going_on(row, X, y):
    """20."""
    before = world()
    row.make(**row.by_batch).partial_fit(X, y).partial_fit(X, y)
    row.make(warm_start=True).fit(X, y).fit(X, y)
    row.make(verbose=1).fit(X, y)
    assert_same_world(before)


@every_class
def test_wide_nets(row):
    """20: nets that several threads train."""
    X = np.random.default_rng(0).random((600, 300))
    before = world()
    row.make(**row.wide[-1]).fit(X, labels(X)).transform(X)
    assert_same_world(before)


@every_class
def test_threads_of_a_fit(row, X, y):
    """A small net is trained by one thread, a wide one by several."""
    counts = []

    def look(net, **kwargs):
        counts.append(torch.get_num_threads())

    callbacks = [watching(on_epoch_end=look)]
    row.make(**row.by_batch, callbacks=callbacks).fit(X, y)
    wide = np.random.default_rng(0).random((600, 300))
    row.make(**row.wide[-1], callbacks=callbacks).fit(wide, labels(wide))
    assert set(counts[:4]) == {1}
    assert min(counts[4:]) >= 2


@every_class
def test_a_fit_that_fails(row, X, y):
    """20: for its data, by divergence, in a callback, by Ctrl-C."""
    before = world()
    with pytest.raises(ValueError, match="NaN"):
        row.make().fit(X * np.nan, y)
    with pytest.raises(DivergenceError):
        row.make(**row.diverges).fit(X, y)
    for event in ("on_epoch_end", "on_batch_end"):
        with pytest.raises(KeyboardInterrupt):
            row.make(**row.by_batch, callbacks=[interrupting(event, 2)]).fit(X, y)
    with pytest.raises(ValueError, match="too large"):
        row.make().fit(X, y).score_samples(np.full(X.shape, np.finfo("f8").max))
    assert_same_world(before)


@every_class
def test_other_threads(row, X, y):
    """20: the settings of threads that are born during and after a fit."""
    counts = []

    def look(*_, **__):
        thread = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
        thread.start()
        thread.join()

    look()
    row.make(**row.by_batch, callbacks=[interrupting("on_epoch_end", 10**9)]).fit(X, y)
    look()
    threads = [threading.Thread(target=row.make().fit, args=(X, y)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look()
    assert len(set(counts)) == 1


@every_class
@pytest.mark.parametrize(
    ("grad", "dtype"), [(True, torch.float64), (False, torch.float32)]
)
def test_unusual_settings_do_no_harm(row, grad, dtype, X, y):
    """20: the caller's grad mode and default dtype do not reach the model."""
    expected = row.make().fit(X, y)
    params = {**row.by_batch, "optimizer": torch.optim.Adagrad}
    by_autograd = row.make(**params).fit(X, y)
    with torch.set_grad_enabled(grad):
        torch.set_default_dtype(dtype)
        try:
            before = world()
            estimator = row.make().fit(X, y)
            found = answers(estimator, X)
            again = row.make(**params).fit(X, y)
            assert_same_world(before)
        finally:
            torch.set_default_dtype(torch.float32)
    for name, array in answers(expected, X).items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    np.testing.assert_array_equal(again.transform(X), by_autograd.transform(X))
