"""Searches over parameters that train many small nets at once."""

from sklearn_ae._paths import regularization_path
from sklearn_ae.model_selection._search import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
)

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "regularization_path",
]
