"""What scikit-learn's searches take, the batched ones take too, with the same table."""

from __future__ import annotations

import gc
import re

import numpy as np
import pytest
import torch
from contract.test_search import assert_same_table
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from skorch.callbacks import EarlyStopping
from torch import nn

import sklearn_ae.model_selection._scikit_learn as private
from sklearn_ae import (
    Autoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae._training.batched.nets import _BatchedNets
from sklearn_ae.metrics import reconstruction_r2, sparsity_score
from sklearn_ae.model_selection import BatchedGridSearchCV, regularization_path
from sklearn_ae.model_selection._tasks import BatchedJob
from units.model_selection.searching import FAST, both


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:120]


def fails(X, random_state):
    return np.full_like(X, np.nan)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the:UserWarning")
def test_noise_that_fails_ends_its_own_candidates(X):
    code = DenoisingAutoencoder(3, **FAST, random_state=0)
    grid = {"noise": ["masking", fails], "noise_level": [0.1, 0.3]}
    batched, apart = both(code, grid, X, cv=2)
    assert_same_table(batched, apart)
    assert np.isnan(batched.cv_results_["mean_test_score"]).sum() == 2


class Narrow(nn.Module):
    """A prior that `torch.func` cannot take: it looks at a number."""

    def __init__(self):
        super().__init__()
        self.width = nn.Parameter(torch.tensor(0.5))

    def log_density(self, z):
        if float(self.width) < 0:
            raise ValueError("The width is negative.")
        normal = torch.distributions.Normal(0.0, self.width.to(z.dtype))
        return normal.log_prob(z).sum(-1)

    def sample(self, n_samples, generator):
        return self.width * torch.randn(n_samples, 2, generator=generator)


def test_a_prior_that_cannot_be_batched_trains_alone(X):
    vae = VariationalAutoencoder(2, prior=Narrow(), **FAST, random_state=0)
    batched, apart = both(vae, {"beta": [0.5, 1.0]}, X, cv=2)
    assert_same_table(batched, apart)


def test_a_callback_of_scikit_learn_ends_training(X):
    pytest.importorskip("sklearn.callback")
    torn_down = []

    class Stop:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            torn_down.append(estimator)

        def on_fit_task_begin(self, estimator, context, **data):
            pass

        def on_fit_task_end(self, estimator, context, **data):
            return context.task_name == "epoch"

    code = Autoencoder(2, **FAST, random_state=0).set_callbacks(Stop())
    grid = {"weight_decay": [0.1, 1.0]}
    batched = BatchedGridSearchCV(code, grid, cv=2).fit(X)
    n_torn_down = len(torn_down)
    assert batched.best_estimator_.n_iter_ == 1
    assert_same_table(batched, GridSearchCV(code, grid, cv=2).fit(X))
    # Four candidates on folds, and the best one.
    assert n_torn_down == len(torn_down) - n_torn_down == 5


class Center(BaseEstimator):
    """Takes no y, but weights."""

    def __init__(self, share=1.0):
        self.share = share

    def fit(self, X, sample_weight=None):
        self.center_ = self.share * np.average(X, axis=0, weights=sample_weight)
        return self

    def score(self, X, sample_weight=None):
        squares = np.square(X - self.center_).mean(axis=1)
        return -float(np.average(squares, weights=sample_weight))


def test_estimators_that_take_no_y(X):
    assert_same_table(*both(Center(), {"share": [0.5, 1.0]}, X, cv=2))


def test_callbacks_see_rows_and_their_weights(X):
    pytest.importorskip("sklearn.callback")
    seen = []

    class Look:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, *, X=None, metadata=None):
            weights = metadata and list(metadata["sample_weight"])
            seen[-1].append((context.task_name, np.shape(X), weights))

        def on_fit_task_end(self, estimator, context, *, X=None, metadata=None):
            self.on_fit_task_begin(estimator, context, X=X, metadata=metadata)

    weights = np.arange(1.0, len(X) + 1)
    for kind in (BatchedGridSearchCV, GridSearchCV):
        seen.append([])
        search = kind(Center(), {"share": [0.5, 1.0]}, cv=2).set_callbacks(Look())
        search.fit(X, sample_weight=weights)
    assert seen[0] == seen[1]
    # Of the first candidate on two folds, when each begins and ends.
    given = [w for name, _, w in seen[0] if name == "candidate-split-evaluation"][:4:2]
    assert given == [list(weights[60:]), list(weights[:60])]


@pytest.mark.filterwarnings("ignore:Early stopping did not stop")
@pytest.mark.parametrize(
    "code",
    [
        LinearAutoencoder(2, random_state=0),
        Autoencoder(2, **FAST, optimizer=torch.optim.Adam, random_state=0),
        Autoencoder(
            2, **FAST, random_state=0, callbacks=[EarlyStopping(load_best=True)]
        ),
    ],
    ids=["lbfgs", "class", "copies"],
)
def test_what_cannot_be_batched_is_fitted_by_workers(code, X, monkeypatch):
    """Not one after another in a thread."""
    if code.callbacks:
        code.set_params(early_stopping=True)
    monkeypatch.setattr(BatchedJob, "results", None)
    grid = {"weight_decay": [1e-3, 1e-1]}
    assert_same_table(*both(code, grid, X, cv=2))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the:UserWarning")
def test_errors_do_not_keep_groups_alive(X, monkeypatch):
    left = []
    warn = private._warn_or_raise_about_fit_failures

    def count(out, error_score):
        gc.collect()
        left.append(sum(isinstance(each, _BatchedNets) for each in gc.get_objects()))
        return warn(out, error_score)

    monkeypatch.setattr(private, "_warn_or_raise_about_fit_failures", count)
    code = Autoencoder(2, **FAST, optimizer="sgd", random_state=0)
    grid = {"learning_rate": [1e-3, 1e9]}
    BatchedGridSearchCV(code, grid, cv=2).fit(X)
    assert left == [0]


def spoilt(estimator, X, y=None):
    raise RuntimeError("no score")


SCORINGS = {
    "one": None,
    "several": {"r2": reconstruction_r2, "zeros": sparsity_score},
    "fails": spoilt,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("verbose", [1, 2, 3, 10])
@pytest.mark.parametrize("scoring", SCORINGS)
def test_it_prints_what_scikit_learn_prints(X, capsys, scoring, verbose):
    """Of nets in a group, of one that diverges, and of one that trains alone."""
    grid = [{"learning_rate": [1e-3, 1e9], "tol": [0.0]}, {"optimizer": ["lbfgs"]}]
    options = {
        "scoring": SCORINGS[scoring],
        "verbose": verbose,
        "return_train_score": verbose == 10,
        "error_score": -1.0,
    }
    code = Autoencoder(2, **FAST, optimizer="sgd", random_state=0)
    printed = []
    for kind in (BatchedGridSearchCV, GridSearchCV):
        kind(code, grid, cv=2, refit=False, **options).fit(X[:40])
        lines = capsys.readouterr().out.splitlines()
        # Groups are printed before what trains alone; times are those of the clock.
        printed.append(sorted(re.sub("time=.*", "", line) for line in lines))
    assert printed[0] == printed[1]


class Doubled(Pipeline):
    """A pipeline of one's own, which does something else with its rows."""

    def fit(self, X, y=None, **params):
        return super().fit(2 * X, y, **params)


def test_pipelines_of_ones_own_are_fitted_as_they_are(X):
    steps = [("code", Autoencoder(2, **FAST, random_state=0))]
    assert_same_table(*both(Doubled(steps), {"code__weight_decay": [0.1, 1]}, X, cv=2))


def test_splits_may_be_ranges_and_steps_a_tuple(X):
    steps = ("scale", StandardScaler()), ("code", Autoencoder(2, **FAST))
    splits = [(range(80), range(80, 120)), (list(range(40, 120)), range(40))]
    pipeline = Pipeline(steps).set_params(code__random_state=0)
    assert_same_table(*both(pipeline, {"code__weight_decay": [0.1, 1]}, X, cv=splits))


class TwiceMixin:
    """Asks for candidates twice, and tells something of each."""

    def _run_search(self, evaluate_candidates):
        for weight in (0.1, 1.0):
            found = evaluate_candidates(
                [{"weight_decay": weight}], more_results={"round": [weight]}
            )
        assert len(found["params"]) == 2


class Twice(TwiceMixin, BatchedGridSearchCV):
    pass


class TwiceApart(TwiceMixin, GridSearchCV):
    pass


def test_a_search_of_ones_own_may_ask_more_than_once(X):
    code = Autoencoder(2, **FAST, random_state=0)
    batched, apart = (kind(code, {}, cv=2).fit(X) for kind in (Twice, TwiceApart))
    assert_same_table(batched, apart)
    np.testing.assert_array_equal(batched.cv_results_["round"], [0.1, 1.0])


def test_one_worker_has_all_threads_beside_training(X):
    def n_threads(estimator, X, y=None):
        return float(_openmp_effective_n_threads())

    code = Autoencoder(2, **FAST, random_state=0)
    grid = {"weight_decay": [0.1, 1.0]}
    assert_same_table(*both(code, grid, X, cv=2, scoring=n_threads))


def test_a_path_over_epochs_of_pretraining(X):
    """Nets that are pretrained only have no terms of an objective."""
    stacked = StackedAutoencoder(2, max_epochs=0, random_state=0)
    path = regularization_path(stacked, X, "pretraining_epochs", [1, 2])
    assert path.loss_terms == {}
    assert path.reconstruction_error.shape == (2,)


def test_a_path_over_architectures_checks_rows_for_each(X):
    code = Autoencoder(2, **FAST, random_state=0)
    rows = np.where(np.arange(64) > 60, np.nan, X)
    with pytest.raises(ValueError, match="contains NaN"):
        regularization_path(code, rows, "architecture", ["lstm", "dense"])


def test_a_path_has_no_bars(X, capfd):
    code = Autoencoder(2, **FAST, verbose=1, random_state=0)
    path = regularization_path(code, X, "weight_decay", [0.1, 1.0])
    assert [each.verbose for each in path.estimators] == [1, 1]
    assert "epoch" not in "".join(capfd.readouterr())
