"""Searches over parameters that train many small nets at once."""

from sklearn_ae.model_selection._paths import regularization_path
from sklearn_ae.model_selection._search import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
)

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "regularization_path",
]

# Pickles name what they hold by its public place, which outlives moves of files.
for _name in __all__:
    globals()[_name].__module__ = __name__
