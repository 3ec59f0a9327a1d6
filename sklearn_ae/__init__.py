"""Autoencoders as scikit-learn estimators, trained by skorch and torch."""

from sklearn_ae._autoencoder import Autoencoder
from sklearn_ae._linear import LinearAutoencoder
from sklearn_ae._losses import Huber
from sklearn_ae._persistence import load
from sklearn_ae._version import __version__ as __version__
from sklearn_ae.exceptions import DivergenceError

__all__ = ["Autoencoder", "DivergenceError", "Huber", "LinearAutoencoder", "load"]
