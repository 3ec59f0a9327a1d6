"""Autoencoders as scikit-learn estimators, trained by skorch and torch."""

from sklearn_ae._estimators.adversarial import AdversarialAutoencoder
from sklearn_ae._estimators.autoencoder import (
    Autoencoder,
    ConvolutionalAutoencoder,
    LSTMAutoencoder,
    StackedAutoencoder,
)
from sklearn_ae._estimators.conditional import ConditionalVariationalAutoencoder
from sklearn_ae._estimators.contractive import ContractiveAutoencoder
from sklearn_ae._estimators.denoising import DenoisingAutoencoder
from sklearn_ae._estimators.linear import LinearAutoencoder
from sklearn_ae._estimators.robust import RobustAutoencoder
from sklearn_ae._estimators.sparse import SparseAutoencoder
from sklearn_ae._estimators.variational import VariationalAutoencoder
from sklearn_ae._files.save import load
from sklearn_ae._objective.losses import Correntropy, Huber
from sklearn_ae._objective.noise import GaussianNoise, MaskingNoise, SaltAndPepperNoise
from sklearn_ae._priors.drawn import GaussianRing, StandardNormal, SwissRoll, UniformBox
from sklearn_ae._priors.learned import FlowPrior, GaussianMixturePrior, VampPrior
from sklearn_ae._version import __version__ as __version__
from sklearn_ae.exceptions import DivergenceError

__all__ = [
    "AdversarialAutoencoder",
    "Autoencoder",
    "ConditionalVariationalAutoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "Correntropy",
    "DenoisingAutoencoder",
    "DivergenceError",
    "FlowPrior",
    "GaussianMixturePrior",
    "GaussianNoise",
    "GaussianRing",
    "Huber",
    "LSTMAutoencoder",
    "LinearAutoencoder",
    "MaskingNoise",
    "RobustAutoencoder",
    "SaltAndPepperNoise",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "StandardNormal",
    "SwissRoll",
    "UniformBox",
    "VampPrior",
    "VariationalAutoencoder",
    "load",
]

# Pickles name what they hold by its public place, which outlives moves of files.
for _name in __all__:
    globals()[_name].__module__ = __name__
