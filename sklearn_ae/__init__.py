"""Autoencoders as scikit-learn estimators, trained by skorch and torch."""

from sklearn_ae._autoencoder import Autoencoder
from sklearn_ae._linear import LinearAutoencoder
from sklearn_ae._losses import Huber
from sklearn_ae._sparse import SparseAutoencoder
from sklearn_ae.exceptions import DivergenceError

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "DivergenceError",
    "Huber",
    "LinearAutoencoder",
    "SparseAutoencoder",
]
