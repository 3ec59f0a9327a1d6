"""Checks of one_standard_error."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae.metrics import (
    make_denoising_scorer,
    one_standard_error,
    reconstruction_r2,
)
from units.metrics.cases import X, exactly


def results(means, deviations, metric="score", n_splits=4, **parameters):
    columns = {f"split{i}_test_{metric}": np.zeros(len(means)) for i in range(n_splits)}
    columns |= {f"param_{name}": values for name, values in parameters.items()}
    columns[f"mean_test_{metric}"] = np.array(means, dtype=float)
    columns[f"std_test_{metric}"] = np.array(deviations, dtype=float)
    return columns


def test_one_standard_error_by_hand():
    # The error is 0.2 / sqrt(4) = 0.1, from the best: 0.8 is in, 0.79 is out.
    table = results([0.5, 0.9, 0.8, 0.79], [9, 0.2, 9, 9], alpha=[0, 1, 10, 100])
    rule = one_standard_error("score", "alpha")
    table["mean_test_score"][2] += 1e-12
    assert rule(table) == 2
    assert type(rule(table)) is int
    assert one_standard_error()(table) == 2
    assert pickle.loads(pickle.dumps(rule))(table) == 2
    # More splits, a smaller error: only the best is left.
    table |= {f"split{i}_test_score": np.zeros(4) for i in range(16)}
    assert rule(table) == 1


def test_one_standard_error_counts_the_splits_of_its_own_metric():
    table = results([0.9, 0.8], [0.19, 0], metric="f1", alpha=[1, 2])
    table |= results([0.1, 0.9], [0, 0], metric="f1_test_f1", n_splits=9)
    table |= results([0.1, 0.9], [0, 0], metric="f10", n_splits=9)
    assert one_standard_error("f1", "alpha")(table) == 0
    table["std_test_f1"][0] = 0.21
    assert one_standard_error("f1", "alpha")(table) == 1


def test_one_standard_error_leaves_out_failures():
    table = results([np.nan, 0.9, np.nan], [np.nan, 0, np.nan], alpha=[1, 2, 3])
    assert one_standard_error("score", "alpha")(table) == 1


def test_one_standard_error_takes_the_better_of_equal_values():
    table = results([0.88, 0.9, 0.89], [1, 1, 1], alpha=[5.0, 1.0, 5.0], size=[1, 2, 3])
    assert one_standard_error("score", "alpha")(table) == 2


def test_one_standard_error_with_candidates_that_lack_the_parameter():
    alpha = np.ma.masked_array([1, 2, 0], mask=[False, False, True], dtype=object)
    rule = one_standard_error("score", "alpha")
    # The third has no alpha. It is the best by far, then within reach of the second.
    assert rule(results([0.5, 0.6, 0.9], [0, 0, 0.02], alpha=alpha)) == 2
    assert rule(results([0.5, 0.89, 0.9], [0, 0, 0.04], alpha=alpha)) == 1


@pytest.mark.parametrize(
    ("metric", "parameter", "message"),
    [
        ("f1", "alpha", "metric='f1' is not in cv_results_; it has ['score']."),
        (
            "score",
            "beta",
            "parameter='beta' does not name a searched parameter; the search has "
            "['alpha', 'kind'].",
        ),
        (
            "score",
            None,
            "parameter=None does not name a searched parameter; the search has "
            "['alpha', 'kind'].",
        ),
        ("score", "kind", "parameter='kind' has values that are not numbers."),
    ],
)
def test_one_standard_error_names_what_there_is(metric, parameter, message):
    table = results([0.1, 0.2], [0, 0], alpha=[1, 2], kind=["l1", "kl"])
    with pytest.raises(ValueError, match=exactly(message)):
        one_standard_error(metric, parameter)(table)


def test_one_standard_error_needs_one_success():
    table = results([np.nan, np.nan], [np.nan, np.nan], alpha=[1, 2])
    message = "No candidate has a finite mean_test_score."
    with pytest.raises(ValueError, match=exactly(message)):
        one_standard_error("score", "alpha")(table)


def test_one_standard_error_refits_a_search_over_two_metrics():
    grid = {"reduce__n_components": [1, 2, 3], "reduce__tol": [0.0, 0.1]}
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA())])
    search = GridSearchCV(
        pipeline,
        grid,
        scoring={"r2": reconstruction_r2, "noisy": make_denoising_scorer()},
        refit=one_standard_error("noisy", "reduce__tol"),
        cv=5,
    ).fit(X)
    columns = search.cv_results_
    scores = np.array([columns[f"split{i}_test_noisy"] for i in range(5)])
    best = scores.mean(axis=0).argmax()
    floor = scores[:, best].mean() - scores[:, best].std() / np.sqrt(5)
    allowed = np.flatnonzero(scores.mean(axis=0) >= floor)
    assert search.best_index_ in allowed
    assert search.best_params_ == {"reduce__n_components": 3, "reduce__tol": 0.1}
    assert reconstruction_r2(search.best_estimator_, X) > 0.9
