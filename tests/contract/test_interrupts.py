"""Promises 17, 30: Ctrl-C leaves a fitted estimator, with its best weights so far."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import pickle
import signal
import warnings
from contextlib import suppress

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_ae
from contract.instants import Instants
from contract.table import (
    answers,
    assert_same_model,
    digest,
    every_case,
    every_case_and,
    every_class,
    fitted_numbers,
    labels,
    weights,
)
from contract.watchers import interrupting, watching
from sklearn_ae._files.checks import missing_attributes

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


@every_case_and("event", EVENTS)
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


@every_class
def test_a_pipeline_is_interrupted(row, X, y):
    """30: its last step is fitted, as the estimator alone would be."""
    in_steps, alone = (
        row.make(**row.by_batch, callbacks=[interrupting("on_epoch_end", 2)])
        for _ in range(2)
    )
    pipeline = make_pipeline(StandardScaler(), in_steps)
    with pytest.raises(KeyboardInterrupt):
        pipeline.fit(X, y)
    with pytest.raises(KeyboardInterrupt):
        alone.fit(pipeline[0].transform(X), y)
    assert alone.n_iter_ == 2
    assert_same_model(pipeline[-1], alone)
    np.testing.assert_array_equal(
        pipeline.transform(X), alone.transform(pipeline[0].transform(X))
    )


def epochs_counted(log):
    """Answer a callback that notes each epoch that has ended."""
    return watching(on_epoch_end=lambda net, **_: log.append(1))


def assert_through_file(estimator, X, path):
    """Assert that the file has what is there, and that what it lacks stays so."""
    callbacks, estimator.callbacks = estimator.callbacks, None
    estimator.save(path)
    estimator.callbacks = callbacks
    loaded = sklearn_ae.load(path)
    assert vars(loaded).keys() == vars(estimator).keys()
    assert digest(loaded, X) == digest(estimator, X)
    return loaded


def is_old(estimator, before):
    """Whether it is what it was, object by object."""
    now = vars(estimator)
    same = now.keys() == before.keys() and all(now[k] is before[k] for k in now)
    assert same or now["_model"] is not before.get("_model")
    return same


# What a fit has to do, beside epochs.
CASES_OF_FITS = {
    "plain": {},
    "early_stopping": {"early_stopping": True},
    "lbfgs": {"optimizer": "lbfgs"},
    "alternating": {"optimizer": "alternating"},
    "greedy": {"pretraining": "greedy", "pretraining_epochs": 1},
    "density": {"latent_density": GaussianMixture(2)},
}
WAYS = ["fit", "refit", "warm_start", "partial_fit"]


def params_of_fit(row, case, way):
    """Answer arguments of a fit to interrupt, None where there is no such fit."""
    params = CASES_OF_FITS[case]
    whole = row.make(**row.by_batch).get_params()
    is_game = row.name == "AdversarialAutoencoder"
    if not params.keys() <= whole.keys() or (case == "lbfgs" and is_game):
        return None
    if case == "alternating" and row.name != "LinearAutoencoder":
        return None
    if case == "greedy" and not row.sparse:
        # Of what the architecture has for layers, none can be trained alone.
        return None
    takes_all_rows = {"lbfgs", "alternating"} & {case, whole["optimizer"]}
    if way == "partial_fit" and takes_all_rows:
        return None
    if way == "partial_fit" and case == "early_stopping":
        return None
    return {**row.by_batch, "max_epochs": 3, **params, "warm_start": way == WAYS[2]}


class InterruptedFits:
    """Fits of one kind that are ended at chosen lines of the package.

    It answers the estimator, what its attributes were before, how many epochs had
    ended by then, and whether the fit has come to the line.
    """

    def __init__(self, row, params, way, X, y):
        self.row, self.params, self.X, self.y = row, params, X, y
        self.is_first, self.log = way == WAYS[0], []
        self.method = "partial_fit" if way == WAYS[3] else "fit"
        self.continues = way in WAYS[2:]

    def make(self):
        callbacks = [epochs_counted(self.log)]
        estimator = self.row.make(**self.params, callbacks=callbacks)
        if not self.is_first:
            getattr(estimator, self.method)(self.X, self.y)
        self.log.clear()
        return estimator

    def run(self, instants):
        estimator = self.make()
        train = getattr(estimator, self.method)
        before = dict(vars(estimator))
        with suppress(instants.error):
            instants.run(lambda: train(self.X, self.y))
        return estimator, before, len(self.log), instants.has_raised

    def lines(self, n_lines):
        """Choose lines, some in all of the fit and some at its end."""
        # The first fit of a process runs lines that later ones do not: imports, caches.
        counters = [Instants(), Instants()]
        for counter in counters:
            self.run(counter)
        total = min(counter.n_lines for counter in counters)
        assert total > 300
        last = np.linspace(total - 120, total, n_lines, dtype=int)
        return sorted({*np.linspace(1, total, n_lines, dtype=int), *last})


def check_interrupts(fits, n_lines, path):
    n_reached = n_new = 0
    for at in fits.lines(n_lines):
        estimator, before, n_epochs, has_raised = fits.run(Instants(at))
        n_reached += has_raised
        if is_old(estimator, before):
            # Nothing that was trained is lost.
            assert n_epochs == 0
            continue
        n_new += 1
        assert_consistent(estimator, fits.X)
        n_before = before["n_iter_"] if fits.continues else 0
        # The epoch that was interrupted may be there in part.
        assert 0 <= estimator.n_iter_ - n_before - n_epochs <= 1
        assert_through_file(estimator, fits.X, path)
    # A fit may run a few lines less than those that were counted.
    assert n_reached > n_new > n_lines / 2


@every_class
def test_an_interrupt_at_some_lines(row, X, y, tmp_path):
    """30: the estimator is as it was, or has all epochs so far; a file keeps it."""
    case = "density" if row.takes_density else "plain"
    params = params_of_fit(row, case, "refit")
    check_interrupts(InterruptedFits(row, params, "refit", X, y), 2, tmp_path / "model")


@pytest.mark.slow
@every_class
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES_OF_FITS)
@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_at_any_line(row, case, way, X, y, tmp_path):
    """30."""
    params = params_of_fit(row, case, way)
    if params is not None:
        fits = InterruptedFits(row, params, way, X, y)
        check_interrupts(fits, 10, tmp_path / "model")


@every_class
def test_an_error_at_some_lines(row, X, y):
    """30: whatever else ends a fit leaves what was there before."""
    case = "density" if row.takes_density else "plain"
    fits = InterruptedFits(row, params_of_fit(row, case, "warm_start"), WAYS[2], X, y)
    for at in fits.lines(2):
        estimator, before, n_epochs, has_raised = fits.run(Instants(at, MemoryError))
        if has_raised and not is_old(estimator, before):
            # It came when all was done.
            assert n_epochs == 3
            assert_consistent(estimator, X)


@every_class
def test_a_second_interrupt_while_the_first_is_dealt_with(row, X, y, tmp_path):
    """30: the epochs are kept, and what was being computed is left out."""
    params = {**row.by_batch, "max_epochs": 5}
    if row.takes_density:
        params["latent_density"] = GaussianMixture(2)

    def fitted_until(instants):
        def press(net, **_):
            if len(net.history) == 2:
                instants.is_counting = True
                raise KeyboardInterrupt

        estimator = row.make(**params, callbacks=[watching(on_epoch_end=press)])
        with pytest.raises(KeyboardInterrupt):
            instants.run(lambda: estimator.fit(X, y))
        return estimator

    counter = Instants(begins=False)
    whole = fitted_until(counter)
    n_missing = 0
    for at in np.linspace(1, counter.n_lines, 5, dtype=int):
        estimator = fitted_until(Instants(at, begins=False))
        assert_consistent(estimator, X)
        assert estimator.n_iter_ == 2
        assert_same_model(estimator, whole)
        assert_through_file(estimator, X, tmp_path / "model")
        fitted, model = vars(estimator), estimator._model
        n_missing += len(missing_attributes(estimator, fitted, model))
    assert n_missing or not estimator._expected_attributes()


@pytest.mark.filterwarnings("ignore:Early stopping did not stop")
@every_case
def test_an_interrupt_after_the_last_epoch(row, params, X, y, monkeypatch, tmp_path):
    """30: the net is kept, without what would have been computed of it."""
    params = {**params, **row.sampling(GaussianMixture(2))}
    whole = row.make(**params).fit(X, y)

    def press(self, model, X):
        raise KeyboardInterrupt

    estimator = row.make(**params).fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(row.cls, "_derived_attributes", press)
        for way in ("fit", "partial_fit"):
            if not hasattr(estimator, way):
                continue
            with pytest.raises(KeyboardInterrupt):
                getattr(estimator.set_params(early_stopping=False), way)(X, y)
            assert_consistent(estimator, X)
            # Nothing is left of what the earlier net was like.
            left = vars(whole).keys() - vars(estimator).keys()
            assert left == estimator._expected_attributes() & vars(whole).keys() - {
                "pretraining_curves_"
            }
    estimator = row.make(**params)
    with monkeypatch.context() as patch:
        patch.setattr(row.cls, "_derived_attributes", press)
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X, y)
    assert_same_model(estimator, whole)
    assert estimator.loss_curve_ == whole.loss_curve_
    copies = []
    if not any(map(callable, params.values())):
        copies.append(pickle.loads(pickle.dumps(estimator)))
        copies.append(assert_through_file(estimator, X, tmp_path / "model"))
    for copied in [estimator, *copies]:
        for name in vars(whole).keys() - vars(estimator).keys():
            with pytest.raises(AttributeError, match=f"{name}.*interrupted.*fit again"):
                getattr(copied, name)
        if "residual_variance" in copied._expected_attributes():
            with pytest.raises(NotFittedError, match=r"interrupted.*fit again"):
                copied.sample(2)
        copied.set_params(warm_start=True, max_epochs=1).fit(X, y)
        assert vars(copied).keys() == vars(whole).keys()
        assert_consistent(copied, X)


@pytest.mark.filterwarnings("ignore:Early stopping did not stop")
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}])
@every_class
def test_an_interrupt_when_training_ends(row, params, X, y):
    """30: what ends the training is nothing more than that."""
    params = {**row.by_batch, "learning_rate": 0.2, **params}
    whole = row.make(**params).fit(X, y)
    estimator = row.make(**params, callbacks=[interrupting("on_train_end", 1)])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert_same_model(estimator, whole)
    assert estimator.loss_ == whole.loss_
    assert vars(estimator).keys() == vars(whole).keys()


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
