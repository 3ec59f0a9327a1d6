"""Promises 14 to 16: what a fit shows, keeps and refuses."""

from __future__ import annotations

import itertools
import re
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
)

from contract.table import answers, assert_same_model, every_case, every_class, weights
from contract.watchers import watching
from sklearn_ae import Autoencoder, DivergenceError


@every_case
def test_nothing_is_written(row, params, X, y, capfd):
    """14: verbose=0 is the default."""
    estimator = row.make(**params).fit(X, y)
    estimator.score(X)
    if hasattr(estimator, "partial_fit") and not estimator.early_stopping:
        estimator.partial_fit(X, y)
    assert capfd.readouterr() == ("", "")


@every_case
def test_one_progress_bar(row, params, X, y, capfd):
    """14: with the objective, the time left and a last line; none stays open."""
    verbose = 2 if params else 1
    estimator = row.make(**params, verbose=verbose).fit(X, y)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.endswith("\n")
    last = err.strip("\n").split("\r")[-1]
    assert last.startswith(row.name)
    assert f"{estimator.n_iter_}/{estimator.max_epochs} " in last
    assert re.search(r"\[\d\d:\d\d<\d\d:\d\d", last)
    assert f"loss={estimator.loss_curve_[-1]:.4g}" in last
    assert_same_model(estimator, row.make(**params).fit(X, y))


@every_class
def test_the_last_record_says_what_stopped_the_fit(row, fitted_class, X, y):
    """14: it names a parameter; a pass of `partial_fit` ends by itself."""
    estimator = fitted_class(row)
    *others, last = [record.get("stopped_by") for record in estimator.history_]
    assert last in ("max_epochs", "optimizer")
    assert set(others) <= {None}
    impatient = row.make(max_epochs=9, tol=1e9, n_iter_no_change=1).fit(X, y)
    stopped_by = impatient.history_[-1]["stopped_by"]
    # Games go on to the end, and some optimizers know when nothing is left to gain.
    early = {"n_iter_no_change", "optimizer"} if impatient.n_iter_ < 9 else set()
    assert stopped_by in (early or {"max_epochs"})
    if hasattr(estimator, "partial_fit"):
        streamed = row.make(**row.by_batch).partial_fit(X, y)
        assert "stopped_by" not in streamed.history_[-1]


@every_class
def test_the_bar_of_a_failed_fit_is_closed(row, X, y, capfd):
    """14."""
    with pytest.raises(DivergenceError):
        row.make(**row.diverges, verbose=1).fit(X, y)
    # The line has ended, or been wiped where a layer's pretraining has failed.
    err = capfd.readouterr().err
    assert err.endswith(("\n", "\r"))
    assert err.count("\n") <= 1


@every_class
def test_sklearn_callbacks(row, X, y, capfd):
    """14: a bar over the epochs, and a score of each, on the estimator itself."""
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    monitor = callback.ScoringMonitor(scoring=negative_error)
    params = {**row.by_batch, **TO_THE_END, "max_epochs": 3}
    estimator = row.make(**params)
    estimator.set_callbacks(callback.ProgressBar(), monitor).fit(X, y)
    shown = capfd.readouterr().out
    assert f"{row.name} - fit" in shown
    assert "100%" in shown
    log = monitor.get_logs().data
    epochs = [record["score"] for record in log if record["task_name"] == "epoch"]
    assert len(epochs) == estimator.n_iter_ == 3
    assert len(set(epochs)) == 3
    np.testing.assert_allclose(epochs[-1], negative_error(estimator, X)["score"])
    assert_same_model(estimator, row.make(**params).fit(X, y))


@every_class
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_sklearn_callbacks_through_a_search(row, n_jobs, X, y, capfd):
    """14: with a pipeline between, and from workers."""
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    monitor = callback.ScoringMonitor(scoring=negative_error)
    params = {**row.by_batch, **TO_THE_END, "max_epochs": 2}
    estimator = row.make(**params).set_callbacks(monitor)
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", estimator)])
    grid = {"reduce__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise")
    search.set_callbacks(callback.ProgressBar()).fit(X, y)
    assert "GridSearchCV - fit" in capfd.readouterr().out
    log = monitor.get_logs().data
    # Four fits of the search and one of the refit, each of two epochs.
    assert [r["task_name"] for r in log].count("epoch") == 10
    assert [r["task_name"] for r in log].count("fit") == 5


TO_THE_END = {"tol": 0.0, "n_iter_no_change": 100}


def negative_error(estimator, X, y=None):
    return {"score": -float(estimator.reconstruction_error(X).mean())}


@every_class
def test_skorch_scoring_checkpoint_and_stopping(row, X, y, tmp_path):
    """14: through `callbacks=`, each used as a copy."""
    scores = EpochScoring(lambda net, X, y: net.score(X), name="own", on_train=True)
    objective = EpochScoring(None, name="objective", on_train=True)
    checkpoint = Checkpoint(
        monitor="train_loss_best",
        dirname=str(tmp_path),
        f_optimizer=None,
        f_criterion=None,
        f_history="history.json",
    )
    epochs = []
    counter = watching(on_epoch_end=lambda net, **_: epochs.append(len(net.history)))
    stopping = EarlyStopping(
        "train_loss", patience=2, threshold=1e9, threshold_mode="abs"
    )
    callbacks = [scores, objective, ("saver", checkpoint), counter, stopping]
    estimator = row.make(**row.by_batch, callbacks=callbacks).set_params(max_epochs=9)
    estimator.fit(X, y)
    assert estimator.n_iter_ == 3
    own = [record["own"] for record in estimator.history_]
    assert own == [record["objective"] for record in estimator.history_]
    assert own[0] < own[1] < own[2]
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, array in weights(estimator).items():
        np.testing.assert_array_equal(saved[name].numpy(), array)
    assert (tmp_path / "history.json").stat().st_size > 0
    # The objects that were passed are as they were.
    assert estimator.callbacks is callbacks
    assert epochs == [1, 2, 3]
    assert stopping.dynamic_threshold_ is None
    again = row.make(**row.by_batch, callbacks=callbacks).set_params(max_epochs=9)
    assert_same_model(again.fit(X, y), estimator)


@every_class
def test_skorch_schedules(row, X, y):
    """14: a step size that falls to nothing freezes the weights."""
    rates, vectors = [], []

    def record(net, **_):
        rates.append(net.optimizer_.param_groups[0]["lr"])
        vectors.append(net.flat_.vector.detach().clone())

    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=1e-9)
    params = {**row.by_batch, **TO_THE_END, "max_epochs": 6}
    watcher = watching(on_epoch_end=record)
    frozen = row.make(**params, callbacks=[schedule, watcher]).fit(X, y)
    assert rates[0] == frozen.learning_rate
    assert rates[-1] < 1e-11
    own = partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=1e-9)
    same = row.make(**params, learning_rate_schedule=own, callbacks=[watcher]).fit(X, y)
    for seen in (vectors[:6], vectors[6:]):
        moved = [float((b - a).norm()) for a, b in itertools.pairwise(seen)]
        assert moved[-1] < 1e-3 * moved[0]
    np.testing.assert_allclose(same.loss_curve_[:2], frozen.loss_curve_[:2])


@every_class
def test_early_stopping_keeps_the_best_weights(row, X, y):
    """15: not the last ones; the public loss is that epoch's."""
    seen = []

    def record(net, **_):
        state = net.module_.state_dict()
        seen.append({name: value.clone().numpy() for name, value in state.items()})

    params = {**row.by_batch, "early_stopping": True, "optimizer": "adam"}
    # A step size at which the objective goes up and down.
    params |= {"learning_rate": 0.2, "max_epochs": 100, "tol": 1e-4}
    estimator = row.make(**params, callbacks=[watching(on_epoch_end=record)]).fit(X, y)
    scores = estimator.validation_scores_
    best = int(np.argmax(scores))
    assert best < estimator.n_iter_ - 1 < 99
    assert len(scores) == len(seen) == estimator.n_iter_
    assert estimator.loss_ == estimator.loss_curve_[best]
    for name, value in estimator.to_module().state_dict().items():
        np.testing.assert_array_equal(
            value.numpy(), seen[best][name].astype(value.numpy().dtype), err_msg=name
        )


@every_class
def test_validation_scores_are_of_held_out_rows(row, X, y):
    """15: the negative objective there, of the weights that are kept."""
    held_out = []

    def record(net, dataset_valid, **_):
        held_out.append(np.asarray(dataset_valid))

    params = {**row.stopping_early, "validation_fraction": 0.3}
    params["callbacks"] = [watching(on_epoch_begin=record)]
    estimator = row.make(**params).fit(X, y)
    assert len(held_out[0]) == 18
    for rows in held_out[1:]:
        np.testing.assert_array_equal(rows, held_out[0])
    if row.plain:
        error = X.shape[1] * estimator.reconstruction_error(held_out[0]).mean()
        best = -max(estimator.validation_scores_)
        np.testing.assert_allclose(best, error, rtol=1e-4)
    other = row.make(**params, random_state=1)
    other.fit(X, y)
    assert not np.array_equal(held_out[-1], held_out[0])


@every_class
def test_reaching_the_epoch_limit_warns(row, X, y):
    """15: with early stopping only."""
    params = {**row.by_batch, **TO_THE_END, "max_epochs": 2}
    with pytest.warns(ConvergenceWarning, match="within max_epochs=2; the best") as log:
        row.make(**params, early_stopping=True).fit(X, y)
    assert len(log) == 1
    assert row.make(**params).fit(X, y).n_iter_ == 2
    assert row.make(**row.stopping_early).fit(X, y).n_iter_ < 50


@every_class
def test_divergence(row, X, y):
    """16: named, with epoch, learning rate and remedy; nothing is fitted."""
    estimator = row.make(**row.diverges)
    rate = re.escape(f"{row.diverges['learning_rate']:g}")
    message = rf"diverged in epoch \d+: .* Lower learning_rate={rate}"
    with pytest.raises(DivergenceError, match=message):
        estimator.fit(X, y)
    assert issubclass(DivergenceError, ValueError)
    with pytest.raises(NotFittedError):
        answers(estimator, X)
    params = {k: v for k, v in row.diverges.items() if k != "max_epochs"}
    streaming = row.make(**params)

    def stream():
        for _ in range(20):
            streaming.partial_fit(X, y)

    with pytest.raises(DivergenceError, match="diverged"):
        stream()
    if streaming.__sklearn_is_fitted__():
        assert all(np.isfinite(array).all() for array in weights(streaming).values())


@every_class
def test_divergence_in_a_search(row, X, y):
    """16: that candidate scores `error_score`, the others finish."""
    grid = {"learning_rate": [1e-3, row.diverges["learning_rate"]]}
    estimator = row.make(**{**row.diverges, "learning_rate": 1e-3})
    search = GridSearchCV(estimator, grid, cv=2, error_score=-99.0)
    with pytest.warns() as log:
        search.fit(X, y)
    kinds = {warning.category for warning in log}
    assert FitFailedWarning in kinds
    assert kinds <= {FitFailedWarning, UserWarning}
    good, bad = search.cv_results_["mean_test_score"]
    assert np.isfinite(good)
    assert bad == -99.0
    assert search.best_params_ == {"learning_rate": 1e-3}
    failed = [str(w.message) for w in log if w.category is FitFailedWarning]
    assert "DivergenceError" in failed[0]


def test_the_bar_in_a_log(X, capfd):
    """24: a log keeps all that is drawn, so it gets the ends of a short fit only."""
    Autoencoder(max_epochs=40, n_iter_no_change=40, verbose=1).fit(X)
    err = capfd.readouterr().err
    assert err.count("\r") <= 3
    assert "40/40" in err
    assert "loss=" in err
