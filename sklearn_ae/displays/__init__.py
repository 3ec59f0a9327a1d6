"""Displays of codes, decoded rows and training: compute first, then draw.

A display asks an estimator only for what it draws, so that PCA, a Pipeline or an
embedding by t-SNE is drawn like an autoencoder. Every `from_estimator` takes one
estimator, or several in a mapping or a list, which stand side by side. Every `plot`
draws on the given Axes or on a new figure and returns the display; without matplotlib
it raises ImportError.
"""

from sklearn_ae.displays._filters import FilterDisplay
from sklearn_ae.displays._interpolation import InterpolationDisplay
from sklearn_ae.displays._latent_manifold import LatentManifoldDisplay
from sklearn_ae.displays._latent_space import LatentSpaceDisplay
from sklearn_ae.displays._latent_traversal import LatentTraversalDisplay
from sklearn_ae.displays._loss_curve import LossCurveDisplay
from sklearn_ae.displays._reconstruction import ReconstructionDisplay
from sklearn_ae.displays._regularization_path import RegularizationPathDisplay

__all__ = [
    "FilterDisplay",
    "InterpolationDisplay",
    "LatentManifoldDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "RegularizationPathDisplay",
]

# Pickles name what they hold by its public place, which outlives moves of files.
for _name in __all__:
    globals()[_name].__module__ = __name__
