"""Autoencoders as scikit-learn estimators, trained by skorch and torch."""

from sklearn_ae._adversarial import AdversarialAutoencoder
from sklearn_ae._autoencoder import Autoencoder
from sklearn_ae._conditional import ConditionalVariationalAutoencoder
from sklearn_ae._contractive import ContractiveAutoencoder
from sklearn_ae._convolutional import ConvolutionalAutoencoder
from sklearn_ae._corruption import GaussianNoise, MaskingNoise, SaltAndPepperNoise
from sklearn_ae._denoising import DenoisingAutoencoder
from sklearn_ae._imposed_priors import (
    GaussianRing,
    StandardNormal,
    SwissRoll,
    UniformBox,
)
from sklearn_ae._latent_priors import FlowPrior, GaussianMixturePrior, VampPrior
from sklearn_ae._linear import LinearAutoencoder
from sklearn_ae._losses import Correntropy, Huber
from sklearn_ae._lstm import LSTMAutoencoder
from sklearn_ae._persistence import load
from sklearn_ae._robust import RobustAutoencoder
from sklearn_ae._sparse import SparseAutoencoder
from sklearn_ae._stacked import StackedAutoencoder
from sklearn_ae._variational import VariationalAutoencoder
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
