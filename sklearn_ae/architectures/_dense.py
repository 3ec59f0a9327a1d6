"""Dense layers: h = s(W h' + b), mirrored in the decoder."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import nn

from sklearn_ae._layers.dense import (
    DenseLayer,
    TransposedLayer,
    initialize,
)
from sklearn_ae.architectures._base import Architecture


@dataclass(eq=False, repr=False)
class Dense(Architecture):
    """Dense layers in the encoder, their mirror image in the decoder.

    .. math:: h_l = s(W_l h_{l-1} + b_l)

    Its widths and activations are the estimator's `hidden_layer_sizes`, `activation`
    and `code_activation`.

    Examples
    --------
    >>> from sklearn_ae import Autoencoder
    >>> from sklearn_ae.architectures import Dense
    >>> Autoencoder(architecture=Dense())
    Autoencoder(architecture=Dense())
    """

    supports_sparse = True
    supports_tied_weights = True
    supports_pretraining = True
    stackable = True

    def build(
        self,
        n_features: int,
        n_components: int,
        *,
        hidden_layer_sizes: tuple[int, ...],
        activation: str,
        code_activation: str,
        tied_weights: bool,
        initialization: str | float,
        seed: int,
    ) -> tuple[nn.Sequential, nn.Sequential]:
        """Build an initialised encoder and decoder."""
        widths = [n_features, *hidden_layer_sizes, n_components]
        depth = len(widths) - 1
        sizes = list(itertools.pairwise(widths))
        names = [activation] * (depth - 1) + [code_activation]
        encoder = [
            DenseLayer(n_inputs, n_outputs, name)
            for (n_inputs, n_outputs), name in zip(sizes, names, strict=True)
        ]
        # From the data inwards, so that index i of both lists is the same distance.
        names = ["identity"] + [activation] * (depth - 1)
        if tied_weights:
            decoder = [
                TransposedLayer(layer, name)
                for layer, name in zip(encoder, names, strict=True)
            ]
        else:
            decoder = [
                DenseLayer(n_inputs, n_outputs, name)
                for (n_outputs, n_inputs), name in zip(sizes, names, strict=True)
            ]
        for part, layers in (("encoder", encoder), ("decoder", decoder)):
            for index, layer in enumerate(layers):
                if isinstance(layer, DenseLayer):
                    initialize(layer, initialization, seed, part, index)
        return nn.Sequential(*encoder), nn.Sequential(*reversed(decoder))
