"""Every estimator in searches: a stack of candidates against fits one by one."""

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from contract.table import every_case, every_class
from sklearn_ae.model_selection import BatchedGridSearchCV

RATES = [1e-4, 1e-3, 4e-3]
CLOSE = 1e-5


def assert_same_table(search, expected, close=CLOSE):
    """Compare all that `cv_results_` holds, times aside."""
    ours, theirs = search.cv_results_, expected.cv_results_
    assert ours.keys() == theirs.keys()
    assert ours["params"] == theirs["params"]
    for name in ours:
        if "score" in name and "time" not in name:
            np.testing.assert_allclose(
                ours[name], theirs[name], rtol=close, atol=1e-9, err_msg=name
            )
    for name in ("best_index_", "best_params_", "n_splits_"):
        assert getattr(search, name, None) == getattr(expected, name, None)


@every_case
def test_a_batched_search_scores_as_fits_one_by_one(row, params, X, y):
    """Learning rates, on folds of unequal size; what cannot be stacked as well."""
    estimator = row.make(**params)
    grid, X, y = {"learning_rate": RATES}, X[:32], y[:32]
    options = {"cv": KFold(3), "error_score": "raise", "refit": False}
    batched = BatchedGridSearchCV(estimator, grid, **options).fit(X, y)
    apart = GridSearchCV(estimator, grid, **options).fit(X, y)
    assert_same_table(batched, apart)


@every_class
def test_a_batched_search_in_a_pipeline(row, X, y):
    """4: with steps before it, and fitted as scikit-learn's own search is."""
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", row.make())])
    grid = {"reduce__n_components": [1, 2], "reduce__random_state": [0, 1]}
    batched = BatchedGridSearchCV(pipeline, grid, cv=2).fit(X, y)
    apart = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert_same_table(batched, apart)
    np.testing.assert_array_equal(batched.transform(X), apart.transform(X))
    assert pipeline.named_steps["reduce"].__sklearn_is_fitted__() is False


@every_class
def test_diverging_candidates_score_error_score(row, X, y):
    """16: and disturb no other."""
    rates = [1e-3, row.diverges["learning_rate"]]
    estimator = row.make(**{**row.diverges, "learning_rate": 1e-3})
    search = BatchedGridSearchCV(
        estimator, {"learning_rate": rates}, cv=2, error_score=-9.0
    )
    with pytest.warns(FitFailedWarning, match="DivergenceError"):
        search.fit(X, y)
    good, bad = search.cv_results_["mean_test_score"]
    assert bad == -9.0
    assert search.best_params_ == {"learning_rate": 1e-3}
    alone = BatchedGridSearchCV(estimator, {"learning_rate": rates[:1]}, cv=2).fit(X, y)
    np.testing.assert_allclose(alone.cv_results_["mean_test_score"], good, rtol=CLOSE)
