"""Autoencoders as scikit-learn estimators, trained by skorch and torch.

All have `fit`, `transform`, `inverse_transform`, `reconstruct` and `score`, and work in
pipelines and searches. Which class for which job:

==================================  =================================================
Codes of few numbers, for a start   `Autoencoder`; for pictures of a table, with
                                    `n_components=2`
As PCA, or rows fewer than columns  `LinearAutoencoder`, which is PCA's subspace
Many codes of which few are in use  `SparseAutoencoder`
Codes that hardly move with rows    `ContractiveAutoencoder`
Noise removed, gaps filled in       `DenoisingAutoencoder` (`reconstruct`, `impute`)
Outliers in the rows of training    `RobustAutoencoder`
New rows, and their likelihood      `VariationalAutoencoder` (`sample`,
                                    `score_samples`)
New rows of a class                 `ConditionalVariationalAutoencoder`
Codes of a distribution of choice   `AdversarialAutoencoder`
Images, signals, sequences          `ConvolutionalAutoencoder`, `LSTMAutoencoder`, or
                                    any class with `architecture=`
Deep nets, layer by layer           `StackedAutoencoder`, or `pretraining=`
==================================  =================================================

Beside the classes there are `model_selection` (a grid of penalties in the time of a few
fits), `metrics` (scorers for searches without labels), `displays` (pictures),
`architectures` (what nets are made of) and `load`, for what `save` has written.

For maintainers
---------------
Each folder is a room, and imports only rooms below it:

- `displays`, `model_selection`, `metrics`: what compares fitted estimators.
- `_estimators`: the public classes, each its idea.
- `_files`: a fitted model written and read. `_training`: a net trained.
- `_nets`: the module, and the fitted model that answers with it.
- `_objective`: what is minimised: losses, likelihoods, penalties, noise.
- `architectures`: what encoders and decoders are made of. `_priors`: distributions of
  codes.
- `_layers`: pieces of modules, and their functions.
- `_data`: anything to checked rows. `_compute`: threads, devices, seeds, warnings,
  suggestions.

Words mean one thing. A *module* is torch's: encoder, decoder and objective. A *net* is
skorch's: it trains a module. A *fitted model* is what an estimator keeps of it. A
*stack* is layers on top of each other; many nets that train at once are *batched*. A
*prior* is a distribution of codes. A *unit* is a neuron of a layer; a unit of measure
is said to be one.
"""

import types
from importlib import import_module

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

_ROOMS = ("architectures", "displays", "exceptions", "metrics", "model_selection")


def __getattr__(name: str) -> types.ModuleType:
    # Imported when they are asked for: a worker of a search needs no pictures.
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})


# Pickles name what they hold by its public place, which outlives moves of files.
for _name in __all__:
    globals()[_name].__module__ = __name__
