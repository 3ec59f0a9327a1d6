"""A batched search and scikit-learn's own, beside each other."""

from __future__ import annotations

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_ae.model_selection import BatchedGridSearchCV

FAST = {"hidden_layer_sizes": (12,), "batch_size": 16, "max_epochs": 5}


def both(estimator, grid, X, y=None, **options):
    """Answer the batched search and scikit-learn's own, both fitted."""
    searches = [
        kind(clone(estimator), grid, **options)
        for kind in (BatchedGridSearchCV, GridSearchCV)
    ]
    return [search.fit(X, y) for search in searches]
