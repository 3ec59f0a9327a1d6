"""Promise 17: Ctrl-C leaves the estimator fitted, with its best weights so far."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import signal
import sys
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from contract.table import (
    answers,
    assert_same_model,
    every_case,
    every_class,
    fitted_numbers,
    labels,
    weights,
)
from contract.watchers import interrupting, watching
from sklearn_ae import _threads

EVENTS = ["on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end"]


def assert_consistent(estimator, X):
    for array in (
        *answers(estimator, X).values(),
        *fitted_numbers(estimator).values(),
        *weights(estimator).values(),
    ):
        assert np.isfinite(array).all()
    lengths = {len(term) for term in estimator.loss_terms_.values()}
    lengths |= {len(estimator.loss_curve_), len(estimator.history_)}
    assert lengths == {estimator.n_iter_}


@every_case
@pytest.mark.parametrize("event", EVENTS)
def test_an_interrupt_leaves_a_fitted_model(row, params, event, X, y):
    """17: after the epochs that have ended, and the batches of the one that has not."""
    to_the_end = {**params, "max_epochs": 8, "tol": 0.0, "n_iter_no_change": 100}
    n = 2
    if row.make(**params).optimizer in ("lbfgs", "alternating"):
        # All rows are one step, of which no batch is announced; it may be the last.
        event, n = "on_epoch_end", 1
    log = []
    estimator = row.make(**to_the_end, callbacks=[interrupting(event, n, log)])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert len(log) == n
    assert_consistent(estimator, X)
    assert estimator.n_iter_ == (n if event == "on_epoch_end" else 1)
    # It can go on from there.
    original = {**row.make(**params).get_params(), "warm_start": True}
    assert_consistent(estimator.set_params(**original).fit(X, y), X)


@every_class
def test_an_interrupted_fit_is_the_shorter_fit(row, X, y):
    """17: bit-equal to the one that was asked for no more epochs."""
    params = {**row.by_batch, "tol": 0.0, "n_iter_no_change": 100}
    shorter = row.make(**params).set_params(max_epochs=3).fit(X, y)
    estimator = row.make(**params, callbacks=[interrupting("on_epoch_end", 3)])
    with pytest.raises(KeyboardInterrupt):
        estimator.set_params(max_epochs=9).fit(X, y)
    assert_same_model(estimator, shorter)
    assert estimator.loss_curve_ == shorter.loss_curve_
    assert estimator.loss_ == shorter.loss_


@every_class
def test_the_best_weights_so_far_are_kept(row, X, y):
    """17: with early stopping those that held-out rows liked best, not the last."""
    params = {**row.by_batch, "early_stopping": True, "learning_rate": 0.2, "tol": 1e-4}
    whole = row.make(**params).set_params(max_epochs=100).fit(X, y)
    best = int(np.argmax(whole.validation_scores_))
    assert best + 2 < whole.n_iter_
    estimator = row.make(**params, callbacks=[interrupting("on_epoch_end", best + 3)])
    with pytest.raises(KeyboardInterrupt):
        estimator.set_params(max_epochs=100).fit(X, y)
    assert estimator.n_iter_ == best + 3
    assert_same_model(estimator, whole)
    assert estimator.loss_ == whole.loss_


@every_class
def test_before_the_first_step_nothing_changes(row, X, y):
    """17: no untrained model takes the place of an older one, or of none."""
    params = dict(row.by_batch)
    if "pretraining" in row.cls().get_params():
        # What it has trained is worth keeping.
        params["pretraining"] = None
    estimator = row.make(**params, callbacks=[interrupting("on_train_begin", 1)])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    with pytest.raises(NotFittedError):
        estimator.transform(X)
    older = row.make(**params).fit(X, y)
    expected = clone(older).fit(X, y)
    older.set_params(callbacks=[interrupting("on_epoch_begin", 1)])
    with pytest.raises(KeyboardInterrupt):
        older.fit(X[:, :4], y)
    assert_same_model(older, expected)
    assert older.n_features_in_ == 6


@every_class
def test_a_search_is_interrupted(row, X, y):
    """17: it does not go on to the next candidate."""
    log = []
    estimator = row.make(
        **row.by_batch, callbacks=[interrupting("on_epoch_end", 2, log)]
    )
    grid = {f"{row.name.lower()}__n_components": [1, 2, 3]}
    search = GridSearchCV(make_pipeline(estimator), grid, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert len(log) == 2
    assert not hasattr(search, "best_estimator_")


@contextmanager
def settings_restored():
    """Undo what only a debugger can do: an interrupt between a `with` and its exit."""
    n_threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_grad_enabled(True)
        torch.set_num_threads(n_threads)
        _threads._here.available = None


@pytest.mark.slow
@every_class
def test_an_interrupt_at_any_line(row, X, y):
    """17: the estimator is fitted and consistent, or as it was before."""
    params = {**row.by_batch, "max_epochs": 3}
    # The first fit of a process runs lines that later ones do not: imports, caches.
    n_lines = min(
        count_lines(lambda: row.make(**params).fit(X, y), None) for _ in range(3)
    )
    assert n_lines > 300
    fitted = not_reached = 0
    for at in np.linspace(1, n_lines, 60, dtype=int):
        estimator = row.make(**params)
        # With other settings the next fit would run other lines.
        with settings_restored():
            not_reached += not is_interrupted(estimator, X, y, at)
        if estimator.__sklearn_is_fitted__():
            assert_consistent(estimator, X)
            fitted += 1
    assert fitted > 20
    # A fit may run a few lines less than those that were counted.
    assert not_reached <= 1


def is_interrupted(estimator, X, y, at):
    """Fit until a line of the package; answer whether the fit came to it."""
    try:
        count_lines(lambda: estimator.fit(X, y), at)
    except KeyboardInterrupt:
        return True
    return False


def count_lines(function, interrupt_at):
    """Count the lines of the package's own files that run; interrupt at one of them."""
    n_lines = 0

    def trace(frame, event, argument):
        nonlocal n_lines
        if "sklearn_ae" not in frame.f_code.co_filename:
            return None
        if event == "line":
            n_lines += 1
            if n_lines == interrupt_at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return n_lines


def _train_endlessly(estimator, X, pipe):
    # Hypothesis has one, and Python swallows what is raised in it.
    gc.callbacks.clear()
    # A run in the background ignores it, and hands that down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Where it hangs, if it does, stands in the report of the test.
    faulthandler.dump_traceback_later(50, file=2)
    try:
        estimator.fit(X, labels(X))
    except KeyboardInterrupt:
        consistent = estimator.n_iter_ >= 2
        for array in (*answers(estimator, X).values(), *weights(estimator).values()):
            consistent &= bool(np.isfinite(array).all())
        pipe.send(consistent)


@every_class
def test_a_real_signal(row, X):
    """17: SIGINT from another process, at whatever instruction it arrives."""
    ours, theirs = multiprocessing.Pipe()

    def tell(net, **_):
        if len(net.history) == 3:
            theirs.send("training")

    estimator = row.make(**row.by_batch, callbacks=[watching(on_epoch_begin=tell)])
    estimator.set_params(max_epochs=10**9, tol=0.0, n_iter_no_change=10**9)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_train_endlessly, args=(estimator, X, theirs))
    with warnings.catch_warnings():
        # Newer pythons warn of forking where there are threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    try:
        assert ours.poll(60)
        assert ours.recv() == "training"
        os.kill(child.pid, signal.SIGINT)
        assert ours.poll(60), "the fit was not interrupted"
        assert ours.recv() is True
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
        ours.close()
        theirs.close()
