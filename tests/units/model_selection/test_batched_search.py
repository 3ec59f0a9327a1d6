"""The batched searches against those of scikit-learn."""

from __future__ import annotations

import pickle
import signal
import threading
import time

import numpy as np
import pytest
from contract.subprocesses import run_python
from contract.test_search import assert_same_table
from contract.watchers import watching
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from sklearn_ae import (
    Autoencoder,
    DenoisingAutoencoder,
    LSTMAutoencoder,
    SparseAutoencoder,
)
from sklearn_ae._training.batched import runs as batching
from sklearn_ae._training.boltzmann import BoltzmannMachine
from sklearn_ae.metrics import (
    make_denoising_scorer,
    one_standard_error,
    reconstruction_r2,
    sparsity_score,
)
from sklearn_ae.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    regularization_path,
)
from units.model_selection.searching import FAST, both


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:150], y[:150]


def pipeline_of(code, **params):
    steps = [("scale", MinMaxScaler()), ("code", code)]
    classify = LogisticRegression(max_iter=1000)
    return Pipeline([*steps, ("classify", classify)], **params)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_search_over_a_mixture(digits, n_jobs):
    """Structure, weights, steps before and behind, divergence, early stopping."""
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0, optimizer="sgd")
    grid = [
        {
            "code__alpha": [0.01, 0.1],
            "code__hidden_layer_sizes": [(), (10,)],
            "code__learning_rate": [1e-3, 1e9],
            "classify__C": [0.1, 10.0],
        },
        {
            "scale": [StandardScaler(), "passthrough"],
            "code__early_stopping": [False, True],
            "code__penalty": ["l1", "kl"],
        },
        {"code": [PCA(3), Autoencoder(3, **FAST, random_state=0)]},
        {"code": [LSTMAutoencoder(2, **FAST, random_state=0)]},
    ]
    batched, apart = both(
        pipeline_of(code), grid, *digits, cv=3, return_train_score=True, n_jobs=n_jobs
    )
    assert_same_table(batched, apart)
    assert np.isnan(batched.cv_results_["mean_test_score"]).sum() == 8
    np.testing.assert_array_equal(batched.predict(digits[0]), apart.predict(digits[0]))


@pytest.mark.parametrize("cv", [3, 7])
def test_a_hundred_rows(digits, cv):
    """N = 100: folds that differ in rows, and a batch size that divides one only."""
    code = SparseAutoencoder(8, penalty="l1", **{**FAST, "batch_size": 11})
    for size in (11, 67, 86, "auto"):
        code.set_params(batch_size=size, random_state=0)
        batched, apart = both(code, {"alpha": [0.01, 0.1, 1.0]}, digits[0][:100], cv=cv)
        assert_same_table(batched, apart)


def test_several_metrics_and_a_rule_for_refit(digits):
    code = DenoisingAutoencoder(6, **FAST, random_state=0)
    scoring = {"r2": reconstruction_r2, "noise": make_denoising_scorer("gaussian", 1.0)}
    batched, apart = both(
        code,
        {"noise_level": [0.0, 0.2, 0.5]},
        digits[0],
        scoring=scoring,
        refit=one_standard_error("noise", "noise_level"),
        cv=3,
    )
    assert_same_table(batched, apart)
    assert batched.multimetric_
    assert batched.scorer_.keys() == {"r2", "noise"}
    assert not hasattr(batched, "best_score_")
    np.testing.assert_array_equal(
        batched.best_estimator_.transform(digits[0]),
        apart.best_estimator_.transform(digits[0]),
    )


def test_a_scorer_that_answers_a_dict(digits):
    def scoring(estimator, X, y=None):
        return {"r2": estimator.score(X), "zeros": sparsity_score(estimator, X)}

    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    grid = {"alpha": [0.1, 1.0]}
    batched, apart = both(code, grid, digits[0], scoring=scoring, refit="r2", cv=2)
    assert_same_table(batched, apart)
    assert batched.best_score_ == pytest.approx(apart.best_score_)
    with pytest.raises(ValueError, match="multi-metric"):
        BatchedGridSearchCV(code, grid, scoring=scoring, cv=2).fit(digits[0])


def test_groups_and_random_splits(digits):
    X, y = digits
    code = Autoencoder(3, **FAST, random_state=0)
    grid, groups = {"weight_decay": [0.1, 1.0]}, np.arange(len(X)) % 5
    searches = [
        kind(code, grid, cv=GroupKFold(3)).fit(X, groups=groups)
        for kind in (BatchedGridSearchCV, GridSearchCV)
    ]
    assert_same_table(*searches)
    # Of very different sizes.
    splits = [(np.arange(n), np.arange(n, len(X))) for n in (20, 100, 37, 100)]
    assert_same_table(*both(code, grid, X, cv=splits))
    assert_same_table(*both(code, grid, X, cv=ShuffleSplit(3, random_state=0)))


def test_parameters_of_fit_are_passed_on(digits):
    """To each candidate on its own."""
    X, y = digits
    weight = np.linspace(0, 1, len(X))
    pipeline = pipeline_of(Autoencoder(3, **FAST, random_state=0))
    searches = [
        kind(pipeline, {"code__weight_decay": [0.1, 1.0]}, cv=2).fit(
            X, y, classify__sample_weight=weight
        )
        for kind in (BatchedGridSearchCV, GridSearchCV)
    ]
    assert_same_table(*searches)


def test_steps_before_are_fitted_once_for_each_fold(digits):
    fits = []

    def note(X):
        fits.append(len(X))
        return X

    before = Pipeline([("count", FunctionTransformer(note)), ("scale", MinMaxScaler())])
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    steps = [("before", before), ("code", code), ("classify", LogisticRegression())]
    grid = {"code__alpha": [0.01, 0.1, 1.0], "classify__C": [1.0, 2.0]}
    BatchedGridSearchCV(Pipeline(steps), grid, cv=3, refit=False).fit(*digits)
    # Training rows once, and those to be scored once for each candidate.
    assert fits.count(100) == 3
    assert fits.count(50) == 18


def test_a_cache_of_steps_does_not_matter(digits, tmp_path):
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    grid = {"code__alpha": [0.01, 0.1]}
    pipeline = pipeline_of(code, memory=str(tmp_path))
    batched, apart = both(pipeline, grid, *digits, cv=2)
    assert_same_table(batched, apart)
    assert batched.best_estimator_.memory == str(tmp_path)


def test_the_randomized_search(digits):
    code = Autoencoder(3, **FAST, random_state=0)
    distributions = {
        "learning_rate": loguniform(1e-4, 1e-2),
        "activation": ["relu", "tanh"],
    }
    options = {"n_iter": 6, "cv": 2, "random_state": 3}
    batched = BatchedRandomizedSearchCV(code, distributions, **options).fit(digits[0])
    apart = RandomizedSearchCV(code, distributions, **options).fit(digits[0])
    assert_same_table(batched, apart)


def test_candidates_and_folds_train_together(digits, monkeypatch):
    """And what stands behind them does not keep them from it."""
    sizes = []
    train_together = batching.train_together

    def watched(nets, *args):
        sizes.append(len(nets))
        return train_together(nets, *args)

    monkeypatch.setattr(batching, "train_together", watched)
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    grid = {"code__alpha": [1, 0.1, 10.0], "classify__C": [1.0, 2.0]}
    search = BatchedGridSearchCV(pipeline_of(code), grid, cv=3).fit(*digits)
    assert sizes == [18]
    times = search.cv_results_["mean_fit_time"]
    assert (times > 0).all()
    del sizes[:]
    grid = {"code__alpha": np.geomspace(0.01, 1, 50)}
    BatchedGridSearchCV(pipeline_of(code), grid, cv=3, refit=False).fit(*digits)
    assert sizes == [50, 50, 50]
    del sizes[:]
    small = BatchedGridSearchCV(
        pipeline_of(code), grid, cv=3, refit=False, working_memory=1.0
    )
    small.fit(*digits)
    assert sum(sizes) == 150
    assert max(sizes) < 20


def test_times_are_those_of_steps_before_and_of_training(digits, monkeypatch):
    def wait(X):
        time.sleep(0.2)
        return X

    def slow(nets, *args):
        time.sleep(0.4)
        return train_together(nets, *args)

    train_together = batching.train_together
    monkeypatch.setattr(batching, "train_together", slow)
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    pipeline = Pipeline([("wait", FunctionTransformer(wait)), ("code", code)])
    search = BatchedGridSearchCV(pipeline, {"code__alpha": [0.1, 1]}, cv=2, refit=False)
    began = time.perf_counter()
    search.fit(digits[0])
    elapsed = time.perf_counter() - began
    # Each of two folds waits once for both candidates, and all four nets are a group.
    fits = 2 * search.cv_results_["mean_fit_time"].sum()
    assert 2 * 0.2 + 0.4 <= fits <= elapsed
    # All nets have been trained for as long.
    assert (search.cv_results_["mean_fit_time"] >= 0.1).all()


def test_large_nets_are_fitted_as_by_scikit_learn(digits, monkeypatch):
    """Where arithmetic is all there is, a group gains nothing."""
    monkeypatch.setattr(batching, "_WORK_ALONE", 1.0)
    monkeypatch.setattr(batching, "train_together", None)
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    grid = {"code__alpha": [0.1, 1.0]}
    assert_same_table(*both(pipeline_of(code), grid, *digits, cv=2))


def test_the_number_of_workers_changes_no_bit(digits):
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    grid = {"alpha": [0.01, 0.1, 1.0], "hidden_layer_sizes": [(), (9,), (10, 9)]}
    tables = [
        BatchedGridSearchCV(code, grid, cv=3, n_jobs=n).fit(digits[0]).cv_results_
        for n in (None, 2, 3)
    ]
    for table in tables[1:]:
        for name in ("split0_test_score", "split2_test_score"):
            np.testing.assert_array_equal(table[name], tables[0][name])


def test_errors_are_those_of_each_candidate(digits):
    X, y = digits
    code = Autoencoder(3, **FAST, random_state=0)
    grid = {"weight_decay": [0.1, -1.0]}
    with pytest.raises(ValueError, match="'weight_decay' parameter"):
        BatchedGridSearchCV(code, grid, cv=2, error_score="raise").fit(X)
    with pytest.warns(FitFailedWarning, match="'weight_decay' parameter"):
        search = BatchedGridSearchCV(code, grid, cv=2, error_score=-3.0).fit(X)
    assert search.cv_results_["mean_test_score"][1] == -3.0
    assert search.best_params_ == {"weight_decay": 0.1}
    for spoilt in ("nonsense", ["dense"], 3):
        grid = {"architecture": ["dense", spoilt]}
        with pytest.warns(FitFailedWarning, match="'architecture' parameter"):
            search = BatchedGridSearchCV(code, grid, cv=2, error_score=-3.0).fit(X)
        assert search.best_params_ == {"architecture": "dense"}
    with pytest.raises(ValueError, match="Input X contains NaN"):
        BatchedGridSearchCV(code, {"weight_decay": [0.1]}, error_score="raise").fit(
            np.full((30, 4), np.nan)
        )
    with pytest.raises(ValueError, match="All the 4 fits failed"):
        BatchedGridSearchCV(code, {"weight_decay": [-2.0, -1.0]}, cv=2).fit(X)
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        BatchedGridSearchCV(code, {"depth": [1]}, cv=2).fit(X)
    with pytest.raises(ValueError, match="'working_memory' parameter"):
        BatchedGridSearchCV(code, grid, working_memory=0).fit(X)


def test_a_step_before_that_fails(digits):
    def refuse(X):
        raise RuntimeError("not today")

    steps = [("no", FunctionTransformer(refuse)), ("code", Autoencoder(3, **FAST))]
    grid = {"code__weight_decay": [0.1], "no": [FunctionTransformer(refuse), None]}
    with pytest.warns(FitFailedWarning, match="not today"):
        search = BatchedGridSearchCV(Pipeline(steps), grid, cv=2, error_score=-1.0).fit(
            digits[0]
        )
    bad, good = search.cv_results_["mean_test_score"]
    assert bad == -1.0 < good


def test_it_is_a_scikit_learn_search(digits):
    """Cloned, pickled, used and printed as those are; it changes no parameter."""
    X, y = digits
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    pipeline = pipeline_of(code)
    search = BatchedGridSearchCV(pipeline, {"code__alpha": [0.1, 1.0]}, cv=2)
    before = search.get_params()
    copied = pickle.loads(pickle.dumps(clone(search).fit(X, y)))
    assert search.get_params() == before
    np.testing.assert_array_equal(copied.predict(X), search.fit(X, y).predict(X))
    assert search.score(X, y) > 0.5
    assert "BatchedGridSearchCV" in repr(search)
    assert isinstance(search, GridSearchCV)
    # Nothing of the search is left on what it has fitted.
    for part in (search.best_estimator_, search.best_estimator_.named_steps["code"]):
        assert not {"fit", "set_params", "fit_transform"} & vars(part).keys()


def test_estimators_of_others_are_searched_too(digits):
    batched, apart = both(PCA(), {"n_components": [1, 3]}, digits[0], cv=2)
    assert_same_table(batched, apart)


def test_verbosity(digits, capsys):
    """One bar for each net would be too many."""
    code = Autoencoder(3, **FAST, random_state=0, verbose=1)
    search = BatchedGridSearchCV(
        code, {"weight_decay": [0.1, 1.0]}, cv=2, verbose=3, refit=False
    )
    search.fit(digits[0])
    out, err = capsys.readouterr()
    assert "Fitting 2 folds for each of 2 candidates, totalling 4 fits" in out
    assert out.count("weight_decay=0.1;") == 2
    assert err == ""


@pytest.fixture
def ctrl_c():
    """Let SIGINT interrupt: shells start what runs in the background without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_an_interrupt_ends_a_search_at_once(digits, n_jobs):
    """Ctrl-C, while nets train in other threads, too."""
    import _thread

    begun = threading.Event()

    def press():
        begun.wait(60)
        _thread.interrupt_main()

    callback = watching(on_epoch_end=lambda net, **_: begun.set())
    code = Autoencoder(
        3, **{**FAST, "max_epochs": 10**6}, tol=0.0, callbacks=[callback]
    )
    grid = {"weight_decay": [0.1, 1.0], "hidden_layer_sizes": [(), (5,)]}
    search = BatchedGridSearchCV(code, grid, cv=2, n_jobs=n_jobs)
    threading.Thread(target=press).start()
    n_before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        search.fit(digits[0])
    assert not hasattr(search, "cv_results_")
    # No thread goes on.
    deadline = time.monotonic() + 60
    while threading.active_count() > n_before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= n_before


MEMORY = """
import resource
import numpy as np
from sklearn_ae import Autoencoder
from sklearn_ae.model_selection import BatchedGridSearchCV

X = np.random.default_rng(0).random((200, 300), dtype=np.float32)
code = Autoencoder(
    50, hidden_layer_sizes=(200,), batch_size=32, max_epochs=1, random_state=0
)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def search(n_candidates, memory):
    grid = {"weight_decay": np.geomspace(1e-4, 1, n_candidates)}
    BatchedGridSearchCV(
        code, grid, cv=2, refit=False, working_memory=memory
    ).fit(X)

search(4, 16)
before = peak()
search(100, 64)
print(peak() - before)
"""


def test_an_interrupt_of_pretraining_ends_a_search(digits, monkeypatch):
    begun = []

    def press(machine, v):
        begun.append(machine)
        raise KeyboardInterrupt

    monkeypatch.setattr(BoltzmannMachine, "contrast", press)
    code = Autoencoder(
        3, **FAST, activation="logistic", pretraining="rbm", random_state=0
    )
    with pytest.raises(KeyboardInterrupt):
        BatchedGridSearchCV(code, {"weight_decay": [0.1, 1.0]}, cv=2).fit(digits[0])
    assert len(begun) == 1
    with pytest.raises(KeyboardInterrupt):
        regularization_path(code, digits[0], "weight_decay", [0.1, 1.0])
    assert len(begun) == 2


def test_a_hundred_candidates_stay_within_the_memory():
    """Of 200 nets of 0.5 MiB, each with its gradient and moments: 64 MiB at a time."""
    assert float(run_python("-c", MEMORY)) < 64


def test_a_path_is_each_of_its_fits(digits):
    X, _ = digits
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    path = regularization_path(code, X, "alpha", [0.01, 1.0, 100.0])
    assert path.param_name == "alpha"
    assert path.param_range == [0.01, 1.0, 100.0]
    for i, (alpha, model) in enumerate(
        zip(path.param_range, path.estimators, strict=True)
    ):
        alone = clone(code).set_params(alpha=alpha).fit(X)
        np.testing.assert_allclose(model.loss_curve_, alone.loss_curve_, rtol=1e-5)
        Z = model.transform(X)
        assert path.sparsity[i] == pytest.approx(np.mean(Z == 0))
        assert path.code_norm[i] == pytest.approx(np.linalg.norm(Z, axis=1).mean())
        error = model.reconstruction_error(X).mean()
        assert path.reconstruction_error[i] == pytest.approx(error)
        total = sum(curve[i] for curve in path.loss_terms.values())
        assert total == pytest.approx(model.loss_)
        assert model.alpha == alpha
    assert (np.diff(path.code_norm) < 0).all()
    assert not code.__sklearn_is_fitted__()


def test_a_path_of_one_structure_after_another(digits):
    """alpha=0 has no penalty, which is another net."""
    code = SparseAutoencoder(8, penalty="l1", **FAST, random_state=0)
    path = regularization_path(code, digits[0], "alpha", [0.0, 0.1, 1.0])
    assert path.loss_terms["sparsity"][0] == 0.0
    with pytest.raises(ValueError, match="param_range is empty"):
        regularization_path(code, digits[0], "alpha", [])
    with pytest.raises(ValueError, match="'alpha' parameter"):
        regularization_path(code, digits[0], "alpha", [0.1, -1.0])


def negative_error(estimator, X, y=None):
    return {"score": -float(estimator.reconstruction_error(X).mean())}


def test_callbacks_of_scikit_learn(digits, capfd):
    """14: of the search, and of an estimator in it, which then trains alone."""
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring=negative_error)
    code = Autoencoder(3, **FAST, random_state=0).set_callbacks(monitor)
    pipeline = Pipeline([("scale", StandardScaler()), ("code", code)])
    search = BatchedGridSearchCV(pipeline, {"code__weight_decay": [0.1, 1.0]}, cv=2)
    search.set_callbacks(callback.ProgressBar()).fit(digits[0])
    assert "BatchedGridSearchCV - fit" in capfd.readouterr().out
    tasks = [row["task_name"] for row in monitor.get_logs().data]
    # Four candidates on folds, and the best one.
    assert tasks.count("fit") == 5
    assert tasks.count("epoch") == 5 * FAST["max_epochs"]
