"""Choosing each method's settings by a search on the training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.manifold import trustworthiness
from sklearn.model_selection import KFold, ParameterGrid

from benchmarks.measures.quality import MAX_PAIRED_ROWS, N_NEIGHBORS
from benchmarks.methods.embeddings import Method

N_FOLDS = 3


def tune(method: Method, estimator: BaseEstimator, X: np.ndarray) -> dict[str, Any]:
    """Return the best of a method's settings for the training rows.

    Methods that rebuild rows are scored by what they explain of held-out folds; maps of
    the training rows, which do not, by the neighbourhoods that they keep of those.
    """
    if not method.grid:
        return {}
    if method.rebuilds:
        return _by_folds(estimator, method.grid, X)
    return _by_neighbourhoods(estimator, method.grid, X)


def _by_folds(
    estimator: BaseEstimator, grid: dict[str, list[Any]], X: np.ndarray
) -> dict[str, Any]:
    from sklearn_ae.metrics import reconstruction_r2
    from sklearn_ae.model_selection import BatchedGridSearchCV

    folds = KFold(N_FOLDS, shuffle=True, random_state=0)
    search = BatchedGridSearchCV(
        estimator, grid, scoring=reconstruction_r2, cv=folds, refit=False
    )
    return dict(search.fit(X).best_params_)


def _by_neighbourhoods(
    estimator: BaseEstimator, grid: dict[str, list[Any]], X: np.ndarray
) -> dict[str, Any]:
    X = X[:MAX_PAIRED_ROWS]

    def kept(params: dict[str, Any]) -> float:
        model = clone(estimator).set_params(**params)
        return trustworthiness(X, model.fit_transform(X), n_neighbors=N_NEIGHBORS)

    # All settings are numbers of neighbours, of which there are not more than rows.
    possible = [p for p in ParameterGrid(grid) if max(p.values()) < len(X)]
    return max(possible, key=kept)
